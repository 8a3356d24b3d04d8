#include "proxy/session/texts.h"

#include <ctime>

#include "policy/sha256.h"
#include "policy/yaml_reader.h"
#include "protocol/backend.h"
#include "protocol/sqlstate.h"

namespace sallyport::proxy::session {

namespace sqlstate = protocol::sqlstate;
using protocol::backend::report_text;
using protocol::backend::severity;

namespace {

std::string frame(severity level, const refusal& r) {
    std::string out;
    protocol::backend::append_report(out, {level, r.sqlstate, r.message, r.detail, r.hint});
    return out;
}

std::string detail(policy::hold_id id, const std::string& rule, const std::string& policy_hash) {
    std::string text;
    if (id) text = "hold=" + std::to_string(id.value) + " ";
    return text + "rule=" + rule + " policy=" + policy_hash;
}

std::string join(const std::vector<std::string>& names) {
    std::string text;
    for (const auto& n : names)
        text += (text.empty() ? "" : ", ") + n;
    return text;
}

std::string people(const policy::approvers& a) {
    std::string text;
    if (!a.groups.empty()) text = (a.groups.size() == 1 ? "group " : "groups ") + join(a.groups);
    if (const auto names = join(a.by_name()); !names.empty())
        text += (text.empty() ? "" : " or ") + names;
    if (text.empty()) text = "nobody";
    return text;
}

std::string first_reason(const policy::decision& d) {
    return d.reasons.empty() ? std::string() : d.reasons.front();
}

/// A value for approvers to read. Different values never look alike: where the text does not tell
/// all, its hash follows.
std::string shown_parameter(std::string_view value, bool binary) {
    constexpr std::size_t value_bytes_max = 4096;
    static constexpr char digits[] = "0123456789abcdef";
    std::string shown;
    if (binary) {
        shown = "binary 0x";
        for (const char c : value.substr(0, value_bytes_max / 2)) {
            shown.push_back(digits[static_cast<unsigned char>(c) >> 4]);
            shown.push_back(digits[static_cast<unsigned char>(c) & 15]);
        }
        if (value.size() <= value_bytes_max / 2) return shown;
    } else {
        shown = protocol::backend::sanitize_text(value, value_bytes_max);
        const bool reads_otherwise = shown == "NULL" || shown.starts_with("binary 0x") ||
                                     shown.find("(sha256 ") != std::string::npos;
        if (shown == value && !reads_otherwise) return shown;
    }
    return shown + " (sha256 " + policy::sha256_hex(value) + ")";
}

}  // namespace

std::vector<std::string> shown_parameters(const protocol::frontend::bind& b) {
    constexpr std::size_t shown_max = 1000;
    std::vector<std::string> shown;
    const auto text_of = [&](std::size_t i) {
        const auto& p = b.parameters[i];
        const auto format = b.parameter_formats.empty()       ? 0
                            : b.parameter_formats.size() == 1 ? b.parameter_formats[0]
                                                              : b.parameter_formats[i];
        return p ? shown_parameter(*p, format != 0) : std::string("NULL");
    };
    for (std::size_t i = 0; i < b.parameters.size() && i < shown_max; ++i)
        shown.push_back(text_of(i));
    if (b.parameters.size() <= shown_max) return shown;
    std::string rest;
    for (std::size_t i = shown_max; i < b.parameters.size(); ++i) {
        const auto text = text_of(i);
        rest += std::to_string(text.size()) + ":" + text;
    }
    shown.push_back("and " + std::to_string(b.parameters.size() - shown_max) + " more (sha256 " +
                    policy::sha256_hex(rest) + ")");
    return shown;
}

std::string error_frame(const refusal& r) {
    return frame(severity::error, r);
}
std::string fatal_frame(const refusal& r) {
    return frame(severity::fatal, r);
}

std::string format_instant(policy::instant at) {
    const auto t = std::chrono::system_clock::to_time_t(at);
    std::tm tm{};
    gmtime_r(&t, &tm);
    char text[32];
    std::strftime(text, sizeof text, "%Y-%m-%d %H:%M:%S UTC", &tm);
    return text;
}

refusal denied_by_rule(const policy::decision& d, const std::string& policy_hash) {
    if (d.rule_id == policy::lock_rule_id)
        return {std::string(sqlstate::access_ended), first_reason(d),
                detail({}, d.rule_id, policy_hash),
                "A lock ends by itself, or an admin lifts it: sallyport flags shows until when."};
    refusal r{std::string(sqlstate::insufficient_privilege), "", "", ""};
    const bool own = d.rule != nullptr && !d.rule->message.empty();
    r.message = own ? d.rule->message : "denied by rule " + d.rule_id;
    r.detail = detail({}, d.rule_id, policy_hash);
    r.hint = own ? "Rule " + d.rule_id + " denies this." : first_reason(d);
    return r;
}

refusal not_waited_for(const approval::steward::asked& a, const std::string& rule,
                       const std::string& policy_hash, const policy::approvers& who) {
    using state = approval::steward::asked::state;
    const auto number = std::to_string(a.id.value);
    if (a.what == state::denied) {
        approval::hold_outcome o;
        o.id = a.id;
        o.state = policy::hold_state::denied;
        o.reason = a.text;
        o.decided_by = a.decided_by;
        return hold_ended(o, rule, policy_hash);
    }
    if (a.what == state::failed) {
        auto r = not_recorded(a.text);
        r.detail = detail({}, rule, policy_hash);
        return r;
    }
    refusal r{std::string(sqlstate::approval_required), "", "", ""};
    r.message = "approval required by rule " + rule + ": asked for as hold " + number;
    r.detail = detail(a.id, rule, policy_hash);
    r.hint = "Run it again once hold " + number + " is approved by " + people(who) + " (until " +
             format_instant(a.until) + "), or wait for it with SET sallyport.on_hold = 'wait'.";
    return r;
}

refusal too_long_to_ask(const policy::decision& d, const std::string& policy_hash) {
    refusal r{std::string(sqlstate::approval_required), "", "", ""};
    r.message = "approval required by rule " + d.rule_id;
    r.detail = detail({}, d.rule_id, policy_hash);
    r.hint =
        "What cannot be shown whole is only approved while it waits: SET sallyport.on_hold = "
        "'wait'.";
    return r;
}

refusal reason_required(const policy::decision& d, const std::string& policy_hash) {
    refusal r{std::string(sqlstate::approval_required), "", "", ""};
    r.message = "rule " + d.rule_id + " asks for a reason";
    r.detail = detail({}, d.rule_id, policy_hash);
    r.hint = "Say why, then run it again: SET sallyport.reason = 'why, and which ticket';";
    return r;
}

refusal nobody_approves(const policy::decision& d, const std::string& policy_hash) {
    refusal r{std::string(sqlstate::insufficient_privilege), "", "", ""};
    r.message = "held by rule " + d.rule_id + ", and nobody may approve it";
    r.detail = detail({}, d.rule_id, policy_hash);
    r.hint = first_reason(d);
    return r;
}

refusal hold_ended(const approval::hold_outcome& o, const std::string& rule,
                   const std::string& policy_hash) {
    refusal r;
    r.detail = detail(o.id, rule, policy_hash);
    const auto number = std::to_string(o.id.value);
    switch (o.state) {
        case policy::hold_state::denied:
            r.sqlstate = sqlstate::insufficient_privilege;
            r.message = "hold " + number + " was denied" +
                        (o.decided_by.empty() ? "" : " by " + o.decided_by) +
                        (o.reason.empty() ? "" : ": " + o.reason);
            r.hint = "Talk to " + (o.decided_by.empty() ? "the approver" : o.decided_by) + ".";
            break;
        case policy::hold_state::expired:
            r.sqlstate = sqlstate::hold_expired;
            r.message = "hold " + number + " was not decided in time";
            r.hint = "Run it again to ask again, and tell an approver.";
            break;
        case policy::hold_state::withdrawn:
            if (o.reason.find("writ") != std::string::npos) {
                r = not_recorded(o.reason);
                r.detail = detail(o.id, rule, policy_hash);
                break;
            }
            r.sqlstate = sqlstate::access_ended;
            r.message =
                "hold " + number + " was withdrawn" + (o.reason.empty() ? "" : ": " + o.reason);
            r.hint = "Run it again to ask again.";
            break;
        case policy::hold_state::approved:
        case policy::hold_state::pending:
            r.sqlstate = sqlstate::internal_error;
            r.message = "hold " + number + " ended without a pass";
            r.hint = "Run it again to ask again.";
            break;
    }
    return r;
}

refusal cancelled(policy::hold_id id) {
    refusal r;
    r.sqlstate = sqlstate::query_canceled;
    r.message = "canceling statement due to user request";
    if (id) {
        r.detail = "hold=" + std::to_string(id.value);
        r.hint = "The request for approval was withdrawn.";
    }
    return r;
}

refusal not_recorded(const std::string& why) {
    if (why.starts_with(approval::too_many_holds))
        return {std::string(sqlstate::program_limit_exceeded), why, "",
                "Wait until some are decided, or take some back: Ctrl-C, or close their sessions."};
    return {std::string(sqlstate::io_error),
            "this needs a record that cannot be written now: " + why, "",
            "Nothing was sent to the server. Statements that need no approval go on; try this one "
            "again when the proxy's audit log and state can be written."};
}

refusal access_ended(const std::string& why) {
    return {std::string(sqlstate::access_ended), "access ended: " + why, "",
            "Connect again, or ask for access."};
}

std::string hold_notice(const policy::hold& h, const std::string& url) {
    const auto number = std::to_string(h.id.value);
    const bool session = h.kind == policy::hold_kind::session;
    std::string message = std::string(session ? "this session" : "this statement") +
                          " waits for approval: hold " + number + ", rule " + h.rule;
    std::string more = std::to_string(h.who.approvals) + " approval" +
                       (h.who.approvals == 1 ? "" : "s") + " by " + people(h.who) + ", until " +
                       format_instant(h.expires_at) + ".";
    if (h.in_transaction && !session) more += " Your open transaction keeps its locks meanwhile.";
    std::string hint = "Approve with: sallyport approve " + number;
    if (!url.empty()) hint += "  at " + url;
    hint += "  (or APPROVE " + number + "; in database sallyport). ";
    hint += session ? "Closing the connection withdraws it." : "Ctrl-C withdraws it.";
    std::string out;
    protocol::backend::append_report(out,
                                     {severity::notice, sqlstate::warning, message, more, hint});
    return out;
}

std::string reminder_notice(policy::hold_id id, const std::string& rule, policy::instant now,
                            policy::instant until) {
    const auto left = std::max(policy::milliseconds(0), until - now);
    const auto whole = std::chrono::ceil<std::chrono::seconds>(left);
    std::string out;
    protocol::backend::append_report(
        out, {severity::notice, sqlstate::warning,
              "still waiting for approval: hold " + std::to_string(id.value) + ", rule " + rule +
                  ", " + policy::format_duration(whole) + " left",
              "", ""});
    return out;
}

std::string nearing_notice(const approval::steward::nearing_event& e) {
    const auto left = policy::format_duration(std::chrono::round<std::chrono::seconds>(e.left));
    const auto number = std::to_string(e.opt_out.value);
    refusal r{std::string(sqlstate::warning), "", "rule=" + e.rule, ""};
    if (e.opt_out) {
        r.message = "opt-out " + number + " of rule " + e.rule + " ends in " + left;
        r.detail = "opt_out=" + number + " rule=" + e.rule;
        r.hint = "Go on with: sallyport opt-out extend " + number + " --for 1h --reason '…'";
    } else {
        r.message = "the approval by which this session passes rule " + e.rule + " ends in " + left;
        r.hint = "What the rule holds afterwards is asked for again.";
    }
    return frame(severity::notice, r);
}

std::string released_notice(policy::hold_id id, const std::string& by,
                            const policy::pass& granted) {
    std::string message =
        "hold " + std::to_string(id.value) + " was approved" + (by.empty() ? "" : " by " + by);
    if (granted.scope != policy::pass_scope::statement)
        message += std::string(" for this ") + policy::to_string(granted.scope) + ", until " +
                   format_instant(granted.until);
    std::string out;
    protocol::backend::append_report(out, {severity::notice, sqlstate::warning, message, "", ""});
    return out;
}

}  // namespace sallyport::proxy::session
