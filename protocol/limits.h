#pragma once

#include <cstddef>
#include <cstdint>

/// Every cap of the wire, with its unit. What the server caps too has the server's value.
namespace sallyport::protocol::limits {

/// Bytes of a startup packet after its length field (the server's MAX_STARTUP_PACKET_LENGTH).
inline constexpr std::size_t startup_packet_bytes_max = 10'000;
/// SSLRequest and GSSENCRequest packets that one connection may send before its StartupMessage.
inline constexpr unsigned pre_startup_packets_max = 3;
/// Bytes of a role, database, statement or portal name; the server truncates longer ones.
inline constexpr std::size_t name_bytes_max = 63;
/// Bytes of a cancel key: 4 in protocol 3.0, 4 to 256 in 3.2.
inline constexpr std::size_t cancel_key_bytes_min = 4;
inline constexpr std::size_t cancel_key_bytes_max = 256;

// Frames: the value of the length field, which counts itself (4 bytes) but not the tag.
/// Any tagged frame: nothing but the length field itself.
inline constexpr std::uint32_t length_field_min = 4;
/// Frontend messages that carry no data: C D E H S X c f (the server's PQ_SMALL_MESSAGE_LIMIT).
inline constexpr std::uint32_t small_message_bytes_max = 10'000;
/// Frontend messages that carry SQL or data: Q P B F d; backend rows, copies, reports.
/// 1 GiB - 2, the server's PQ_LARGE_MESSAGE_LIMIT.
inline constexpr std::uint32_t large_message_bytes_max = 0x3fff'fffe;
/// Frontend `p`: passwords and SASL responses.
inline constexpr std::uint32_t auth_message_bytes_max = 64 * 1024;
/// Backend messages other than T t D d V E N A: libpq loses synchronisation above it.
inline constexpr std::uint32_t backend_small_message_bytes_max = 30'000;

// Reports that we write ourselves (ErrorResponse, NoticeResponse).
/// Bytes of one text field (message, detail, hint); longer ones are cut at a character.
inline constexpr std::size_t report_field_bytes_max = 1024;

// SCRAM texts.
/// Bytes of a whole SASL text, either direction.
inline constexpr std::size_t sasl_text_bytes_max = 8 * 1024;
/// Bytes of one nonce, client's and server's parts together.
inline constexpr std::size_t sasl_nonce_bytes_max = 1024;
/// Bytes of a decoded salt.
inline constexpr std::size_t sasl_salt_bytes_max = 1024;
/// PBKDF2 rounds that a peer may ask for; the work cannot be interrupted.
inline constexpr std::uint32_t scram_iterations_max = 1'000'000;
/// Mechanisms in AuthenticationSASL.
inline constexpr std::size_t sasl_mechanisms_max = 16;

}  // namespace sallyport::protocol::limits
