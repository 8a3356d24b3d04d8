#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "policy/decide.h"
#include "policy/hold.h"
#include "policy/opt_out.h"
#include "policy/review.h"
#include "policy/rule.h"
#include "proxy/approval/delivery.h"
#include "proxy/audit/log.h"
#include "proxy/clock.h"
#include "proxy/store/store.h"

/// Everything that changes the state of holds and opt-outs, on one thread of its own.
///
/// One thread means: the first of approve, deny, expire, withdraw wins and the others are told so.
/// Sessions and surfaces talk to it with values and callbacks and never with sockets.
namespace sallyport::proxy::approval {

struct tally;

/// How a hold ended, for the session that waits.
struct hold_outcome {
    policy::hold_id id;
    policy::hold_state state = policy::hold_state::expired;  ///< never pending
    std::string reason;                ///< deny's reason, or why expired/withdrawn
    std::string decided_by;            ///< comma-separated persons, for records and notices
    std::optional<policy::pass> pass;  ///< approved: always one, scope statement at least
};

/// What the error of on_opened and of an asked begins with when nothing is at fault.
inline constexpr const char* too_many_holds = "too many holds";

/// What a surface's request came to.
enum class verdict : std::uint8_t {
    done,        ///< it is durable
    counted,     ///< a vote that counts, more are needed
    not_found,   ///< no such hold or opt-out, or not visible to this person
    forbidden,   ///< this person may not; text says why
    conflict,    ///< it has already ended; text says how
    invalid,     ///< outside the bounds or malformed; text says which and what would fit
    unavailable  ///< store or audit cannot write
};
struct answer {
    verdict what = verdict::unavailable;
    std::string text;  ///< one sentence for a person
    std::uint64_t id = 0;
};

/// Asked by `use`: every opt-out named must let this pass, all or none.
struct bypass_request {
    std::vector<policy::opt_out_id> opt_outs;
    audit::record record;     ///< event "bypass"; the steward appends one such record per opt-out
    policy::principal who{};  ///< whose session it is
};

class steward {
  public:
    /// A live session's ear. Called on the steward's thread; must only post.
    using on_outcome = std::function<void(hold_outcome)>;
    using on_answer = std::function<void(answer)>;
    /// Receipt of the last record, or null and why: the bypass may not pass then.
    using on_bypass = std::function<void(std::unique_ptr<audit::receipt>, std::string error)>;
    /// A hold was stored and recorded, or one that asks the same was joined; it ends at `until`
    /// unless somebody decides. id 0 and an error text: it could not be.
    using on_opened =
        std::function<void(policy::hold_id, std::string error, policy::instant until)>;
    /// An opt-out or a pass ended (expired, revoked, used up): live sessions of that person look
    /// again.
    struct ended_event {
        policy::opt_out_id id;
        std::string rule;
        std::string person;
        policy::opt_out_state state;
        policy::at_end at_end;
        policy::milliseconds drain_limit;
        std::shared_ptr<const policy::opt_out> opt_out;  ///< what it was; nullptr: it was a pass
    };
    using on_ended = std::function<void(const ended_event&)>;
    /// An opt-out or a session's pass ends soon; for live sessions of whom it lets through.
    struct nearing_event {
        policy::opt_out_id opt_out;  ///< zero: it is a pass
        policy::session_id session;  ///< of a pass that is bound to one
        std::string rule;
        std::string person;
        std::string group;
        policy::milliseconds left;
    };
    using on_nearing = std::function<void(const nearing_event&)>;
    /// A lock was set: live sessions that it means end.
    using on_locked = std::function<void(const policy::flag&)>;
    /// Anything changed; for event streams: "hold 7 approved".
    struct change_event {
        std::string what;  ///< "hold", "opt_out", "review" or "flag"
        std::uint64_t id;
        std::string state;
    };
    using on_change = std::function<void(const change_event&)>;

    struct dependencies {
        store::store* store = nullptr;  ///< owned by the caller, used on the steward's thread only
        audit::log* audit = nullptr;
        const clock* time = nullptr;
        /// Who somebody is now that was `then`: her groups by the users of now, and of those that
        /// she brought along beside them, what a login service may still give her. Absent: nobody
        /// any more. Asked on the steward's thread; empty: everybody is who she was.
        std::function<std::optional<policy::principal>(const policy::principal& then)> who_now{};
    };
    steward(dependencies d, policy::rule_set_ptr rules);
    ~steward();  ///< stops and joins; waiting holds are withdrawn ("proxy is stopping")

