#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

/// SHA-256 for names of things (statement shapes, policy files). Not for secrets: nothing is wiped
/// and nothing is constant-time; policy stays free of OpenSSL.
namespace sallyport::policy {

/// An incremental SHA-256.
/// Shape: update() any number of times, then finish() once; the object is used up then.
/// Source: FIPS 180-4, section 6.2.
class sha256 {
  public:
    using digest = std::array<std::uint8_t, 32>;

    void update(std::string_view bytes) noexcept;
    [[nodiscard]] digest finish() noexcept;

  private:
    void compress(const std::uint8_t* block) noexcept;

    std::array<std::uint32_t, 8> state_{0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
                                        0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};
    std::array<std::uint8_t, 64> block_{};
    std::size_t filled_ = 0;
    std::uint64_t bytes_ = 0;
};

/// The SHA-256 of `bytes` as 64 lower-case hexadecimal digits.
[[nodiscard]] std::string sha256_hex(std::string_view bytes);
/// Any digest as lower-case hexadecimal digits.
[[nodiscard]] std::string to_hex(const sha256::digest& d);

}  // namespace sallyport::policy
