#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "protocol/cursor.h"
#include "protocol/errors.h"

/// The four texts of SCRAM (RFC 5802, 7677), without the cryptography. Strict: attributes in their
/// order, nothing before, between or after them, no extensions.
/// Shape:  views in parsed texts point into the input. What a signature covers is given as the
/// exact
///         bytes that were received, never re-formatted.
/// Errors: sasl group of errc: refuse the login (client: FATAL 28P01 or 08P01; upstream: 08006).
namespace sallyport::protocol::sasl {

inline constexpr std::string_view scram_sha_256 = "SCRAM-SHA-256";
inline constexpr std::string_view scram_sha_256_plus = "SCRAM-SHA-256-PLUS";
/// Bytes of a proof, a signature, a stored key: one SHA-256.
inline constexpr std::size_t key_bytes = 32;

/// What the client says of channel binding, in the gs2 header.
enum class binding : std::uint8_t {
    none,          ///< `n`: it cannot
    unadvertised,  ///< `y`: it can, and thinks that the server cannot; an attack if we offered PLUS
    used,          ///< `p=…`: it does; only with SCRAM-SHA-256-PLUS
};

struct client_first {
    binding channel_binding = binding::none;
    std::string_view binding_type;  ///< with binding::used: "tls-server-end-point"
    std::string_view gs2_header;    ///< "n,,", "y,," or "p=…,,": base64 of it comes back in `c=`
    std::string_view bare;          ///< the rest, first part of the AuthMessage
    std::string username;           ///< unescaped; libpq leaves it empty, and the server ignores it
    std::string_view nonce;

    [[nodiscard]] static result<client_first> parse(std::string_view text);
};

/// "n=…,r=…" (`,` and `=` in the name escaped). Put a gs2 header ("n,,") in front to send it.
[[nodiscard]] std::string format_client_first_bare(std::string_view username,
                                                   std::string_view nonce);

struct server_first {
    std::string_view nonce;        ///< the caller checks that it starts with its own and is longer
    std::string salt;              ///< decoded; not empty
    std::uint32_t iterations = 0;  ///< 1 to limits::scram_iterations_max

    [[nodiscard]] static result<server_first> parse(std::string_view text);
};

[[nodiscard]] std::string format_server_first(std::string_view nonce, bytes salt,
                                              std::uint32_t iterations);

struct client_final {
    std::string channel_binding;  ///< decoded `c=`: must be byte for byte the gs2 header (and hash)
    std::string_view nonce;       ///< the caller compares it with the whole nonce
    std::string proof;            ///< decoded, 32 bytes; secret
    std::string_view without_proof;  ///< last part of the AuthMessage

    [[nodiscard]] static result<client_final> parse(std::string_view text);
};

/// "c=…,r=…"; `channel_binding` is the gs2 header, with the certificate's hash if it is used.
[[nodiscard]] std::string format_client_final_without_proof(bytes channel_binding,
                                                            std::string_view nonce);
[[nodiscard]] std::string format_client_final(std::string_view without_proof, bytes proof);

struct server_final {
    std::string signature;   ///< decoded, 32 bytes; empty if the server sent an error
    std::string_view error;  ///< "invalid-proof" …; never show it to a client

    [[nodiscard]] static result<server_final> parse(std::string_view text);
};

[[nodiscard]] std::string format_server_final(bytes signature);
[[nodiscard]] std::string format_server_error(std::string_view error);

/// RFC 4648, standard alphabet, with padding.
[[nodiscard]] std::string base64_encode(bytes raw);
/// Strict: padded, canonical (unused bits zero), no blanks. nullopt otherwise.
[[nodiscard]] std::optional<std::string> base64_decode(std::string_view text);

}  // namespace sallyport::protocol::sasl
