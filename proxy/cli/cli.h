#pragma once

#include <functional>
#include <memory>
#include <string>

namespace CLI {
class App;
}

/// The subcommands that talk to a running proxy over its HTTP API, and to nothing else of it.
namespace sallyport::proxy::cli {

/// Exit statuses of every subcommand here.
enum exit_status : int {
    done = 0,
    refused = 1,  ///< the proxy said no, or it failed there
    usage = 2,
    unreachable = 3,   ///< no connection, or the TLS certificate could not be verified
    not_logged_in = 4  ///< no or wrong credentials
};

/// Makes the JSON of a report from the files of a log: directory, from, to ("" = all). Throws
/// std::exception with one line.
using report_reader =
    std::function<std::string(const std::string&, const std::string&, const std::string&)>;

/// Adds `holds`, `hold`, `approve`, `deny`, `opt-out …`, `token …`, `sessions`, `kill`, `rules`,
/// `whoami`, `reload` to an application that may have other subcommands. Use: http_cli http(app);
/// CLI11_PARSE(app, argc, argv); if (http.selected()) return http.run();
class http_cli {
  public:
    explicit http_cli(CLI::App& app);  ///< `app` must outlive this
    ~http_cli();
    http_cli(const http_cli&) = delete;
    http_cli& operator=(const http_cli&) = delete;

    /// What `report --audit` uses; without one it is refused.
    void read_reports_with(report_reader f);
    /// After parsing: one of the subcommands above was given.
    [[nodiscard]] bool selected() const;
    /// After parsing: the option that was given to a command which does not talk to a proxy; else
    /// "".
    [[nodiscard]] std::string misplaced() const;
    /// Runs it; answers on stdout, errors as one line (and the next step) on stderr. Never throws.
    [[nodiscard]] int run();

  private:
    struct impl;
    std::unique_ptr<impl> impl_;
};

/// Only these subcommands, as a program of their own.
[[nodiscard]] int run(int argc, char** argv);

}  // namespace sallyport::proxy::cli
