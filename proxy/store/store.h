#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

#include "policy/hold.h"
#include "policy/opt_out.h"
#include "policy/review.h"
#include "policy/types.h"
#include "proxy/store/outbox.h"
#include "proxy/store/tokens.h"

/// State that outlives the process, behind one interface. Transitions are compare-and-set, and the
/// schema itself refuses illegal ones.
namespace sallyport::proxy::store {

/// The storage could not do it (disk full, read-only, locked, corrupt). Nothing changed.
class store_error : public std::runtime_error {
  public:
    using std::runtime_error::runtime_error;
};

/// All calls block and run on one thread (the steward's). Each call is one durable transaction:
/// when it returns, kill -9 loses nothing of it. Throws store_error.
class store : public outbox {
  public:
    /// Runs `f`, whose calls to this store are one transaction together: all of them or none.
    virtual void atomically(const std::function<void()>& f) = 0;

    // holds ------------------------------------------------------------------------------------
    virtual policy::hold_id add_hold(const policy::hold& h) = 0;  ///< state pending; id is assigned
    virtual void add_hold_vote(policy::hold_id id, const policy::vote& v) = 0;
    /// Compare-and-set; false if the hold was no longer in `from`. `v`: the deciding vote, stored
    /// in the same transaction; `granted`: the pass it grants, likewise (its id is assigned and
    /// written back).
    virtual bool move_hold(policy::hold_id id, policy::hold_state from, policy::hold_state to,
                           const std::string& reason, policy::instant at, const policy::vote* v,
                           policy::pass* granted) = 0;
    virtual std::optional<policy::hold> get_hold(policy::hold_id id) = 0;
    /// Whose task a pending hold is now, instead of whose it was; false if it is no longer pending.
    virtual bool assign_hold(policy::hold_id id, const policy::hold::assignment& a) = 0;
    /// Newest first. No state: all.
    virtual std::vector<policy::hold> list_holds(std::optional<policy::hold_state> state,
                                                 std::size_t limit) = 0;
    /// Holds that no session waits for: pending ones, and those approved that can still be taken.
    virtual std::vector<policy::hold> list_ahead(policy::instant now) = 0;
    /// The pass of an approved hold that had none yet; its id is written back. A second one is
    /// refused.
    virtual void add_pass(policy::pass& p) = 0;
    /// After a restart: every pending hold that a session waited for becomes withdrawn; returns
    /// them.
    virtual std::vector<policy::hold> withdraw_orphans(policy::instant at,
                                                       const std::string& reason) = 0;

    // opt-outs ---------------------------------------------------------------------------------
    virtual policy::opt_out_id add_opt_out(const policy::opt_out& o) = 0;  ///< state requested
    virtual void add_opt_out_vote(policy::opt_out_id id, const policy::vote& v) = 0;
    /// Compare-and-set; `from`/`until` must be given (non-zero) when `to` is active: the schema
    /// refuses an active opt-out without an end.
    struct opt_out_change {
        policy::opt_out_state from;
        policy::opt_out_state to;
        std::string reason;
        policy::instant at;
        policy::instant live_from{};
        policy::instant live_until{};
        const policy::vote* vote = nullptr;
        /// An active one ends: the review of it, if it was used, is due then; zero: none.
        policy::instant review_due{};
    };
    virtual bool move_opt_out(policy::opt_out_id id, const opt_out_change& c) = 0;
    /// Counts one use if the opt-out is active, now < until, and uses < max_uses; returns the new
    /// count, or nullopt if it may not be used (any more).
    virtual std::optional<std::uint64_t> use_opt_out(policy::opt_out_id id,
                                                     policy::instant now) = 0;
    /// The same for several requests in one transaction, each naming one or more opt-outs: all
    /// opt-outs of a request are counted or none of them. One entry per request, in order: its new
    /// counts, or nullopt.
    virtual std::vector<std::optional<std::vector<std::uint64_t>>> use_opt_outs(
        const std::vector<std::vector<policy::opt_out_id>>& requests, policy::instant now) = 0;
    virtual std::optional<policy::opt_out> get_opt_out(policy::opt_out_id id) = 0;
    virtual std::vector<policy::opt_out> list_opt_outs(std::optional<policy::opt_out_state> state,
                                                       std::size_t limit) = 0;

