#include "proxy/admin/dto.h"

#include <nlohmann/json.hpp>

#include "proxy/admin/text.h"

namespace sallyport::proxy::admin {
namespace {

using json = nlohmann::ordered_json;

std::string dump(const json& j) {
    return j.dump(-1, ' ', false, json::error_handler_t::replace);
}

/// Text of a client: any bytes.
void put_text(json& j, const std::string& key, const std::string& text) {
    j[key] = text;
    if (!valid_utf8(text)) j[key + "_base64"] = base64(text);
}

json time_or_null(policy::instant t) {
    auto text = iso_time(t);
    return text.empty() ? json(nullptr) : json(std::move(text));
}

json number_or_null(std::uint64_t n) {
    return n == 0 ? json(nullptr) : json(n);
}

json approvers_of(const policy::approvers& a) {
    json out = {{"needed", a.approvals}, {"users", a.users}, {"groups", a.groups}};
    if (!a.services.empty()) out["services"] = a.services;
    return out;
}

json votes_of(const std::vector<policy::vote>& votes) {
    json out = json::array();
    for (const auto& v : votes)
        out.push_back({{"user", v.person},
                       {"vote", v.approve ? "approve" : "deny"},
                       {"reason", v.reason},
                       {"at", time_or_null(v.at)},
                       {"surface", v.surface}});
    return out;
}

json passes_of(const policy::pass_bounds& b, bool has_shape, bool has_transaction) {
    json out;
    out["statement"] = b.statement;
    if (b.shape && has_shape) out["shape"] = format_duration(*b.shape);
    if (b.transaction && has_transaction) out["transaction"] = format_duration(*b.transaction);
    if (b.session) out["session"] = format_duration(*b.session);
    return out;
}

json to_json_value(const policy::hold& h, const actor& reader) {
    json out;
    out["id"] = h.id.value;
    out["kind"] = policy::to_string(h.kind);
    out["state"] = policy::to_string(h.state);
    out["user"] = h.person;
    out["groups"] = h.person_groups;
    out["target"] = h.target;
    out["rule"] = h.rule;
    if (may_read_statement(reader, h)) {
        put_text(out, "statement", h.statement);
        out["parameters"] = json::array();
        for (const auto& p : h.parameters)
            out["parameters"].push_back(p);
    } else {
        out["statement"] = nullptr;
    }
    out["statement_sha256"] = h.statement_sha256;
    out["touches"] = h.touches;
    put_text(out, "reason", h.reason);
    out["address"] = h.address;
    put_text(out, "application", h.application);
    out["session"] = number_or_null(h.session.value);
    out["waiters"] = h.waiters;
    out["ahead"] = h.ahead();
    if (h.escalate) out["escalated"] = h.escalated;
    if (!h.assigned.to.empty()) {
        auto& task = out["assigned"];
        task["to"] = h.assigned.to;
        task["by"] = h.assigned.by;
        put_text(task, "reason", h.assigned.reason);
        task["at"] = time_or_null(h.assigned.at);
    }
    out["variants"] = json::array();
    if (may_read_statement(reader, h))
        for (const auto& v : h.variants) {
            json one;
            put_text(one, "statement", v.statement);
            one["parameters"] = v.parameters;
            out["variants"].push_back(std::move(one));
        }
    out["in_transaction"] = h.in_transaction;
    out["opened_at"] = time_or_null(h.opened_at);
    out["expires_at"] = time_or_null(h.expires_at);
    out["ended_at"] = time_or_null(h.ended_at);
    out["ended_reason"] = h.ended_reason;
    out["approvals"] = approvers_of(h.who);
    out["approvals"]["votes"] = votes_of(h.votes);
    out["pass"] = passes_of(h.pass, !h.shape.empty(), h.in_transaction);
    if (h.state == policy::hold_state::approved) {
        out["granted"] = policy::to_string(h.granted);
        if (h.granted_for > policy::milliseconds::zero())
            out["granted_for"] = format_duration(h.granted_for);
    }
    const auto why = h.state == policy::hold_state::pending
                         ? policy::check_voter(h.who, reader.who, h.person)
                         : std::string("It has ended.");
    out["may_vote"] = why.empty();
    if (!why.empty()) out["may_not_vote_because"] = why;
    out["policy"] = h.policy_hash;
    return out;
}

json to_json_value(const open_transaction& t) {
    json out;
    out["since"] = time_or_null(t.since);
    const auto& l = t.locks;
    const bool known = l.unknown_because.empty();
    out["locks"] = known ? json::array() : json(nullptr);
    if (!known) {
        out["locks_unknown_because"] = l.unknown_because;
        return out;
    }
    for (const auto& held : l.locks) {
        json one;
        one["type"] = held.type;
        put_text(one, "on", held.on);
        one["mode"] = held.mode;
        one["granted"] = held.granted;
        out["locks"].push_back(std::move(one));
    }
    out["locks_cut"] = l.cut;
    out["blocks"] = l.blocked;
    return out;
}

json scope_of(const policy::opt_out_scope& s) {
    json out = json::object();
    if (!s.application.empty()) put_text(out, "application", s.application);
    if (!s.resources.empty()) out["on"] = s.resources;
    if (!s.kinds.empty() || !s.commands.empty()) {
        out["do"] = s.commands;
        for (const auto k : s.kinds)
            out["do"].push_back(std::string(policy::to_string(k)));
    }
    if (!s.shape.empty()) out["shape"] = s.shape;
    return out;
}

json to_json_value(const policy::opt_out& o, const actor& reader, const policy::rule_set* rules) {
    json out;
    out["id"] = o.id.value;
    out["state"] = policy::to_string(o.state);
    out["rule"] = o.rule;
    out["user"] = o.person;
    out["requested_by"] = o.requested_by;
    out["reason"] = o.reason;
    out["ticket"] = o.ticket;
    out["target"] = o.target.empty() ? json(nullptr) : json(o.target);
    out["for"] = format_duration(o.duration);
    out["requested_at"] = time_or_null(o.requested_at);
    out["request_expires_at"] = time_or_null(o.request_expires_at);
    out["from"] = time_or_null(o.from);
    out["until"] = time_or_null(o.until);
    out["uses"] = o.uses;
    out["max_uses"] = number_or_null(o.max_uses);
    const auto* const rule = rules == nullptr ? nullptr : rules->find_rule(o.rule);
    const bool known = rule != nullptr && rule->opt_out;
    out["approvals"] = known ? approvers_of(rule->opt_out->approved_by) : json::object();
    out["approvals"]["needed"] = o.approvals_needed;
    out["approvals"]["votes"] = votes_of(o.votes);
    const auto why = !known ? std::string("The rule can no longer be opted out of.")
                     : o.state != policy::opt_out_state::requested
                         ? std::string("It is decided.")
                         : policy::check_voter(rule->opt_out->approved_by, reader.who, o);
    out["may_vote"] = why.empty();
    if (!why.empty()) out["may_not_vote_because"] = why;
    out["kind"] = policy::to_string(o.kind);
    out["group"] = o.group.empty() ? json(nullptr) : json(o.group);
    out["scope"] = scope_of(o.scope);
    out["starts_at"] = time_or_null(o.starts_at);
    out["extends"] = number_or_null(o.extends.value);
    out["ended_at"] = time_or_null(o.ended_at);
    out["ended_reason"] = o.ended_reason;
    out["policy"] = o.policy_hash;
    return out;
}

json to_json_value(const policy::who& w) {
    json out = json::object();
    if (!w.users.empty()) out["users"] = w.users;
    if (!w.groups.empty()) out["groups"] = w.groups;
    if (!w.applications.empty()) out["applications"] = w.applications;
    if (!w.addresses.empty()) out["addresses"] = w.addresses;
    if (w.not_) out["not"] = to_json_value(*w.not_);
    return out;
}

std::string shown(const policy::relation_pattern& p) {
    std::string out = (p.schema.empty() ? std::string{} : p.schema + ".") + p.name;
    for (std::size_t i = 0; i < p.columns.size(); ++i)
        out += (i == 0 ? "(" : ", ") + p.columns[i];
    return out + (p.columns.empty() ? "" : ")");
}

json exception_of(const policy::rule& r, const rule_uses::count& uses, policy::instant now) {
    json out;
    out["reason"] = r.reason;
    out["review_by"] = r.review_by ? time_or_null(*r.review_by) : json(nullptr);
    out["over"] = r.excepts;
    out["ended"] = r.ended_at(now);
    out["uses"] = uses.excepted;
    return out;
}

json to_json_value(const rule_hits& h) {
    return {{"allow", h.allow}, {"pass", h.pass},     {"bypass", h.bypass},
            {"hold", h.hold},   {"refuse", h.refuse}, {"deny", h.deny}};
}

json to_json_value(const policy::rule& r, const rule_counts& counts, policy::instant now) {
    const auto counted = counts.find(r.id);
    const auto uses = counted == counts.end() ? rule_uses::count{} : counted->second;
    json out;
    out["id"] = r.id;
    out["tier"] = r.tier;
    out["effect"] = policy::to_string(r.effect);
    out["who"] = to_json_value(r.who);
    out["on"] = r.on;
    out["do"] = json::array();
    for (const auto k : r.kinds)
        out["do"].push_back(std::string(policy::to_string(k)));
    for (const auto& c : r.commands)
        out["do"].push_back(c);
    out["message"] = r.message;
    out["observe"] = r.observe;
    if (r.observe) out["observed"] = uses.observed;
    if (r.is_exception() || r.review_by) out["exception"] = exception_of(r, uses, now);
    if (r.hold) {
        out["hold"] = {
            {"approvers", approvers_of(r.hold->who)},
            {"wait", format_duration(r.hold->wait)},
            {"clients", r.hold->clients == policy::hold_clients::wait ? "wait" : "refuse"},
            {"reason_required", r.hold->reason_required},
            {"pass", passes_of(r.hold->pass, true, true)}};
    }
    if (r.opt_out) {
        const auto& o = *r.opt_out;
        json spec;
        spec["who"] = to_json_value(o.who);
        spec["approvers"] = approvers_of(o.approved_by);
        spec["max_duration"] = format_duration(o.max_duration);
        if (o.max_uses) spec["max_uses"] = *o.max_uses;
        if (o.max_live_per_person) spec["max_live_per_person"] = *o.max_live_per_person;
        if (o.max_live_in_all) spec["max_live_in_all"] = *o.max_live_in_all;
        if (o.ticket) spec["ticket"] = *o.ticket;
        if (o.cool_down) spec["cool_down"] = format_duration(*o.cool_down);
        if (o.starts_within > policy::milliseconds::zero())
            spec["starts_within"] = format_duration(o.starts_within);
        if (o.max_extensions) spec["max_extensions"] = *o.max_extensions;
        json month = json::object();
        if (o.per_month.per_person) month["per_person"] = *o.per_month.per_person;
        if (o.per_month.per_team) month["per_team"] = *o.per_month.per_team;
        if (o.per_month.in_all) month["in_all"] = *o.per_month.in_all;
        if (!month.empty()) spec["per_month"] = std::move(month);
        if (o.review_within) {
            spec["review"] = {
                {"within", format_duration(*o.review_within)},
                {"reviewers", approvers_of(o.reviewers ? *o.reviewers : o.approved_by)},
                {"overdue", o.overdue_blocks ? "block" : "alarm"}};
            spec["review"]["reviewers"].erase("needed");
        }
        if (o.break_glass) {
            const auto& b = *o.break_glass;
            json told = approvers_of(b.announce);
            told.erase("needed");
            spec["break_glass"] = {{"who", to_json_value(b.who)},
                                   {"max_duration", format_duration(b.max_duration)},
                                   {"announce", std::move(told)},
                                   {"unreviewed", b.unreviewed_blocks ? "block" : "allow"}};
        }
        out["opt_out"] = std::move(spec);
    }
    return out;
}

const char* name(approval::verdict v) {
    return v == approval::verdict::counted ? "counted" : "done";
}

const char* name(proof by) {
    switch (by) {
        case proof::login:
            return "login";
        case proof::token:
            return "token";
        case proof::jwt:
            return "jwt";
    }
    return "login";
}

json scopes_of(const actor& a) {
    if (!a.scopes) return nullptr;
    json out = json::array();
    for (std::size_t i = 0; i < action_count; ++i)
        if (a.scopes->test(i)) out.push_back(std::string(to_string(static_cast<action>(i))));
    return out;
}

}  // namespace

std::string holds_json(const std::vector<policy::hold>& holds, const actor& reader) {
    json out;
    out["holds"] = json::array();
    for (const auto& h : holds)
        out["holds"].push_back(to_json_value(h, reader));
    return dump(out);
}

std::string hold_json(const policy::hold& h, const actor& reader, with_transaction w,
                      const std::optional<open_transaction>& open) {
    auto out = to_json_value(h, reader);
    if (w == with_transaction::yes)
        out["transaction"] = open ? to_json_value(*open) : json(nullptr);
    return dump(out);
}

std::string opt_outs_json(const std::vector<policy::opt_out>& all, const actor& reader,
                          const policy::rule_set* rules) {
    json out;
    out["opt_outs"] = json::array();
    for (const auto& o : all)
        out["opt_outs"].push_back(to_json_value(o, reader, rules));
    // Rules that let somebody round others belong to the same picture.
    out["exceptions"] = json::array();
    if (rules != nullptr)
        for (const auto& r : rules->rules)
            if (r.is_exception())
                out["exceptions"].push_back({{"rule", r.id},
                                             {"who", to_json_value(r.who)},
                                             {"over", r.excepts},
                                             {"reason", r.reason},
                                             {"review_by", time_or_null(*r.review_by)}});
    return dump(out);
}

std::string opt_out_json(const policy::opt_out& o, const actor& reader,
                         const policy::rule_set* rules) {
    return dump(to_json_value(o, reader, rules));
}

std::string reviews_json(const std::vector<policy::review>& all, const actor& reader,
                         const policy::rule_set* rules, policy::instant now) {
    json out;
    out["reviews"] = json::array();
    for (const auto& r : all) {
        json one;
        one["opt_out"] = r.id.value;
        one["state"] = policy::to_string(r.state);
        one["kind"] = policy::to_string(r.kind);
        one["rule"] = r.rule;
        one["user"] = r.person;
        one["uses"] = r.uses;
        one["opened_at"] = time_or_null(r.opened_at);
        one["due_at"] = time_or_null(r.due_at);
        one["overdue"] = r.overdue(now);
        one["closed_at"] = time_or_null(r.closed_at);
        one["reviewer"] = r.reviewer.empty() ? json(nullptr) : json(r.reviewer);
        put_text(one, "note", r.note);
        const auto why = check_review(reader, r, rules);
        one["may_review"] = why.empty();
        if (!why.empty()) one["may_not_review_because"] = why;
        // Where its uses are: the audit log's records of it, newest first.
        one["bypasses"] = "/api/v1/opt-outs/" + std::to_string(r.id.value) + "/uses";
        out["reviews"].push_back(std::move(one));
    }
    return dump(out);
}

std::string flags_json(const std::vector<policy::flag>& all, policy::instant now) {
    json out;
    out["flags"] = json::array();
    for (const auto& f : all) {
        json one;
        one["id"] = f.id.value;
        one["kind"] = policy::to_string(f.kind);
        one["about"] = policy::to_string(f.on);
        put_text(one, "subject", f.subject);
        put_text(one, "reason", f.reason);
        one["live"] = f.live_at(now);
        one["set_by"] = f.set_by;
        one["set_at"] = time_or_null(f.set_at);
        one["until"] = time_or_null(f.until);
        one["lifted_at"] = time_or_null(f.lifted_at);
        one["lifted_by"] = f.lifted_by.empty() ? json(nullptr) : json(f.lifted_by);
        put_text(one, "lifted_reason", f.lifted_reason);
        out["flags"].push_back(std::move(one));
    }
    return dump(out);
}

std::string sessions_json(const std::vector<session_info>& all) {
    json out;
    out["sessions"] = json::array();
    for (const auto& s : all) {
        json one;
        one["id"] = s.id.value;
        one["user"] = s.user;
        one["address"] = s.address;
        put_text(one, "application", s.application);
        one["target"] = s.target;
        one["state"] = s.state;
        one["started_at"] = time_or_null(s.started_at);
        put_text(one, "statement", s.statement);
        one["hold"] = number_or_null(s.hold.value);
        one["grant"] = s.grant.empty() ? json(nullptr) : json(s.grant);
        one["server_pid"] = number_or_null(s.server_pid);
        one["tls"] = s.tls;
        one["transaction_since"] = time_or_null(s.transaction_since);
        out["sessions"].push_back(std::move(one));
    }
    return dump(out);
}

std::string rules_json(const policy::rule_set& rules, const rule_counts& uses, policy::instant now,
                       const std::map<std::string, rule_hits>& hits) {
    const auto hits_of = [&](const std::string& id) {
        const auto at = hits.find(id);
        return to_json_value(at == hits.end() ? rule_hits{} : at->second);
    };
    json out;
    out["policy"] = rules.hash;
    out["default"] = policy::to_string(rules.default_effect);
    out["opaque"] = policy::to_string(rules.opaque_effect);
    out["resources"] = json::object();
    for (const auto& [name, r] : rules.resources) {
        json relations = json::array();
        for (const auto& p : r.relations)
            relations.push_back(shown(p));
        out["resources"][name] = {{"targets", r.targets}, {"relations", std::move(relations)}};
    }
    out["rules"] = json::array();
    for (const auto& r : rules.rules) {
        out["rules"].push_back(to_json_value(r, uses, now));
        out["rules"].back()["hits"] = hits_of(r.id);
    }
    out["default_hits"] = hits_of(std::string(policy::default_rule_id));
    out["opaque_hits"] = hits_of(std::string(policy::opaque_rule_id));
    return dump(out);
}

std::string audit_json(const std::vector<audit::parsed_line>& newest_first) {
    json out;
    out["records"] = json::array();
    for (const auto& line : newest_first) {
        json one;
        one["seq"] = line.sequence;
        one["time"] = line.time;
        one["event"] = line.event;
        for (const auto& [key, value] : line.fields)
            if (!one.contains(key)) one[key] = value;
        out["records"].push_back(std::move(one));
    }
    const auto more = newest_first.empty() ? 0 : newest_first.back().sequence;
    out["next_before"] = number_or_null(more > 1 ? more : 0);
    return dump(out);
}

std::string reload_json(const reload_answer& r) {
    json out;
    if (!r.done) {
        // A problem (http.h) with the faults beside it.
        out["type"] = "urn:sallyport:problem:reload";
        out["title"] = "The files have faults";
        out["status"] = 422;
        out["detail"] =
            "Nothing was changed" + (r.faults.empty() ? std::string(".") : ": " + r.faults.front());
        out["next"] = "Correct the files and reload; `sallyport check` names every fault.";
    }
    out["done"] = r.done;
    out["policy"] = r.policy_hash;
    out["faults"] = r.faults;
    out["warnings"] = r.warnings;
    return dump(out);
}

std::string answer_json(const approval::answer& a) {
    json out;
    out["result"] = name(a.what);
    out["id"] = number_or_null(a.id);
    out["text"] = a.text;
    return dump(out);
}

std::string login_json(const actor& a, const std::string& token, const std::string& csrf,
                       policy::instant expires_at, policy::instant now) {
    json out;
    out["user"] = a.who.name;
    out["groups"] = a.who.groups;
    out["service"] = a.who.service;
    out["admin"] = a.role.admin;
    out["auditor"] = a.role.auditor;
    out["monitor"] = a.role.monitor;
    out["by"] = name(a.by);
    out["scopes"] = scopes_of(a);
    if (!token.empty()) out["token"] = token;
    out["csrf"] = csrf;
    out["expires_at"] = time_or_null(expires_at);
    out["now"] = time_or_null(now);
    return dump(out);
}

std::string new_token_json(const store::api_token& t, const std::string& text) {
    json out;
    out["result"] = "done";
    out["id"] = t.id;
    out["text"] = "Token " + std::to_string(t.id) + " of " + t.owner +
                  ": keep it safe, it is not shown again.";
    out["token"] = text;
    out["expires_at"] = time_or_null(t.expires_at);
    return dump(out);
}

std::string tokens_json(const std::vector<store::api_token>& all, policy::instant now) {
    json out;
    out["tokens"] = json::array();
    for (const auto& t : all) {
        json one;
        one["id"] = t.id;
        one["owner"] = t.owner;
        one["made_by"] = t.made_by;
        one["name"] = t.name;
        one["scopes"] = t.scopes;
        one["live"] = t.revoked_at == policy::instant{} && now < t.expires_at;
        one["made_at"] = time_or_null(t.made_at);
        one["expires_at"] = time_or_null(t.expires_at);
        one["used_at"] = time_or_null(t.used_at);
        one["revoked_at"] = time_or_null(t.revoked_at);
        one["revoked_by"] = t.revoked_by.empty() ? json(nullptr) : json(t.revoked_by);
        out["tokens"].push_back(std::move(one));
    }
    return dump(out);
}

std::string health_json(const std::vector<std::pair<std::string, bool>>& checks,
                        const std::vector<std::string>& notes) {
    json out;
    bool all = true;
    for (const auto& [what, good] : checks)
        all = all && good;
    out["status"] = all ? "ok" : "failing";
    for (const auto& [what, good] : checks)
        out[what] = good ? "ok" : "failing";
    if (!notes.empty()) out["notes"] = notes;
    return dump(out);
}

std::string event_json(const approval::steward::change_event& e) {
    json out;
    out["what"] = e.what;
    out["id"] = e.id;
    out["state"] = e.state;
    return dump(out);
}

}  // namespace sallyport::proxy::admin
