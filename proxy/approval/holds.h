#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "proxy/approval/core.h"
#include "proxy/approval/pass_choice.h"

/// The desk for holds and passes. Internal to this folder; all of it runs on the steward's thread.
namespace sallyport::proxy::approval {

/// Life of a hold here, beside its state in the store:
///   opening   stored, its record not yet durable; nobody can vote
///   open      waits for votes, deadline, withdrawal; the first of them wins
///   deciding  approved in the store, hold.approved not yet durable; nothing else can end it
class hold_desk final : public timed {
  public:
    explicit hold_desk(core& c);
    void on_passes_changed(std::function<void()> publish) { publish_ = std::move(publish); }

    /// At start, before the thread: orphans are withdrawn, passes that cannot live on end.
    void recover();
    /// Records and takes up the passes that live on; `done` when the log has answered for all.
    void resume(const std::function<void()>& done);
    /// The rules have changed: passes that they no longer give end.
    void recheck();
    /// What was approved of whom it may mean was approved without knowing of this flag.
    void flagged(const policy::flag& f);
    void open(policy::hold h, policy::milliseconds wait, const steward::on_opened& opened,
              steward::on_outcome outcome);
    // holds_ahead.cpp
    void ask(policy::hold h, policy::milliseconds wait, bool take, const steward::on_asked& done);
    void present(policy::hold_id id, policy::session_id session, const policy::principal& who,
                 const std::string& target, const steward::on_asked& done);
    void escalate(policy::hold_id id, const policy::principal& who, bool is_admin,
                  const steward::on_answer& done);
    void reassign(const steward::hold_reassign& r, const steward::on_answer& done);
    void vote(const steward::hold_vote& v, const steward::on_answer& done);
    void withdraw(policy::hold_id id, policy::session_id session, const std::string& why);
    void withdraw_vote(policy::hold_id id, const policy::principal& who, const std::string& surface,
                       const steward::on_answer& done);
    void session_ended(policy::session_id id);
    void end_transaction_passes(policy::session_id id);
    void close();  ///< the proxy stops: everything that waits is withdrawn
    [[nodiscard]] std::vector<policy::hold> list(std::optional<policy::hold_state> s);
    [[nodiscard]] std::optional<policy::hold> get(policy::hold_id id);
    [[nodiscard]] std::vector<policy::pass> passes() const;

    [[nodiscard]] std::optional<policy::instant> next_deadline() const override;
    void run_due(policy::instant now) override;
    void retry() override;
    [[nodiscard]] bool retry_wanted() const override;

  private:
    enum class phase : std::uint8_t { opening, open, deciding };
    struct waiter {
        policy::session_id session;
        steward::on_outcome outcome;
    };
    struct live_hold {
        policy::hold h;
        std::vector<waiter> waiters;
        phase at = phase::opening;
        std::set<std::string> voting;       // whose approval is being recorded
        std::optional<pass_choice> agreed;  // what all approvers so far agreed to
        voters came_as{};
    };
    /// A move that the store did not take when it happened; the outcome stands all the same.
    struct unsettled_move {
        policy::hold_id id;
        policy::hold_state to;
        std::string reason;
        policy::instant at;
        policy::notice told;
    };

