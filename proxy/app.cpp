#include "proxy/app.h"

#include <atomic>
#include <csignal>
#include <filesystem>
#include <iostream>
#include <mutex>
#include <stdexcept>
#include <utility>

#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/thread_pool.hpp>
#include <spdlog/spdlog.h>
#include <sys/stat.h>

#include "policy/exceptions.h"
#include "protocol/backend.h"
#include "proxy/admin/console.h"
#include "proxy/admin/server.h"
#include "proxy/app_limits.h"
#include "proxy/app_notices.h"
#include "proxy/app_parts.h"
#include "proxy/app_policy.h"
#include "proxy/app_telemetry.h"
#include "proxy/approval/steward.h"
#include "proxy/audit/log.h"
#include "proxy/audit/read.h"
#include "proxy/auth/authenticator.h"
#include "proxy/catalog/locks.h"
#include "proxy/catalog/service.h"
#include "proxy/catalog_settings.h"
#include "proxy/clock.h"
#include "proxy/explain.h"
#include "proxy/explain_catalog.h"
#include "proxy/file_watch.h"
#include "proxy/logging.h"
#include "proxy/metrics.h"
#include "proxy/net/listener.h"
#include "proxy/service_manager.h"
#include "proxy/session/worker.h"
#include "proxy/store/store.h"
#include "proxy/token_keeping.h"
#include "proxy/version.h"

namespace sallyport::proxy {

struct app::impl final : session_directory {
    explicit impl(loaded_all loaded);
    ~impl() override;

    void start_admin();
    admin::dependencies admin_dependencies();
    admin::reload_answer reload();
    void record(const std::string& event, const std::string& key, const std::string& value);
    void warn_daily();
    std::vector<std::string> notes();
    void watch_files(const settings& config);
    void on_stop_signal();
    void wait_for_sessions();
    void say_ready() const;
    void feed_watchdog();
    void store_revocations();
    void go_on_from_the_record();
    void list(std::function<void(std::vector<session_info>)> done) override;
    void kill(policy::session_id id, std::string by, std::string reason,
              std::function<void(bool)> done) override;

    std::string config_path;
    settings_ptr started;  // with what was bound and opened
    system_clock time;
    std::unique_ptr<telemetry::exporter> exporter;  // outlives those that tell it something
    std::unique_ptr<audit::log> audit;
    std::unique_ptr<store::store> state;
    std::unique_ptr<notify::courier> courier;     // outlives the steward, who wakes it
    std::unique_ptr<admin::revocations> revoked;  // outlives the steward, who answers it
    std::unique_ptr<approval::steward> steward;
    std::unique_ptr<chain_watch> chain;
    std::unique_ptr<metrics> numbers;
    std::unique_ptr<net::connection_limiter> limiter;
    net::failure_limiter failures;
    session::cancel_registry cancels;
    session::analyst analysis;
    boost::asio::thread_pool blocking{1};
    catalog::service catalogs{log_of_catalog};
    catalog::lock_reader locks;
    session::services shared;
    admin::event_hub events;
    std::unique_ptr<admin::console> console;
    std::unique_ptr<admin::server> http;
    std::vector<std::unique_ptr<session::worker>> workers;
    std::mutex reloading;
    std::mutex refused_mutex;  // guards `refused`
    std::string refused;       // the first fault of the last reload; "" = it was well

