#include "proxy/doctor.h"

#include <algorithm>
#include <ostream>
#include <set>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

#include "proxy/catalog/doctor.h"
#include "proxy/catalog_settings.h"
#include "proxy/config.h"
#include "proxy/telemetry/exporter.h"

namespace sallyport::proxy {

namespace {

catalog::examination examination_of(const loaded_all& loaded, const target_settings& t) {
    catalog::examination e;
    e.catalog_login = t.catalog->login.user;
    if (t.login.as_client) {
        for (const auto& [name, user] : loaded.users->all())
            e.logins.push_back(name);
    } else {
        e.logins.push_back(t.login.user);
    }
    std::set<std::string> guarded;
    for (const auto& r : loaded.rules->rules)
        if (r.effect != policy::effect::allow) guarded.insert(r.on.begin(), r.on.end());
    for (const auto& [name, r] : loaded.rules->resources) {
        if (std::find(r.targets.begin(), r.targets.end(), t.name) == r.targets.end()) continue;
        for (const auto& p : r.relations)
            e.resources.push_back({name, p});
        if (guarded.count(name) == 0) continue;
        for (const auto& p : r.relations)
            e.sensitive.push_back({name, p});
        if (r.relations.empty()) e.sensitive.push_back({name, {"*", "*", {}}});
    }
    return e;
}

struct examined {
    std::string target;
    catalog::finding found;
};

}  // namespace

int run_doctor(const doctor_options& o, std::ostream& out, std::ostream& err) {
    const auto loaded = load_all(o.config);
    for (const auto& f : loaded.faults)
        err << policy::to_string(f) << '\n';
    if (!loaded.ok()) return 2;
    if (!o.target.empty() && loaded.config->targets.count(o.target) == 0) {
        err << "sallyport: target \"" << o.target << "\" is not in " << o.config << '\n';
        return 2;
    }
    bool failed = false;
    std::vector<examined> all;
    const catalog::stop_signal never;
    for (const auto& [name, t] : loaded.config->targets) {
        if (!o.target.empty() && name != o.target) continue;
        if (!t.catalog) {
            err << "sallyport: target " << name
                << " has no catalog: login, so nothing can be examined\n";
            failed = true;
            continue;
        }
        try {
            catalog::connection c(catalog_address(t), never);
            for (auto& f : catalog::examine(c, examination_of(loaded, t)))
                all.push_back({name, std::move(f)});
        } catch (const catalog::failure& e) {
            err << "sallyport: target " << name << " cannot be examined: " << e.what() << '\n';
            failed = true;
        }
    }
    const auto& telemetry = loaded.config->telemetry;
    if (telemetry.enabled && o.target.empty())
        for (auto& fault : telemetry::examine(telemetry.otlp))
            all.push_back({"telemetry",
                           {catalog::risk::low, "collector", std::move(fault),
                            "start the collector, or correct telemetry.otlp"}});
    if (o.json) {
        auto list = nlohmann::ordered_json::array();
        for (const auto& x : all) {
            auto& j = list.emplace_back();
            j["target"] = x.target;
            j["severity"] = catalog::to_string(x.found.how_bad);
            j["check"] = x.found.check;
            j["what"] = x.found.what;
            j["fix"] = x.found.fix;
        }
        out << list.dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace) << '\n';
    } else {
        for (const auto& x : all)
            out << catalog::to_string(x.found.how_bad) << "  " << x.target << "  " << x.found.check
                << ": " << x.found.what << ". To shut it: " << x.found.fix << '\n';
        if (all.empty() && !failed) out << "nothing found\n";
    }
    return failed ? 2 : all.empty() ? 0 : 1;
}

}  // namespace sallyport::proxy