    /// Approved, and not taken yet by the session that it is for.
    struct ready_hold {
        policy::hold h;
        policy::instant until;
    };
    struct denied_hold {
        policy::hold_id id;
        std::string by;
        std::string reason;
        policy::instant until;
    };
    void recover_ahead();
    void keep_ready(policy::hold h, policy::instant until);
    void drop_ready(policy::hold_id id);
    void forget_ahead(const policy::hold& h);
    [[nodiscard]] policy::hold_id ahead_of(const policy::hold& h) const;
    void note_denied(const policy::hold& h, const std::string& by, const std::string& reason);
    [[nodiscard]] std::optional<policy::pass> take_ready(policy::hold_id id,
                                                         policy::session_id session,
                                                         policy::pass_scope scope,
                                                         policy::instant until);
    void plan_escalation(const policy::hold& h);
    void ask_next(live_hold& l, const std::string& by);
    void run_due_ahead(policy::instant now);
    /// Where the hold is found again by who asks the same.
    void note_request(const policy::hold& h);
    /// Equal exactly for holds that ask the same.
    [[nodiscard]] static std::string request_key(const policy::hold& h);
    [[nodiscard]] bool settle(const unsettled_move& m);
    [[nodiscard]] std::string refuse_to_open(const policy::hold& h) const;
    void opened(policy::hold_id id, bool recorded, const steward::on_opened& tell);
    /// The hold that asks the same and has time enough; null: there is none.
    [[nodiscard]] live_hold* same_request(const policy::hold& h, policy::milliseconds wait);
    void join(live_hold& l, policy::hold h, policy::milliseconds wait,
              const steward::on_opened& opened, steward::on_outcome outcome);
    void leave(policy::hold_id id, policy::session_id session, const std::string& why);
    void count_waiters(const std::string& person, std::ptrdiff_t more);
    void count_live();  ///< for metrics
    [[nodiscard]] answer missing(policy::hold_id id);
    /// "" if the person may decide it by the rules of its birth and of now, else why not.
    [[nodiscard]] std::string check_approver(const live_hold& l,
                                             const policy::principal& who) const;
    /// "" if the rule of now, where there is one, lets the person decide it.
    [[nodiscard]] std::string check_now(const live_hold& l, const policy::principal& who) const;
    /// An answer if this vote cannot be counted now, nullopt if it can.
    [[nodiscard]] std::optional<answer> objection(const steward::hold_vote& v, chosen& choice);
    void deny(live_hold& l, const steward::hold_vote& v, const steward::on_answer& done);
    void count_approval(const steward::hold_vote& v, const steward::on_answer& done);
    /// By `votes`, of which the last is the new one.
    void approve(live_hold& l, std::vector<policy::vote> votes, const pass_choice& choice,
                 const steward::on_answer& done);
    void approved(policy::hold_id id, policy::pass p, bool recorded,
                  const steward::on_answer& done);
    void end(policy::hold_id id, policy::hold_state to, const std::string& reason);
    void finish(policy::hold_id id, hold_outcome outcome);
    void add_live(policy::hold& h) const;  ///< who waits for it
    void add_pass(const policy::pass& p);
    void warn_of_ends(policy::instant now);
    void end_passes_of(policy::session_id id, bool only_transaction);
    /// With why each of them ends.
    void end_passes(const std::vector<std::pair<policy::pass, std::string>>& over);
    void tell_pass_ended(const policy::pass& p) const;

    core& core_;
    std::function<void()> publish_;
    bool closed_ = false;
    std::map<policy::hold_id, live_hold> live_;
    std::map<std::string, policy::hold_id> by_request_;
    std::map<std::string, policy::hold_id> by_ahead_;  ///< pending or ready
    std::map<policy::hold_id, ready_hold> ready_;
    std::set<std::pair<policy::instant, policy::hold_id>> ready_ends_;
    std::map<std::string, denied_hold> denied_;
    std::set<std::pair<policy::instant, policy::hold_id>> escalations_;
    std::map<std::string, std::ptrdiff_t> pending_of_person_;  ///< waiters
    std::set<std::pair<policy::instant, policy::hold_id>> deadlines_;
    std::map<policy::pass_id, policy::pass> passes_;
    std::set<std::pair<policy::instant, policy::pass_id>> pass_ends_;
    std::set<std::pair<policy::instant, policy::pass_id>> pass_warnings_;  ///< before they end
    std::vector<policy::pass>
        unrecorded_;            // live on after a restart, once the log takes their record
    std::size_t resuming_ = 0;  // of these, how many records are on their way
    std::vector<unsettled_move> unsettled_;
    std::vector<policy::pass> unsettled_ahead_;      // never to be taken, which the store must have
    std::vector<policy::pass_id> unsettled_passes_;  // to be ended in the store
};

}  // namespace sallyport::proxy::approval
