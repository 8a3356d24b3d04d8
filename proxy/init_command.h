#pragma once

#include <cstdint>
#include <iosfwd>
#include <memory>
#include <string>

namespace CLI {
class App;
}

/// `sallyport init`: a first configuration that works.
namespace sallyport::proxy {

struct init_options {
    std::string directory;
    std::string target;
    std::string host = "127.0.0.1";
    std::uint16_t port = 5432;
    std::string dbname;          ///< "": the target's name
    std::string login;           ///< the role that the proxy logs in as
    std::string login_password;  ///< a file whose line is copied; "": a placeholder
    std::string catalog_login;   ///< "": the target has no map
    std::string catalog_password;
    std::string admin_user;
    std::string admin_password;  ///< a file, or - for standard input; "": asked on the terminal
    std::string address = "127.0.0.1";
    std::uint16_t listen_port = 6432;
    std::uint16_t admin_port = 6480;
    std::string certificate;
    std::string key;
    std::string state;  ///< "": DIR/var, or /var/lib/sallyport for /etc/sallyport
    std::string owner;  ///< the service's user; "": sallyport, if root runs this and it exists
};

/// Writes sallyport.yaml, policy.yaml, users.yaml and secrets/ into a folder that has none of
/// them, and checks them as `sallyport check` does. The exit code: 0, or 2 with what is wrong on
/// `err`; then nothing is left behind.
[[nodiscard]] int run_init(const init_options& o, std::istream& in, std::ostream& out,
                           std::ostream& err);

/// Adds the subcommand to an application that may have others.
class init_cli {
  public:
    explicit init_cli(CLI::App& app);  ///< `app` must outlive this
    ~init_cli();
    init_cli(const init_cli&) = delete;
    init_cli& operator=(const init_cli&) = delete;

    [[nodiscard]] bool selected() const;
    [[nodiscard]] int run(std::istream& in, std::ostream& out, std::ostream& err) const;

  private:
    struct impl;
    std::unique_ptr<impl> impl_;
};

}  // namespace sallyport::proxy
