#include "proxy/admin/console_rows.h"

#include <algorithm>

#include "proxy/admin/text.h"
#include "proxy/visible.h"

namespace sallyport::proxy::admin {
namespace {

std::string flat(const std::string& text) {
    return visible(text, line_breaks::escape);
}

std::string boolean(bool b) {
    return b ? "t" : "f";
}

std::optional<std::string> number_or_null(std::uint64_t n) {
    return n == 0 ? std::nullopt : std::optional(std::to_string(n));
}

std::optional<std::string> text_or_null(const std::string& text) {
    return text.empty() ? std::nullopt : std::optional(flat(text));
}

std::string joined(const std::vector<std::string>& parts) {
    std::string out;
    for (const auto& p : parts)
        out += (out.empty() ? "" : ", ") + p;
    return out;
}

std::string people(const policy::approvers& a) {
    std::string out;
    if (!a.groups.empty()) out = "groups " + joined(a.groups);
    if (!a.users.empty()) out += (out.empty() ? "users " : "; users ") + joined(a.users);
    if (!a.services.empty())
        out += (out.empty() ? "programs " : "; programs ") + joined(a.services);
    return out;
}

std::string tally(const std::vector<policy::vote>& votes, int needed) {
    const auto approving =
        std::count_if(votes.begin(), votes.end(), [](const policy::vote& v) { return v.approve; });
    return std::to_string(approving) + "/" + std::to_string(needed);
}

bool may_vote(const policy::hold& h, const actor& reader) {
    return h.state == policy::hold_state::pending &&
           policy::check_voter(h.who, reader.who, h.person).empty();
}

}  // namespace

console_row row_of(const policy::hold& h, const actor& reader) {
    return {std::to_string(h.id.value),
            policy::to_string(h.kind),
            policy::to_string(h.state),
            flat(h.person),
            flat(h.target),
            h.rule,
            tally(h.votes, h.who.approvals),
            boolean(may_vote(h, reader)),
            sql_time(h.opened_at),
            sql_time(h.expires_at),
            text_or_null(h.reason),
            may_read_statement(reader, h) ? std::optional(visible(h.statement, line_breaks::keep))
                                          : std::nullopt};
}

std::vector<console_row> fields_of(const policy::hold& h, const actor& reader) {
    std::vector<console_row> out;
    const auto add = [&out](std::string name, std::optional<std::string> value) {
        out.push_back({std::move(name), std::move(value)});
    };
    add("id", std::to_string(h.id.value));
    add("kind", policy::to_string(h.kind));
    add("state", policy::to_string(h.state));
    add("user", flat(h.person));
    add("groups", joined(h.person_groups));
    add("target", flat(h.target));
    add("rule", h.rule);
    add("touches", joined(h.touches));
    add("reason", text_or_null(h.reason));
    add("address", h.address);
    add("application", text_or_null(h.application));
    add("session", number_or_null(h.session.value));
    add("in transaction", h.in_transaction ? "yes" : "no");
    add("opened at", sql_time(h.opened_at));
    add("expires at", sql_time(h.expires_at));
    add("ended at", sql_time(h.ended_at));
    add("ended because", text_or_null(h.ended_reason));
    add("approvers", people(h.who));
    if (!h.assigned.to.empty())
        add("task of",
            flat(h.assigned.to) + ", by " + flat(h.assigned.by) + ": " + flat(h.assigned.reason));
    add("votes", tally(h.votes, h.who.approvals));
    for (const auto& v : h.votes)
        add(v.approve ? "approved by" : "denied by",
            flat(v.person) + (v.reason.empty() ? "" : ": " + flat(v.reason)));
    std::string pass = "statement";
    if (h.pass.shape && !h.shape.empty()) pass += ", shape " + format_duration(*h.pass.shape);
    if (h.pass.transaction && h.in_transaction)
        pass += ", transaction " + format_duration(*h.pass.transaction);
    if (h.pass.session) pass += ", session " + format_duration(*h.pass.session);
    add("pass at most", pass);
    const auto why = h.state != policy::hold_state::pending
                         ? std::string("no: it has ended")
                         : policy::check_voter(h.who, reader.who, h.person);
    add("you may vote", why.empty() ? "yes" : why);
    if (h.waiters > 1) add("waiting sessions", std::to_string(h.waiters) + ", released together");
    add("statement sha256", h.statement_sha256);
    if (!may_read_statement(reader, h)) return out;
    for (std::size_t i = 0; i < h.parameters.size(); ++i)
        add("parameter $" + std::to_string(i + 1), visible(h.parameters[i], line_breaks::keep));
    for (const auto& v : h.variants) {
        for (std::size_t i = 0; i < v.parameters.size(); ++i)
            add("waiting besides, $" + std::to_string(i + 1),
                visible(v.parameters[i], line_breaks::keep));
        add("waiting besides", visible(v.statement, line_breaks::keep));
    }
    add("statement", visible(h.statement, line_breaks::keep));
    return out;
}

/// "group oncall; on customer-pii; do read": in what the opt-out differs from its rule.
std::string scope_text(const policy::opt_out& o) {
    std::string text;
    const auto add = [&](const char* what, const std::string& value) {
        if (!value.empty()) text += (text.empty() ? "" : "; ") + std::string(what) + " " + value;
    };
    std::vector<std::string> actions = o.scope.commands;
    for (const auto k : o.scope.kinds)
        actions.emplace_back(policy::to_string(k));
    add("group", o.group);
    add("application", o.scope.application);
    add("on", joined(o.scope.resources));
    add("do", joined(actions));
    add("shape", o.scope.shape.substr(0, 12));
    return text;
}

console_row row_of(const policy::opt_out& o, const actor& reader, const policy::rule_set* rules) {
    const auto* const rule = rules == nullptr ? nullptr : rules->find_rule(o.rule);
    const bool votable = o.state == policy::opt_out_state::requested && rule != nullptr &&
                         rule->opt_out &&
                         policy::check_voter(rule->opt_out->approved_by, reader.who, o).empty();
    return {std::to_string(o.id.value),
            policy::to_string(o.state),
            flat(o.rule),
            flat(o.person),
            text_or_null(o.target),
            tally(o.votes, o.approvals_needed),
            boolean(votable),
            sql_time(o.from),
            sql_time(o.until),
            std::to_string(o.uses),
            number_or_null(o.max_uses),
            text_or_null(o.ticket),
            text_or_null(o.reason),
            policy::to_string(o.kind),
            text_or_null(scope_text(o))};
}

console_row row_of(const policy::review& r, const actor& reader, const policy::rule_set* rules,
                   policy::instant now) {
    return {std::to_string(r.id.value),
            policy::to_string(r.state),
            policy::to_string(r.kind),
            flat(r.rule),
            flat(r.person),
            std::to_string(r.uses),
            sql_time(r.due_at),
            boolean(r.overdue(now)),
            boolean(check_review(reader, r, rules).empty()),
            text_or_null(r.reviewer),
            text_or_null(r.note)};
}

console_row row_of(const policy::flag& f, policy::instant now) {
    return {std::to_string(f.id.value),
            policy::to_string(f.kind),
            policy::to_string(f.on),
            flat(f.subject),
            boolean(f.live_at(now)),
            sql_time(f.until),
            flat(f.set_by),
            text_or_null(f.reason),
            text_or_null(f.lifted_by)};
}

console_row row_of(const session_info& s) {
    return {std::to_string(s.id.value),
            flat(s.user),
            s.address,
            text_or_null(s.application),
            flat(s.target),
            s.state,
            sql_time(s.started_at),
            number_or_null(s.hold.value),
            text_or_null(s.grant),
            number_or_null(s.server_pid),
            boolean(s.tls),
            text_or_null(s.statement)};
}

std::string note_of(const policy::rule& r, policy::instant now) {
    if (r.observe) return "only observes";
    if (!r.is_exception() && !r.review_by) return {};
    std::string out = r.ended_at(now) ? "ended exception" : "exception";
    for (std::size_t i = 0; i < r.excepts.size(); ++i)
        out += (i == 0 ? " from " : ", ") + r.excepts[i];
    if (r.review_by) out += " until " + iso_time(*r.review_by);
    return out + (r.reason.empty() ? "" : ": " + r.reason);
}

console_row row_of(const policy::rule& r, const rule_counts& uses, policy::instant now) {
    std::vector<std::string> actions = r.commands;
    for (const auto k : r.kinds)
        actions.emplace_back(policy::to_string(k));
    console_row out{r.id, std::to_string(r.tier), policy::to_string(r.effect),
                    r.on.empty() ? "anything" : joined(r.on),
                    actions.empty() ? "anything" : joined(actions)};
    out.emplace_back(r.hold ? std::optional(people(r.hold->who)) : std::nullopt);
    out.emplace_back(r.hold ? std::optional(std::to_string(r.hold->who.approvals)) : std::nullopt);
    out.emplace_back(r.opt_out
                         ? std::optional("at most " + format_duration(r.opt_out->max_duration))
                         : std::nullopt);
    out.emplace_back(text_or_null(r.message));
    const auto note = note_of(r, now);
    out.emplace_back(text_or_null(note));
    const auto counted = uses.find(r.id);
    const auto count = counted == uses.end() ? rule_uses::count{} : counted->second;
    out.emplace_back(note.empty() ? std::nullopt
                                  : std::optional(std::to_string(count.observed + count.excepted)));
    return out;
}

console_row row_of(const statistics& s) {
    return {std::to_string(s.holds_pending), std::to_string(s.opt_outs_requested),
            std::to_string(s.opt_outs_live), std::to_string(s.sessions), boolean(s.healthy)};
}

console_result console_error(const approval::answer& refused) {
    using approval::verdict;
    console_result r;
    r.message = refused.text.empty() ? "Store or audit log cannot write." : refused.text;
    switch (refused.what) {
        case verdict::not_found:
            r.sqlstate = "42704";
            r.hint = "SHOW HOLDS, SHOW OPT_OUTS and SHOW SESSIONS list what there is.";
            return r;
        case verdict::forbidden:
            r.sqlstate = "42501";
            r.hint = "Ask somebody who may; SHOW HOLD and SHOW RULES name the approvers.";
            return r;
        case verdict::conflict:
            r.sqlstate = "55000";
            r.hint = "Look at it again: it has changed.";
            return r;
        case verdict::invalid:
            r.sqlstate = "22023";
            r.hint = "Change the command so that it fits; HELP shows the forms.";
            return r;
        case verdict::unavailable:
        case verdict::done:
        case verdict::counted:
            break;
    }
    r.sqlstate = "58030";
    r.hint = "Nothing was changed. An admin finds the cause in the proxy's log.";
    return r;
}

}  // namespace sallyport::proxy::admin
