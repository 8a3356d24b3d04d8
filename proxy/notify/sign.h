#pragma once

#include <cstdint>
#include <string>
#include <string_view>

/// Signatures of what is sent. Pure.
namespace sallyport::proxy::notify {

/// HMAC-SHA256, lower-case hex.
[[nodiscard]] std::string hmac_sha256_hex(std::string_view key, std::string_view text);

/// The value of `Sallyport-Signature`: "t=UNIX,v1=HEX", HEX being the HMAC-SHA256 over "UNIX.BODY".
/// A receiver computes it again, compares in constant time, and refuses what is older than minutes.
[[nodiscard]] std::string signature(std::string_view key, std::int64_t unix_seconds,
                                    std::string_view body);

}  // namespace sallyport::proxy::notify
