#include "proxy/app_parts.h"

#include <algorithm>

#include <spdlog/spdlog.h>

#include "proxy/catalog/names_file.h"
#include "proxy/catalog_settings.h"

namespace sallyport::proxy {

session::configuration_ptr make_configuration(const loaded_all& loaded) {
    auto made = std::make_shared<session::configuration>();
    made->config = loaded.config;
    made->users = loaded.users;
    made->rules = loaded.rules;
    if (loaded.config->postgres.tls.mode != net::server_tls_mode::disable)
        made->server_tls = net::server_tls::load(loaded.config->postgres.tls);
    for (const auto& [name, t] : loaded.config->targets) {
        if (t.tls.mode != net::client_tls_mode::disable)
            made->client_tls[name] = net::client_tls::load(t.tls);
        // A key cache belongs to one password: a new configuration begins with a new one.
        made->keys[name] = std::make_shared<auth::scram_key_cache>();
    }
    return made;
}

std::optional<policy::principal> who_now(const session::configuration& c,
                                         const policy::principal& then, policy::instant now) {
    const auto* found = c.users->find(then.name);
    if (found != nullptr && !found->valid_at(now)) return std::nullopt;
    const auto& jwt = c.config->access.jwt;
    if (found == nullptr && !(jwt && jwt->any_user)) return std::nullopt;
    auto who = found != nullptr ? found->principal : policy::principal{then.name, {}, false};
    if (!jwt) return who;
    for (const auto& g : then.groups)
        if (!who.in_group(g) && std::any_of(jwt->groups.begin(), jwt->groups.end(),
                                            [&](const auto& mapped) { return mapped.second == g; }))
            who.groups.push_back(g);
    return who;
}

std::vector<std::string> needs_restart(const settings& now, const settings& then) {
    std::vector<std::string> out;
    const auto note = [&out](bool same, const char* what) {
        if (!same)
            out.push_back(std::string("a change of ") + what + " takes effect with a restart");
    };
    const auto same_place = [](const listen_settings& a, const listen_settings& b) {
        return a.address == b.address && a.port == b.port;
    };
    const auto encrypts = [](const listen_settings& l) {
        return l.tls.mode != net::server_tls_mode::disable;
    };
    const auto same_role = [](const role_settings& a, const role_settings& b) {
        return a.groups == b.groups && a.users == b.users;
    };
    note(same_place(now.postgres, then.postgres), "listen.postgres' address or port");
    note(now.admin.has_value() == then.admin.has_value() &&
             (!now.admin || (same_place(*now.admin, *then.admin) &&
                             encrypts(*now.admin) == encrypts(*then.admin))),
         "listen.admin's address or port, or whether it has tls,");
    note(now.state_sqlite == then.state_sqlite, "state");
    note(now.audit_directory == then.audit_directory &&
             now.audit_signing_key == then.audit_signing_key &&
             now.audit_verify_interval == then.audit_verify_interval,
         "audit");
    note(now.workers == then.workers, "workers");
    note(same_role(now.admins, then.admins) && same_role(now.auditors, then.auditors) &&
             same_role(now.monitors, then.monitors),
         "roles");
    note(now.level == then.level && now.format == then.format && now.log_audit == then.log_audit,
         "log");
    return out;
}

std::vector<catalog::target> catalog_targets(const settings& s) {
    std::vector<catalog::target> out;
    for (const auto& [name, t] : s.targets) {
        if (!t.catalog) continue;
        auto& c = out.emplace_back();
        c.name = name;
        c.interval = t.catalog->interval;
        c.where = catalog_address(t);
        if (!s.state_sqlite.empty()) c.names_file = catalog::names_file(s.state_sqlite, name);
    }
    return out;
}

void log_of_catalog(catalog::severity s, const std::string& line) {
    switch (s) {
        case catalog::severity::debug:
            return spdlog::debug("{}", line);
        case catalog::severity::info:
            return spdlog::info("{}", line);
        case catalog::severity::warning:
            return spdlog::warn("{}", line);
    }
}

std::vector<std::string> catalog_notes(const catalog::service& catalogs) {
    std::vector<std::string> out;
    for (const auto& s : catalogs.statuses()) {
        if (!s.has_snapshot)
            out.push_back("target " + s.target + " is running without its map");
        else if (s.down)
            out.push_back("target " + s.target + " is running with a map that cannot be checked");
    }
    return out;
}

}  // namespace sallyport::proxy
