#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "tests/support/sockets.h"

/// A PostgreSQL client that does exactly what a test says, byte by byte.
namespace sallyport::tests {

/// Nothing came before the deadline.
class wire_timeout : public std::runtime_error {
  public:
    using std::runtime_error::runtime_error;
};
/// The peer closed the connection.
class wire_closed : public std::runtime_error {
  public:
    using std::runtime_error::runtime_error;
};

struct message {
    char type = 0;
    std::string body{};
    friend bool operator==(const message&, const message&) = default;
};

using parameters = std::vector<std::pair<std::string, std::string>>;

/// Frontend messages as bytes.
namespace wire {
[[nodiscard]] std::string int16(int value);
[[nodiscard]] std::string int32(std::uint32_t value);
/// The big-endian number there. Errors: throws std::out_of_range.
[[nodiscard]] std::uint32_t int32_at(std::string_view bytes, std::size_t at);
[[nodiscard]] std::string frame(char type, std::string_view body);
[[nodiscard]] std::string startup(const parameters& p, std::uint32_t version = 196608);
[[nodiscard]] std::string ssl_request();
[[nodiscard]] std::string gssenc_request();
[[nodiscard]] std::string cancel_request(std::uint32_t pid, std::uint32_t secret);
[[nodiscard]] std::string cancel_request(std::uint32_t pid, std::string_view key);
[[nodiscard]] std::string query(std::string_view sql);
[[nodiscard]] std::string parse(std::string_view name, std::string_view sql);
[[nodiscard]] std::string bind(std::string_view portal, std::string_view statement,
                               const std::vector<std::optional<std::string>>& values = {});
[[nodiscard]] std::string describe(char kind, std::string_view name);
[[nodiscard]] std::string execute(std::string_view portal, std::uint32_t rows_max = 0);
[[nodiscard]] std::string close(char kind, std::string_view name);
[[nodiscard]] std::string sync();
[[nodiscard]] std::string flush();
[[nodiscard]] std::string terminate();
[[nodiscard]] std::string password(std::string_view text);
[[nodiscard]] std::string sasl_initial(std::string_view mechanism, std::string_view data);
/// Parse (unnamed), Bind, Execute of one statement, without Sync.
[[nodiscard]] std::string once(std::string_view sql);
}  // namespace wire

/// The fields of an ErrorResponse or NoticeResponse by their letter.
[[nodiscard]] std::map<char, std::string> fields_of(const message& m);
/// The values of a DataRow; nullopt for NULL.
[[nodiscard]] std::vector<std::optional<std::string>> values_of(const message& m);

struct tls_client_options {
    std::string ca{};           ///< "" = do not verify
    std::string certificate{};  ///< "" = none
    std::string key{};
    std::vector<std::string> alpn{};  ///< protocols to offer; none = no ALPN at all
};

/// What one exchange up to ReadyForQuery brought.
struct exchange {
    std::vector<message> messages;  ///< all, in order
    std::vector<std::vector<std::optional<std::string>>> rows;
    std::vector<std::string> tags{};  ///< CommandComplete
    std::vector<std::map<char, std::string>> errors;
    std::vector<std::map<char, std::string>> notices;
    char status = 0;                             ///< of ReadyForQuery: I, T, E
    [[nodiscard]] std::string types() const;     ///< "TDCZ", without N, S and A
    [[nodiscard]] std::string sqlstate() const;  ///< of the first error, "" = none
};

struct login_options {
    std::uint16_t port = 0;
    std::string user = "alice";
    std::string password = "alice-password";
    std::string database = "shop";
    parameters more{};
    std::uint32_t version = 196608;
    std::string mechanism = "SCRAM-SHA-256";
    std::string gs2_header = "n,,";
    /// What is bound to; "" = with `p=`, the hash of the certificate that this connection saw.
    std::string end_point{};
};

class wire_client {
  public:
    explicit wire_client(std::uint16_t port, const std::string& source_address = "127.0.0.1");
    ~wire_client();
    wire_client(wire_client&&) noexcept;
    wire_client& operator=(wire_client&&) noexcept;

