#include <array>
#include <cstdio>

#include <nlohmann/json.hpp>

#include "proxy/cli/table.h"
#include "proxy/cli/views.h"
#include "proxy/visible.h"

/// Numbers against overuse, as text.
namespace sallyport::proxy::cli {
namespace {

using json = nlohmann::ordered_json;

constexpr std::size_t rows_max = 20;

const json& at(const json& j, const char* key) {
    static const json nothing;
    const auto found = j.is_object() ? j.find(key) : j.end();
    return !j.is_object() || found == j.end() ? nothing : *found;
}

std::string text(const json& j, const char* key) {
    const auto& v = at(j, key);
    if (v.is_string()) return visible(v.get_ref<const std::string&>(), line_breaks::escape);
    return v.is_number() ? v.dump() : std::string();
}

std::string took(const json& row, const char* which) {
    const auto& ms = at(at(row, "decided_in_ms"), which);
    return ms.is_number_integer() ? span(ms.get<long long>()) : std::string();
}

std::string percent(const json& share) {
    if (!share.is_number()) return {};
    std::array<char, 16> out{};
    std::snprintf(out.data(), out.size(), "%.0f %%", share.get<double>() * 100);
    return out.data();
}

std::string rows_of(const json& report, const char* list, const char* key, const char* heading,
                    const screen& s) {
    const auto& rows = at(report, list);
    if (!rows.is_array() || rows.empty()) return {};
    // Narrow enough for the names of rules on a usual terminal.
    table t({heading, "HOLDS", "OK", "DENIED", "LATE", "LEFT", "MEDIAN", "90 %", "OPT-OUTS",
             "GLASS", "USES", "BYPASSED"});
    std::size_t shown = 0;
    for (const auto& r : rows) {
        if (shown++ == rows_max) break;
        t.add({text(r, key), text(r, "holds"), text(r, "approved"), text(r, "denied"),
               text(r, "expired"), text(r, "withdrawn"), took(r, "median"), took(r, "p90"),
               text(r, "opt_outs"), text(r, "break_glass"), text(r, "uses"),
               percent(at(r, "bypass_share"))});
    }
    auto out = "\n" + t.print(s.width);
    if (rows.size() > rows_max)
        out += "… and " + std::to_string(rows.size() - rows_max) + " more; --json has all\n";
    return out;
}

}  // namespace

std::string show_report(const std::string& body, const screen& s) {
    const auto j = json::parse(body, nullptr, false);
    if (!at(j, "rules").is_array()) return "The answer is no report.\n";
    auto out = text(j, "records") + " records";
    if (at(j, "from").is_string()) out += " from " + text(j, "from") + " to " + text(j, "to");
    out += "\n";
    if (at(j, "cut") == true)
        out += "The time was over before the log was: use --audit on the server, or --from.\n";
    if (text(j, "skipped") != "0") out += text(j, "skipped") + " line(s) could not be read\n";
    const auto& findings = at(j, "findings");
    if (findings.is_array() && !findings.empty()) {
        table t({"FINDING", "ABOUT", "WHY, AND WHAT TO DO"});
        for (const auto& f : findings)
            t.add({text(f, "code"), text(f, "about") + " " + text(f, "name"), text(f, "text")});
        out += "\n" + t.print(s.width);
    } else {
        out += "\nNo rule and no person stands out.\n";
    }
    out += rows_of(j, "rules", "rule", "RULE", s);
    out += rows_of(j, "persons", "person", "PERSON", s);
    out += rows_of(j, "teams", "team", "TEAM", s);
    out += rows_of(j, "weeks", "week", "WEEK", s);
    return out +
           "\nOK: approved. LATE: nobody decided in time. LEFT: withdrawn. MEDIAN, 90 %: time to "
           "the\n"
           "decision. BYPASSED: of what the rule had a say on, what passed under an opt-out.\n";
}

}  // namespace sallyport::proxy::cli
