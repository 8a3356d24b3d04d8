#pragma once

#include <cstdint>
#include <string>
#include <string_view>

/// Bytes written by hand, for tests that must not trust the encoder under test.
namespace sallyport::protocol::testing {

using std::string_literals::operator""s;
using std::string_view_literals::operator""sv;

inline std::string be16(std::uint16_t v) {
    return {static_cast<char>(v >> 8), static_cast<char>(v)};
}
inline std::string be32(std::uint32_t v) {
    return be16(static_cast<std::uint16_t>(v >> 16)) + be16(static_cast<std::uint16_t>(v));
}
/// A tagged frame around a body.
inline std::string framed(char tag, std::string_view body) {
    return tag + be32(static_cast<std::uint32_t>(body.size() + 4)) + std::string(body);
}
/// A packet without a tag around what follows its length.
inline std::string packet(std::string_view rest) {
    return be32(static_cast<std::uint32_t>(rest.size() + 4)) + std::string(rest);
}
/// What encode() of a message appends.
template <class Message>
std::string encoded(const Message& m) {
    std::string out;
    m.encode(out);
    return out;
}

}  // namespace sallyport::protocol::testing
