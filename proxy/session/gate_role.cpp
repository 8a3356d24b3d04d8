#include <algorithm>
#include <utility>

#include "protocol/backend.h"
#include "protocol/sqlstate.h"
#include "proxy/session/gate.h"

// Defence in depth: a session runs under a role that has no rights on what is sensitive, and has
// its login's own only for what a pass or an opt-out stands behind. What inspection cannot see then
// ends in the server's own refusal. And an opt-out may raise the role for what it lets through.
namespace sallyport::proxy::session {

namespace {

std::string quoted(std::string_view name) {
    std::string out = "\"";
    for (const char c : name) {
        if (c == '"') out += '"';
        out += c;
    }
    return out + '"';
}

/// In any setting of standard_conforming_strings.
std::string literal(std::string_view text) {
    std::string out = "E'";
    for (const char c : text) {
        if (c == '\'' || c == '\\') out += c;
        out += c;
    }
    return out + "'";
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

}  // namespace

// What opt-outs raise the role to: for what they let through, and for no longer than they last.
void gate::note_role(const std::vector<policy::opt_out_id>& opt_outs) {
    if (opt_outs.empty()) return;
    const auto now = env_->time->now();
    for (const auto& o : env_->grants->opt_outs) {
        if (o.role.empty() || !o.live_at(now) ||
            std::ranges::find(opt_outs, o.id) == opt_outs.end())
            continue;
        region_roles_ok_ = region_roles_ok_ && (region_role_.empty() || region_role_ == o.role);
        region_role_ = o.role;
    }
}

// Before frames of a region are sent: the role that they are to run as. In a failed transaction the
// server takes no SET, and refuses everything but its end.
gate::outcome gate::fit_role(std::size_t frames, actions& out) {
    // A session that an opt-out let in has its role in all that it does.
    if (region_role_.empty()) note_role(admitted_by_);
    const bool own = limits_.unapproved_role.empty();
    if (own && role_ == role::usual && region_role_.empty()) return outcome::forward;
    const role wanted = !region_role_.empty()     ? role::raised
                        : region_granted_ && !own ? role::full
                                                  : role::usual;
    std::size_t at = 0;
    if (auto why = refuse_for_role(frames, wanted, at)) {
        refused_.reset();
        return refuse(at, std::move(*why));
    }
    bool runs = false;
    bool single = true;   // statements, one to a message
    bool over = false;    // something so far may have ended the transaction
    bool behind = false;  // and something runs behind it
    for (std::size_t i = 0; i < frames; ++i) {
        const auto& f = region_[i];
        if (f.tag != 'Q' && f.tag != 'B' && f.tag != 'E' && f.tag != 'F') continue;
        runs = true;
        behind = behind || over;
        single = single && f.facts && f.facts->statements.size() <= 1;
        over = over || (f.facts && f.tag != 'B' &&
                        std::ranges::any_of(f.facts->statements,
                                            &policy::statement_facts::may_end_settings));
    }
    if (!runs || (role_ == wanted && (wanted != role::raised || raised_role_ == region_role_)))
        return outcome::forward;
    if (!replies_.empty()) return wait_for_drain(out);
    if (replies_.status() != protocol::transaction_status::failed) return change_role(wanted, out);
    if (single && !behind) return outcome::forward;
    refused_.reset();
    return refuse(0, {std::string(protocol::sqlstate::in_failed_sql_transaction),
                      "current transaction is aborted, commands ignored until end of "
                      "transaction block",
                      "", "Send ROLLBACK as a statement of its own."});
}

// What may not go along, because the role could be another by then.
std::optional<refusal> gate::refuse_for_role(std::size_t frames, role wanted, std::size_t& at) {
    if (!region_roles_ok_)
        return refusal{std::string(protocol::sqlstate::insufficient_privilege),
                       "two opt-outs behind this give two roles", "",
                       "Send what each of them lets through by itself."};
    if (limits_.unapproved_role.empty() || wanted != role::usual) return std::nullopt;
    const auto why = [&](const char* message, const char* hint) {
        return refusal{std::string(protocol::sqlstate::insufficient_privilege), message,
                       "target " + subject_.target + " has unapproved_role", hint};
    };
    bool ended = false;
    for (at = 0; at < frames; ++at) {
        const auto& f = region_[at];
        if (!f.facts || (f.tag != 'Q' && f.tag != 'B' && f.tag != 'E' && f.tag != 'F')) continue;
        for (const auto& s : f.facts->statements) {
            if (ended)
                return why("nothing may follow in this batch: the role may be another by then",
                           "Send what ends a transaction, and DISCARD ALL, by itself.");
            if (sets_role(s))
                return why("the role of this session is set by Sallyport",
                           "Ask for the statement itself: an approved one has the full role.");
            ended = f.tag != 'B' && (s.command == "discard" ||
                                     (role_changed_in_transaction_ && s.may_end_settings()));
        }
    }
    return std::nullopt;
}

gate::outcome gate::change_role(role wanted, actions& out) {
    const bool own = limits_.unapproved_role.empty();
    std::string question;
    if (wanted == role::full) {
        question = "SET ROLE NONE";
    } else if (wanted == role::usual && !own) {
        question = "SET ROLE " + quoted(limits_.unapproved_role);
    } else if (wanted == role::usual) {
        // Where something else has taken the role back by now, what it is belongs to the client.
        question =
            "SELECT '', CASE WHEN pg_catalog.current_setting('role') OPERATOR(pg_catalog.=) " +
            literal(raised_role_) + " THEN pg_catalog.set_config('role', " + literal(own_role_) +
            ", false) END";
    } else if (own) {
        question = "SELECT pg_catalog.current_setting('role'), pg_catalog.set_config('role', " +
                   literal(region_role_) + ", false)";
    } else {
        question = "SET ROLE " + quoted(region_role_);
    }
    asked_role_ = wanted;
    seen_role_.clear();
    ask_server(question, {}, out);
    return outcome::wait;
}

void gate::role_answered(bool well, actions& out) {
    const role wanted = std::exchange(asked_role_, role::unknown);
    const role before = std::exchange(role_, well ? wanted : role::unknown);
    if (replies_.status() != protocol::transaction_status::idle || replies_.unsynced())
        role_changed_in_transaction_ = true;
    if (well && wanted == role::raised) {
        // Raised from what was raised, the role to go back to is still the first.
        if (before == role::usual || seen_role_ != raised_role_) own_role_ = seen_role_;
        raised_role_ = region_role_;
    }
    if (well) return;
    if (wanted == role::raised) {
        // A SET that fails changes nothing; what it was can be found out when it matters.
        role_ = before;
        refused_.emplace(
            0, refusal{std::string(protocol::sqlstate::insufficient_privilege),
                       "the server does not give this session the role " + quoted(region_role_) +
                           " of the opt-out",
                       "target " + subject_.target,
                       "GRANT the role to the login that the proxy uses on this target."});
        return;
    }
    // Without rights the statement would only fail; with too many it must not run.
    violation("the role of the session could not be set to what it must be", out);
}

// A batch without its Sync is a transaction, too, which a Query behind it goes on with: what fails
// takes the change back.
void gate::note_role_at_sync() {
    if (role_changed_in_transaction_ && replies_.status() == protocol::transaction_status::idle)
        role_ = role::unknown;
}

// What may leave the session with another role than the one it was given.
void gate::note_role_effects(const policy::facts& f) {
    if (limits_.unapproved_role.empty() && role_ == role::usual) return;
    for (const auto& s : f.statements) {
        if (may_change_role(s) || (s.may_end_settings() && role_changed_in_transaction_))
            role_ = role::unknown;
    }
}

// What the unapproved role was refused is an attempt that the rules did not see.
void gate::note_refused_by_server(std::string_view sqlstate, std::string_view message,
                                  actions& out) {
    if (limits_.unapproved_role.empty() || role_ == role::full || role_ == role::raised) return;
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