    /// Withdraws orphans, ends what ended while down, starts the thread, records and publishes the
    /// grants that live on; returns when they are published. What cannot be recorded is tried again
    /// later. Errors: store_error when the state cannot be read or written.
    void start();
    /// Also when the users have changed.
    void set_rules(policy::rule_set_ptr rules);
    void subscribe_ended(on_ended f);      ///< before start()
    void subscribe_change(on_change f);    ///< before start()
    void subscribe_nearing(on_nearing f);  ///< before start()
    void subscribe_locked(on_locked f);    ///< before start()

    /// Whom notices go to: at once, also what waits for channels that are gone is given up then.
    /// `added` is called on the steward's thread when there is something to deliver; it must only
    /// post. Before start(), and set_routes() again whenever the configuration changes.
    void subscribe_notices(std::function<void()> added);
    void set_routes(notice_routes r);
    /// How long holds, passes and deliveries that have ended are kept; 90 days at first.
    void set_keep(policy::milliseconds keep);
    /// Something that no store write stands for (a reload that was refused): told all the same.
    void tell(policy::notice n);
    /// Writes what came of deliveries, and brings the next ones; callback on the steward's thread.
    void exchange(delivery_exchange e, std::function<void(delivery_work)> done);
    void list_deliveries(std::function<void(delivery_report)> f);

    /// The newest grants; a short lock for the copy of one pointer, see grants_version(). Any
    /// thread. Passes of scope statement are not in it: they travel only in hold_outcome::pass, to
    /// the one session that waited, so that an approval of one statement can never cover another.
    [[nodiscard]] policy::grants_ptr grants() const noexcept;
    /// Grows by one whenever grants() changes. Workers keep their grants_ptr and fetch a new one
    /// only when this differs from the version they have. Lock-free; any thread.
    [[nodiscard]] std::uint64_t grants_version() const noexcept;
    /// The clock was moved (tests with a clock of their own): deadlines are looked at again.
    void time_moved();
    /// Store and audit could both write when last tried.
    [[nodiscard]] bool healthy() const noexcept;
    /// What the store or the audit log last failed with, for operators (names paths); "" if
    /// nothing.
    [[nodiscard]] std::string trouble() const;
    /// For metrics: lives as long as this; any thread may read.
    [[nodiscard]] const tally& counts() const noexcept;

    /// What came of asking without waiting.
    struct asked {
        enum class state : std::uint8_t {
            pending,  ///< it waits for approval under `id`, now or since earlier
            ready,    ///< it was approved, and `pass` lets it through this once
            denied,   ///< it was, a short while ago
            failed    ///< it could not be asked for: `text`
        };
        state what = state::failed;
        policy::hold_id id;
        std::string text;  ///< of a deny its reason, else one sentence for a person
        std::string decided_by;
        std::optional<policy::pass> pass;
        policy::instant until;  ///< pending: when it expires
    };
    using on_asked = std::function<void(asked)>;

    // For sessions -----------------------------------------------------------------------------
    /// Stores the hold (id, times are filled in), records hold.opened, then `opened`; later
    /// `outcome` exactly once, unless withdraw() came first (then also once, with state withdrawn).
    /// After `opened` with id 0 there is no outcome.
    ///
    /// Who asks the same (person, application, target, rule, and the statement's shape; without a
    /// shape, the very statement) as a hold that waits joins that: one request, all of whose
    /// waiters are released by one approval. A pass for a session or a transaction is for the
    /// session that asked first; the others get their statement.
    void open_hold(policy::hold h, policy::milliseconds wait, on_opened opened, on_outcome outcome);
    /// Asks for a hold that no session waits for. The same request (person, target, rule, the very
    /// statement; an application, if one was named) finds the first again while that is pending,
    /// and for as long after its approval as it might have waited: once, if `take` is set, which is
    /// for the session that `h` names. Such holds and what they grant outlive a restart.
    void ask(policy::hold h, policy::milliseconds wait, bool take, on_asked done);
    /// A session says that hold `id` was approved for it. One for a session gives it a pass for as
    /// long as the rule lets it; one for a statement is taken when that comes.
    void present(policy::hold_id id, policy::session_id session, const policy::principal& who,
                 std::string target, on_asked done);
    /// The client of that session left, cancelled or terminated; without a session, all of them.
    /// The hold is withdrawn when nobody waits for it any more. No-op when it has ended.
    void withdraw(policy::hold_id id, std::string why, policy::session_id session = {});
    /// Counts and records uses; the receipt is for the caller to forward with.
    void use(bypass_request r, on_bypass done);
    /// The session is gone: its passes end, holds it still has are withdrawn.
    void session_ended(policy::session_id id);
    /// The transaction of that session ended (commit, rollback, or lost): its transaction passes
    /// end.
    void end_transaction_passes(policy::session_id id);

