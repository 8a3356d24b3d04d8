#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "protocol/sasl.h"
#include "proxy/secret.h"

/// SCRAM-SHA-256, both sides, and what else passwords need. The texts are protocol/sasl's; here is
/// the cryptography (OpenSSL).
namespace sallyport::proxy::auth {

inline constexpr std::size_t scram_key_bytes = 32;
inline constexpr std::size_t scram_salt_bytes = 16;
inline constexpr std::uint32_t scram_iterations_default = 4096;
/// More than this is refused from a verifier and from an upstream: PBKDF2 cannot be interrupted.
inline constexpr std::uint32_t scram_iterations_max = 600'000;
/// Longest password taken, in bytes; empty ones are refused everywhere.
inline constexpr std::size_t password_bytes_max = 1024;

using scram_key = std::array<std::uint8_t, scram_key_bytes>;

/// What a server keeps of a password: PostgreSQL's pg_authid.rolpassword. Cannot be turned back
/// into the password or used to log in elsewhere, but can be guessed at: not for logs.
struct scram_verifier {
    std::uint32_t iterations = scram_iterations_default;
    std::string salt;  ///< raw bytes, 1-256
    scram_key stored_key{};
    scram_key server_key{};
    friend bool operator==(const scram_verifier&, const scram_verifier&) = default;
};

/// Parses "SCRAM-SHA-256$iterations:salt$StoredKey:ServerKey"; nullopt for anything else, and for
/// iterations beyond scram_iterations_max.
[[nodiscard]] std::optional<scram_verifier> parse_verifier(std::string_view text);
[[nodiscard]] std::string format_verifier(const scram_verifier& v);
/// Makes a verifier with a fresh salt (or `salt`, for tests): the one that PostgreSQL would make,
/// since the password goes through prepare_password(). Blocks for the time of one PBKDF2 (ms).
[[nodiscard]] scram_verifier make_verifier(std::string_view password,
                                           std::uint32_t iterations = scram_iterations_default,
                                           std::string salt = {});
/// True if `password` belongs to `v`; constant time in the comparison. Blocks for one PBKDF2: never
/// on a session's worker. For an unknown user call it with mock_verifier() and ignore the answer.
[[nodiscard]] bool verify_password(const scram_verifier& v, std::string_view password);
/// The verifier shown for a user that does not exist (or may not log in): salt = first 16 bytes of
/// HMAC(mock_secret, user), the same on every attempt, proxy and restart; no password fits it.
[[nodiscard]] scram_verifier mock_verifier(std::string_view mock_secret, std::string_view user,
                                           std::uint32_t iterations);

/// The answer to AuthenticationMD5Password: "md5" + hex(md5(hex(md5(password user)) salt)).
/// "" if this build of OpenSSL has no MD5.
[[nodiscard]] std::string md5_response(std::string_view password, std::string_view user,
                                       std::span<const std::uint8_t, 4> salt);

/// Fills with bytes of the CSPRNG. Throws std::runtime_error if there is no entropy: nothing goes
/// on then.
void random_bytes(std::span<std::byte> out);
/// 18 random bytes as base64: a SCRAM nonce.
[[nodiscard]] std::string random_nonce();
/// Constant time for equal lengths; unequal lengths are unequal.
[[nodiscard]] bool equal_constant_time(std::string_view a, std::string_view b) noexcept;

/// send: give `data` to the peer and wait. done: the peer is proven; `data` (server side:
/// server-final) is to be sent before success is told. failed: wrong proof. unbound: the two sides
/// do not see one and the same TLS connection, or think differently of what was offered: somebody
/// may be in the middle. malformed: not SCRAM, or against its rules.
enum class scram_status : std::uint8_t { send, done, failed, unbound, malformed };
struct scram_step {
    scram_status status = scram_status::malformed;
    std::string data;
    std::string cause;  ///< for logs; never tells the peer which part was wrong
};

/// What became of channel binding before the first SCRAM message. absent: SCRAM-SHA-256-PLUS was
/// not on the list of mechanisms. declined: it was, and the client chose the plain one. used: it
/// chose PLUS.
enum class scram_binding : std::uint8_t { absent, declined, used };

/// The server of one login: client-first → server-first → client-final → server-final.
/// A doomed exchange goes through the same steps and the same work, and fails at the end.
///
/// Channel binding, by the flag in the client's first message:
///
///                absent      declined                     used
///     n          taken       taken (it cannot)            malformed
///     y          taken       unbound (it was told a lie)  malformed
///     p=         malformed   malformed                    taken, with the certificate's hash
///
/// Source: RFC 5802 section 6; PostgreSQL's read_client_first_message() for the outcomes.
class scram_server {
  public:
    enum class fate : std::uint8_t { honest, doomed };
    scram_server(scram_verifier verifier, fate f);
    scram_server(scram_verifier verifier, fate f, std::string nonce);  ///< for test vectors
    ~scram_server();

