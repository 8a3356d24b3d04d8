#pragma once

#include <memory>
#include <string>

/// Throwaway X.509, made in memory and written as PEM.
namespace sallyport::tests {

/// Where a certificate and its key were written.
struct key_pair {
    std::string certificate{};
    std::string key{};
};

struct certificate_request {
    std::string file = "server";  ///< FILE.crt and FILE.key
    std::string common_name = "localhost";
    std::string organisation{};                                    ///< "" = none
    std::string alternative_names = "DNS:localhost,IP:127.0.0.1";  ///< "" = none
    long valid_days = 1;                                           ///< negative: has expired
    std::string key_type = "EC";                                   ///< or RSA, RSA-PSS, ED25519
    bool self_signed = false;  ///< with its own key, so that the signature is of that kind too
};

/// A certificate authority (EC P-256) that writes into one folder.
class certificate_authority {
  public:
    explicit certificate_authority(std::string directory, const std::string& name = "ca");
    ~certificate_authority();
    certificate_authority(const certificate_authority&) = delete;
    certificate_authority& operator=(const certificate_authority&) = delete;

    [[nodiscard]] const std::string& certificate() const noexcept { return certificate_path_; }
    [[nodiscard]] key_pair issue(const certificate_request& request) const;

  private:
    struct impl;
    std::string directory_{};
    std::string certificate_path_{};
    std::unique_ptr<impl> impl_;
};

}  // namespace sallyport::tests
