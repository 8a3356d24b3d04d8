#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "tests/support/certificates.h"
#include "tests/support/child_process.h"
#include "tests/support/temp_dir.h"

/// A real PostgreSQL of the tests' own: loopback only, never as root, gone afterwards.
namespace sallyport::tests {

struct postgres_options {
    bool tls = false;                               ///< certificates signed by ca()
    std::map<std::string, std::string> settings{};  ///< postgresql.conf
    std::vector<std::string> hba{};                 ///< lines before the usual ones
};

/// Roles (password = NAME-password): postgres (superuser), app, app_md5 (md5 verifier and md5
/// login), app_clear (cleartext login), alice (for `as: client`), sallyport_catalog.
class postgres_server {
  public:
    explicit postgres_server(postgres_options options = {});
    ~postgres_server();
    postgres_server(const postgres_server&) = delete;
    postgres_server& operator=(const postgres_server&) = delete;

    /// The one that all tests of this process share.
    static postgres_server& shared();

    [[nodiscard]] std::uint16_t port() const noexcept { return port_; }
    [[nodiscard]] const certificate_authority& ca() const { return *ca_; }
    [[nodiscard]] std::string log() const;
    void start();
    void stop();
    /// SIGQUIT: as after a power cut.
    void crash();

    /// A new database with the shop's tables and rows; its name.
    [[nodiscard]] std::string create_shop();
    void drop_database(const std::string& name);
    /// Runs SQL as the superuser, directly; unaligned rows without header. Errors: throws with
    /// psql's text.
    std::string query(const std::string& database, const std::string& sql);
    [[nodiscard]] std::string connection_string(const std::string& database,
                                                const std::string& user = "postgres") const;

  private:
    void initialise();
    postgres_options options_;
    temp_dir dir_{"sallyport-pg"};
    std::string data_;
    std::uint16_t port_ = 0;
    int databases_ = 0;
    std::unique_ptr<certificate_authority> ca_;
    std::unique_ptr<child_process> process_;
};

/// PostgreSQL's own programs: Debian keeps them out of PATH.
[[nodiscard]] std::string postgres_program(const std::string& name);

}  // namespace sallyport::tests
