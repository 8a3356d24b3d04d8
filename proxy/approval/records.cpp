#include "proxy/approval/records.h"

#include "proxy/audit/chain.h"

namespace sallyport::proxy::approval {

namespace {

std::string joined(const std::vector<std::string>& words) {
    std::string out;
    for (const auto& w : words)
        out += (out.empty() ? "" : ", ") + w;
    return out;
}

}  // namespace

audit::record hold_record(const char* event, const policy::hold& h, policy::instant at) {
    audit::record r;
    r.event = event;
    r.at = at;
    r.with("hold", std::to_string(h.id.value));
    r.with("kind", policy::to_string(h.kind));
    r.with("user", h.person);
    r.with("address", h.address);
    r.with("application", h.application);
    r.with("session", std::to_string(h.session.value));
    r.with("target", h.target);
    r.with("rule", h.rule);
    r.with("policy", h.policy_hash);
    r.with("reason", h.reason);
    r.with("touches", joined(h.touches));
    r.with("expires_at", audit::format_time(h.expires_at));
    r.with("statement_sha256", h.statement_sha256);
    // The text when the hold opens, and behind a crash, which may have taken that record; its hash
    // ties the later records to it.
    const bool resumed = r.event == "hold.resumed";
    if (resumed || r.event == "hold.opened")
        r.with("groups", joined(h.person_groups)).with("statement", h.redacted);
    if (resumed) r.with("state", policy::to_string(h.state));
    if (!h.trace_id.empty()) r.with("trace_id", h.trace_id).with("span_id", h.span_id);
    return r;
}

audit::record opt_out_record(const char* event, const policy::opt_out& o, policy::instant at) {
    audit::record r;
    r.event = event;
    r.at = at;
    r.with("opt_out", std::to_string(o.id.value));
    r.with("user", o.person);
    r.with("requested_by", o.requested_by);
    r.with("target", o.target);
    r.with("rule", o.rule);
    r.with("policy", o.policy_hash);
    r.with("reason", o.reason);
    r.with("ticket", o.ticket);
    r.with("duration_ms", std::to_string(o.duration.count()));
    if (o.kind != policy::opt_out_kind::request) r.with("kind", policy::to_string(o.kind));
    if (!o.group.empty()) r.with("group", o.group);
    if (o.extends) r.with("extends", std::to_string(o.extends.value));
    if (!o.scope.wide()) {
        std::vector<std::string> actions = o.scope.commands;
        for (const auto k : o.scope.kinds)
            actions.emplace_back(policy::to_string(k));
        r.with("application", o.scope.application)
            .with("resources", joined(o.scope.resources))
            .with("do", joined(actions))
            .with("shape", o.scope.shape);
    }
    if (o.until != policy::instant{}) {
        r.with("from", audit::format_time(o.from));
        r.with("until", audit::format_time(o.until));
        r.with("approved_by", approvers_of(o.votes));
    }
    r.with("uses", std::to_string(o.uses));
    r.with("max_uses", std::to_string(o.max_uses));
    return r;
}

audit::record pass_record(const char* event, const policy::pass& p, policy::instant at) {
    audit::record r;
    r.event = event;
    r.at = at;
    r.with("pass", std::to_string(p.id.value));
    r.with("scope", policy::to_string(p.scope));
    r.with("hold", std::to_string(p.from_hold.value));
    r.with("user", p.person);
    r.with("target", p.target);
    r.with("rule", p.rule);
    r.with("shape", p.shape);
    r.with("approved_by", p.approved_by);
    r.with("until", audit::format_time(p.until));
    return r;
}

audit::record review_record(const char* event, const policy::review& v, policy::instant at) {
    audit::record r;
    r.event = event;
    r.at = at;
    r.with("opt_out", std::to_string(v.id.value));
    r.with("user", v.person);
    r.with("rule", v.rule);
    r.with("kind", policy::to_string(v.kind));
    r.with("uses", std::to_string(v.uses));
    r.with("due_at", audit::format_time(v.due_at));
    return r;
}

audit::record flag_record(const char* event, const policy::flag& f, policy::instant at) {
    audit::record r;
    r.event = event;
    r.at = at;
    r.with(policy::to_string(f.kind), std::to_string(f.id.value));
    r.with(policy::to_string(f.on), f.subject);
    r.with("reason", f.reason);
    r.with("set_by", f.set_by);
    r.with("until", audit::format_time(f.until));
    return r;
}

void add_vote(audit::record& r, const policy::vote& v) {
    r.with("voter", v.person);
    r.with("vote", v.approve ? "approve" : "deny");
    r.with("vote_reason", v.reason);
    r.with("surface", v.surface);
}

void set_field(audit::record& r, const std::string& name, std::string value) {
    for (auto& [key, old] : r.fields) {
        if (key != name) continue;
        old = std::move(value);
        return;
    }
    r.with(name, std::move(value));
}

std::string approvers_of(const std::vector<policy::vote>& votes) {
    std::string names;
    for (const auto& v : votes)
        if (v.approve) names += (names.empty() ? "" : ", ") + v.person;
    return names;
}

}  // namespace sallyport::proxy::approval
