#include "proxy/session/worker.h"

#include <stdexcept>
#include <utility>
#include <variant>

#include <spdlog/spdlog.h>

#include "policy/sql/analyse.h"
#include "protocol/frontend.h"
#include "protocol/sqlstate.h"
#include "proxy/auth/scram.h"
#include "proxy/session/session.h"

namespace sallyport::proxy::session {

namespace asio = net::asio;

namespace {

constexpr auto tick_interval = std::chrono::milliseconds(50);
constexpr auto farewell_time = std::chrono::seconds(2);
constexpr std::size_t closed_at_once = 16;
constexpr auto before_many = std::chrono::milliseconds(500);
constexpr auto between_closings = std::chrono::milliseconds(10);
constexpr std::size_t worker_stack_bytes = 64u << 20;  // short statements are parsed on it
static_assert(worker_stack_bytes >= policy::sql::inline_stack_bytes);

policy::sql::facts_cache_options cache_options() {
    policy::sql::facts_cache_options o;
    std::array<std::byte, sizeof o.seed> raw{};
    auth::random_bytes(raw);
    std::memcpy(&o.seed, raw.data(), sizeof o.seed);
    return o;
}

}  // namespace

worker_facts::worker_facts(worker_counters& counts) : cache_(cache_options()), counts_(counts) {}

policy::facts_ptr worker_facts::find(std::string_view sql, bool standard_conforming_strings) {
    if (auto known = cache_.lookup(sql, standard_conforming_strings)) {
        counts_.facts_hits.add();
        return known;
    }
    counts_.facts_misses.add();
    if (!policy::sql::fits_inline(sql)) return nullptr;
    policy::sql::analyse_options options;
    options.bytes_max = bytes_max_;
    options.standard_conforming_strings = standard_conforming_strings;
    auto made = policy::sql::analyse(sql, options);
    cache_.insert(sql, standard_conforming_strings, made);
    return made;
}

void worker_facts::keep(std::string_view sql, bool standard_conforming_strings,
                        policy::facts_ptr f) {
    cache_.insert(sql, standard_conforming_strings, std::move(f));
}

void say_terminate(net::stream& server) {
    std::string frame;
    protocol::frontend::terminate{}.encode(frame);
    static_cast<void>(server.write_some(std::as_bytes(std::span(frame))));
}

worker::impl::impl(services& s)
    : shared(s),
      io(BOOST_ASIO_CONCURRENCY_HINT_UNSAFE_IO),
      work(asio::make_work_guard(io)),
      ticker(io),
      client_buffer(std::make_unique<std::array<std::byte, buffer_bytes>>()),
      server_buffer(std::make_unique<std::array<std::byte, buffer_bytes>>()),
      leaver(io) {
    environment.facts = &facts;
    environment.catalog = &catalogs;
    environment.prepared = &s.prepared;
    environment.time = s.time;
    environment.uses = &s.uses;
    environment.counts = &counters.statements;
    refresh();
}

void worker::impl::refresh() {
    const auto version = shared.version.load(std::memory_order_acquire);
    if (version != seen_configuration) {
        seen_configuration = version;
        current = shared.current.get();
        environment.rules = current->rules;
        environment.approve_url = current->config->admin_url;
        facts.set_bytes_max(current->config->limits.inspect_bytes);
        catalogs.use(shared.catalog, current->config);
        client_limits =
            std::make_shared<const protocol::frame_limits>(protocol::make_frontend_limits(
                static_cast<std::uint32_t>(current->config->limits.message_bytes)));
    }
    const auto grants = shared.steward->grants_version();
    if (grants != seen_grants || !environment.grants) {
        seen_grants = grants;
        environment.grants = shared.steward->grants();
    }
}

void worker::impl::accepted(net::tcp::socket socket) {
    refresh();
    boost::system::error_code ec;
    const auto peer = socket.remote_endpoint(ec);
    if (ec) return;
    auto admitted = shared.limiter->admit(peer.address().to_string());
    if (const auto* full = std::get_if<net::connection_limiter::refusal>(&admitted)) {
        const auto frame = fatal_frame({std::string(protocol::sqlstate::too_many_connections),
                                        full->text, "", "Close idle connections, or use a pool."});
        net::stream s(std::move(socket));
        static_cast<void>(s.write_some(std::as_bytes(std::span(frame.data(), frame.size()))));
        s.shutdown_write();
        return;
    }
    auto made = std::make_shared<session>(
        *this, std::move(socket), std::get<net::connection_limiter::ticket>(std::move(admitted)));
    sessions.emplace(made->id().value, made);
    counters.sessions.store(sessions.size(), std::memory_order_relaxed);
    made->start();
}

// What servers must be told (cancels) goes out before the end, within a bound.
void worker::impl::stop_when_said(std::chrono::steady_clock::time_point deadline) {
    if (farewells == 0 || std::chrono::steady_clock::now() >= deadline) {
        asio::post(io, [this] { io.stop(); });
        return;
    }
    ticker.expires_after(std::chrono::milliseconds(10));
    ticker.async_wait([this, deadline](net::error_code) { stop_when_said(deadline); });
}

void worker::impl::close_idle(std::unique_ptr<net::stream> server, bool with_terminate) {
    leaving.push_back({std::move(server), with_terminate});
    if (closing) return;
    closing = true;
    // Behind all that end together with it; many wait until their clients have been told.
    asio::post(io, [this] {
        if (leaving.size() > closed_at_once)
            close_more_in(before_many);
        else
            close_some();
    });
}

void worker::impl::close_some() {
    for (std::size_t n = 0; n < closed_at_once && !leaving.empty(); ++n) {
        const auto& l = leaving.front();
        if (l.with_terminate) say_terminate(*l.connection);
        l.connection->close();
        leaving.pop_front();
    }
    closing = !leaving.empty();
    if (closing) close_more_in(between_closings);
}

void worker::impl::close_more_in(std::chrono::milliseconds time) {
    leaver.expires_after(time);
    leaver.async_wait([this](net::error_code ec) {
        if (!ec) close_some();
    });
}

void worker::impl::arm_tick() {
    ticker.expires_after(tick_interval);
    ticker.async_wait([this](net::error_code ec) {
        if (ec) return;
        tick();
        arm_tick();
    });
}

void worker::impl::tick() {
    const auto now = shared.time->now();
    for (auto& [id, s] : sessions) {
        const auto keep = s;  // a session may end itself here; it leaves the table later
        keep->tick(now);
        if (draining) keep->drain();
    }
}

void worker::impl::run() {
    arm_tick();
    for (;;) {
        try {
            io.run();
            return;
        } catch (const std::exception& e) {
            // A handler must not throw; if one does, its session is lost and the others go on.
            spdlog::critical("worker: {}", e.what());
        }
    }
}

worker::worker(services& shared) : impl_(std::make_unique<impl>(shared)) {}

worker::~worker() {
    stop();
}

std::uint16_t worker::listen(const std::string& address, std::uint16_t port) {
    net::listen_options options;
    options.address = address;
    options.port = port;
    impl_->listening = std::make_unique<net::listener>(
        impl_->io, options, [this](net::tcp::socket s) { impl_->accepted(std::move(s)); },
        [](const std::string& trouble) { spdlog::warn("listener: {}", trouble); });
    return impl_->listening->port();
}

void worker::start() {
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, worker_stack_bytes);
    const int made = pthread_create(
        &impl_->thread, &attributes,
        [](void* self) -> void* {
            static_cast<impl*>(self)->run();
            return nullptr;
        },
        impl_.get());
    pthread_attr_destroy(&attributes);
    if (made != 0) throw std::runtime_error("cannot start a worker thread; check ulimit -u");
    impl_->running = true;
}

