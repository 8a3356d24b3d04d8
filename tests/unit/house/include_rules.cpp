#include <algorithm>
#include <optional>
#include <regex>

#include "tests/unit/house/sources.h"

namespace sallyport::tests::house {
namespace {

/// One group of sources and what it may include of the project: folders end in '/', the rest are
/// files.
struct group {
    std::string folder;
    std::vector<std::string> may_include;
};

/// The table of the house, most special folder first. What is not listed may not be included.
const std::vector<group>& groups() {
    static const std::vector<group> table{
        {"protocol/", {"protocol/"}},
        {"policy/", {"policy/", "protocol/sqlstate.h", "protocol/limits.h"}},
        {"proxy/audit/", {"policy/", "proxy/audit/"}},
        {"proxy/store/", {"policy/", "proxy/store/"}},
        {"proxy/catalog/",
         {"policy/", "proxy/catalog/", "proxy/net/tls_options.h", "proxy/auth/methods.h"}},
        {"proxy/approval/", {"policy/", "proxy/approval/", "proxy/audit/", "proxy/store/"}},
        {"proxy/notify/",
         {"policy/", "proxy/notify/", "proxy/store/outbox.h", "proxy/approval/delivery.h"}},
        {"proxy/telemetry/",
         {"policy/", "proxy/telemetry/", "proxy/audit/record.h", "proxy/notify/send.h",
          "proxy/notify/attempts.h"}},
        {"proxy/net/", {"protocol/", "policy/", "proxy/net/"}},
        {"proxy/auth/", {"protocol/", "policy/", "proxy/auth/"}},
        {"proxy/session/",
         {"protocol/", "policy/", "proxy/session/", "proxy/net/", "proxy/auth/", "proxy/approval/",
          "proxy/audit/", "proxy/catalog/", "proxy/telemetry/statement.h",
          "proxy/telemetry/trace_context.h"}},
        {"proxy/admin/",
         {"policy/", "proxy/admin/", "proxy/approval/", "proxy/audit/", "proxy/auth/",
          "proxy/store/", "proxy/page/", "proxy/notify/settings.h", "proxy/notify/status.h",
          "proxy/notify/sign.h"}},
        {"proxy/page/", {"proxy/page/"}},
        {"proxy/cli/", {"proxy/cli/"}},
        {"proxy/", {"protocol/", "policy/", "proxy/"}},
    };
    return table;
}

/// Headers of proxy/ itself that are values and seams, open to every group of proxy/.
const std::vector<std::string>& neutral_headers() {
    static const std::vector<std::string> headers{
        "proxy/clock.h",           "proxy/locks.h",
        "proxy/console.h",         "proxy/config.h",
        "proxy/secret.h",          "proxy/file.h",
        "proxy/visible.h",         "proxy/big_stack.h",
        "proxy/rule_uses.h",       "proxy/numbers.h",
        "proxy/upstream_health.h", "proxy/access_settings.h",
        "proxy/log_ids.h",         "proxy/telemetry/settings.h",
        "proxy/descriptor.h"};
    return headers;
}

/// Third-party headers by prefix, and where alone they may stand.
struct restriction {
    std::string header;                ///< prefix of what stands between < and >
    std::vector<std::string> only_in;  ///< path prefixes
    std::string instead;
};

const std::vector<restriction>& restrictions() {
    static const std::vector<restriction> table{
        {"pg_query", {"policy/sql/"}, "ask policy::sql for facts"},
        {"protobuf-c", {"policy/sql/"}, "ask policy::sql for facts"},
        {"yaml-cpp",
         {"policy/yaml_reader", "policy/load", "proxy/auth/", "proxy/config"},
         "read YAML through policy/yaml_reader.h"},
        {"sqlite3", {"proxy/store/"}, "go through proxy/store/store.h"},
        {"pqxx", {"proxy/store/", "proxy/catalog/"}, "go through the store or the catalog"},
        {"libpq-fe", {"proxy/catalog/"}, "go through proxy/catalog/connection.h"},
        {"spdlog",
         {"proxy/session/", "proxy/admin/", "proxy/net/", "proxy/auth/", "proxy/approval/",
          "proxy/main", "proxy/app", "proxy/serve", "proxy/log"},
         "return the fault to the caller, who logs it"},
    };
    return table;
}

bool starts_with_any(const std::string& text, const std::vector<std::string>& prefixes) {
    return std::any_of(prefixes.begin(), prefixes.end(), [&](const auto& p) {
        return p.back() == '/' ? text.rfind(p, 0) == 0 : text == p;
    });
}

std::string joined(const std::vector<std::string>& parts) {
    std::string text;
    for (const auto& p : parts)
        text += (text.empty() ? "" : ", ") + p;
    return text;
}

std::string own_include_fault(const std::string& path, const std::string& header) {
    const auto& table = groups();
    const auto it = std::find_if(table.begin(), table.end(),
                                 [&](const auto& g) { return path.rfind(g.folder, 0) == 0; });
    if (it == table.end() || starts_with_any(header, it->may_include)) return "";
    const bool in_proxy = path.rfind("proxy/", 0) == 0;
    if (in_proxy && starts_with_any(header, neutral_headers())) return "";
    return it->folder + " may not include \"" + header + "\"; it may include " +
           joined(it->may_include) + (in_proxy ? ", " + joined(neutral_headers()) : "") +
           " (absolute paths only). Turn the arrow round: pass a value, a callback or an "
           "interface.";
}

/// protocol/ and policy/ are pure: the standard library and Boost.System only.
std::string pure_include_fault(const std::string& path, const std::string& header) {
    const bool pure = path.rfind("protocol/", 0) == 0 || path.rfind("policy/", 0) == 0;
    const bool standard = header.find_first_of("./") == std::string::npos;
    if (!pure || standard || header.rfind("boost/system/", 0) == 0) return "";
    for (const auto& r : restrictions()) {
        if (header.rfind(r.header, 0) == 0) return "";  // judged by its restriction
    }
    return "<" + header +
           "> in pure code: only the standard library and Boost.System may stand here. "
           "Move what needs it to proxy/, and pass its result in.";
}

/// The state machines inside proxy/ that do no I/O, and therefore can be tested without any.
std::string state_machine_fault(const std::string& path, const std::string& header) {
    static const std::regex pure_file(
        R"(proxy/(session/(gate|permit)[a-z_]*|audit/(record|chain|verify))\.(h|cpp))");
    static const std::regex io_header(
        "boost/(asio|beast).*|sqlite3.*|spdlog.*|proxy/(net|admin)/.*");
    if (!std::regex_match(path, pure_file) || !std::regex_match(header, io_header)) return "";
    return "a state machine without I/O includes " + header +
           ": return an action and let the runner do it.";
}

std::string restricted_include_fault(const std::string& path, const std::string& header) {
    for (const auto& r : restrictions()) {
        if (header.rfind(r.header, 0) != 0) continue;
        const bool allowed = std::any_of(r.only_in.begin(), r.only_in.end(),
                                         [&](const auto& p) { return path.rfind(p, 0) == 0; });
        if (!allowed)
            return "<" + header + "> may stand in " + joined(r.only_in) + " only: " + r.instead +
                   ".";
    }
    return "";
}

}  // namespace

std::vector<std::string> include_faults(const source_file& file) {
    static const std::regex include(R"(^\s*#\s*include\s*([<"])([^>"]+)[>"])");
    std::vector<std::string> faults;
    for (std::size_t i = 0; i < file.lines.size(); ++i) {
        std::smatch match;
        if (!std::regex_search(file.lines[i], match, include)) continue;
        const std::string header = match[2];
        const bool own = match[1] == "\"";
        std::vector<std::string> found{state_machine_fault(file.path, header)};
        if (own) {
            found.push_back(own_include_fault(file.path, header));
        } else {
            found.push_back(pure_include_fault(file.path, header));
            found.push_back(restricted_include_fault(file.path, header));
        }
        for (const auto& f : found) {
            if (!f.empty()) faults.push_back(file.path + ":" + std::to_string(i + 1) + ": " + f);
        }
    }
    return faults;
}

}  // namespace sallyport::tests::house
