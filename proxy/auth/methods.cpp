#include "proxy/auth/methods.h"

#include <array>
#include <utility>

namespace sallyport::proxy::auth {
namespace {

constexpr std::array<std::pair<channel_binding, const char*>, 3> bindings{{
    {channel_binding::off, "off"},
    {channel_binding::prefer, "prefer"},
    {channel_binding::require, "require"},
}};
constexpr std::array<std::pair<method, const char*>, 5> methods{{
    {method::scram_sha_256_plus, "scram-sha-256-plus"},
    {method::scram_sha_256, "scram-sha-256"},
    {method::md5, "md5"},
    {method::password, "password"},
    {method::none, "none"},
}};

}  // namespace

const char* to_string(channel_binding b) noexcept {
    for (const auto& [value, name] : bindings)
        if (value == b) return name;
    return "?";
}

bool parse_channel_binding(std::string_view text, channel_binding& out) noexcept {
    for (const auto& [value, name] : bindings)
        if (text == name) {
            out = value;
            return true;
        }
    return false;
}

const char* to_string(method m) noexcept {
    for (const auto& [value, name] : methods)
        if (value == m) return name;
    return "?";
}

bool parse_method(std::string_view text, method& out) noexcept {
    for (const auto& [value, name] : methods)
        if (text == name) {
            out = value;
            return true;
        }
    return false;
}

method_set method_set::all() {
    method_set out;
    for (const auto& [value, name] : methods)
        out.add(value);
    return out;
}

std::string method_set::text() const {
    std::string out;
    for (const auto& [value, name] : methods) {
        if ((bits_ & bit(value)) == 0) continue;
        if (!out.empty()) out += ", ";
        out += name;
    }
    return out;
}

}  // namespace sallyport::proxy::auth
