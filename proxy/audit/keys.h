#pragma once

#include <memory>
#include <string>
#include <string_view>

/// Ed25519 keys of the checkpoints.
namespace sallyport::proxy::audit {

/// The secret key. Wiped by OpenSSL when it goes.
class signing_key {
  public:
    /// Reads the PEM file; makes it (0600, and PATH.pub beside it) if it is missing.
    /// Errors: std::runtime_error, one line: unreadable, not Ed25519, or readable by others.
    static signing_key load_or_create(const std::string& path);
    signing_key(signing_key&&) noexcept;
    signing_key& operator=(signing_key&&) noexcept;
    ~signing_key();

    [[nodiscard]] std::string sign(std::string_view message) const;  ///< base64
    [[nodiscard]] std::string public_pem() const;
    [[nodiscard]] const std::string& id() const noexcept;  ///< 16 hex digits, see chain.h

  private:
    struct impl;
    explicit signing_key(std::unique_ptr<impl> i) noexcept;
    std::unique_ptr<impl> impl_;
};

class public_key {
  public:
    /// Errors: std::runtime_error if the text is not an Ed25519 public key in PEM.
    explicit public_key(std::string_view pem);
    public_key(public_key&&) noexcept;
    public_key& operator=(public_key&&) noexcept;
    ~public_key();

    [[nodiscard]] bool verify(std::string_view message, std::string_view signature_base64) const;
    [[nodiscard]] const std::string& id() const noexcept;

  private:
    struct impl;
    std::unique_ptr<impl> impl_;
};

}  // namespace sallyport::proxy::audit
