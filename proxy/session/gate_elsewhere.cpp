#include <algorithm>
#include <utility>

#include "policy/in_session.h"
#include "protocol/frontend.h"
#include "proxy/session/gate.h"
#include "proxy/session/prepared_transactions.h"

// What a statement goes on with that no message of this session made: a cursor that a function has
// opened, a transaction that another session has prepared.
namespace sallyport::proxy::session {

using protocol::bytes;

// FETCH from a cursor that the session's messages did not make: the server has the text that it was
// opened for. Where it cannot be asked, the cursor stays unknown, and so opaque.
gate::outcome gate::ask_for_cursors(std::size_t i, const policy::facts& f, actions& out) {
    using use = policy::name_use::action;
    for (std::size_t k = 0; k < f.statements.size(); ++k)
        for (const auto& u : f.statements[k].names) {
            if (u.what != use::fetch || u.name.empty() || names_.find_portal(u.name) != nullptr)
                continue;
            const bool asked = std::any_of(cursors_.begin(), cursors_.end(),
                                           [&](const auto& c) { return c.first == u.name; });
            if (asked || k > 0 || !may_ask(i)) continue;
            if (!replies_.empty()) return wait_for_drain(out);
            asked_cursor_ = u.name;
            cursor_text_.clear();
            ask_server(
                "SELECT c.statement FROM pg_catalog.pg_cursors c WHERE c.name "
                "OPERATOR(pg_catalog.=) $1::pg_catalog.text",
                u.name, out);
            return outcome::wait;
        }
    return outcome::forward;
}

void gate::analyse_cursor(actions& out) {
    // A backslash: the code that opened it may read strings in another way than the session.
    if (cursor_text_.empty() || cursor_text_.find('\\') != std::string::npos)
        return keep_cursor(nullptr);
    if (auto f = env_->facts->find(cursor_text_, true)) return keep_cursor(std::move(f));
    out.add(action::type::analyse).text = std::string_view{cursor_text_};
    state_ = state::analysing;
}

void gate::keep_cursor(policy::facts_ptr facts) {
    cursors_.emplace_back(*asked_cursor_, std::move(facts));
    asked_cursor_.reset();
}

policy::facts_ptr gate::cursor_of_server(std::string_view name) const {
    for (const auto& [known, facts] : cursors_)
        if (known == name) return facts;
    return nullptr;
}

// COMMIT PREPARED makes effective what its transaction did. If that went through Sallyport, each of
// its statements was decided then; what passed by an exception is its person's to commit, and only
// while the exception lasts.
policy::facts_ptr gate::with_prepared(const policy::facts_ptr& f) {
    return policy::with_prepared(f, [this](const std::string& name) {
        if (env_->prepared == nullptr) return false;
        const auto found = env_->prepared->find(subject_.target, name);
        if (!found || !found->by.any) return found.has_value();
        const auto& live = env_->grants->opt_outs;
        const auto now = env_->time->now();
        return found->person == subject_.principal.name &&
               std::all_of(found->by.opt_outs.begin(), found->by.opt_outs.end(),
                           [&](policy::opt_out_id id) {
                               return std::any_of(live.begin(), live.end(), [&](const auto& o) {
                                   return o.id == id && now < o.until;
                               });
                           });
    });
}

void gate::note_prepared(const policy::facts& f) {
    using control = policy::statement_facts::transaction_control;
    if (env_->prepared == nullptr) return;
    for (const auto& s : f.statements) {
        if (s.transaction == control::prepare) {
            preparing_.push_back(s.prepared_transaction);
            preparing_by_ = in_transaction_by_;
        }
        // Whatever becomes of it: its name may be another's by the time it is used again.
        if (s.transaction == control::commit_prepared ||
            s.transaction == control::rollback_prepared)
            env_->prepared->forget(subject_.target, s.prepared_transaction);
    }
}

// Known is only what the server has confirmed, and only if the answer can be to nothing else: a
// PREPARE TRANSACTION of a failed transaction completes too, as a ROLLBACK.
void gate::prepared_reply(bytes frame) {
    constexpr std::string_view done{"PREPARE TRANSACTION\0", 20};
    if (frame.substr(protocol::frame_header_bytes) == done && preparing_.size() == 1)
        env_->prepared->note(subject_.target, preparing_.front(),
                             {subject_.principal.name, preparing_by_});
}

}  // namespace sallyport::proxy::session
