#include "proxy/policy_commands.h"

#include <CLI/CLI.hpp>
#include <unistd.h>

namespace sallyport::proxy {

struct policy_cli::impl {
    CLI::App* lint = nullptr;
    CLI::App* diff = nullptr;
    CLI::App* replay = nullptr;
    lint_options linted;
    diff_options compared;
    replay_options replayed;
};

policy_cli::policy_cli(CLI::App& app) : impl_(std::make_unique<impl>()) {
    auto& i = *impl_;
    i.linted.config = i.compared.config = "config/sallyport.yaml";
    i.lint = app.add_subcommand("lint", "Find rules that are hardly meant as they stand");
    i.lint->footer(
        "Codes: shadowed, never-matches, unstaffed, unbounded, contradiction, standing-exception,\n"
        "exception-ends, carried-command, spoofable, unknown-name, unused-resource, ….\n"
        "Exit code: 0 nothing found, 1 findings, 2 a fault in another file.");
    i.lint->add_option("--config,-c", i.linted.config, "The configuration file")
        ->capture_default_str();
    i.lint->add_option("FILE", i.linted.config, "The configuration file, like --config");
    i.lint->add_flag("--json", i.linted.json, "For programs");

    i.diff = app.add_subcommand("diff", "Say in words whom a change of the policy affects");
    i.diff->footer(
        "Both policies are asked the same made-up questions: every user, every target, every\n"
        "relation that a resource names. Opt-outs and passes do not count.\n"
        "Exit code: 0 told, 2 a fault in a file.");
    i.diff->add_option("OLD", i.compared.older, "The policy file as it is")->required();
    i.diff->add_option("NEW", i.compared.newer, "The policy file as it is to be")->required();
    i.diff->add_option("--config,-c", i.compared.config, "Names the users and the targets")
        ->capture_default_str();
    i.diff->add_flag("--json", i.compared.json, "For programs");

    i.replay =
        app.add_subcommand("replay", "Decide recorded statements again under another policy");
    i.replay->footer(
        "Works on the log's files alone. Records have no literals, and no catalog is asked: what\n"
        "these decided counts as unknown. Plain allows are on record only where 'log: all' asks.\n"
        "Exit code: 0 told, 2 a fault in a file.");
    i.replay->add_option("--policy", i.replayed.policy, "The candidate")->required();
    i.replay->add_option("--audit", i.replayed.audit, "The log's directory")->required();
    i.replay->add_option("--config,-c", i.replayed.config,
                         "For groups that records lack, and to see which decisions the text alone "
                         "explains");
    i.replay->add_option("-n,--limit", i.replayed.limit, "At most so many rows")
        ->capture_default_str();
    i.replay->add_flag("--json", i.replayed.json, "For programs");
}

policy_cli::~policy_cli() = default;

bool policy_cli::selected() const {
    return impl_->lint->parsed() || impl_->diff->parsed() || impl_->replay->parsed();
}

int policy_cli::run(std::ostream& out, std::ostream& err) const {
    if (impl_->lint->parsed()) return run_lint(impl_->linted, out, err);
    if (impl_->diff->parsed()) return run_diff(impl_->compared, out, err);
    impl_->replayed.progress = isatty(STDERR_FILENO) != 0;
    return run_replay(impl_->replayed, out, err);
}

}  // namespace sallyport::proxy