    void send(std::string_view bytes);
    /// Like send, but a peer that is gone is not an error. False then.
    bool try_send(std::string_view bytes);
    /// One byte, for the answer to SSLRequest and GSSENCRequest.
    [[nodiscard]] char read_byte(milliseconds deadline = patience);
    /// Errors: throws wire_timeout, wire_closed.
    [[nodiscard]] message read(milliseconds deadline = patience);
    /// Reads until a message of this type, which is returned; what came before is in `skipped()`.
    message read_until(char type, milliseconds deadline = patience);
    [[nodiscard]] const std::vector<message>& skipped() const noexcept { return skipped_; }
    /// Reads up to and including ReadyForQuery.
    [[nodiscard]] exchange read_exchange(milliseconds deadline = patience);
    [[nodiscard]] exchange ask(std::string_view sql) {
        send(wire::query(sql));
        return read_exchange();
    }
    /// Reads to the end of the stream; the messages that came, or throws wire_timeout.
    [[nodiscard]] std::vector<message> read_to_end(milliseconds deadline = patience);

    /// SSLRequest, then the handshake. Errors: throws std::runtime_error with OpenSSL's reason.
    void start_tls(const tls_client_options& options = {});
    /// The handshake alone, on whatever was agreed before.
    void handshake(const tls_client_options& options = {});

    /// Over TLS: SHA-256 of the server's certificate, which is what SCRAM binds to for the tests'
    /// own certificates; the protocol agreed by ALPN, "" = none.
    [[nodiscard]] std::string end_point() const;
    [[nodiscard]] std::string agreed_protocol() const;
    /// The mechanisms of the last AuthenticationSASL, in order.
    [[nodiscard]] const std::vector<std::string>& mechanisms() const noexcept {
        return mechanisms_;
    }

    /// Startup and SCRAM, up to AuthenticationOk. Errors: throws login_refused.
    void authenticate(const login_options& o);
    /// authenticate(), then up to ReadyForQuery.
    void login(const login_options& o);
    /// The two halves of login(), for what happens between them: up to the mechanisms, and on.
    void begin_login(const login_options& o);
    void finish_login(const login_options& o);

    void half_close();
    void close();
    void reset();

    [[nodiscard]] std::uint32_t backend_pid() const noexcept { return pid_; }
    [[nodiscard]] std::uint32_t backend_secret() const noexcept { return secret_; }
    [[nodiscard]] const std::map<std::string, std::string>& server_parameters() const noexcept {
        return server_parameters_;
    }
    /// The key of BackendKeyData as it came: 4 bytes in protocol 3.0.
    [[nodiscard]] const std::string& backend_key() const noexcept { return key_; }
    /// Body of the NegotiateProtocolVersion of the last login, if one came.
    [[nodiscard]] const std::optional<std::string>& negotiated() const noexcept {
        return negotiated_;
    }
    /// server-first-message of the last SCRAM exchange.
    [[nodiscard]] const std::string& server_first() const noexcept { return server_first_; }
    [[nodiscard]] int fd() const noexcept;

  private:
    struct tls;
    [[nodiscard]] std::string receive_some(milliseconds deadline);
    void fill(std::size_t bytes, milliseconds deadline);
    void note(const message& m);
    [[nodiscard]] message read_until_auth();
    void prove(const login_options& o);
    tcp_socket socket_;
    std::unique_ptr<tls> tls_;
    std::string buffer_{};
    std::vector<message> skipped_;
    std::map<std::string, std::string> server_parameters_{};
    std::string server_first_{};
    std::vector<std::string> mechanisms_{};
    std::uint32_t pid_ = 0;
    std::uint32_t secret_ = 0;
    std::string key_{};
    std::optional<std::string> negotiated_{};
};

/// The server answered a login with an ErrorResponse.
class login_refused : public std::runtime_error {
  public:
    explicit login_refused(std::map<char, std::string> fields)
        : std::runtime_error(fields.count('M') ? fields.at('M') : "refused"),
          fields_(std::move(fields)) {}
    [[nodiscard]] std::string field(char letter) const {
        const auto it = fields_.find(letter);
        return it == fields_.end() ? "" : it->second;
    }
    [[nodiscard]] std::string sqlstate() const { return field('C'); }

  private:
    std::map<char, std::string> fields_;
};

/// Sends a CancelRequest on a connection of its own and waits until the server closes it.
void send_cancel(std::uint16_t port, std::uint32_t pid, std::uint32_t secret);
void send_cancel(std::uint16_t port, std::uint32_t pid, std::string_view key);

}  // namespace sallyport::tests
