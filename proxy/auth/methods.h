#pragma once

#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>

/// Which proofs of identity are offered, and which are taken.
namespace sallyport::proxy::auth {

/// off: SCRAM-SHA-256-PLUS is neither offered nor chosen (TLS ends in front of us). prefer: where
/// both sides can. require: nothing else.
enum class channel_binding : std::uint8_t { off, prefer, require };

[[nodiscard]] const char* to_string(channel_binding b) noexcept;
[[nodiscard]] bool parse_channel_binding(std::string_view text, channel_binding& out) noexcept;

/// What a server may ask of us, by libpq's names in require_auth. none: it lets us in unasked.
enum class method : std::uint8_t { none, password, md5, scram_sha_256, scram_sha_256_plus };

[[nodiscard]] const char* to_string(method m) noexcept;
[[nodiscard]] bool parse_method(std::string_view text, method& out) noexcept;

/// The methods of one target's require_auth. As with libpq, scram-sha-256 stands for both of its
/// mechanisms; scram-sha-256-plus alone takes the bound one only.
class method_set {
  public:
    method_set() = default;
    method_set(std::initializer_list<method> methods) {
        for (const auto m : methods)
            add(m);
    }
    [[nodiscard]] static method_set all();
    void add(method m) noexcept { bits_ = static_cast<std::uint8_t>(bits_ | bit(m)); }
    [[nodiscard]] bool allows(method m) const noexcept {
        return (bits_ & bit(m)) != 0 ||
               (m == method::scram_sha_256_plus && (bits_ & bit(method::scram_sha_256)) != 0);
    }
    [[nodiscard]] bool empty() const noexcept { return bits_ == 0; }
    /// "scram-sha-256, md5", for messages.
    [[nodiscard]] std::string text() const;

  private:
    [[nodiscard]] static constexpr unsigned bit(method m) noexcept {
        return 1U << static_cast<unsigned>(m);
    }
    std::uint8_t bits_ = 0;
};

}  // namespace sallyport::proxy::auth
