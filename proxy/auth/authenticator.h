#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "policy/types.h"
#include "proxy/auth/scram.h"
#include "proxy/auth/users.h"

namespace sallyport::proxy::auth {

/// The peer's certificate as its handshake established it (net::tls_info says the same).
struct certificate_identity {
    bool verified = false;
    std::string subject;  ///< RFC 2253
};

/// What a client claims to be, once its startup message is parsed.
struct login_request {
    std::string user;
    policy::instant now;
    /// The listener is in `mutual` mode: the certificate is the identity, no password is asked.
    bool certificate_required = false;
    std::optional<certificate_identity> certificate;
    /// What SCRAM can be bound to: net::tls_info's of this very connection. "" = nothing, and
    /// SCRAM-SHA-256-PLUS is not offered.
    std::string end_point{};
    /// SCRAM-SHA-256-PLUS alone is offered: without an end point nobody gets in.
    bool binding_required = false;
};

/// send: write `bytes`, feed the next 'p' message to step(). accepted: write `bytes` (they end in
/// AuthenticationOk) and go on as `principal`. refused: write FATAL with sqlstate and message,
/// close.
struct login_step {
    enum class kind : std::uint8_t { send, accepted, refused };
    kind what = kind::refused;
    std::string bytes;            ///< whole protocol messages
    policy::principal principal;  ///< accepted
    std::string sqlstate;         ///< refused: 28P01, 28000 or 08P01
    std::string message;  ///< refused: the same for every cause that a guesser might tell apart
    std::string reason;   ///< for the audit record: "unknown user", "wrong password", "expired" …
    std::string method;   ///< "scram-sha-256", "scram-sha-256-plus" or "certificate"
};

/// The login of one client as a state machine without I/O.
///
///     authenticator a(users, mock_secret, request);
///     for (auto s = a.start(); s.what == send; s = a.step(body of the next 'p' message))
///     write(s.bytes);
///
/// Unknown, expired and password-less users are offered the same mechanisms, go through a full mock
/// exchange and get the same refusal.
class authenticator {
  public:
    /// `mock_secret`: 32 bytes, the store's.
    authenticator(user_directory_ptr users, std::string mock_secret, login_request request);
    [[nodiscard]] login_step start();
    /// `body`: of a 'p' message, without tag and length. Any other message is the caller's 08P01.
    [[nodiscard]] login_step step(std::string_view body);

  private:
    enum class state : std::uint8_t { fresh, initial, response, over };
    [[nodiscard]] login_step start_certificate();
    [[nodiscard]] bool choose(std::string_view mechanism);
    [[nodiscard]] login_step advance(std::string_view sasl_data);
    [[nodiscard]] login_step refuse(std::string reason);
    [[nodiscard]] login_step unbound(std::string what);
    [[nodiscard]] login_step violation(std::string what);
    [[nodiscard]] login_step accept(std::string bytes, std::string method);

    user_directory_ptr users_;
    std::string mock_secret_;
    login_request request_;
    const user* user_ = nullptr;  // null: the exchange is doomed
    std::string doom_;            // why it is doomed, for the record
    std::optional<scram_server> scram_;
    bool bound_ = false;  // the client chose PLUS
    state state_ = state::fresh;
};

/// Checks a password for the HTTP and console logins: same users, same refusals. Blocks (PBKDF2).
/// Errors: nullopt = refused, with `reason` for the audit record.
[[nodiscard]] std::optional<policy::principal> check_password(
    const user_directory& users, std::string_view mock_secret, std::string_view user,
    std::string_view password, policy::instant now, std::string& reason);

}  // namespace sallyport::proxy::auth
