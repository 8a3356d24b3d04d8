#pragma once

#include <string_view>

#include <boost/system/error_code.hpp>
#include <boost/system/result.hpp>

/// Pure bytes: frames, messages and SCRAM texts of the PostgreSQL protocol. No sockets, no clock.
namespace sallyport::protocol {

/// Why bytes were not accepted. One documented cause per value.
/// Errors: every value but `ok` and `need_more` means that the peer broke the protocol. In a frame
/// or
///         a startup packet that poisons the connection (FATAL 08P01, close); in the body of a
///         message whose borders are known, an ERROR 08P01 and the session can live on.
enum class errc : int {
    ok = 0,         ///< no error; exists so that errc{} is success
    need_more = 1,  ///< the input ends before the item does: read more and try again

    // frames
    bad_length = 10,       ///< a length field counts less than itself, or does not fit its packet
    frame_too_large = 11,  ///< a length field above the cap of its message type
    unknown_tag = 12,      ///< a message type that this direction does not have

    // bodies
    truncated = 20,           ///< the body ends inside a field
    trailing_bytes = 21,      ///< bytes left over after the last field (a NUL inside a text too)
    missing_terminator = 22,  ///< a text without its final NUL
    bad_kind = 23,  ///< a kind byte other than the documented ones ('S' and 'P' of Close …)
    bad_format_code = 24,  ///< a format code other than 0 and 1, or a wrong number of them
    bad_count = 25,        ///< a count that its message cannot hold
    name_too_long = 26,    ///< a name that the server would truncate to 63 bytes
    bad_value = 27,        ///< a field outside of its documented values (`USER` for `user` too)

    // startup packets
    bad_startup_layout = 40,  ///< no final empty key, an early one, or a key without a value
    duplicate_parameter =
        41,  ///< a key that decides the login twice, or any in two spellings of letter case
    missing_user = 42,       ///< no user, or an empty one
    control_character = 43,  ///< a control character in a user, database or parameter name
    bad_cancel_key = 44,     ///< a cancel key shorter than 4 or longer than 256 bytes

    // SCRAM texts
    sasl_syntax = 60,            ///< not the attributes of RFC 5802 in their order
    sasl_extension = 61,         ///< a mandatory (`m=`) or unknown extra attribute
    sasl_authorization_id = 62,  ///< `a=`: acting for somebody else is not offered
    sasl_nonce = 63,             ///< a nonce that is empty, too long, or not printable
    sasl_iterations = 64,        ///< an iteration count of 0, above the cap, or not a number
    sasl_base64 = 65,            ///< not canonical base64, or of a wrong length
    sasl_channel_binding = 66,   ///< a gs2 flag or binding type other than RFC 5802 and 5929 name
    sasl_text_too_long = 67,     ///< a text above limits::sasl_text_bytes_max
};

[[nodiscard]] const boost::system::error_category& protocol_category() noexcept;

/// Makes errc usable wherever an error_code is (found by argument-dependent lookup).
[[nodiscard]] inline boost::system::error_code make_error_code(errc e) noexcept {
    return {static_cast<int>(e), protocol_category()};
}

/// The cause in words fit for the text of an error message: no bytes of the peer in it.
[[nodiscard]] std::string_view describe(errc e) noexcept;

/// A value, or the errc (as error_code) that says why there is none.
template <class T>
using result = boost::system::result<T>;

}  // namespace sallyport::protocol

template <>
struct boost::system::is_error_code_enum<sallyport::protocol::errc> : std::true_type {};
