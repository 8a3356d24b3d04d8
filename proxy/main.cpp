#include <charconv>
#include <fstream>
#include <iostream>
#include <sstream>
#include <string>

#include <CLI/CLI.hpp>
#include <unistd.h>

#include "policy/load.h"
#include "proxy/app.h"
#include "proxy/audit/read.h"
#include "proxy/audit/story.h"
#include "proxy/audit/verify.h"
#include "proxy/big_stack.h"
#include "proxy/cli/cli.h"
#include "proxy/clock.h"
#include "proxy/completion.h"
#include "proxy/config.h"
#include "proxy/doctor.h"
#include "proxy/explain_command.h"
#include "proxy/init_command.h"
#include "proxy/passwd.h"
#include "proxy/policy_commands.h"
#include "proxy/report.h"
#include "proxy/version.h"

// Arguments → one of the commands. Exit codes: 0 done, 1 failed or refused, 2 usage or a fault in a
// file; the HTTP commands have more (proxy/cli/cli.h).
namespace {

namespace sp = sallyport::proxy;
namespace policy = sallyport::policy;

int check(const std::string& path, sp::secrets passwords) {
    const auto loaded = sp::load_all(path, passwords);
    for (const auto& w : loaded.warnings)
        std::cerr << "warning: " << policy::to_string(w) << '\n';
    for (const auto& f : loaded.faults)
        std::cerr << policy::to_string(f) << '\n';
    if (!loaded.ok()) {
        std::cerr << loaded.faults.size() << " fault(s); nothing was loaded\n";
        return 2;
    }
    const sp::system_clock time;
    std::vector<policy::fault> failed;
    sp::run_on_big_stack([&] { failed = policy::run_policy_tests(*loaded.rules, time.now()); });
    for (const auto& f : failed)
        std::cerr << policy::to_string(f) << '\n';
    std::cout << loaded.config->targets.size() << " target(s), " << loaded.users->all().size()
              << " user(s), " << loaded.rules->rules.size() << " rule(s), "
              << loaded.rules->tests.size() - failed.size() << " of " << loaded.rules->tests.size()
              << " policy test(s) passed\n";
    return failed.empty() ? 0 : 2;
}

struct verify_arguments {
    std::string directory;
    std::string public_key;
    std::string head;
    bool may_start_later = false;
};

int verify(const verify_arguments& a) {
    std::ifstream file(a.public_key);
    std::ostringstream pem;
    pem << file.rdbuf();
    if (!file) {
        std::cerr << "sallyport: cannot read the public key " << a.public_key << '\n';
        return 2;
    }
    sp::audit::verify_options options;
    options.may_start_later = a.may_start_later;
    bool shown = false;
    if (isatty(STDERR_FILENO) != 0)
        options.progress = [&shown](std::uint64_t records) {
            shown = true;
            std::cerr << '\r' << records << " records" << std::flush;
        };
    if (!a.head.empty()) {
        const auto colon = a.head.find(':');
        std::uint64_t sequence = 0;
        const auto read = std::from_chars(a.head.data(), a.head.data() + a.head.size(), sequence);
        if (colon != std::string::npos && read.ec == std::errc{} && *read.ptr == ':')
            options.expected_head = {sequence, a.head.substr(colon + 1)};
        if (!options.expected_head) {
            std::cerr << "sallyport: --head is SEQUENCE:HASH, as a verification prints it\n";
            return 2;
        }
    }
    const auto report = sp::audit::verify_directory(a.directory, pem.str(), options);
    if (shown) std::cerr << "\r                              \r" << std::flush;
    if (!report.ok()) {
        std::cout << "BROKEN: " << report.file;
        if (report.line != 0) std::cout << " line " << report.line;
        std::cout << ": " << sp::audit::to_string(report.what) << ": " << report.text << '\n';
        return 1;
    }
    std::cout << "OK: " << report.records << " records, " << report.checkpoints
              << " signed checkpoints, signed through " << report.signed_through << '\n'
              << "head " << report.head.sequence << ':' << report.head.hash
              << "  (keep it elsewhere: --head finds a cut tail)\n";
    if (!report.note.empty()) std::cout << report.note << '\n';
    return 0;
}

int verify_bundle(const std::string& path, const std::string& public_key) {
    std::ostringstream text;
    std::ostringstream pem;
    for (auto [name, into] : {std::pair{&path, &text}, std::pair{&public_key, &pem}}) {
        const std::ifstream file(*name, std::ios::binary);
        *into << file.rdbuf();
        if (file) continue;
        std::cerr << "sallyport: cannot read " << *name << '\n';
        return 2;
    }
    const auto report = sp::audit::verify_bundle(text.str(), pem.str());
    if (!report.fault.empty()) {
        std::cout << "BROKEN: " << report.fault << '\n';
        return 1;
    }
    for (const auto& line : report.records)
        std::cout << line.sequence << "  " << sp::audit::format_entry(line) << '\n';
    std::cout << "OK: " << sp::audit::to_string(report.subject) << ": these "
              << report.records.size() << " records stood in the log, in this order; "
              << report.lines << " lines carried\n"
              << "made " << report.made_at << " when the head was " << report.head_sequence << ':'
              << report.head_hash << '\n'
              << "That nothing of it was left out is the proxy's word of that moment; "
                 "`audit verify` of the whole log shows it.\n";
    return 0;
}

int show_audit(const std::string& directory, const sp::audit::query& query, std::size_t limit) {
    auto found = sp::audit::newest(directory, query, limit);
    for (auto line = found.rbegin(); line != found.rend(); ++line)
        std::cout << sp::audit::format_entry(*line) << '\n';
    return 0;
}

int run(int argc, char** argv) {
    CLI::App program("Sallyport: a guarded entrance to PostgreSQL", "sallyport");
    program.set_version_flag("--version", sp::version);
    program.require_subcommand(1);
    program.footer(
        "Exit codes: 0 done; 1 refused, failed, or something was found; 2 usage, or a fault in a\n"
        "file; 3 the proxy cannot be reached or its certificate not verified; 4 not logged in.\n"
        "`sallyport COMMAND --help` and `man sallyport` say more.");
    std::string config = "config/sallyport.yaml";
    auto* serve_command = program.add_subcommand("serve", "Run the proxy");
    auto* check_command =
        program.add_subcommand("check", "Check the configuration and run the policy's own tests");
    sp::explain_options explained;
    auto* explain_command =
        program.add_subcommand("explain", "Show what would be decided, and why");
    explain_command->footer(
        "Exit code: 0 explained, 2 a fault in a file or a question that cannot be answered. With\n"
        "--exit-code also: 0 allowed, 1 held, 3 denied. Passes and opt-outs are not looked at.");
    sp::doctor_options doctor;
    auto* doctor_command = program.add_subcommand(
        "doctor", "Ask the servers how they could be reached around the proxy");
    doctor_command->add_option("--target", doctor.target, "One target; absent: all");
    doctor_command->add_flag("--json", doctor.json, "For programs");
    for (auto* c : {serve_command, check_command, explain_command, doctor_command})
        c->add_option("--config,-c", config, "The configuration file")->capture_default_str();
    bool without_secrets = false;
    check_command->add_flag("--without-secrets", without_secrets,
                            "Do not read password files: for machines that do not have them");
    check_command->add_option("FILE", config, "The configuration file, like --config");
    explain_command->add_option("--as", explained.question.user, "Who asks")->required();
    explain_command
        ->add_option("--groups", explained.question.groups,
                     "Her groups, if not those of users.yaml")
        ->delimiter(',');
    explain_command->add_option("--on", explained.question.target, "The target")->required();
    explain_command->add_option("--from,--address", explained.question.address, "Her address");
    explain_command->add_option("--application", explained.question.application,
                                "Her application_name");
    explain_command->add_option("--search-path", explained.question.search_path,
                                "As SET takes it; absent: that of a session's start");
    explain_command->add_option("--at", explained.at, "When: 2026-03-01T09:30:00Z; absent: now");
    explain_command->add_flag("--no-catalog", explained.no_catalog,
                              "From the text alone: do not ask the target for its catalog");
    explain_command->add_flag("--json", explained.json, "For programs");
    explain_command->add_flag("--exit-code", explained.exit_code, "The decision is the exit code");
    auto* explain_file = explain_command->add_option(
        "-f,--file", explained.file, "The statements stand in this file; -: standard input");
    explain_command
        ->add_option("SQL", explained.question.sql,
                     "The statements; -: standard input; absent: opening a session")
        ->excludes(explain_file);

    sp::passwd_options passwd;
    std::string from;
    auto* passwd_command =
        program.add_subcommand("passwd", "Ask for a password, print the line for users.yaml");
    passwd_command->add_option("NAME", passwd.name, "The user")->required();
    passwd_command->add_option("FROM", from, "- reads the password from standard input");
    passwd_command->add_option("--groups", passwd.groups, "Groups")->delimiter(',');
    passwd_command->add_flag("--service", passwd.service,
                             "A program: votes only where a rule names it");

    auto* audit_command = program.add_subcommand("audit", "The audit log");
    audit_command->require_subcommand(1);
    verify_arguments verified;
    auto* verify_command = audit_command->add_subcommand("verify", "Is the log as it was written?");
    verify_command->add_option("DIR", verified.directory, "The log's directory")->required();
    verify_command->add_option("--public-key", verified.public_key, "PEM file")->required();
    verify_command->add_option("--head", verified.head, "SEQUENCE:HASH kept elsewhere");
    verify_command->add_flag("--may-start-later", verified.may_start_later,
                             "Older files were archived");
    std::string bundle;
    auto* bundle_command = audit_command->add_subcommand(
        "verify-bundle", "Did the records of this bundle stand in the log?");
    bundle_command->add_option("FILE", bundle, "From `sallyport audit bundle`")->required();
    bundle_command->add_option("--public-key", verified.public_key, "PEM file")->required();
    std::string directory;
    sp::audit::query query;
    std::size_t limit = 20;
    auto* tail_command = audit_command->add_subcommand("tail", "The newest records");
    auto* search_command = audit_command->add_subcommand("search", "Records that match");
    for (auto* c : {tail_command, search_command}) {
        c->add_option("DIR", directory, "The log's directory")->required();
        c->add_option("-n,--limit", limit, "At most so many")->check(CLI::Range(1, 10000));
    }
    search_command->add_option("--user", query.user);
    search_command->add_option("--target", query.target);
    search_command->add_option("--rule", query.rule);
    search_command->add_option("--event", query.event, "Exact, or a prefix that ends in a dot");
    search_command->add_option("--hold", query.hold);
    search_command->add_option("--opt-out", query.opt_out);
    search_command->add_option("--session", query.session);
    search_command->add_option("--text", query.text, "Anywhere in a value");

    const sp::init_cli first(program);
    std::string shell;
    auto* completion_command = program.add_subcommand("completion", "Completion for a shell");
    completion_command->group("");  // for packages; it completes the others
    completion_command->add_option("SHELL", shell)
        ->required()
        ->check(CLI::IsMember({"bash", "zsh", "fish", "man"}));

    const sp::policy_cli policies(program);
    sp::cli::http_cli http(program);
    http.read_reports_with(sp::report_from_files);
    try {
        program.parse(argc, argv);
    } catch (const CLI::ParseError& e) {
        return program.exit(e) == 0 ? 0 : 2;
    }
    if (const auto option = http.misplaced(); !option.empty()) {
        std::cerr << "sallyport: " << option
                  << " is for the commands that talk to a running proxy; "
                  << "options of another command follow its name\n";
        return 2;
    }
    explained.config = config;
    if (explained.question.sql == "-") explained.file = "-";
    passwd.from_stdin = from == "-";
    if (serve_command->parsed()) return sp::serve(config);
    if (check_command->parsed())
        return check(config, without_secrets ? sp::secrets::skip : sp::secrets::read);
    doctor.config = config;
    if (doctor_command->parsed()) return sp::run_doctor(doctor, std::cout, std::cerr);
    if (explain_command->parsed())
        return sp::run_explain(explained, std::cin, std::cout, std::cerr);
    if (first.selected()) return first.run(std::cin, std::cout, std::cerr);
    if (completion_command->parsed()) {
        std::cout << sp::completion_script(program, shell);
        return std::cout.flush() ? 0 : 1;
    }
    if (policies.selected()) return policies.run(std::cout, std::cerr);
    if (passwd_command->parsed()) return sp::run_passwd(passwd, std::cin, std::cout, std::cerr);
    if (verify_command->parsed()) return verify(verified);
    if (bundle_command->parsed()) return verify_bundle(bundle, verified.public_key);
    if (tail_command->parsed() || search_command->parsed())
        return show_audit(directory, query, limit);
    return http.run();
}

}  // namespace

int main(int argc, char** argv) {
    try {
        return run(argc, argv);
    } catch (const std::exception& e) {
        std::cerr << "sallyport: " << e.what() << '\n';
        return 1;
    }
}
