#pragma once

#include <iosfwd>
#include <memory>
#include <string>
#include <vector>

namespace CLI {
class App;
}

/// The subcommands that look at a policy before it is in force: `lint`, `diff`, `replay`. They read
/// files only; neither the proxy nor a server is asked.
namespace sallyport::proxy {

struct lint_options {
    std::string config;
    bool json = false;
};
/// What stands in the policy and is hardly wanted. The exit code: 0 nothing, 1 findings, 2 a fault
/// in another file.
[[nodiscard]] int run_lint(const lint_options& o, std::ostream& out, std::ostream& err);

struct diff_options {
    std::string config;  ///< for the users and the targets
    std::string older;
    std::string newer;
    bool json = false;
};
/// What changes between two policies, and for whom. The exit code: 0 told, 2 a fault in a file.
[[nodiscard]] int run_diff(const diff_options& o, std::ostream& out, std::ostream& err);

struct replay_options {
    std::string config;  ///< "" = none: groups come from the records alone
    std::string policy;
    std::string audit;
    std::size_t limit = 20;  ///< rows shown
    bool json = false;
    bool progress = false;  ///< tell on `err` how far it is
};
/// Recorded decisions under a candidate policy. The exit code: 0 told, 2 a fault in a file.
[[nodiscard]] int run_replay(const replay_options& o, std::ostream& out, std::ostream& err);

/// Adds the subcommands to an application that may have others.
class policy_cli {
  public:
    explicit policy_cli(CLI::App& app);  ///< `app` must outlive this
    ~policy_cli();
    policy_cli(const policy_cli&) = delete;
    policy_cli& operator=(const policy_cli&) = delete;

    [[nodiscard]] bool selected() const;
    [[nodiscard]] int run(std::ostream& out, std::ostream& err) const;

  private:
    struct impl;
    std::unique_ptr<impl> impl_;
};

}  // namespace sallyport::proxy
