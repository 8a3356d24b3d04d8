#include "proxy/net/tls_options.h"

#include <array>
#include <utility>

namespace sallyport::proxy::net {
namespace {

constexpr std::array<std::pair<server_tls_mode, const char*>, 4> server_modes{{
    {server_tls_mode::disable, "disable"},
    {server_tls_mode::prefer, "prefer"},
    {server_tls_mode::require, "require"},
    {server_tls_mode::mutual, "mutual"},
}};
constexpr std::array<std::pair<client_tls_mode, const char*>, 5> client_modes{{
    {client_tls_mode::disable, "disable"},
    {client_tls_mode::prefer, "prefer"},
    {client_tls_mode::require, "require"},
    {client_tls_mode::verify_ca, "verify-ca"},
    {client_tls_mode::verify_full, "verify-full"},
}};

template <class Table, class Mode>
const char* name_of(const Table& table, Mode m) noexcept {
    for (const auto& [mode, name] : table)
        if (mode == m) return name;
    return "?";
}

template <class Table, class Mode>
bool parse(const Table& table, std::string_view text, Mode& out) noexcept {
    for (const auto& [mode, name] : table)
        if (text == name) {
            out = mode;
            return true;
        }
    return false;
}

}  // namespace

const char* to_string(server_tls_mode m) noexcept {
    return name_of(server_modes, m);
}
const char* to_string(client_tls_mode m) noexcept {
    return name_of(client_modes, m);
}
bool parse_server_tls_mode(std::string_view text, server_tls_mode& out) noexcept {
    return parse(server_modes, text, out);
}
bool parse_client_tls_mode(std::string_view text, client_tls_mode& out) noexcept {
    return parse(client_modes, text, out);
}

}  // namespace sallyport::proxy::net
