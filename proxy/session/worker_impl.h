#pragma once

#include <array>
#include <cstddef>
#include <deque>
#include <memory>
#include <unordered_map>

#include <pthread.h>

#include "policy/sql/cache.h"
#include "proxy/net/asio.h"
#include "proxy/net/listener.h"
#include "proxy/net/stream.h"
#include "proxy/session/counters.h"
#include "proxy/session/gate.h"
#include "proxy/session/worker.h"
#include "proxy/session/worker_catalog.h"

/// What the sessions of one worker share; private to proxy/session.
namespace sallyport::proxy::session {

class session;

/// Facts from the worker's cache, or by a parse on the spot when the text is short.
class worker_facts final : public facts_source {
  public:
    explicit worker_facts(worker_counters& counts);
    policy::facts_ptr find(std::string_view sql, bool standard_conforming_strings) override;
    void keep(std::string_view sql, bool standard_conforming_strings, policy::facts_ptr f);
    void set_bytes_max(std::uint64_t bytes) noexcept { bytes_max_ = bytes; }

  private:
    policy::sql::facts_cache cache_;
    worker_counters& counts_;
    std::uint64_t bytes_max_ = 4u << 20;
};

/// As libpq does before it closes; nothing waits for it.
void say_terminate(net::stream& server);

struct worker::impl {
    explicit impl(services& s);

    /// Brings rules and grants up to date; called before every step of a gate. Cheap when nothing
    /// has changed.
    void refresh();
    void accepted(net::tcp::socket socket);
    void tick();
    void arm_tick();
    void stop_when_said(std::chrono::steady_clock::time_point deadline);
    /// Closes a connection on which nothing runs and no transaction is open: soon, and a few at a
    /// time, for a backend takes a processor for its end.
    void close_idle(std::unique_ptr<net::stream> server, bool with_terminate);
    void close_some();
    void close_more_in(std::chrono::milliseconds time);
    void run();

    static constexpr std::size_t buffer_bytes = 128u << 10;

    services& shared;
    net::asio::io_context io;
    net::asio::executor_work_guard<net::asio::io_context::executor_type> work;
    net::asio::steady_timer ticker;
    std::unique_ptr<net::listener> listening;
    configuration_ptr current;
    std::uint64_t seen_configuration = 0;
    std::uint64_t seen_grants = 0;
    worker_counters counters;
    worker_facts facts{counters};
    worker_catalog catalogs;
    gate_environment environment;
    actions scratch;
    std::unique_ptr<std::array<std::byte, buffer_bytes>> client_buffer;
    std::unique_ptr<std::array<std::byte, buffer_bytes>> server_buffer;
    std::unordered_map<std::uint64_t, std::shared_ptr<session>> sessions;
    std::shared_ptr<const protocol::frame_limits> client_limits;
    pthread_t thread{};
    struct idle_server {
        std::unique_ptr<net::stream> connection;
        bool with_terminate;
    };
    std::deque<idle_server> leaving;
    net::asio::steady_timer leaver;
    bool closing = false;
    std::size_t farewells = 0;  ///< servers that are being told to stop what a session began
    bool running = false;
    bool draining = false;
};

}  // namespace sallyport::proxy::session
