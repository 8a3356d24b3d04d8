#pragma once

#include <memory>
#include <string>

#include "proxy/config.h"

/// The running proxy: everything built in order, and taken down in the reverse.
namespace sallyport::proxy {

class app {
  public:
    /// Opens state and audit log, builds workers and surfaces, binds the ports.
    /// Errors: throws std::runtime_error with one line: what, where, what to do.
    explicit app(loaded_all loaded);
    ~app();
    app(const app&) = delete;
    app& operator=(const app&) = delete;

    /// Serves until SIGTERM or SIGINT (drains; a second one stops at once). SIGHUP reloads.
    void run();

  private:
    struct impl;
    std::unique_ptr<impl> impl_;
};

/// `sallyport serve`: the exit code. Never throws.
[[nodiscard]] int serve(const std::string& config_path);

}  // namespace sallyport::proxy