    // For surfaces. `who` is authenticated by the caller.
    // ------------------------------------------
    struct hold_vote {
        policy::hold_id id;
        policy::principal who;
        bool approve = false;
        std::string reason;
        policy::pass_scope scope = policy::pass_scope::statement;
        std::optional<policy::milliseconds>
            for_;  ///< absent: the rule's bound; none for a statement
        std::string surface;
    };
    /// Where several approvals are needed, the pass is what all approvers agreed on: the narrower
    /// scope and the shorter time; shape against session or transaction gives this statement only.
    void vote(hold_vote v, on_answer done);
    /// The next approvers are asked at once. By its person, its approvers and admins.
    void escalate(policy::hold_id id, policy::principal who, bool is_admin, on_answer done);
    /// The hold becomes the task of `to`, who must be able to decide it and is told; the others
    /// still may. By its approvers and admins, never by its person, with a reason.
    struct hold_reassign {
        policy::hold_id id;
        policy::principal who;
        policy::principal to;
        std::string reason;
        std::string surface;
        bool is_admin = false;
    };
    void reassign(hold_reassign r, on_answer done);
    void request_opt_out(policy::opt_out_request r, std::string surface, on_answer done);
    struct opt_out_vote {
        policy::opt_out_id id;
        policy::principal who;
        bool approve = false;
        std::string reason;
        std::string surface;
    };
    void vote(opt_out_vote v, on_answer done);
    /// By its person, its approvers, or an admin (`is_admin`, decided by the surface's table of
    /// roles).
    struct opt_out_revoke {
        policy::opt_out_id id;
        policy::principal who;
        std::string reason;
        std::string surface;
        bool is_admin = false;
    };
    void revoke(opt_out_revoke r, on_answer done);
    /// An approval is taken back, while it has not led to anything.
    void withdraw_vote(policy::hold_id id, policy::principal who, std::string surface,
                       on_answer done);
    void withdraw_vote(policy::opt_out_id id, policy::principal who, std::string surface,
                       on_answer done);
    /// `to`: signed_off or finding; a finding needs a note. By the rule's reviewers or, where the
    /// rule is gone, an admin; never by whom the opt-out let through.
    struct review_verdict {
        policy::opt_out_id id;
        policy::principal who;
        policy::review_state to = policy::review_state::signed_off;
        std::string note;
        std::string surface;
        bool is_admin = false;
    };
    void review(review_verdict v, on_answer done);
    /// What may flag and lock is decided by the surface's table of roles.
    void set_flag(policy::flag_request r, policy::principal who, std::string surface,
                  on_answer done);
    void lift_flag(policy::flag_id id, policy::principal who, std::string reason,
                   std::string surface, on_answer done);

    /// Snapshots for lists; callback on the steward's thread.
    void list_holds(std::optional<policy::hold_state> s,
                    std::function<void(std::vector<policy::hold>)> f);
    void list_opt_outs(std::optional<policy::opt_out_state> s,
                       std::function<void(std::vector<policy::opt_out>)> f);
    void get_hold(policy::hold_id id, std::function<void(std::optional<policy::hold>)> f);
    void get_opt_out(policy::opt_out_id id, std::function<void(std::optional<policy::opt_out>)> f);
    void list_reviews(std::optional<policy::review_state> s,
                      std::function<void(std::vector<policy::review>)> f);
    /// `live`: only those in force.
    void list_flags(bool live, std::function<void(std::vector<policy::flag>)> f);
    /// Live passes of every scope but statement.
    void list_passes(std::function<void(std::vector<policy::pass>)> f);

    /// Runs `f` on the store's tokens, on the steward's thread; `done`: whether it was stored.
    void with_tokens(std::function<void(store::token_store&)> f, std::function<void(bool)> done);

  private:
    struct impl;
    std::unique_ptr<impl> impl_;
};

}  // namespace sallyport::proxy::approval
