#include "proxy/app_notices.h"

#include <utility>

#include <spdlog/spdlog.h>

#include "protocol/backend.h"

namespace sallyport::proxy {

namespace {

void log_of_courier(notify::courier::severity s, const std::string& line) {
    const auto safe = protocol::backend::sanitize_text(line, 500);
    if (s == notify::courier::severity::warning)
        spdlog::warn("{}", safe);
    else
        spdlog::info("{}", safe);
}

audit::record given_up(const store::delivery& d, policy::instant at) {
    audit::record r;
    r.event = "notice.given_up";
    r.at = at;
    r.with("channel", d.channel)
        .with("notice", policy::to_string(d.what.event))
        .with("subject", d.what.subject())
        .with("delivery", d.key)
        .with("attempts", std::to_string(d.attempts))
        .with("error", d.error);
    return r;
}

}  // namespace

std::shared_ptr<const notify::settings> notify_settings(const settings_ptr& config) {
    return {config, &config->notify};
}

std::unique_ptr<notify::courier> make_courier(approval::steward& s, audit::log& audit,
                                              const clock& time) {
    notify::courier::world w;
    w.exchange = [&s](approval::delivery_exchange e,
                      std::function<void(approval::delivery_work)> done) {
        s.exchange(std::move(e), std::move(done));
    };
    w.given_up = [&audit, &time](const store::delivery& d) {
        spdlog::error("a notice was given up: {} of {} for channel {}",
                      policy::to_string(d.what.event), d.what.subject(), d.channel);
        audit.append(given_up(d, time.now()), {});
    };
    w.log = log_of_courier;
    w.time = &time;
    auto c = std::make_unique<notify::courier>(std::move(w));
    s.subscribe_notices([courier = c.get()] { courier->wake(); });
    return c;
}

void use_channels(const settings_ptr& config, const auth::user_directory& users,
                  approval::steward& s, notify::courier& c) {
    std::map<std::string, std::set<std::string>> members;
    for (const auto& [name, u] : users.all())
        for (const auto& group : u.principal.groups)
            members[group].insert(name);
    s.set_keep(config->state_keep);
    s.set_routes(notify::routes_of(notify_settings(config), std::move(members)));
    c.set(notify_settings(config));
}

void tell_reload_refused(approval::steward& s, const std::vector<std::string>& faults) {
    policy::notice n;
    n.event = policy::notice_event::reload_refused;
    n.about = policy::notice_about::policy;
    n.note = faults.empty() ? std::string() : faults.front();
    if (faults.size() > 1) n.note += " (and " + std::to_string(faults.size() - 1) + " more)";
    s.tell(std::move(n));
}

void add_notices(admin::dependencies& d, approval::steward& s, const notify::courier& c) {
    d.deliveries = [&s, &c](std::function<void(admin::delivery_overview)> done) {
        s.list_deliveries([&c, done = std::move(done)](approval::delivery_report report) {
            done({c.statuses(), std::move(report)});
        });
    };
}

std::vector<std::string> notice_notes(const notify::courier& c) {
    std::vector<std::string> notes;
    for (const auto& s : c.statuses())
        if (s.failing()) notes.push_back("notices do not reach channel " + s.name);
    return notes;
}

}  // namespace sallyport::proxy
