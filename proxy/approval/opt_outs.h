#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "policy/written.h"
#include "proxy/approval/core.h"
#include "proxy/approval/reviews.h"

/// The desk for opt-outs and their uses. Internal to this folder; all of it runs on the steward's
/// thread.
namespace sallyport::proxy::approval {

// Reasons of ends that no person gave.
inline constexpr const char* audit_cannot = "audit not writable";
inline constexpr const char* no_longer_written = "the files of opt-outs no longer have it";
inline constexpr const char* policy_changed = "policy changed: ";

/// What the rules of now say of opt-outs of `rule`; null: it cannot be opted out of.
[[nodiscard]] const policy::opt_out_spec* spec_now(const policy::rule_set_ptr& rules,
                                                   const std::string& rule);

class opt_out_desk final : public timed {
  public:
    opt_out_desk(core& c, review_desk& reviews);
    void on_active_changed(std::function<void()> publish) { publish_ = std::move(publish); }

    void recover();
    void resume(const std::function<void()>& done);
    /// The rules have changed: what they no longer allow ends.
    void recheck();
    void request(const policy::opt_out_request& r, const std::string& surface,
                 const steward::on_answer& done);
    void vote(const steward::opt_out_vote& v, const steward::on_answer& done);
    void revoke(const steward::opt_out_revoke& r, const steward::on_answer& done);
    void withdraw_vote(policy::opt_out_id id, const policy::principal& who,
                       const std::string& surface, const steward::on_answer& done);
    /// Opt-outs as code: what the files of now say begins, what they no longer say ends.
    void sync_written();
    /// A rule is locked: what lives by it ends.
    void lock_rule(const policy::flag& f);
    /// Taken up in batches: see run_uses().
    void use(bypass_request r, steward::on_bypass done);
    [[nodiscard]] std::vector<policy::opt_out> list(std::optional<policy::opt_out_state> s);
    [[nodiscard]] std::optional<policy::opt_out> get(policy::opt_out_id id);
    [[nodiscard]] std::vector<policy::opt_out> active() const;

    [[nodiscard]] std::optional<policy::instant> next_deadline() const override;
    void run_due(policy::instant now) override;
    void retry() override;
    [[nodiscard]] bool retry_wanted() const override;

  private:
    /// A request's life here: opening (its record not yet durable), open, deciding (active in the
    /// store, opt_out.activated not yet durable).
    enum class phase : std::uint8_t { opening, open, deciding };
    struct live_request {
        policy::opt_out o;
        phase at = phase::opening;
        std::set<std::string> voting;
        voters came_as{};
    };
    struct queued_use {
        bypass_request request;
        steward::on_bypass done;
    };
    struct unsettled_move {
        policy::opt_out_id id;
        policy::opt_out_state from;
        policy::opt_out_state to;
        std::string reason;
        policy::instant at;
        policy::instant review_due{};
        std::vector<policy::notice> told{};
    };

    [[nodiscard]] std::string refuse_request(const policy::opt_out_request& r);
    /// nullopt: the state cannot be read.
    enum class counted : std::uint8_t { asked_for_too, activated_only };
    [[nodiscard]] std::optional<policy::opt_out_usage> usage(const policy::opt_out_request& r,
                                                             counted what);
    /// Why the last vote may not activate it yet; "" if it may.
    [[nodiscard]] std::string too_often(const live_request& l, const policy::opt_out_spec& spec);
    void requested(policy::opt_out_id id, bool recorded, const steward::on_answer& done);
    void break_glass(policy::opt_out o, const std::string& surface, const steward::on_answer& done);
    [[nodiscard]] bool still_written(const policy::opt_out& o) const;
    [[nodiscard]] bool stands_already(const policy::written_opt_out& w) const;
    /// Uses that are left of it: it may have been used under an earlier file. nullopt: it is over.
    [[nodiscard]] std::optional<std::uint64_t> uses_left(const policy::written_opt_out& w,
                                                         std::uint64_t max);
    void begin_written(const policy::written_opt_out& w);
    /// Those that wait or live, as "opt-out 5 (active), …".
    [[nodiscard]] std::string extensions_of(policy::opt_out_id id) const;
    [[nodiscard]] answer missing(policy::opt_out_id id);
    /// "" if the rules and users of now would still let this opt-out live, else why not.
    [[nodiscard]] std::string no_longer_fits(const policy::opt_out& o) const;
    [[nodiscard]] std::optional<answer> objection(const steward::opt_out_vote& v);
    void deny(live_request& l, const steward::opt_out_vote& v, const steward::on_answer& done);
    void count_approval(const steward::opt_out_vote& v, const steward::on_answer& done);
    /// The approvals that the approvers of now let count.
    [[nodiscard]] std::vector<policy::vote> counting(const live_request& l,
                                                     const policy::opt_out_spec& spec) const;
    void activate(live_request& l, const policy::vote* v, const policy::opt_out_spec& spec,
                  const steward::on_answer& done);
    void live_from(const policy::opt_out& o);  ///< its deadlines
    void activated(policy::opt_out_id id, bool recorded, const steward::on_answer& done);
    void take_up(policy::opt_out_id id);  ///< recorded again after a restart: live
    void run_uses();
    [[nodiscard]] std::string refuse_use(const bypass_request& r) const;
    void tell_uses(const bypass_request& r, const std::vector<std::uint64_t>& counts);
    void record_uses(const queued_use& q, const std::vector<std::uint64_t>& counts);
    /// Stores a move; one the store does not take now is tried again until it does.
    void settle(const unsettled_move& m);
    void end_request(policy::opt_out_id id, policy::opt_out_state to, const std::string& reason,
                     const std::string& by, const steward::on_answer& done);
    void end_active(policy::opt_out_id id, policy::opt_out_state to, const std::string& reason,
                    const std::string& by, const steward::on_answer& done);
    void record_end(audit::record r, const std::string& reason, const std::string& by,
                    const std::string& text, std::uint64_t id, const steward::on_answer& done);

    /// About one that is live: its end comes near.
    struct warning {
        policy::instant at;
        policy::opt_out_id id;
        policy::milliseconds left;
        friend auto operator<=>(const warning&, const warning&) = default;
    };

    core& core_;
    review_desk& reviews_;
    std::function<void()> publish_;
    std::set<warning> warnings_;
    std::map<policy::opt_out_id, live_request> requests_;
    std::map<policy::opt_out_id, policy::opt_out> active_;
    std::set<std::pair<policy::instant, policy::opt_out_id>> deadlines_;  // of both
    std::vector<policy::opt_out>
        unrecorded_;            // live on after a restart, once the log takes the record
    std::size_t resuming_ = 0;  // of these, how many records are on their way
    std::vector<queued_use> uses_;
    std::vector<unsettled_move> unsettled_;
    bool written_wanted_ = false;            // sync_written() could not read or write the state
    std::set<std::string> written_refused_;  // keys whose refusal is on record
};

}  // namespace sallyport::proxy::approval
