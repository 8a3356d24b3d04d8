#include "policy/facts.h"

namespace sallyport::policy {

namespace {

// In the order of the enum; the spelling of `do:`.
constexpr std::array<std::string_view, kind_count> kind_names{
    "connect",     "read",         "write",           "ddl",
    "grant",       "transaction",  "session-setting", "session-identity",
    "cursor",      "prepared",     "notify",          "lock",
    "explain",     "show",         "maintenance",     "copy-in",
    "copy-out",    "copy-program", "server-file",     "execute-code",
    "replication", "fastpath",     "opaque"};

}  // namespace

std::string_view to_string(kind k) noexcept {
    const auto i = static_cast<std::size_t>(k);
    return i < kind_names.size() ? kind_names[i] : std::string_view("unknown");
}

bool parse_kind(std::string_view text, kind& out) noexcept {
    for (std::size_t i = 0; i < kind_names.size(); ++i) {
        if (kind_names[i] == text) {
            out = static_cast<kind>(i);
            return true;
        }
    }
    return false;
}

void settle_kinds(statement_facts& s) {
    if (s.has(kind::opaque) && s.opaque_reasons.empty()) std::erase(s.kinds, kind::opaque);
    const bool runs = s.has(kind::read) || s.has(kind::write) || s.has(kind::execute_code);
    for (const auto& u : s.relations) {
        const auto k = u.how == access::read ? kind::read : kind::write;
        const bool made = s.has(kind::ddl) && k == kind::write;  // CREATE TABLE … AS
        if (((runs && !made) || u.by_code) && !s.has(k)) s.kinds.push_back(k);
    }
}

}  // namespace sallyport::policy
