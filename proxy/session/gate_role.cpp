#include <algorithm>
#include <utility>

#include "protocol/backend.h"
#include "protocol/sqlstate.h"
#include "proxy/session/gate.h"

// Defence in depth: a session runs under a role that has no rights on what is sensitive, and has
// its login's own only for what a pass or an opt-out stands behind. What inspection cannot see then
// ends in the server's own refusal.
namespace sallyport::proxy::session {

using control = policy::statement_facts::transaction_control;

namespace {

std::string quoted(std::string_view name) {
    std::string out = "\"";
    for (const char c : name) {
        if (c == '"') out += '"';
        out += c;
    }
    return out + '"';
}

/// What a client may not set by itself where the role is Sallyport's. RESET ROLE goes back to the
/// unapproved one; RESET SESSION AUTHORIZATION to no role at all.
bool sets_role(const policy::statement_facts& s) noexcept {
    return std::ranges::any_of(s.settings, [&](const policy::setting_change& c) {
        return c.name == "session_authorization" || (c.name == "role" && s.command != "reset");
    });
}

/// What leaves the session with a role that is not known: DISCARD ALL, code that sets something.
bool may_change_role(const policy::statement_facts& s) noexcept {
    return s.has(policy::kind::opaque) || s.has(policy::kind::execute_code) ||
           std::ranges::any_of(s.settings, [](const policy::setting_change& c) {
               return c.name.empty() || c.name == "all" || c.name == "role" ||
                      c.name == "session_authorization";
           });
}

/// What may take back a SET ROLE of the transaction.
bool ends(const policy::statement_facts& s) noexcept {
    return s.transaction == control::rollback || s.transaction == control::commit ||
           s.transaction == control::rollback_to || s.transaction == control::prepare;
}

}  // namespace

// Before frames of a region are sent: the role that they are to run as. In a failed transaction the
// server takes no SET, and refuses everything but its end.
gate::outcome gate::fit_role(std::size_t frames, actions& out) {
    if (limits_.unapproved_role.empty()) return outcome::forward;
    const role wanted = region_granted_ ? role::full : role::unapproved;
    const auto stop = [&](std::size_t i, const char* message, const char* hint) {
        refused_.reset();
        return refuse(i, {std::string(protocol::sqlstate::insufficient_privilege), message,
                          "target " + subject_.target + " has unapproved_role", hint});
    };
    bool runs = false;
    bool single = true;   // statements, one to a message
    bool over = false;    // something so far may have ended the transaction
    bool behind = false;  // and something runs behind it
    bool ended = false;
    for (std::size_t i = 0; i < frames; ++i) {
        const auto& f = region_[i];
        if (f.tag != 'Q' && f.tag != 'B' && f.tag != 'E' && f.tag != 'F') continue;
        runs = true;
        behind = behind || over;
        single = single && f.facts && f.facts->statements.size() <= 1;
        if (!f.facts) continue;
        over = over || (f.tag != 'B' && std::ranges::any_of(f.facts->statements, ends));
        if (region_granted_) continue;
        for (const auto& s : f.facts->statements) {
            if (ended)
                return stop(i, "nothing may follow in this batch: the role may be another by then",
                            "Send what ends a transaction, and DISCARD ALL, by itself.");
            if (sets_role(s))
                return stop(i, "the role of this session is set by Sallyport",
                            "Ask for the statement itself: an approved one has the full role.");
            ended = f.tag != 'B' &&
                    (s.command == "discard" || (role_changed_in_transaction_ && ends(s)));
        }
    }
    if (!runs || role_ == wanted) return outcome::forward;
    if (!replies_.empty()) return wait_for_drain(out);
    if (replies_.status() == protocol::transaction_status::failed) {
        if (single && !behind) return outcome::forward;
        refused_.reset();
        return refuse(0, {std::string(protocol::sqlstate::in_failed_sql_transaction),
                          "current transaction is aborted, commands ignored until end of "
                          "transaction block",
                          "", "Send ROLLBACK as a statement of its own."});
    }
    asked_role_ = wanted;
    ask_server(
        wanted == role::full ? "SET ROLE NONE" : "SET ROLE " + quoted(limits_.unapproved_role), {},
        out);
    return outcome::wait;
}

void gate::role_answered(bool well, actions& out) {
    const role wanted = std::exchange(asked_role_, role::unknown);
    role_ = well ? wanted : role::unknown;
    if (replies_.status() != protocol::transaction_status::idle)
        role_changed_in_transaction_ = true;
    if (well) return;
    // Without rights the statement would only fail; with too many it must not run.
    violation("the role of the session could not be set to what it must be", out);
}

// What may leave the session with another role than the one it was given.
void gate::note_role_effects(const policy::facts& f) {
    if (limits_.unapproved_role.empty()) return;
    for (const auto& s : f.statements) {
        if (may_change_role(s) || (ends(s) && role_changed_in_transaction_)) role_ = role::unknown;
    }
}

// What the unapproved role was refused is an attempt that the rules did not see.
void gate::note_refused_by_server(std::string_view sqlstate, std::string_view message,
                                  actions& out) {
    if (limits_.unapproved_role.empty() || role_ == role::full) return;
    if (sqlstate != protocol::sqlstate::insufficient_privilege || !last_facts_) return;
    audit::record r;
    r.event = "server.refused";
    r.at = env_->time->now();
    r.with("user", subject_.principal.name)
        .with("address", subject_.address)
        .with("application", subject_.application)
        .with("session", std::to_string(subject_.session.value))
        .with("target", subject_.target)
        .with("role", limits_.unapproved_role)
        .with("error", protocol::backend::sanitize_text(message, 400))
        .with("policy", env_->rules->hash)
        .with("statement", last_facts_->redacted);
    out.add(action::type::record).record = std::make_unique<audit::record>(std::move(r));
}

}  // namespace sallyport::proxy::session
