#include "policy/touches.h"

#include <algorithm>

namespace sallyport::policy {
namespace {

std::string shown_columns(const relation_use& u) {
    constexpr std::size_t shown_max = 64;
    std::string out;
    for (std::size_t i = 0; i < std::min(u.columns.size(), shown_max); ++i)
        out += (i == 0 ? "(" : ", ") + u.columns[i];
    if (u.columns.size() > shown_max)
        out += " and " + std::to_string(u.columns.size() - shown_max) + " more";
    return out.empty() ? out : out + ")";
}

}  // namespace

std::vector<std::string> touches_of(const facts& f) {
    std::vector<std::string> out;
    for (const auto& s : f.statements) {
        for (const auto& u : s.relations)
            out.push_back(std::string(u.how == access::write ? "write " : "read ") +
                          (u.schema.empty() ? u.name : u.schema + "." + u.name) + shown_columns(u) +
                          " (" + u.place + ")");
        for (const auto& why : s.opaque_reasons)
            out.push_back("opaque: " + why);
    }
    return out;
}

}  // namespace sallyport::policy
