#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string_view>

/// What the fuzz targets share. A target is LLVMFuzzerTestOneInput(); it aborts when a property
/// does not hold, and the fuzzer keeps the input.
namespace sallyport::fuzz {

/// Ends the run, and says which property, unless it holds.
inline void require(bool holds, const char* property) {
    if (holds) return;
    std::fprintf(stderr, "property broken: %s\n", property);
    std::abort();
}

inline std::string_view as_text(const std::uint8_t* data, std::size_t size) {
    return {reinterpret_cast<const char*>(data), size};
}

/// A trace line must be one line of printable ASCII.
inline void require_printable(std::string_view line) {
    for (const char c : line)
        require(c >= 0x20 && c < 0x7f, "a trace line is printable");
}

}  // namespace sallyport::fuzz