    /// Opt-outs of a rule that began at `since` or later, or ended then; without votes.
    virtual std::vector<policy::opt_out> opt_outs_since(const std::string& rule,
                                                        policy::instant since) = 0;
    /// Takes an approving vote back, while nothing is decided; false: there is none.
    virtual bool withdraw_vote(policy::hold_id id, const std::string& person,
                               policy::instant at) = 0;
    virtual bool withdraw_vote(policy::opt_out_id id, const std::string& person,
                               policy::instant at) = 0;

    // reviews ----------------------------------------------------------------------------------
    /// The ones that are due first come first. No state: all.
    virtual std::vector<policy::review> list_reviews(std::optional<policy::review_state> state,
                                                     std::size_t limit) = 0;
    virtual std::optional<policy::review> get_review(policy::opt_out_id id) = 0;
    /// Compare-and-set from open; false if it was closed already.
    virtual bool close_review(policy::opt_out_id id, policy::review_state to,
                              const std::string& reviewer, const std::string& note,
                              policy::instant at) = 0;
    virtual void note_overdue(policy::opt_out_id id, policy::instant at) = 0;

    // flags and locks --------------------------------------------------------------------------
    virtual policy::flag_id add_flag(const policy::flag& f) = 0;
    /// False if it was lifted already.
    virtual bool lift_flag(policy::flag_id id, const std::string& by, const std::string& reason,
                           policy::instant at) = 0;
    /// Newest first. `live_at`: only those that are in force then.
    virtual std::vector<policy::flag> list_flags(std::optional<policy::instant> live_at,
                                                 std::size_t limit) = 0;

    // passes -----------------------------------------------------------------------------------
    /// Passes that end after `now`.
    virtual std::vector<policy::pass> list_passes(policy::instant now) = 0;
    /// Ends the passes of a session (scope session or transaction) at `at`.
    virtual void end_session_passes(policy::session_id session, policy::instant at) = 0;

    /// Ends the passes of scope transaction of a session at `at`.
    virtual void end_transaction_passes(policy::session_id session, policy::instant at) = 0;
    /// Ends one pass at `at`; nothing happens when it has ended.
    virtual void end_pass(policy::pass_id id, policy::instant at) = 0;
    /// After a restart: passes bound to one session, transaction or statement end; only shapes live
    /// on.
    virtual void end_bound_passes(policy::instant at) = 0;

    // upkeep -----------------------------------------------------------------------------------
    /// Deletes passes, holds with their votes, and deliveries with their notices, that ended before
    /// `before`; returns how many rows. What is live stays, and so do opt-outs, their reviews and
    /// flags. At most 1,000 of each kind in one call.
    virtual std::size_t trim(policy::instant before) = 0;
    /// Writes something small: throws while the storage cannot write, returns once it can again.
    virtual void probe() = 0;

    /// Where API tokens are kept; null: this storage has no place for them. Lives as the store.
    virtual token_store* tokens() { return nullptr; }

    // numbers ----------------------------------------------------------------------------------
    /// A start number for session ids that no earlier run of this state has used.
    virtual std::uint64_t next_boot_number() = 0;
    /// 32 random bytes, made once and kept: the secret of the mock SCRAM salt.
    virtual std::string mock_secret() = 0;
};

/// Opens or creates the SQLite file (0600), WAL, synchronous=FULL, migrations applied.
/// Errors: store_error with one line that says which path and what to do.
[[nodiscard]] std::unique_ptr<store> open_sqlite(const std::string& path);

}  // namespace sallyport::proxy::store
