#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "protocol/cursor.h"
#include "protocol/errors.h"
#include "protocol/limits.h"

namespace sallyport::protocol {

/// Bytes of a tagged frame before its body.
inline constexpr std::size_t frame_header_bytes = 5;

/// The tag and length of one message; the body need not be there yet.
struct frame_header {
    char tag = '\0';
    std::uint32_t length_field = 0;  ///< counts itself, not the tag: 4 or more

    [[nodiscard]] constexpr std::size_t body_bytes() const noexcept {
        return std::size_t{length_field} - 4;
    }
    [[nodiscard]] constexpr std::size_t frame_bytes() const noexcept {
        return std::size_t{length_field} + 1;
    }
    friend constexpr bool operator==(frame_header, frame_header) = default;
};

/// A set of message tags; membership is one look-up.
class tag_set {
  public:
    constexpr tag_set() noexcept = default;
    constexpr explicit tag_set(std::string_view tags) noexcept {
        for (const char c : tags)
            member_[static_cast<unsigned char>(c)] = true;
    }
    [[nodiscard]] constexpr bool contains(char tag) const noexcept {
        return member_[static_cast<unsigned char>(tag)];
    }

  private:
    std::array<bool, 256> member_{};
};

/// The largest length field accepted for each tag of one direction; 0 for a tag it does not have.
struct frame_limits {
    std::array<std::uint32_t, 256> length_field_max{};

    constexpr void set(std::string_view tags, std::uint32_t cap) noexcept {
        for (const char c : tags)
            length_field_max[static_cast<unsigned char>(c)] = cap;
    }
    [[nodiscard]] constexpr std::uint32_t of(char tag) const noexcept {
        return length_field_max[static_cast<unsigned char>(tag)];
    }
};

/// Caps for what a client sends; the server's own, so that no message is accepted here and fatal
/// there. Units: `large_bytes_max` is for the length field of Q P B F d (limits.message_bytes of
/// the
///        configuration); never above limits::large_message_bytes_max.
/// `p` is in the table for the login; after it the session refuses `p` by its own state.
[[nodiscard]] constexpr frame_limits make_frontend_limits(
    std::uint32_t large_bytes_max = limits::large_message_bytes_max) noexcept {
    frame_limits l;
    l.set("CDEHSXcf", limits::small_message_bytes_max);
    l.set("QPBFd", std::min(large_bytes_max, limits::large_message_bytes_max));
    l.set("p", limits::auth_message_bytes_max);
    return l;
}

/// Caps for what an upstream sends. A hostile upstream is expected too.
[[nodiscard]] constexpr frame_limits make_backend_limits(
    std::uint32_t large_bytes_max = limits::large_message_bytes_max) noexcept {
    frame_limits l;
    l.set("123CGHIKRSWZcnsv", limits::backend_small_message_bytes_max);
    // A server describes more parameters than a Bind can give: it counts them in 16 bits, and sends
    // them all.
    l.set("TtDdVENA", std::min(large_bytes_max, limits::large_message_bytes_max));
    return l;
}

inline constexpr frame_limits frontend_limits = make_frontend_limits();
inline constexpr frame_limits backend_limits = make_backend_limits();

/// Says whether a client may send this tag at all: Q P B E D C S H F d c f X p.
[[nodiscard]] constexpr bool is_frontend_tag(char tag) noexcept {
    return frontend_limits.of(tag) != 0;
}
[[nodiscard]] constexpr bool is_backend_tag(char tag) noexcept {
    return backend_limits.of(tag) != 0;
}

/// The outcome of looking at the front of a buffer: `header` counts only if `error` is ok.
struct header_scan {
    errc error = errc::need_more;
    frame_header header;
};

/// Reads the frame header at the front of `input`; the body is neither needed nor touched.
/// Errors: need_more = fewer than 5 bytes and no fault yet; unknown_tag (told from the first byte),
///         bad_length, frame_too_large = send FATAL 08P01 and close.
/// Source: PostgreSQL docs, "Message Formats"; startup packets use startup.h instead.
[[nodiscard]] inline header_scan try_read_header(bytes input, const frame_limits& limits) noexcept {
    if (input.empty()) return {};
    const char tag = input.front();
    const std::uint32_t cap = limits.of(tag);
    if (cap == 0) [[unlikely]]
        return {errc::unknown_tag, {tag, 0}};
    if (input.size() < frame_header_bytes) return {errc::need_more, {tag, 0}};
    const std::uint32_t length = load_u32(input.data() + 1);
    if (length < limits::length_field_min) [[unlikely]]
        return {errc::bad_length, {tag, length}};
    if (length > cap) [[unlikely]]
        return {errc::frame_too_large, {tag, length}};
    return {errc::ok, {tag, length}};
}

/// One whole message.
/// Shape: a view into the input it was read from.
struct frame {
    frame_header header;
    bytes whole;  ///< tag, length and body

