#pragma once

#include <string>
#include <string_view>

/// SCRAM-SHA-256 as a client needs it, written apart from the product so that a shared mistake
/// shows. Source: RFC 5802, RFC 7677; PostgreSQL docs, "SASL Authentication".
namespace sallyport::tests {

/// A verifier in the form of pg_authid.rolpassword; the salt is fixed per password.
[[nodiscard]] std::string scram_verifier(const std::string& password, int iterations = 4096);

/// The client's side of one exchange.
class scram_client {
  public:
    explicit scram_client(std::string password, std::string nonce = "rOprNGfwEbeRWgbNEkqO");
    /// Before first(): "n,,", "y,,", "p=tls-server-end-point,,", and what `c=` has behind it.
    void bind(std::string gs2_header, std::string end_point = "") {
        gs2_header_ = std::move(gs2_header);
        end_point_ = std::move(end_point);
    }
    [[nodiscard]] std::string first() const;
    /// Errors: throws std::runtime_error when the server's message is malformed.
    [[nodiscard]] std::string final(const std::string& server_first);
    /// True if the server proved that it knows the verifier.
    [[nodiscard]] bool verify(const std::string& server_final) const;

  private:
    std::string password_;
    std::string nonce_;
    std::string gs2_header_ = "n,,";
    std::string end_point_{};
    std::string server_signature_;
};

[[nodiscard]] std::string base64(std::string_view bytes);
[[nodiscard]] std::string from_base64(const std::string& text);

}  // namespace sallyport::tests
