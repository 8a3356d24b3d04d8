#pragma once

#include <cassert>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "protocol/errors.h"
#include "protocol/limits.h"

namespace sallyport::protocol {

/// Raw octets, NUL allowed; never owning.
using bytes = std::string_view;

/// The same octets, for buffers that are kept as std::byte.
[[nodiscard]] inline bytes as_bytes(std::span<const std::byte> raw) noexcept {
    return {reinterpret_cast<const char*>(raw.data()), raw.size()};
}

/// Reads a big-endian integer at `p`; the caller has checked that the bytes are there.
[[nodiscard]] inline std::uint32_t load_u32(const char* p) noexcept {
    unsigned char b[4];
    std::memcpy(b, p, sizeof b);
    return std::uint32_t{b[0]} << 24 | std::uint32_t{b[1]} << 16 | std::uint32_t{b[2]} << 8 | b[3];
}
[[nodiscard]] inline std::uint16_t load_u16(const char* p) noexcept {
    unsigned char b[2];
    std::memcpy(b, p, sizeof b);
    return static_cast<std::uint16_t>(b[0] << 8 | b[1]);
}

/// Reads the fields of one message body, in order, never past its end.
/// Shape:  views in results point into the input.
/// Errors: the first failure sticks: later reads return zeros and empty views, so a decoder reads
///         all its fields and asks finish() once. No read is made on the strength of a length that
///         was not compared with what is left.
class reader {
  public:
    explicit reader(bytes input) noexcept : rest_(input) {}

    std::uint8_t u8() noexcept {
        if (!need(1)) return 0;
        const auto v = static_cast<std::uint8_t>(rest_.front());
        rest_.remove_prefix(1);
        return v;
    }
    std::uint16_t u16() noexcept {
        if (!need(2)) return 0;
        const auto v = load_u16(rest_.data());
        rest_.remove_prefix(2);
        return v;
    }
    std::int16_t i16() noexcept { return static_cast<std::int16_t>(u16()); }
    std::uint32_t u32() noexcept {
        if (!need(4)) return 0;
        const auto v = load_u32(rest_.data());
        rest_.remove_prefix(4);
        return v;
    }
    std::int32_t i32() noexcept { return static_cast<std::int32_t>(u32()); }

    /// The text up to the next NUL, which is consumed and not part of the result.
    std::string_view cstring() noexcept {
        if (error_ != errc::ok) return {};
        const auto end = rest_.find('\0');
        if (end == bytes::npos) {
            fail(errc::missing_terminator);
            return {};
        }
        const auto text = rest_.substr(0, end);
        rest_.remove_prefix(end + 1);
        return text;
    }
    bytes take(std::size_t count) noexcept {
        if (!need(count)) return {};
        const auto v = rest_.substr(0, count);
        rest_.remove_prefix(count);
        return v;
    }
    /// Everything that is left.
    bytes take_rest() noexcept { return error_ == errc::ok ? take(rest_.size()) : bytes{}; }

    /// A count of items that take at least `item_bytes_min` each; 0 and a failure if they cannot
    /// fit in what is left, so that nothing is allocated for items that are not there.
    std::size_t count(std::size_t item_bytes_min) noexcept {
        const std::size_t items = u16();
        if (items * item_bytes_min <= rest_.size()) return items;
        fail(errc::truncated);
        return 0;
    }
    /// A value with its 4-byte length in front; -1 is nullopt.
    std::optional<bytes> value() noexcept {
        const auto length = i32();
        if (!ok() || length == -1) return std::nullopt;
        if (length < 0) {
            fail(errc::bad_value);
            return std::nullopt;
        }
        return take(static_cast<std::size_t>(length));
    }
    /// A list of format codes, 0 (text) or 1 (binary), with its count in front.
    std::vector<std::uint16_t> formats() {
        std::vector<std::uint16_t> codes(count(sizeof(std::uint16_t)));
        for (auto& code : codes)
            if ((code = u16()) > 1) fail(errc::bad_format_code);
        return codes;
    }
    /// A list of values with its count in front.
    std::vector<std::optional<bytes>> values() {
        std::vector<std::optional<bytes>> list(count(sizeof(std::uint32_t)));
        for (auto& v : list)
            v = value();
        return list;
    }
    /// A list of oids with its count in front.
    std::vector<std::uint32_t> oids() {
        std::vector<std::uint32_t> list(count(sizeof(std::uint32_t)));
        for (auto& oid : list)
            oid = u32();
        return list;
    }

