#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "policy/review.h"
#include "proxy/approval/core.h"

/// The desk for reviews of what was used. Internal to this folder; all of it runs on the steward's
/// thread.
namespace sallyport::proxy::approval {

class review_desk final : public timed {
  public:
    explicit review_desk(core& c);

    void recover();
    /// The opt-out has ended, and the store opened a review of it.
    void opened(const policy::opt_out& o, policy::instant at, policy::instant due);
    void close(const steward::review_verdict& v, const steward::on_answer& done);
    [[nodiscard]] std::vector<policy::review> list(std::optional<policy::review_state> s);
    /// The first open review of the person's that is overdue, or of a glass that she broke, of
    /// whatever rule; null: there is none.
    [[nodiscard]] const policy::review* overdue_of(const std::string& person) const;
    [[nodiscard]] const policy::review* glass_of(const std::string& person) const;

    [[nodiscard]] std::optional<policy::instant> next_deadline() const override;
    void run_due(policy::instant now) override;
    void retry() override;
    [[nodiscard]] bool retry_wanted() const override { return !unnoted_.empty(); }

  private:
    [[nodiscard]] answer missing(policy::opt_out_id id);
    [[nodiscard]] std::optional<answer> objection(const steward::review_verdict& v);
    [[nodiscard]] bool note_overdue(const policy::review& r);
    void closed(const steward::review_verdict& v, const steward::on_answer& done);
    void count_open();  ///< for metrics

    core& core_;
    std::map<policy::opt_out_id, policy::review> open_;
    std::set<policy::opt_out_id> closing_;  // their record is being written
    std::set<std::pair<policy::instant, policy::opt_out_id>> deadlines_;
    std::vector<policy::opt_out_id> unnoted_;  // overdue, and the store could not take it
};

}  // namespace sallyport::proxy::approval
