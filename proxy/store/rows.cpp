#include "proxy/store/rows.h"

#include <nlohmann/json.hpp>

#include "proxy/store/store.h"

namespace sallyport::proxy::store {

namespace {

using nlohmann::json;
using policy::milliseconds;

json bound_json(const std::optional<milliseconds>& b) {
    return b ? json(b->count()) : json(nullptr);
}

std::optional<milliseconds> bound_from(const json& j) {
    if (j.is_null()) return std::nullopt;
    return milliseconds(j.get<std::int64_t>());
}

template <class State, class Parse>
State parsed(const std::string& text, Parse parse) {
    State s{};
    if (!parse(text, s))
        throw store_error("state: a row has the unknown value \"" + text +
                          "\"; the file was written by another program");
    return s;
}

}  // namespace

const char* const hold_select =
    "SELECT id, kind, state, person, target, rule, session_id, opened_at, expires_at, ended_at, "
    "ended_reason, approvals_needed, granted, granted_for, statement, shape, details, "
    "assigned_to, assigned_by, assigned_reason, assigned_at FROM holds ";
const char* const opt_out_select =
    "SELECT id, state, rule, person, requested_by, reason, ticket, target, duration, requested_at, "
    "request_expires_at, live_from, live_until, uses, max_uses, approvals_needed, ended_reason, "
    "policy_hash, role, kind, starts_at, extends, for_group, details, ended_at "
    "FROM opt_outs ";
const char* const review_select =
    "SELECT r.opt_out_id, r.state, o.rule, o.person, r.opened_at, r.due_at, r.closed_at, "
    "r.reviewer, r.note, r.overdue_at, o.kind, o.uses FROM reviews r "
    "JOIN opt_outs o ON o.id = r.opt_out_id ";
const char* const flag_select =
    "SELECT id, kind, about, subject, reason, set_by, set_at, until, lifted_at, lifted_by, "
    "lifted_reason FROM flags ";
const char* const pass_select =
    "SELECT id, hold_id, scope, rule, person, target, shape, session_id, until, approved_by "
    "FROM passes ";

std::string hold_details(const policy::hold& h) {
    json j;
    j["person_groups"] = h.person_groups;
    j["redacted"] = h.redacted;
    j["statement_sha256"] = h.statement_sha256;
    j["parameters"] = h.parameters;
    j["touches"] = h.touches;
    j["reason"] = h.reason;
    j["address"] = h.address;
    j["application"] = h.application;
    j["in_transaction"] = h.in_transaction;
    j["approver_users"] = h.who.users;
    j["approver_groups"] = h.who.groups;
    if (!h.who.services.empty()) j["approver_services"] = h.who.services;
    j["pass_statement"] = h.pass.statement;
    j["pass_shape"] = bound_json(h.pass.shape);
    j["pass_transaction"] = bound_json(h.pass.transaction);
    j["pass_session"] = bound_json(h.pass.session);
    j["policy_hash"] = h.policy_hash;
    if (h.escalate) {
        j["escalate_after"] = h.escalate->after.count();
        j["escalate_users"] = h.escalate->to.users;
        j["escalate_groups"] = h.escalate->to.groups;
        j["escalate_services"] = h.escalate->to.services;
    }
    // Bytes that are not UTF-8 (a client in LATIN1) become U+FFFD; the statement itself is kept
    // exactly.
    return j.dump(-1, ' ', false, json::error_handler_t::replace);
}

std::string opt_out_details(const policy::opt_out& o) {
    json j;
    const auto put = [&](const char* key, const auto& value) {
        if (!value.empty()) j[key] = value;
    };
    put("person_groups", o.person_groups);
    put("approver_users", o.born_with.users);
    put("approver_groups", o.born_with.groups);
    put("approver_services", o.born_with.services);
    put("application", o.scope.application);
    put("resources", o.scope.resources);
    put("commands", o.scope.commands);
    put("shape", o.scope.shape);
    put("written", o.written);
    std::vector<std::string> kinds;
    for (const auto k : o.scope.kinds)
        kinds.emplace_back(policy::to_string(k));
    put("kinds", kinds);
    return j.is_null() ? "{}" : j.dump(-1, ' ', false, json::error_handler_t::replace);
}

policy::hold read_hold(const statement& row) {
    policy::hold h;
    h.id.value = to_number(row.integer(0));
    h.kind = row.text(1) == "session" ? policy::hold_kind::session : policy::hold_kind::statement;
    h.state = parsed<policy::hold_state>(row.text(2), policy::parse_hold_state);
    h.person = row.text(3);
    h.target = row.text(4);
    h.rule = row.text(5);
    h.session.value = to_number(row.integer(6));
    h.opened_at = to_instant(row.integer(7));
    h.expires_at = to_instant(row.integer(8));
    h.ended_at = to_instant(row.integer(9));
    h.ended_reason = row.text(10);
    h.who.approvals = static_cast<int>(row.integer(11));
    h.granted = parsed<policy::pass_scope>(row.text(12), policy::parse_pass_scope);
    h.granted_for = milliseconds(row.integer(13));
    h.statement = row.text(14);
    h.shape = row.text(15);
    h.assigned = {row.text(17), row.text(18), row.text(19), to_instant(row.integer(20))};
    try {
        const auto j = json::parse(row.text(16));
        j.at("person_groups").get_to(h.person_groups);
        j.at("redacted").get_to(h.redacted);
        j.at("statement_sha256").get_to(h.statement_sha256);
        j.at("parameters").get_to(h.parameters);
        j.at("touches").get_to(h.touches);
        j.at("reason").get_to(h.reason);
        j.at("address").get_to(h.address);
        j.at("application").get_to(h.application);
        j.at("in_transaction").get_to(h.in_transaction);
        j.at("approver_users").get_to(h.who.users);
        j.at("approver_groups").get_to(h.who.groups);
        // Files of before programs could be named have none of these.
        h.who.services = j.value("approver_services", h.who.services);
        j.at("pass_statement").get_to(h.pass.statement);
        h.pass.shape = bound_from(j.at("pass_shape"));
        h.pass.transaction = bound_from(j.at("pass_transaction"));
        h.pass.session = bound_from(j.at("pass_session"));
        j.at("policy_hash").get_to(h.policy_hash);
        if (j.contains("escalate_after")) {
            h.escalate.emplace();
            h.escalate->after = milliseconds(j.at("escalate_after").get<std::int64_t>());
            j.at("escalate_users").get_to(h.escalate->to.users);
            j.at("escalate_groups").get_to(h.escalate->to.groups);
            h.escalate->to.services = j.value("escalate_services", h.escalate->to.services);
        }
    } catch (const json::exception& e) {
        throw store_error("state: the details of hold " + std::to_string(h.id.value) +
                          " cannot be read (" + e.what() +
                          "); the file was changed by another program");
    }
    return h;
}

policy::opt_out read_opt_out(const statement& row) {
    policy::opt_out o;
    o.id.value = to_number(row.integer(0));
    o.state = parsed<policy::opt_out_state>(row.text(1), policy::parse_opt_out_state);
    o.rule = row.text(2);
    o.person = row.text(3);
    o.requested_by = row.text(4);
    o.reason = row.text(5);
    o.ticket = row.text(6);
    o.target = row.text(7);
    o.duration = milliseconds(row.integer(8));
    o.requested_at = to_instant(row.integer(9));
    o.request_expires_at = to_instant(row.integer(10));
    o.from = to_instant(row.integer(11));
    o.until = to_instant(row.integer(12));
    o.uses = to_number(row.integer(13));
    o.max_uses = to_number(row.integer(14));
    o.approvals_needed = static_cast<int>(row.integer(15));
    o.ended_reason = row.text(16);
    o.policy_hash = row.text(17);
    o.role = row.text(18);
    o.kind = parsed<policy::opt_out_kind>(row.text(19), policy::parse_opt_out_kind);
    o.starts_at = to_instant(row.integer(20));
    o.extends.value = to_number(row.integer(21));
    o.group = row.text(22);
    o.ended_at = to_instant(row.integer(24));
    try {
        const auto j = json::parse(row.text(23));
        const auto get = [&](const char* key, auto& into) {
            if (const auto at = j.find(key); at != j.end()) at->get_to(into);
        };
        get("person_groups", o.person_groups);
        get("approver_users", o.born_with.users);
        get("approver_groups", o.born_with.groups);
        get("approver_services", o.born_with.services);
        get("application", o.scope.application);
        get("resources", o.scope.resources);
        get("commands", o.scope.commands);
        get("shape", o.scope.shape);
        get("written", o.written);
        std::vector<std::string> kinds;
        get("kinds", kinds);
        for (const auto& word : kinds)
            o.scope.kinds.push_back(parsed<policy::kind>(word, policy::parse_kind));
    } catch (const json::exception& e) {
        throw store_error("state: the details of opt-out " + std::to_string(o.id.value) +
                          " cannot be read (" + e.what() +
                          "); the file was changed by another program");
    }
    return o;
}

policy::review read_review(const statement& row) {
    policy::review r;
    r.id.value = to_number(row.integer(0));
    r.state = parsed<policy::review_state>(row.text(1), policy::parse_review_state);
    r.rule = row.text(2);
    r.person = row.text(3);
    r.opened_at = to_instant(row.integer(4));
    r.due_at = to_instant(row.integer(5));
    r.closed_at = to_instant(row.integer(6));
    r.reviewer = row.text(7);
    r.note = row.text(8);
    r.overdue_at = to_instant(row.integer(9));
    r.kind = parsed<policy::opt_out_kind>(row.text(10), policy::parse_opt_out_kind);
    r.uses = to_number(row.integer(11));
    return r;
}

policy::flag read_flag(const statement& row) {
    policy::flag f;
    f.id.value = to_number(row.integer(0));
    f.kind = parsed<policy::flag_kind>(row.text(1), policy::parse_flag_kind);
    f.on = parsed<policy::flag_on>(row.text(2), policy::parse_flag_on);
    f.subject = row.text(3);
    f.reason = row.text(4);
    f.set_by = row.text(5);
    f.set_at = to_instant(row.integer(6));
    f.until = to_instant(row.integer(7));
    f.lifted_at = to_instant(row.integer(8));
    f.lifted_by = row.text(9);
    f.lifted_reason = row.text(10);
    if (f.on == policy::flag_on::address) f.range = policy::parse_network(f.subject);
    return f;
}

policy::pass read_pass(const statement& row) {
    policy::pass p;
    p.id.value = to_number(row.integer(0));
    p.from_hold.value = to_number(row.integer(1));
    p.scope = parsed<policy::pass_scope>(row.text(2), policy::parse_pass_scope);
    p.rule = row.text(3);
    p.person = row.text(4);
    p.target = row.text(5);
    p.shape = row.text(6);
    p.session.value = to_number(row.integer(7));
    p.until = to_instant(row.integer(8));
    p.approved_by = row.text(9);
    return p;
}

policy::vote read_vote(const statement& row) {
    policy::vote v;
    v.person = row.text(0);
    v.approve = row.integer(1) != 0;
    v.reason = row.text(2);
    v.at = to_instant(row.integer(3));
    v.surface = row.text(4);
    return v;
}

}  // namespace sallyport::proxy::store