void worker::drain() {
    asio::post(impl_->io, [this] {
        if (impl_->listening) impl_->listening->stop();
        impl_->draining = true;
        impl_->tick();
    });
}

void worker::stop() {
    if (!impl_->running) return;
    asio::post(impl_->io, [this] {
        if (impl_->listening) impl_->listening->stop();
        impl_->ticker.cancel();
        for (auto& [id, s] : impl_->sessions) {
            const auto keep = s;
            keep->shut_down();
        }
        // Behind what those have to say to their servers.
        asio::post(impl_->io, [this] {
            impl_->stop_when_said(std::chrono::steady_clock::now() + farewell_time);
        });
    });
    pthread_join(impl_->thread, nullptr);
    impl_->running = false;
    impl_->sessions.clear();
}

void worker::list(std::function<void(std::vector<session_info>)> done) {
    asio::post(impl_->io, [this, done = std::move(done)] {
        std::vector<session_info> all;
        for (const auto& [id, s] : impl_->sessions)
            all.push_back(s->info());
        done(std::move(all));
    });
}

void worker::kill(policy::session_id id, const std::string& by, const std::string& reason,
                  std::function<void(bool)> done) {
    asio::post(impl_->io, [this, id, by, reason, done = std::move(done)] {
        const auto at = impl_->sessions.find(id.value);
        if (at == impl_->sessions.end()) return done(false);
        const auto keep = at->second;
        keep->kill(by, reason);
        done(true);
    });
}

void worker::opt_out_ended(const approval::steward::ended_event& e) {
    asio::post(impl_->io, [this, e] {
        impl_->refresh();
        for (const auto& [id, s] : impl_->sessions) {
            const auto keep = s;
            keep->opt_out_ended(e);
        }
    });
}

void worker::end_nears(const approval::steward::nearing_event& e) {
    asio::post(impl_->io, [this, e] {
        for (const auto& [id, s] : impl_->sessions) {
            const auto keep = s;
            keep->end_nears(e);
        }
    });
}

void worker::locked(const policy::flag& f) {
    asio::post(impl_->io, [this, f] {
        impl_->refresh();
        for (const auto& [id, s] : impl_->sessions) {
            const auto keep = s;
            keep->locked(f);
        }
    });
}

void worker::reconsider() {
    asio::post(impl_->io, [this] {
        impl_->refresh();
        for (const auto& [id, s] : impl_->sessions) {
            const auto keep = s;
            keep->reconsider();
        }
    });
}

const worker_counters& worker::counters() const noexcept {
    return impl_->counters;
}

double worker::cpu_seconds() const noexcept {
    clockid_t of_thread{};
    timespec used{};
    if (!impl_->running || pthread_getcpuclockid(impl_->thread, &of_thread) != 0 ||
        clock_gettime(of_thread, &used) != 0)
        return 0;
    return static_cast<double>(used.tv_sec) + static_cast<double>(used.tv_nsec) / 1e9;
}

void worker::count(std::function<void(std::size_t)> done) {
    asio::post(impl_->io,
               [this, done = std::move(done)] { done(impl_->sessions.size() + impl_->farewells); });
}

}  // namespace sallyport::proxy::session