    void fail(errc e) noexcept {
        if (error_ == errc::ok) error_ = e;
    }
    [[nodiscard]] bool ok() const noexcept { return error_ == errc::ok; }
    [[nodiscard]] errc error() const noexcept { return error_; }
    [[nodiscard]] std::size_t remaining() const noexcept { return rest_.size(); }
    /// The verdict on the whole body: the first failure, or trailing_bytes, or ok.
    [[nodiscard]] errc finish() noexcept {
        if (!rest_.empty()) fail(errc::trailing_bytes);
        return error_;
    }

  private:
    bool need(std::size_t count) noexcept {
        if (error_ != errc::ok) return false;
        if (count <= rest_.size()) return true;
        fail(errc::truncated);
        return false;
    }

    bytes rest_;
    errc error_ = errc::ok;
};

/// Appends the fields of messages to a string that the caller owns (and reuses).
/// Shape: begin_message and end_message pair up; frames and length-prefixed packets do not nest.
class writer {
  public:
    explicit writer(std::string& out) noexcept : out_(out) {}

    void u8(std::uint8_t v) { out_.push_back(static_cast<char>(v)); }
    void u16(std::uint16_t v) {
        const char b[2] = {static_cast<char>(v >> 8), static_cast<char>(v)};
        out_.append(b, sizeof b);
    }
    void i16(std::int16_t v) { u16(static_cast<std::uint16_t>(v)); }
    void u32(std::uint32_t v) {
        const char b[4] = {static_cast<char>(v >> 24), static_cast<char>(v >> 16),
                           static_cast<char>(v >> 8), static_cast<char>(v)};
        out_.append(b, sizeof b);
    }
    void i32(std::int32_t v) { u32(static_cast<std::uint32_t>(v)); }
    /// A text and its NUL.
    /// INVARIANT: `text` holds no NUL. If it does, it is cut there: what follows would be read as
    /// other fields.
    void cstring(std::string_view text) {
        assert(text.find('\0') == std::string_view::npos);
        out_.append(text.substr(0, text.find('\0')));
        out_.push_back('\0');
    }
    /// A count of list items.
    /// Errors: std::length_error above 65535; the count would wrap and the items be read as others.
    void count(std::size_t items) {
        if (items > std::numeric_limits<std::uint16_t>::max())
            throw std::length_error("a protocol message cannot hold more than 65535 items");
        u16(static_cast<std::uint16_t>(items));
    }
    /// A value with its 4-byte length in front; nullopt is the length -1.
    void value(const std::optional<bytes>& v) {
        if (!v) return i32(-1);
        u32(static_cast<std::uint32_t>(v->size()));
        raw(*v);
    }
    void formats(std::span<const std::uint16_t> codes) {
        count(codes.size());
        for (const auto code : codes)
            u16(code);
    }
    void values(std::span<const std::optional<bytes>> list) {
        count(list.size());
        for (const auto& v : list)
            value(v);
    }
    void oids(std::span<const std::uint32_t> list) {
        count(list.size());
        for (const auto oid : list)
            u32(oid);
    }
    void raw(bytes v) { out_.append(v); }

    /// Starts a tagged frame; its length is patched by end_message().
    void begin_message(char tag) {
        const auto start = out_.size();
        out_.push_back(tag);
        begin_packet();
        start_at_ = start;
    }
    /// Starts a packet without a tag (startup packets).
    void begin_packet() {
        start_at_ = length_at_ = out_.size();
        u32(0);
    }
    /// Patches the length that begin_message or begin_packet left open.
    /// Errors: std::length_error above 1 GiB - 2, and the message is taken back: a length that
    /// wraps
    ///         would turn data into messages (CVE-2024-27304).
    void end_message() {
        const auto length = out_.size() - length_at_;
        if (length > limits::large_message_bytes_max) {
            out_.resize(start_at_);
            throw std::length_error("a protocol message cannot be larger than 1 GiB");
        }
        for (unsigned i = 0; i < 4; ++i)
            out_[length_at_ + i] = static_cast<char>(length >> (24 - 8 * i));
    }

  private:
    std::string& out_;
    std::size_t start_at_ = 0;
    std::size_t length_at_ = 0;
};

}  // namespace sallyport::protocol