    boost::asio::io_context main_loop{1};
    boost::asio::signal_set stops{main_loop, SIGTERM, SIGINT};
    boost::asio::signal_set hangups{main_loop, SIGHUP};
    boost::asio::steady_timer drain_timer{main_loop};
    boost::asio::steady_timer daily{main_loop};
    file_watch watch{main_loop, [this] { static_cast<void>(reload()); }};
    boost::asio::steady_timer watchdog{main_loop};
    boost::asio::steady_timer revoking{main_loop};
    std::string ready_text;
    std::chrono::steady_clock::time_point drain_until;
    bool draining = false;
};

/// What ends at an instant does so even if the system clock was set back while nothing ran.
void app::impl::go_on_from_the_record() {
    const auto seen = audit::newest_instant(started->audit_directory);
    if (!seen || *seen <= time.now()) return;
    spdlog::warn(
        "the system clock is {} s behind the audit log's last record; time goes on from there",
        std::chrono::ceil<policy::seconds>(*seen - time.now()).count());
    time.not_before(*seen);
}

app::impl::impl(loaded_all loaded) : config_path(loaded.config->path), started(loaded.config) {
    const auto& config = *loaded.config;
    raise_limits(config.limits.connections);
    if (config.state_sqlite.empty())
        throw std::runtime_error(config.path +
                                 ": state in PostgreSQL is not available in this version; use "
                                 "state: { sqlite: FILE }");
    exporter = make_exporter(config, version);
    use_telemetry(loaded.config, *exporter);
    exporter->start();
    auto logging = audit_options(config);
    logging.on_written = [to = exporter.get()](const audit::record& r, std::uint64_t sequence) {
        to->event(r, sequence);
    };
    audit = std::make_unique<audit::log>(std::move(logging));
    go_on_from_the_record();
    state = store::open_sqlite(config.state_sqlite);
    shared.mock_secret = state->mock_secret();
    shared.boot = state->next_boot_number();
    steward = std::make_unique<approval::steward>(
        approval::steward::dependencies{state.get(), audit.get(), &time,
                                        [this](const policy::principal& then) {
                                            return who_now(*shared.current.get(), then, time.now());
                                        }},
        loaded.rules);
    revoked = keep_revocations(*steward);
    courier = make_courier(*steward, *audit, time);
    use_channels(loaded.config, *loaded.users, *steward, *courier);
    limiter = std::make_unique<net::connection_limiter>(caps_of(config.limits));
    chain = std::make_unique<chain_watch>(
        *audit, config.audit_directory, config.audit_verify_interval, [](const std::string& where) {
            spdlog::critical("the audit log's chain is broken: {}", where);
        });
    numbers = std::make_unique<metrics>(
        metrics::sources{steward.get(), &catalogs, limiter.get(), audit.get(), chain.get(),
                         &shared.uses, &shared.upstreams, &workers, &time, courier.get(),
                         exporter.get()},
        version);
    shared.current.set(make_configuration(loaded));
    shared.steward = steward.get();
    shared.audit = audit.get();
    shared.time = &time;
    shared.limiter = limiter.get();
    shared.failures = &failures;
    shared.cancels = &cancels;
    shared.analysis = &analysis;
    shared.catalog = &catalogs;
    shared.blocking = &blocking;
    shared.statements = exporter.get();
    steward->subscribe_ended([this](const approval::steward::ended_event& e) {
        for (const auto& w : workers)
            w->opt_out_ended(e);
    });
    steward->subscribe_nearing([this](const approval::steward::nearing_event& e) {
        for (const auto& w : workers)
            w->end_nears(e);
    });
    steward->subscribe_locked([this](const policy::flag& f) {
        spdlog::warn("lock {}: {} {} until {}", f.id.value, policy::to_string(f.on),
                     protocol::backend::sanitize_text(f.subject, 200), f.set_by);
        for (const auto& w : workers)
            w->locked(f);
    });
    steward->subscribe_change(
        [this](const approval::steward::change_event& e) { events.publish(e); });
    console = std::make_unique<admin::console>(admin_dependencies());
    shared.console = console.get();

    net::listen_options where;
    where.address = config.postgres.address;
    where.port = config.postgres.port;
    net::require_free_port(where);
    for (std::size_t i = 0; i < config.workers; ++i) {
        workers.push_back(std::make_unique<session::worker>(shared));
        where.port = workers.back()->listen(where.address, where.port);
    }
    if (config.admin) start_admin();
    catalogs.set_targets(catalog_targets(config));
    locks.set_targets(catalog_targets(config));
    // The steward's first act can end opt-outs: the workers that hear of it exist now.
    steward->start();
    courier->start();
    record("proxy.start", "version", version);
    record("policy.loaded", "policy", loaded.rules->hash);
    for (const auto& w : workers)
        w->start();
    if (http) http->start();
    ready_text = "PostgreSQL on " + where.address + ":" + std::to_string(where.port);
    if (http)
        ready_text += ", admin on " + config.admin->address + ":" + std::to_string(http->port());
    spdlog::info("ready: {}, {} targets, policy {}", ready_text, config.targets.size(),
                 loaded.rules->hash.substr(0, 12));
}

app::impl::~impl() {
    locks.stop();
    // Surfaces first, then the sessions, then what they were using.
    if (http) http->stop();
    for (const auto& w : workers)
        w->stop();
    console.reset();
    catalogs.set_targets({});
    record("proxy.stop", "version", version);
    blocking.stop();
    blocking.join();
    courier->stop();
    steward.reset();
    chain.reset();
    audit.reset();
    exporter->stop();
    state.reset();
}

void app::impl::record(const std::string& event, const std::string& key, const std::string& value) {
    audit::record r;
    r.event = event;
    r.at = time.now();
    r.with(key, value);
    audit->append(std::move(r), {});
}

admin::dependencies app::impl::admin_dependencies() {
    admin::dependencies d;
    d.authenticate = [this](const std::string& user, std::string_view password) {
        std::string reason;
        const auto current = shared.current.get();
        return auth::check_password(*current->users, shared.mock_secret, user, password, time.now(),
                                    reason);
    };
    d.find_user = [this](const std::string& name) -> std::optional<policy::principal> {
        const auto current = shared.current.get();
        const auto* found = current->users->find(name);
        if (found == nullptr || !found->valid_at(time.now())) return std::nullopt;
        return found->principal;
    };
    d.approval = admin::approvals_of(*steward);
    d.sessions = this;
    d.locks = [this](const std::string& target, std::uint32_t pid, auto done) {
        locks.ask(target, pid, std::move(done));
    };
    d.rules = [this] { return shared.current.get()->rules; };
    d.targets = [this] {
        std::vector<std::string> names;
        for (const auto& [name, target] : shared.current.get()->config->targets)
            names.push_back(name);
        return names;
    };
    d.rule_uses = [this] { return shared.uses.counts(); };
    d.reload = [this] { return reload(); };
    d.explain = [this](const admin::explain_question& q) {
        const auto current = shared.current.get();
        const auto at = current->config->targets.find(q.target);
        explain_catalog found;
        if (at != current->config->targets.end() && !q.sql.empty())
            found = catalog_from_service(catalogs, at->second);
        return explain({*current->config, *current->users, *current->rules, time.now()}, found, q);
    };
    const auto current = shared.current.get();
    d.read_audit = admin::audit_reader_of(current->config->audit_directory);
    d.report = admin::overuse_reporter_of(current->config->audit_directory);
    d.audit = admin::audit_sources_of(current->config->audit_directory,
                                      current->config->audit_signing_key);
    d.policies =
        make_policy_sources(shared, workers, config_path, current->config->audit_directory, time);
    d.metrics = [this] { return numbers->text(); };
    d.health_notes = [this] { return notes(); };
    add_notices(d, *steward, *courier);
    d.notify = [this] { return notify_settings(shared.current.get()->config); };
    d.record = [this](audit::record r) { audit->append(std::move(r), {}); };
    d.time = &time;
    d.roles.admins = {current->config->admins.users, current->config->admins.groups};
    d.roles.auditors = {current->config->auditors.users, current->config->auditors.groups};
    d.roles.monitors = {current->config->monitors.users, current->config->monitors.groups};
    d.version = version;
    d.knows_user = [this](const std::string& name) {
        return shared.current.get()->users->find(name) != nullptr;
    };
    d.find_certificate = [this](const std::string& subject) -> std::optional<policy::principal> {
        const auto now_in_force = shared.current.get();
        const auto* found = now_in_force->users->find_certificate(subject);
        if (found == nullptr || !found->valid_at(time.now())) return std::nullopt;
        return found->principal;
    };
    d.tokens = keep_tokens(*steward, *state, time, *revoked);
    return d;
}

std::vector<std::string> app::impl::notes() {
    auto all = catalog_notes(catalogs);
    for (auto& n : notice_notes(*courier))
        all.push_back(std::move(n));
    for (auto& n : telemetry_notes(*exporter))
        all.push_back(std::move(n));
    if (revoked->waiting() > 0)
        all.emplace_back("the revocation of an API token is not stored yet");
    const std::lock_guard lock(refused_mutex);
    if (!refused.empty())
        all.push_back("the last reload was refused, what was in force still is: " + refused);
    return all;
}

void app::impl::watch_files(const settings& config) {
    std::vector<std::string> paths;
    if (config.watch)
        for (const auto& path :
             {config_path, config.users_path, config.policy_path, config.opt_outs_path})
            if (!path.empty()) paths.push_back(path);
    boost::asio::post(main_loop, [this, paths = std::move(paths)]() mutable {
        watch.set_files(std::move(paths));
    });
}

void app::impl::start_admin() {
    const auto config = shared.current.get()->config;
    admin::server_options o;
    o.address = config->admin->address;
    o.port = config->admin->port;
    o.url = config->admin_url;
    o.access = config->access;
    if (config->admin->tls.mode != net::server_tls_mode::disable) {
        o.tls.certificate = config->admin->tls.certificate;
        o.tls.key = config->admin->tls.key;
        o.tls.client_ca = config->admin->tls.client_ca;
        o.certificate_subject = [](ssl_st* ssl) -> std::optional<std::string> {
            const auto peer = net::inspect_peer(ssl);
            if (!peer || !peer->verified || peer->subject.empty()) return std::nullopt;
            return peer->subject;
        };
    }
    http = std::make_unique<admin::server>(std::move(o), admin_dependencies(), events);
}

// All or nothing: what is in force changes only when every file is good.
admin::reload_answer app::impl::reload() {
    const std::lock_guard lock(reloading);
    service_manager::reloading();
    admin::reload_answer answer;
    const auto before = shared.current.get();
    answer.policy_hash = before->rules->hash;
    auto loaded = load_all(config_path);
    for (const auto& w : loaded.warnings)
        answer.warnings.push_back(policy::to_string(w));
    for (const auto& f : loaded.faults)
        answer.faults.push_back(policy::to_string(f));
    session::configuration_ptr made;
    if (answer.faults.empty()) {
        try {
            made = make_configuration(loaded);
            const auto& config = *loaded.config;
            // The last steps that can fail: nothing else has changed yet.
            if (http && config.admin && !config.admin->tls.certificate.empty())
                if (auto why = http->reload_tls(config.admin->tls.certificate,
                                                config.admin->tls.key, config.admin->tls.client_ca);
                    !why.empty())
                    answer.faults.push_back(std::move(why));
            if (answer.faults.empty()) {
                catalogs.set_targets(catalog_targets(config));
                locks.set_targets(catalog_targets(config));
            }
        } catch (const std::exception& e) {
            answer.faults.emplace_back(e.what());
        }
    }
    if (!answer.faults.empty()) {
        for (const auto& f : answer.faults)
            spdlog::error("reload refused: {}", f);
        record("policy.refused", "reason", answer.faults.front());
        tell_reload_refused(*steward, answer.faults);
        say_ready();
        const std::lock_guard note(refused_mutex);
        refused = answer.faults.front();
        return answer;
    }
    {
        const std::lock_guard note(refused_mutex);
        refused.clear();
    }
    limiter->set_caps(caps_of(loaded.config->limits));
    if (http && loaded.config->admin) http->set_access(loaded.config->access);
    shared.current.set(made);
    shared.version.fetch_add(1, std::memory_order_release);
    steward->set_rules(loaded.rules);
    use_channels(loaded.config, *loaded.users, *steward, *courier);
    use_telemetry(loaded.config, *exporter);
    for (const auto& w : workers)
        w->reconsider();
    watch_files(*loaded.config);
    for (auto& note : needs_restart(*started, *loaded.config)) {
        spdlog::warn("reload: {}", note);
        answer.warnings.push_back(std::move(note));
    }
    for (const auto& w : loaded.warnings)
        spdlog::warn("reload: {}", policy::to_string(w));
    answer.done = true;
    answer.policy_hash = loaded.rules->hash;
    record("policy.loaded", "policy", loaded.rules->hash);
    spdlog::info("reloaded: policy {}", loaded.rules->hash.substr(0, 12));
    say_ready();
    return answer;
}

void app::impl::list(std::function<void(std::vector<session_info>)> done) {
    struct gathering {
        std::mutex mutex;
        std::size_t missing;
        std::vector<session_info> all;
        std::function<void(std::vector<session_info>)> done;
    };
    const auto g = std::make_shared<gathering>();
    g->missing = workers.size();
    g->done = std::move(done);
    for (const auto& w : workers)
        w->list([g](std::vector<session_info> some) {
            std::unique_lock lock(g->mutex);
            std::move(some.begin(), some.end(), std::back_inserter(g->all));
            if (--g->missing > 0) return;
            lock.unlock();
            g->done(std::move(g->all));
        });
}

void app::impl::kill(policy::session_id id, std::string by, std::string reason,
                     std::function<void(bool)> done) {
    struct asking {
        std::mutex mutex;
        std::size_t missing;
        bool found = false;
        std::function<void(bool)> done;
    };
    const auto a = std::make_shared<asking>();
    a->missing = workers.size();
    a->done = std::move(done);
    for (const auto& w : workers)
        w->kill(id, by, reason, [a](bool found) {
            std::unique_lock lock(a->mutex);
            a->found = a->found || found;
            if (--a->missing > 0) return;
            lock.unlock();
            a->done(a->found);
        });
}

// Exceptions of the policy end by themselves: whoever reads the log hears of it before that.
void app::impl::warn_daily() {
    daily.expires_after(std::chrono::hours(24));
    daily.async_wait([this](boost::system::error_code ec) {
        if (ec) return;
        for (const auto& w : policy::exceptions_that_end(*shared.current.get()->rules, time.now()))
            spdlog::warn("{}", policy::to_string(w));
        warn_daily();
    });
}

void app::impl::say_ready() const {
    service_manager::ready(ready_text + ", policy " +
                           shared.current.get()->rules->hash.substr(0, 12));
}

// Only when each worker has answered: one that hangs is as good as dead to its clients.
void app::impl::feed_watchdog() {
    const auto interval = service_manager::watchdog_interval();
    if (!interval) return;
    const auto missing = std::make_shared<std::atomic<std::size_t>>(workers.size());
    for (const auto& w : workers)
        w->count([missing](std::size_t) {
            if (--*missing == 0) service_manager::still_alive();
        });
    watchdog.expires_after(*interval);
    watchdog.async_wait([this](boost::system::error_code ec) {
        if (!ec) feed_watchdog();
    });
}

// What the store did not take: a revoked token must not be live again after a restart.
void app::impl::store_revocations() {
    revoking.expires_after(std::chrono::seconds(2));
    revoking.async_wait([this](boost::system::error_code ec) {
        if (ec) return;
        revoked->retry();
        store_revocations();
    });
}

void app::impl::on_stop_signal() {
    stops.async_wait([this](boost::system::error_code ec, int) {
        if (ec) return;
        if (draining) {
            spdlog::warn("stopping at once");
            main_loop.stop();
            return;
        }
        draining = true;
        const auto limit = shared.current.get()->config->drain_timeout;
        spdlog::info("draining for at most {} ms; signal again to stop at once", limit.count());
        service_manager::stopping(limit);
        drain_until = std::chrono::steady_clock::now() + limit;
        if (http) http->set_ready(false);
        for (const auto& w : workers)
            w->drain();
        wait_for_sessions();
        on_stop_signal();
    });
}

void app::impl::wait_for_sessions() {
    const auto left = std::make_shared<std::atomic<std::size_t>>(0);
    const auto answered = std::make_shared<std::atomic<std::size_t>>(0);
    for (const auto& w : workers)
        w->count([left, answered](std::size_t n) {
            *left += n;
            ++*answered;
        });
    drain_timer.expires_after(std::chrono::milliseconds(100));
    drain_timer.async_wait([this, left, answered](boost::system::error_code ec) {
        if (ec) return;
        const bool none = *answered == workers.size() && *left == 0;
        if (none || std::chrono::steady_clock::now() >= drain_until)
            main_loop.stop();
        else
            wait_for_sessions();
    });
}

app::app(loaded_all loaded) : impl_(std::make_unique<impl>(std::move(loaded))) {}
app::~app() = default;

void app::run() {
    impl_->on_stop_signal();
    std::function<void()> on_hangup = [&] {
        impl_->hangups.async_wait([&](boost::system::error_code ec, int) {
            if (ec) return;
            static_cast<void>(impl_->reload());
            on_hangup();
        });
    };
    on_hangup();
    impl_->warn_daily();
    impl_->watch_files(*impl_->started);
    impl_->say_ready();
    impl_->feed_watchdog();
    impl_->store_revocations();
    impl_->main_loop.run();
}

int serve(const std::string& config_path) {
    umask(077);
    std::signal(SIGPIPE, SIG_IGN);
    std::signal(SIGXFSZ,
                SIG_IGN);  // a file-size limit is an error of the write, not of the process
    auto loaded = load_all(config_path);
    for (const auto& w : loaded.warnings)
        std::cerr << "warning: " << policy::to_string(w) << '\n';
    if (!loaded.ok()) {
        for (const auto& f : loaded.faults)
            std::cerr << policy::to_string(f) << '\n';
        return 2;
    }
    set_up_logging(loaded.config->level, loaded.config->format);
    try {
        app running(std::move(loaded));
        running.run();
        spdlog::info("stopped");
        return 0;
    } catch (const std::exception& e) {
        std::cerr << "sallyport: " << e.what() << '\n';
        return 1;
    }
}

}  // namespace sallyport::proxy
