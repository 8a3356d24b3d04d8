#pragma once

#include <string_view>

/// The only list of the SQLSTATEs that Sallyport itself sends, each with when.
namespace sallyport::protocol::sqlstate {

/// Notices without a trouble: a hold was opened, is still waiting, was released.
inline constexpr std::string_view successful_completion = "00000";
/// A notice that warns: an opt-out is about to end, a bypass was recorded.
inline constexpr std::string_view warning = "01000";
/// No upstream could be reached, or it closed in the middle of the session.
inline constexpr std::string_view connection_failure = "08006";
/// Malformed protocol; the connection is closed.
inline constexpr std::string_view protocol_violation = "08P01";
/// A protocol version, a GSS or replication request, or a startup option that is not offered.
inline constexpr std::string_view feature_not_supported = "0A000";
/// Statements that are not one of the console's commands parse to this.
inline constexpr std::string_view syntax_error = "42601";
/// A startup parameter or a console argument with a value that is not accepted.
inline constexpr std::string_view invalid_parameter_value = "22023";
/// Login refused for another reason than the password: TLS or a certificate is required, locked.
inline constexpr std::string_view invalid_authorization = "28000";
/// Login refused: wrong password, unknown user, expired: never told apart.
inline constexpr std::string_view invalid_password = "28P01";
/// Unknown target.
inline constexpr std::string_view invalid_catalog_name = "3D000";
/// Denied by a rule or by an approver.
inline constexpr std::string_view insufficient_privilege = "42501";
inline constexpr std::string_view in_failed_sql_transaction = "25P02";
/// What the console was asked for (a hold, an opt-out) is not there.
inline constexpr std::string_view undefined_object = "42704";
/// A state that does not allow it: the hold has already ended.
inline constexpr std::string_view object_not_in_prerequisite_state = "55000";
/// Too many connections, holds or prepared statements.
inline constexpr std::string_view too_many_connections = "53300";
/// A statement above the inspection limit where the policy refuses it.
inline constexpr std::string_view program_limit_exceeded = "54000";
/// The client cancelled a held statement.
inline constexpr std::string_view query_canceled = "57014";
/// Sallyport is shutting down, or an administrator ended the session.
inline constexpr std::string_view admin_shutdown = "57P01";
/// Starting up or draining: try again.
inline constexpr std::string_view cannot_connect_now = "57P03";
/// The audit log or the state cannot be written, so what needs a record is refused.
inline constexpr std::string_view io_error = "58030";
/// Approval is required and the client does not wait (`clients: refuse`).
inline constexpr std::string_view approval_required = "SP001";
/// The hold's deadline passed.
inline constexpr std::string_view hold_expired = "SP002";
/// Access ended by expiry, revocation or lock.
inline constexpr std::string_view access_ended = "SP003";
/// A fault of our own; also stands in for a code that is not five of [0-9A-Z].
inline constexpr std::string_view internal_error = "XX000";

}  // namespace sallyport::protocol::sqlstate
