#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "protocol/cursor.h"
#include "protocol/errors.h"

/// The packets without a tag that open a connection.
namespace sallyport::protocol {

inline constexpr std::uint32_t protocol_3_0 = 0x0003'0000;
inline constexpr std::uint32_t protocol_3_2 = 0x0003'0002;        // cancel keys of 4 to 256 bytes
inline constexpr std::uint32_t ssl_request_code = 80'877'103;     // 1234, 5679
inline constexpr std::uint32_t gssenc_request_code = 80'877'104;  // 1234, 5680
inline constexpr std::uint32_t cancel_request_code = 80'877'102;  // 1234, 5678

/// One `name=value`, of a startup packet or of its `options`.
struct parameter {
    std::string name;
    std::string value;
    friend bool operator==(const parameter&, const parameter&) = default;
};

struct ssl_request {
    friend bool operator==(ssl_request, ssl_request) = default;
};
struct gssenc_request {
    friend bool operator==(gssenc_request, gssenc_request) = default;
};

/// Asks to cancel what the session with this id and key is doing. Never answered.
struct cancel_request {
    std::uint32_t process_id = 0;
    std::string key;  ///< secret: compare in constant time. 4 bytes in 3.0, up to 256 in 3.2
    friend bool operator==(const cancel_request&, const cancel_request&) = default;
};

/// A protocol version with another major than 3: answer FATAL 0A000.
struct unsupported_version {
    std::uint16_t major = 0;
    std::uint16_t minor = 0;
    friend bool operator==(unsupported_version, unsupported_version) = default;
};

/// What a client asks for when it logs in. Owns its texts: the packet can go.
/// Shape: `parameters` holds every pair in the order sent, user and database included if they were
///        sent; no key twice: of a setting that was, the last. Never forward the packet: build a
///        new one from an allowlist.
struct startup_message {
    std::uint16_t minor = 0;  ///< as asked for: 0 for 3.0
    std::string user;         ///< 1 to 63 bytes, no control characters
    std::string database;     ///< 1 to 63 bytes, no control characters; the user's name if not sent
    std::vector<parameter> parameters;

    /// The value of a parameter, letter case of the name ignored; nullptr if it was not sent.
    [[nodiscard]] const std::string* find(std::string_view name) const noexcept;
    /// The version that is spoken: 3.2 if the client can, else 3.0. There is no 3.1.
    [[nodiscard]] std::uint32_t spoken_version() const noexcept {
        return minor >= (protocol_3_2 & 0xffff) ? protocol_3_2 : protocol_3_0;
    }
    /// The client must be told by NegotiateProtocolVersion: it asked for another version than the
    /// one spoken, or for extensions, none of which there are.
    [[nodiscard]] bool needs_negotiation() const {
        return (protocol_3_0 | minor) != spoken_version() || !protocol_extensions().empty();
    }
    /// The names starting with `_pq_.`: protocol extensions.
    [[nodiscard]] std::vector<std::string> protocol_extensions() const;

    friend bool operator==(const startup_message&, const startup_message&) = default;
};

using startup_packet =
    std::variant<startup_message, ssl_request, gssenc_request, cancel_request, unsupported_version>;

/// Says how many bytes the packet at the front of `input` has in all, length field included.
/// Read exactly that many and no more: what follows an SSLRequest belongs to nobody yet.
/// Errors: need_more = fewer than 4 bytes there; bad_length = outside 8 to 10004: close silently.
[[nodiscard]] result<std::size_t> startup_packet_bytes(bytes input) noexcept;

/// Decodes one whole packet, length field included.
/// Errors: need_more if `packet` is shorter than its length field says, trailing_bytes if longer;
///         otherwise any of the startup group of errc: FATAL 08P01 (missing_user: 28000) and close.
/// Source: PostgreSQL docs, "Message Formats", StartupMessage; ProcessStartupPacket of the server.
[[nodiscard]] result<startup_packet> decode_startup(bytes packet);

/// Appends a StartupMessage of protocol 3.0: user, database, then `more` in its order.
void encode_startup_message(std::string& out, std::string_view user, std::string_view database,
                            const std::vector<parameter>& more);
void encode_ssl_request(std::string& out);
void encode_gssenc_request(std::string& out);
void encode_cancel_request(std::string& out, const cancel_request& request);

/// The settings in an `options` parameter, and what in it is anything else.
struct startup_options {
    std::vector<parameter> settings;  ///< in order; `-` in a name has become `_`; later ones win
    std::vector<std::string> unsupported;  ///< words such as `-S`; refuse the login unless empty
    friend bool operator==(const startup_options&, const startup_options&) = default;
};

/// Splits an `options` parameter by the server's rules: blanks separate, a backslash makes the next
/// byte plain. Understands `-c name=value`, `-cname=value` and `--name=value`. Total: never fails.
/// Source: pg_split_opts() and process_postgres_switches() of the server.
[[nodiscard]] startup_options parse_options_parameter(std::string_view options);

/// Writes settings so that the server (and parse_options_parameter) reads exactly them back.
[[nodiscard]] std::string format_options_parameter(const std::vector<parameter>& settings);

}  // namespace sallyport::protocol
