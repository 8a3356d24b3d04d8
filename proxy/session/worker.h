#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "proxy/approval/steward.h"
#include "proxy/console.h"
#include "proxy/session/services.h"

/// One thread, one io_context, the sessions born there.
namespace sallyport::proxy::session {

struct worker_counters;

class worker {
  public:
    explicit worker(services& shared);
    ~worker();
    worker(const worker&) = delete;
    worker& operator=(const worker&) = delete;

    /// Binds its listener. Throws net::listen_error. Returns the port.
    std::uint16_t listen(const std::string& address, std::uint16_t port);
    void start();
    /// No new sessions; those that wait for approval end with 57P01, the others when idle.
    void drain();
    /// Ends every session now and joins the thread.
    void stop();

    // Any thread; callbacks run on the worker.
    void list(std::function<void(std::vector<session_info>)> done);
    void kill(policy::session_id id, const std::string& by, const std::string& reason,
              std::function<void(bool)> done);
    void opt_out_ended(const approval::steward::ended_event& e);
    void end_nears(const approval::steward::nearing_event& e);
    void locked(const policy::flag& f);
    /// After a reload: live sessions are decided again.
    void reconsider();
    void count(std::function<void(std::size_t)> done);
    [[nodiscard]] const worker_counters& counters() const noexcept;
    /// Processor time of its thread so far.
    [[nodiscard]] double cpu_seconds() const noexcept;

    struct impl;

  private:
    std::unique_ptr<impl> impl_;
};

}  // namespace sallyport::proxy::session
