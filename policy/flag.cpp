#include "policy/flag.h"

#include <array>

#include "policy/decide.h"
#include "policy/loader.h"
#include "policy/yaml_reader.h"

namespace sallyport::policy {

namespace {

// In the order of the enums.
constexpr std::array<const char*, 2> kind_names{"flag", "lock"};
constexpr std::array<const char*, 5> on_names{"principal", "application", "address", "target",
                                              "rule"};

template <std::size_t N, class E>
bool parse_name(const std::array<const char*, N>& names, std::string_view text, E& out) noexcept {
    for (std::size_t i = 0; i < N; ++i)
        if (text == names[i]) {
            out = static_cast<E>(i);
            return true;
        }
    return false;
}

}  // namespace

const char* to_string(flag_kind k) noexcept {
    const auto i = static_cast<std::size_t>(k);
    return i < kind_names.size() ? kind_names[i] : "unknown";
}
const char* to_string(flag_on o) noexcept {
    const auto i = static_cast<std::size_t>(o);
    return i < on_names.size() ? on_names[i] : "unknown";
}
bool parse_flag_kind(std::string_view text, flag_kind& out) noexcept {
    return parse_name(kind_names, text, out);
}
bool parse_flag_on(std::string_view text, flag_on& out) noexcept {
    return parse_name(on_names, text, out);
}

bool flag::means(const policy::subject& s) const noexcept {
    switch (on) {
        case flag_on::principal:
            return subject == s.principal.name;
        case flag_on::application:
            return subject == s.application;
        case flag_on::address:
            // An address that cannot be read may be any.
            if (const auto a = parse_address(s.address); a && range) return range->contains(*a);
            return true;
        case flag_on::target:
            return subject == s.target;
        case flag_on::rule:
            return false;
    }
    return false;
}

std::string check_flag(const flag_request& r, std::optional<network>& range) {
    const std::string name = to_string(r.kind);
    if (r.subject.empty() || r.subject.size() > 256)
        return "a " + name + " needs a subject of 1 to 256 bytes";
    if (r.kind == flag_kind::flag && r.on == flag_on::rule)
        return "a rule can be locked, not flagged";
    if (is_blank(r.reason)) return "a " + name + " needs a reason; say in a sentence why";
    if (r.reason.size() > reason_bytes_max)
        return "the reason must have at most " + std::to_string(reason_bytes_max) + " bytes";
    if (r.lasts <= milliseconds(0))
        return "a " + name + " needs an end; give a duration such as 8h";
    if (r.lasts > flag_max)
        return format_duration(r.lasts) + " is too long; a " + name + " lasts " +
               format_duration(flag_max) + " at most";
    if (r.on != flag_on::address) return {};
    range = parse_network(r.subject);
    if (range) return {};
    return quoted(r.subject) + " is no address; write 10.0.0.0/8, 192.0.2.7 or 2001:db8::/32";
}

std::string check_lift(const flag& f, const principal& who) {
    if (who.name.empty()) return "lifting needs a person";
    if (f.on == flag_on::principal && f.subject == who.name)
        return "nobody may lift what she is under herself";
    return {};
}

}  // namespace sallyport::policy
