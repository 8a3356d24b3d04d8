#pragma once

#include <deque>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "policy/notice.h"
#include "proxy/approval/core.h"
#include "proxy/approval/delivery.h"

/// Notices on their way into the store, and out of it again. Internal to this folder.
namespace sallyport::proxy::approval {

/// Also the upkeep of the store: what ended long ago is deleted now and then.
class outbox_desk final : public timed {
  public:
    explicit outbox_desk(core& c);

    void recover();
    /// Which channels are told of what; before it is set nobody is. Those that are not among
    /// `channels` are given up.
    void set_routes(notice_routes r);
    void on_added(std::function<void()> f) { added_ = std::move(f); }
    /// How long what has ended is kept.
    void set_keep(policy::milliseconds keep) { keep_ = keep; }

    /// Part of the transaction that is open, or, without one, of its own; then one that the store
    /// does not take is tried again.
    void tell(const policy::notice& n);
    void exchange(const delivery_exchange& e, const std::function<void(delivery_work)>& done);
    [[nodiscard]] delivery_report report();

    [[nodiscard]] std::optional<policy::instant> next_deadline() const override { return trim_at_; }
    void run_due(policy::instant now) override;
    void retry() override;
    [[nodiscard]] bool retry_wanted() const override { return !untold_.empty(); }

  private:
    [[nodiscard]] std::vector<std::string> with_room(std::vector<std::string> channels);
    void record_given_up(const store::delivery& d);

    core& core_;
    notice_routes routes_;
    std::function<void()> added_;
    std::map<std::string, std::uint64_t> waiting_;  // by channel
    std::map<std::string, bool> full_;              // whose last notice found no room
    std::deque<policy::notice> untold_;             // the store could not take them
    policy::milliseconds keep_{std::chrono::hours(90 * 24)};
    policy::instant trim_at_{};
};

}  // namespace sallyport::proxy::approval
