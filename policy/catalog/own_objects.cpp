#include <algorithm>
#include <array>
#include <string>

#include "policy/catalog/graph.h"
#include "policy/catalog/resolve.h"

/// What a session knows of its own names.
namespace sallyport::policy::catalog {

namespace {

constexpr std::size_t own_objects_max = 10'000;

}  // namespace

void own_objects::note(const statement_facts& s) {
    if (!s.has(kind::ddl)) return;
    const auto keep = [&](const std::string& name) {
        lost_ = lost_ || ++kept_ > own_objects_max;
        if (!lost_) by_name_[name].push_back(s);
    };
    // Whoever deletes what a new foreign key refers to sets off what hangs on the other table.
    for (const auto& u : s.relations)
        if (u.how == access::write || u.place.ends_with("references")) keep(u.name);
    for (const auto& name : s.new_names)
        keep(name);
    schemas_moved_ = schemas_moved_ || s.command == "alter schema";
    const bool routine = s.command.find("function") != std::string::npos ||
                         s.command.find("procedure") != std::string::npos;
    if (routine)
        for (const auto& x : s.functions)
            keep(x.name);
    if (s.command == "alter domain" || s.command == "alter type")
        for (const auto& x : s.types)
            keep(x.name);
    static constexpr std::array unnamed{
        std::string_view{"create cast"}, std::string_view{"create event trigger"},
        std::string_view{"create operator class"}, std::string_view{"create operator family"}};
    if (std::ranges::find(unnamed, s.command) != unnamed.end()) keep(std::string{anywhere});
}

const std::vector<statement_facts>* own_objects::find(std::string_view name) const {
    if (by_name_.empty()) return nullptr;
    const auto at = by_name_.find(std::string{name});
    return at == by_name_.end() ? nullptr : &at->second;
}

bool changes_path(const facts& resolved) noexcept {
    return std::ranges::any_of(resolved.statements, [](const statement_facts& s) {
        const bool sets = std::ranges::any_of(s.settings, [](const setting_change& c) {
            return c.name.empty() || c.name == "all" || c.name == "search_path" ||
                   c.name == "role" || c.name == "session_authorization";
        });
        return sets || s.has(kind::opaque) || s.has(kind::ddl) || s.has(kind::grant);
    });
}

}  // namespace sallyport::policy::catalog