    /// Before the first step; absent without it. `end_point`: net::tls_info's, with `used`.
    void set_binding(scram_binding b, std::string end_point = {});
    /// One message of the client; the order is this class's business.
    /// `data` must be the SASL payload alone (without mechanism name and length).
    [[nodiscard]] scram_step step(std::string_view data);

  private:
    enum class state : std::uint8_t { client_first, client_final, over };
    [[nodiscard]] scram_step first(std::string_view data);
    [[nodiscard]] scram_step final(std::string_view data);

    scram_verifier verifier_;
    fate fate_;
    state state_ = state::client_first;
    std::string nonce_;  // ours; after client_first the client's is in front
    scram_binding binding_ = scram_binding::absent;
    std::string end_point_;
    std::string bound_;  // what `c=` must be: the gs2 header, and with PLUS the hash behind it
    std::string client_first_bare_;
    std::string server_first_;
};

/// Keys derived from one password, by (salt, iterations): a pool of connections pays for PBKDF2
/// once. One cache per credential; wiped on destruction. Concurrency: thread-safe.
class scram_key_cache {
  public:
    struct keys {
        scram_key client_key{};
        scram_key server_key{};
    };
    ~scram_key_cache();
    scram_key_cache() = default;
    scram_key_cache(const scram_key_cache&) = delete;
    scram_key_cache& operator=(const scram_key_cache&) = delete;
    [[nodiscard]] std::optional<keys> find(const std::string& salt, std::uint32_t iterations) const;
    void add(const std::string& salt, std::uint32_t iterations, const keys& k);

  private:
    mutable std::mutex mutex_;
    std::map<std::pair<std::string, std::uint32_t>, keys> known_;
};

/// The client of one login (towards an upstream). An AuthenticationOk counts only if verified().
class scram_client {
  public:
    /// `cache` may be null; else it must belong to this password.
    explicit scram_client(secret password, std::shared_ptr<scram_key_cache> cache = nullptr);
    scram_client(secret password, std::string nonce, std::string user);  ///< for test vectors
    ~scram_client();

    /// Before first(). unadvertised: we could bind, and the server did not offer PLUS. used: it
    /// did; the mechanism to name is SCRAM-SHA-256-PLUS. `end_point`: net::tls_info's.
    void set_binding(protocol::sasl::binding b, std::string end_point = {});
    /// client-first; PostgreSQL takes the user from the startup message, so the name in it is
    /// empty.
    [[nodiscard]] std::string first();
    /// True if server_first() would need no PBKDF2 here, or a short one (at most 10 000
    /// iterations).
    [[nodiscard]] bool cheap(std::string_view server_first) const;
    /// server-first → client-final (`send`). Blocks for one PBKDF2 unless the cache has the keys.
    [[nodiscard]] scram_step server_first(std::string_view data);
    /// server-final → `done` if the server's signature is right.
    [[nodiscard]] scram_step server_final(std::string_view data);
    [[nodiscard]] bool verified() const noexcept { return state_ == state::verified; }

  private:
    enum class state : std::uint8_t { fresh, first_sent, final_sent, verified, over };
    secret password_;
    std::shared_ptr<scram_key_cache> cache_;
    state state_ = state::fresh;
    std::string nonce_;
    std::string user_;
    std::string gs2_header_ = "n,,";
    std::string end_point_;  // behind the header in `c=`; "" = not bound
    std::string client_first_bare_;
    scram_key server_signature_{};
};

}  // namespace sallyport::proxy::auth
