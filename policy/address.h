#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string_view>

/// Client addresses and the networks that rules name. Text in, values out; nothing is resolved.
namespace sallyport::policy {

/// An IPv4 or IPv6 address. IPv4-mapped IPv6 (::ffff:10.0.0.1) is stored as the IPv4 address it is,
/// so that a dual-stack listener does not let a client slip past a rule on 10.0.0.0/8.
struct address {
    std::array<std::uint8_t, 16> bytes{};  ///< network order; IPv4 uses the first four
    bool v6 = false;
    friend bool operator==(const address&, const address&) = default;
};

/// Parses "192.0.2.1" or "2001:db8::1"; a zone ("%eth0") is cut off. nullopt if malformed.
[[nodiscard]] std::optional<address> parse_address(std::string_view text) noexcept;

struct network {
    address base;
    int prefix = 0;  ///< bits, 0-32 or 0-128

    [[nodiscard]] bool contains(const address& a) const noexcept;
    friend bool operator==(const network&, const network&) = default;
};

/// Parses "10.0.0.0/8" or a single address. nullopt if malformed or if bits behind the prefix are
/// set, since "10.1.2.3/8" is more often a slip than a wish.
[[nodiscard]] std::optional<network> parse_network(std::string_view text) noexcept;

}  // namespace sallyport::policy