    [[nodiscard]] char tag() const noexcept { return header.tag; }
    [[nodiscard]] bytes body() const noexcept { return whole.substr(frame_header_bytes); }
};

/// The outcome of try_take_frame: `value` counts only if `error` is ok.
struct frame_scan {
    errc error = errc::need_more;
    frame value;
};

/// Splits the next complete frame off the front of `input`, which is left alone on any error.
/// For messages that are looked at as a whole (logins, tests, small replies).
[[nodiscard]] inline frame_scan try_take_frame(bytes& input, const frame_limits& limits) noexcept {
    const auto scan = try_read_header(input, limits);
    if (scan.error != errc::ok) return {scan.error, {scan.header, {}}};
    if (input.size() < scan.header.frame_bytes()) return {errc::need_more, {scan.header, {}}};
    const frame f{scan.header, input.substr(0, scan.header.frame_bytes())};
    input.remove_prefix(f.whole.size());
    return {errc::ok, f};
}

/// A part of one message, as much as was there.
/// Shape: `data` is a view into the input; the first piece of a message starts with its whole
/// header.
struct piece {
    frame_header header;  ///< of the message that the piece belongs to
    bytes data;
    bool first = false;
    bool last = false;

    [[nodiscard]] bool whole() const noexcept { return first && last; }
};

/// The outcome of frame_splitter::next: `value` counts only if `error` is ok.
struct piece_scan {
    errc error = errc::need_more;
    piece value;
};

/// Finds the borders of messages in one direction of a session, whatever the reads cut them into.
/// One per direction; owned by the pump. Its only state is how much of a body is still to come, so
/// bodies of any size are forwarded in pieces as they arrive.
/// Shape:  a header cut by a read (up to 4 bytes) stays in the caller's `input`: keep those bytes
/// and
///         put the next read behind them.
/// Errors: as try_read_header; after one the splitter must not be used again.
/// Source: PgBouncer, src/sbuf.c: one look per header, bodies skipped by length.
class frame_splitter {
  public:
    /// `limits` must outlive the splitter.
    explicit frame_splitter(const frame_limits& limits) noexcept : limits_(&limits) {}

    /// Takes the next piece off the front of `input`.
    [[nodiscard]] piece_scan next(bytes& input) noexcept {
        if (rest_bytes_ != 0) return take_body(input);
        const auto scan = try_read_header(input, *limits_);
        if (scan.error != errc::ok) return {scan.error, {scan.header, {}}};
        header_ = scan.header;
        const auto taken = std::min(header_.frame_bytes(), input.size());
        rest_bytes_ = header_.frame_bytes() - taken;
        const piece p{header_, input.substr(0, taken), true, rest_bytes_ == 0};
        input.remove_prefix(taken);
        return {errc::ok, p};
    }

    /// The header of the next message if it is at the front of `input`; takes nothing.
    /// Precondition: !in_body().
    [[nodiscard]] header_scan peek(bytes input) const noexcept {
        return try_read_header(input, *limits_);
    }

    /// Takes all bytes from the front of `input` that can go on unseen: the rest of a body, then
    /// message after message (the last perhaps unfinished) until one whose tag is in `stop`, a
    /// header that is not whole, or a fault. Empty if there is none. Ask next() or peek() why.
    [[nodiscard]] bytes take_run(bytes& input, const tag_set& stop) noexcept {
        std::size_t at = std::min(rest_bytes_, input.size());
        rest_bytes_ -= at;
        while (rest_bytes_ == 0) {
            const auto scan = try_read_header(input.substr(at), *limits_);
            if (scan.error != errc::ok || stop.contains(scan.header.tag)) break;
            header_ = scan.header;
            const auto taken = std::min(header_.frame_bytes(), input.size() - at);
            rest_bytes_ = header_.frame_bytes() - taken;
            at += taken;
        }
        const auto run = input.substr(0, at);
        input.remove_prefix(at);
        return run;
    }

    /// True between two pieces of one message: the peer is in the middle of a body.
    [[nodiscard]] bool in_body() const noexcept { return rest_bytes_ != 0; }
    /// Bytes of the current body that have not been taken yet.
    [[nodiscard]] std::size_t rest_bytes() const noexcept { return rest_bytes_; }
    /// The message that is being taken, or was taken last.
    [[nodiscard]] frame_header current() const noexcept { return header_; }

  private:
    piece_scan take_body(bytes& input) noexcept {
        if (input.empty()) return {};
        const auto taken = std::min(rest_bytes_, input.size());
        rest_bytes_ -= taken;
        const piece p{header_, input.substr(0, taken), false, rest_bytes_ == 0};
        input.remove_prefix(taken);
        return {errc::ok, p};
    }

    const frame_limits* limits_;
    frame_header header_;
    std::size_t rest_bytes_ = 0;
};

}  // namespace sallyport::protocol
