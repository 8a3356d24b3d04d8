#pragma once

#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "policy/flag.h"
#include "proxy/approval/core.h"

/// The desk for flags and locks. Internal to this folder; all of it runs on the steward's thread.
/// What restrains is in force before it is on record; what lets go is on record before.
namespace sallyport::proxy::approval {

class flag_desk final : public timed {
  public:
    explicit flag_desk(core& c);
    void on_changed(std::function<void()> publish) { publish_ = std::move(publish); }
    void on_flagged(std::function<void(const policy::flag&)> f) { flagged_ = std::move(f); }
    void on_rule_locked(std::function<void(const policy::flag&)> f) { rule_locked_ = std::move(f); }

    void recover();
    void set(const policy::flag_request& r, const policy::principal& who,
             const std::string& surface, const steward::on_answer& done);
    void lift(policy::flag_id id, const policy::principal& who, const std::string& reason,
              const std::string& surface, const steward::on_answer& done);
    [[nodiscard]] std::vector<policy::flag> live() const;
    [[nodiscard]] std::vector<policy::flag> list(bool only_live);

    [[nodiscard]] std::optional<policy::instant> next_deadline() const override;
    void run_due(policy::instant now) override;
    void retry() override {}
    [[nodiscard]] bool retry_wanted() const override { return false; }

  private:
    void lifted(policy::flag_id id, const std::string& by, const std::string& reason,
                const steward::on_answer& done);

    core& core_;
    std::function<void()> publish_;
    std::function<void(const policy::flag&)> flagged_;
    std::function<void(const policy::flag&)> rule_locked_;
    std::map<policy::flag_id, policy::flag> live_;
    std::set<policy::flag_id> lifting_;  // their record is being written
    std::set<std::pair<policy::instant, policy::flag_id>> deadlines_;
};

}  // namespace sallyport::proxy::approval
