#pragma once

#include <span>
#include <string_view>

/// The web page as the build bundled it (build.mjs): bytes in the binary.
namespace sallyport::proxy::page {

struct asset {
    std::string_view path;  ///< "/" is the page; the rest "/assets/NAME-HASH.EXTENSION"
    std::string_view type;  ///< for Content-Type
    std::string_view etag;  ///< quoted
    std::span<const unsigned char> plain;
    std::span<const unsigned char> gzip;
};

/// The page first.
[[nodiscard]] std::span<const asset> assets() noexcept;

}  // namespace sallyport::proxy::page
