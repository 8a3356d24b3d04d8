#include "proxy/cli/cli.h"

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <functional>
#include <iostream>
#include <string>
#include <utility>
#include <vector>

#include <CLI/CLI.hpp>

#include "proxy/cli/http_client.h"
#include "proxy/cli/kept_login.h"
#include "proxy/cli/login.h"
#include "proxy/cli/new_file.h"
#include "proxy/cli/psql.h"
#include "proxy/cli/terminal.h"
#include "proxy/cli/views.h"
#include "proxy/cli/voting.h"
#include "proxy/visible.h"

namespace sallyport::proxy::cli {
namespace {

using view = std::string (*)(const std::string&, const screen&);

}  // namespace

struct http_cli::impl {
    struct entry {
        CLI::App* app = nullptr;
        std::function<void()> run;
    };

    explicit impl(CLI::App& app) {
        connection(app);
        add_holds(app);
        add_opt_outs(app);
        add_oversight(app);
        add_tokens(app);
        add_audit(app);
        add_rest(app);
    }

    /// Whom to talk to and how, before the command's name or behind it.
    void connection(CLI::App& app) {
        const auto url =
            std::string("the proxy's admin address (else SALLYPORT_URL, ") + default_url + ")";
        const std::vector<CLI::Option*> all_of_them{
            app.add_option("--url", options.url, url),
            app.add_option("--user", options.user, "who you are (else SALLYPORT_USER, USER)"),
            app.add_option("--ca", options.ca,
                           "PEM file of the authority that signed the certificate")
                ->check(CLI::ExistingFile),
            app.add_option("--certificate", options.certificate,
                           "your certificate, for a proxy that asks for one (else "
                           "SALLYPORT_CERTIFICATE)")
                ->check(CLI::ExistingFile),
            app.add_option("--key", options.key, "its key (else SALLYPORT_KEY)")
                ->check(CLI::ExistingFile),
            app.add_flag("--json", json, "the API's JSON instead of text")};
        for (auto* o : all_of_them)
            o->group("Commands to a running proxy");
        if (app.get_parent() == nullptr) leading = all_of_them;
    }

    /// A subcommand with the options that all have; `f` runs when it was given.
    CLI::App& add(CLI::App& parent, const char* name, const char* does, std::function<void()> f) {
        auto* const sub = parent.add_subcommand(name, does);
        connection(*sub);
        entries.push_back({sub, std::move(f)});
        return *sub;
    }

    void with_id(CLI::App& sub) {
        sub.add_option("id", id, "number")->required()->check(CLI::PositiveNumber);
    }
    void with_reason(CLI::App& sub, bool needed) {
        auto* const o = sub.add_option("--reason", reason, "why; others will read it");
        if (needed) o->required();
    }

    void add_holds(CLI::App& app) {
        auto& list = add(app, "holds", "What waits for approval and you can see", [this] {
            get(all ? "/api/v1/holds" : "/api/v1/holds?state=pending", show_holds);
        });
        list.add_flag("--all", all, "also what has ended");
        with_watch(list);
        with_id(add(app, "hold", "One hold with its whole statement",
                    [this] { get("/api/v1/holds/" + number(), show_hold); }));
        auto& approve = add(app, "approve", "Release a hold; without a number: asks", [this] {
            if (id == 0) return vote_one_by_one(options);
            post("/api/v1/holds/" + number() + "/approve",
                 body({{"reason", reason}, {"pass", pass}, {"for", duration}}));
        });
        approve.add_option("id", id, "number; absent: shows what waits and asks")
            ->check(CLI::PositiveNumber);
        with_reason(approve, false);
        approve
            .add_option("--pass", pass,
                        "what is released besides: statement, shape, transaction, session")
            ->check(CLI::IsMember({"statement", "shape", "transaction", "session"}));
        approve.add_option("--for", duration, "how long the pass lasts, like 30m");
        auto& ahead = add(app, "request-hold",
                          "Ask ahead for a statement, or a session, that a rule holds", [this] {
                              post("/api/v1/holds", body({{"on", target},
                                                          {"sql", sql},
                                                          {"reason", reason},
                                                          {"application", application},
                                                          {"for", duration}}));
                          });
        ahead.add_option("sql", sql, "the very statement; without one, a session");
        ahead.add_option("--on", target, "the target")->required();
        with_reason(ahead, true);
        ahead.add_option("--application", application, "only with this application_name");
        ahead.add_option("--for", duration,
                         "how long it can be decided and then be taken, like 12h");
        with_id(add(app, "escalate", "Ask a hold's next approvers at once",
                    [this] { post("/api/v1/holds/" + number() + "/escalate", "{}"); }));
        auto& reassign = add(app, "reassign", "Make a hold one person's task", [this] {
            post("/api/v1/holds/" + number() + "/reassign",
                 body({{"to", person}, {"reason", reason}}));
        });
        with_id(reassign);
        reassign.add_option("person", person, "who could decide it; the others still may")
            ->required();
        with_reason(reassign, true);
        auto& deny = add(app, "deny", "Refuse a hold", [this] {
            post("/api/v1/holds/" + number() + "/deny", body({{"reason", reason}}));
        });
        with_id(deny);
        with_reason(deny, true);
    }

    void add_opt_outs(CLI::App& app) {
        auto* const group =
            app.add_subcommand("opt-out", "Time-limited, reviewed exceptions from a rule");
        group->require_subcommand(1);
        auto& request = add(*group, "request", "Ask for one, for yourself or a group of yours",
                            [this] { ask_for_opt_out({}); });
        with_wish(request);
        request.add_option("--from", from, "when it begins, like 2026-03-01T22:00:00Z");
        request.add_option("--group", for_group, "for everybody in this group of yours");
        auto& glass = add(*group, "break-glass",
                          "Opt out at once and alone; it is announced and "
                          "reviewed",
                          [this] { ask_for_opt_out({"break_glass"}); });
        with_wish(glass);
        auto& extend = add(*group, "extend", "Ask for more time, approved like the first", [this] {
            post("/api/v1/opt-outs/" + number() + "/extend",
                 body({{"for", duration}, {"reason", reason}, {"ticket", ticket}}));
        });
        with_id(extend);
        extend.add_option("--for", duration, "how long, like 1h")->required();
        with_reason(extend, true);
        extend.add_option("--ticket", ticket, "another ticket than the first");
        with_id(add(*group, "withdraw-vote", "Take your approval back, while nothing came of it",
                    [this] { post("/api/v1/opt-outs/" + number() + "/withdraw-vote", "{}"); }));
        auto& list = add(*group, "list", "Those that you can see", [this] {
            get(state.empty() ? "/api/v1/opt-outs" : "/api/v1/opt-outs?state=" + state,
                show_opt_outs);
        });
        list.add_option("--state", state, "only those in this state")
            ->check(CLI::IsMember({"requested", "active", "denied", "withdrawn", "lapsed",
                                   "expired", "revoked", "used_up"}));
        with_watch(list);
        with_id(add(*group, "show", "One of them",
                    [this] { get("/api/v1/opt-outs/" + number(), show_opt_out); }));
        for (const auto& [name, does, needed] :
             {std::tuple{"approve", "Approve a requested one", false},
              std::tuple{"deny", "Refuse a requested one", true},
              std::tuple{"revoke", "End one now", true}}) {
            auto& sub = add(*group, name, does, [this, verb = std::string(name)] {
                post("/api/v1/opt-outs/" + number() + "/" + verb, body({{"reason", reason}}));
            });
            with_id(sub);
            with_reason(sub, needed);
        }
    }

    void with_wish(CLI::App& sub) {
        sub.add_option("--rule", rule, "the holding rule")->required();
        sub.add_option("--for", duration, "how long, like 2h")->required();
        with_reason(sub, true);
        sub.add_option("--ticket", ticket, "the ticket that it belongs to");
        sub.add_option("--target", target, "only on this target");
        sub.add_option("--application", application, "only with this application_name");
        sub.add_option("--on", resources, "only this resource of the policy");
        sub.add_option("--do", actions, "only these kinds or commands: read, select …")
            ->delimiter(',');
        sub.add_option("--shape", shape, "only statements of this shape (explain shows it)");
    }

    void ask_for_opt_out(const std::vector<std::string>& flags) {
        post("/api/v1/opt-outs", body({{"rule", rule},
                                       {"for", duration},
                                       {"reason", reason},
                                       {"ticket", ticket},
                                       {"target", target},
                                       {"from", from},
                                       {"group", for_group},
                                       {"application", application},
                                       {"shape", shape}},
                                      {{{"on", resources}, {"do", actions}}, flags}));
    }

    void add_oversight(CLI::App& app) {
        with_id(add(app, "withdraw-vote", "Take your approval of a hold back",
                    [this] { post("/api/v1/holds/" + number() + "/withdraw-vote", "{}"); }));
        auto& reviews = add(
            app, "reviews", "Opt-outs that were used and wait for a look back",
            [this] { get(all ? "/api/v1/reviews" : "/api/v1/reviews?state=open", show_reviews); });
        reviews.add_flag("--all", all, "also those that have had it");
        auto* const review = app.add_subcommand("review", "Close the review of an opt-out");
        review->require_subcommand(1);
        auto& sign = add(*review, "sign-off", "Its uses were right", [this] {
            post("/api/v1/reviews/" + number() + "/sign-off", body({{"note", reason}}));
        });
        with_id(sign);
        sign.add_option("--note", reason, "what you looked at");
        auto& finding = add(*review, "finding", "Something was not right", [this] {
            post("/api/v1/reviews/" + number() + "/finding", body({{"note", reason}}));
        });
        with_id(finding);
        finding.add_option("--note", reason, "what was not right")->required();
        auto& flags = add(app, "flags", "Flags and locks in force", [this] {
            get(all ? "/api/v1/flags?state=all" : "/api/v1/flags", show_flags);
        });
        flags.add_flag("--all", all, "also past ones");
        restrain(add(app, "flag", "Nothing passes by itself any more: each session needs a person",
                     [this] { set("/api/v1/flags"); }),
                 {"principal", "application", "address", "target"});
        restrain(add(app, "lock", "End live sessions and refuse new ones (admins)",
                     [this] { set("/api/v1/locks"); }),
                 {"principal", "application", "address", "target", "rule"});
        auto& lift = add(app, "lift", "End a flag or lock (admins, never one's own)", [this] {
            post("/api/v1/flags/" + number() + "/lift", body({{"reason", reason}}));
        });
        with_id(lift);
        with_reason(lift, true);
    }

    void restrain(CLI::App& sub, const std::vector<std::string>& subjects) {
        sub.add_option("about", about, "what it is about")
            ->required()
            ->check(CLI::IsMember(subjects));
        sub.add_option("subject", subject, "its name, or an address like 10.0.0.0/8")->required();
        sub.add_option("--for", duration, "how long, like 8h")->required();
        with_reason(sub, true);
    }
    void set(const std::string& path) {
        post(path, body({{about, subject}, {"for", duration}, {"reason", reason}}));
    }

    void add_tokens(CLI::App& app) {
        auto* const group =
            app.add_subcommand("token", "API tokens: for programs that act as you, within scopes");
        group->require_subcommand(1);
        auto& create = add(*group, "create", "Make one; it is printed once", [this] {
            login in(options);
            const auto made =
                in.ask("POST", "/api/v1/tokens",
                       body({{"name", token_name}, {"for", duration}, {"owner", owner}},
                            {{{"scopes", scopes}}, {}}));
            std::cout << (json ? pretty(made) : member(made, "token") + "\n");
        });
        create.add_option("--name", token_name, "what it is for")->required();
        create.add_option("--scope", scopes, "what it may do: see-holds, vote-hold …")
            ->required()
            ->delimiter(',');
        create.add_option("--for", duration, "how long, like 30d")->required();
        create.add_option("--owner", owner, "a program of users.yaml (admins)");
        add(*group, "list", "Those of yours; for admins all",
            [this] { get("/api/v1/tokens", show_tokens); });
        with_id(add(*group, "revoke", "End one now", [this] {
            const login in(options);
            print(in.ask("DELETE", "/api/v1/tokens/" + number()), show_answer);
        }));
    }

    /// Beside the commands that read the log's files, where there are such.
    void add_audit(CLI::App& app) {
        const auto known =
            app.get_subcommands([](const CLI::App* sub) { return sub->get_name() == "audit"; });
        auto* const group =
            known.empty() ? app.add_subcommand("audit", "The audit log") : known.front();
        group->require_subcommand(1);
        with_story(add(*group, "story", "All records of one hold or opt-out (auditors)",
                       [this] { get("/api/v1/audit/story?" + story_query(), show_story); }));
        auto& bundle = add(*group, "bundle",
                           "Those records as a signed file, which anybody can check with "
                           "verify-bundle (auditors)",
                           [this] { keep_bundle(); });
        with_story(bundle);
        bundle.add_option("-o,--output", output,
                          "the file, which must not be there yet; -: standard output");
    }

    void with_story(CLI::App& sub) {
        sub.add_option("about", about, "hold or opt-out")
            ->required()
            ->check(CLI::IsMember({"hold", "opt-out"}));
        with_id(sub);
    }
    [[nodiscard]] std::string story_query() const {
        return (about == "hold" ? "hold=" : "opt_out=") + number();
    }

    void keep_bundle() {
        std::string text;
        {
            const login in(options);
            text = in.ask("GET", "/api/v1/audit/bundle?" + story_query());
        }
        if (output == "-") {
            std::cout << text;
            return;
        }
        const auto path =
            output.empty() ? "sallyport-" + about + "-" + number() + ".bundle" : output;
        write_new_file(path, text);
        if (json)
            std::cout << pretty(body({{"file", path}, {"bytes", std::to_string(text.size())}}));
        else
            std::cout << visible(path, line_breaks::escape)
                      << " is written; with the public key alone:\n  sallyport audit verify-bundle "
                      << visible(path, line_breaks::escape) << " --public-key KEY\n";
    }

    void add_rest(CLI::App& app) {
        with_watch(add(app, "sessions", "Live sessions (admins, auditors)",
                       [this] { get("/api/v1/sessions", show_sessions); }));
        auto& kill = add(app, "kill", "End a session (admins)", [this] {
            post("/api/v1/sessions/" + number() + "/kill", body({{"reason", reason}}));
        });
        with_id(kill);
        with_reason(kill, true);
        add(app, "rules", "The rules in force", [this] { get("/api/v1/rules", show_rules); });
        add(app, "deliveries", "Whom notices reach, and whom not (admins, auditors, monitors)",
            [this] { get("/api/v1/deliveries", show_deliveries); });
        auto& report = add(app, "report",
                           "Numbers against overuse: rules to fix, people who live "
                           "on exceptions (auditors)",
                           [this] { show_overuse(); });
        report.add_option("--audit", audit, "read this log's files instead of asking the proxy");
        report.add_option("--from", from, "only what happened since, like 2026-03-01T00:00:00Z");
        report.add_option("--to", to, "only what happened before");
        add(app, "whoami", "Who you are to the proxy, and your roles",
            [this] { get("/api/v1/me", show_me); });
        add(app, "reload", "Read policy and users again (admins)", [this] {
            const login in(options);
            const auto said = in.ask("POST", "/api/v1/reload");
            std::cout << (json ? pretty(said)
                               : "policy " + visible(member(said, "policy"), line_breaks::escape) +
                                     " is in force\n");
        });
        add_login(app);
    }

    void add_login(CLI::App& app) {
        auto& once = add(app, "login", "Log in once for the commands to come", [this] {
            options.fresh = true;
            login made(options);
            if (only_print) {
                std::cout << made.keep() << "\n";
                return;
            }
            const auto url = login::address_of(options);
            const kept_login kept{made.user(), made.keep()};
            keep_login(url, kept);
            std::cout << "You are logged in as " << visible(kept.user, line_breaks::escape)
                      << " at " << visible(url, line_breaks::escape)
                      << "; sallyport logout ends it.\n";
        });
        once.add_flag("--print", only_print, "keep nothing, print a token for SALLYPORT_TOKEN");
        add(app, "logout", "End the login that is kept", [this] {
            const auto url = login::address_of(options);
            const auto kept = read_kept_login(url);
            if (kept) {
                try {
                    static_cast<void>(
                        ask(parse_url(url), {options.ca, options.certificate, options.key},
                            {"POST", "/api/v1/logout", {}, kept->token}, std::chrono::seconds(5)));
                } catch (const failure&) {
                    // It ends by itself when idle.
                }
            }
            std::cout << (forget_login(url) ? "You are logged out.\n" : "No login was kept.\n");
        });
        auto& shell = add(app, "psql", "Start psql on a target, through the proxy", [this] {
            psql.url = login::address_of(options);
            psql.user = options.user;
            if (psql.user.empty()) psql.user = environment("SALLYPORT_USER");
            if (psql.user.empty())
                if (const auto kept = read_kept_login(psql.url)) psql.user = kept->user;
            run_psql(psql);
        });
        shell.add_option("target", psql.target, "the target's name")->required();
        shell.add_option("--host", psql.host,
                         "the proxy's host (else SALLYPORT_HOST, or that of --url)");
        shell.add_option("--port", psql.port, "its port for clients (else SALLYPORT_PORT, 6432)");
        shell.add_option("arguments", psql.more, "for psql itself, behind --");
    }

    void with_watch(CLI::App& sub) {
        watching.push_back(
            sub.add_option("--watch", watch_seconds, "again and again, each so many seconds (2)")
                ->expected(0, 1)
                ->default_str("2")
                ->check(CLI::Range(0.2, 3600.0)));
    }

    [[nodiscard]] std::string number() const { return std::to_string(id); }

    void show_overuse() {
        if (!audit.empty()) return print(report_of_files(), show_report);
        std::string query;
        for (const auto& [name, value] : {std::pair{"from", &from}, std::pair{"to", &to}}) {
            if (value->empty()) continue;
            const bool plain = value->find_first_not_of("0123456789-:.TZ") == std::string::npos;
            if (!plain)
                throw failure(usage, "--" + std::string(name) + " is no time",
                              "Write it like 2026-03-01T09:30:00Z.");
            query += (query.empty() ? "?" : "&") + std::string(name) + "=" + *value;
        }
        get("/api/v1/report" + query, show_report);
    }

    [[nodiscard]] std::string report_of_files() const {
        if (!from_files) throw failure(usage, "this program reads no log", "Ask the proxy.");
        try {
            return from_files(audit, from, to);
        } catch (const std::exception& e) {
            throw failure(usage, e.what(), "Give the directory that audit: names.");
        }
    }

    void get(const std::string& path, view as) {
        const login in(options);
        const bool again = std::any_of(watching.begin(), watching.end(),
                                       [](const CLI::Option* o) { return o->count() > 0; });
        if (again)
            watch(watch_seconds > 0 ? watch_seconds : 2,
                  given()->app->get_name() + " at " + login::address_of(options),
                  [&] { return text_of(in.ask("GET", path), as); });
        print(in.ask("GET", path), as);
    }
    void post(const std::string& path, const std::string& what) {
        const login in(options);
        print(in.ask("POST", path, what), show_answer);
    }
    void print(const std::string& answer, view as) const { std::cout << text_of(answer, as); }
    [[nodiscard]] std::string text_of(const std::string& answer, view as) const {
        if (json) return pretty(answer);
        const auto s = terminal();
        return is_table(as) ? with_heading(as(answer, s), s) : as(answer, s);
    }
    static bool is_table(view as) {
        return as == show_holds || as == show_opt_outs || as == show_sessions || as == show_rules ||
               as == show_reviews || as == show_flags;
    }
    static std::string environment(const char* name) {
        const char* const value = std::getenv(name);
        return value == nullptr ? std::string{} : std::string(value);
    }

    [[nodiscard]] const entry* given() const {
        for (const auto& e : entries)
            if (e.app->parsed()) return &e;
        return nullptr;
    }

    std::vector<entry> entries;
    std::vector<CLI::Option*> leading;  // as given before the command
    connection_options options{.url = {}, .user = {}, .ca = {}, .fresh = false};
    psql_options psql;
    std::vector<CLI::Option*> watching;
    double watch_seconds = 2;
    bool only_print = false;
    bool json = false;
    bool all = false;
    std::uint64_t id = 0;
    std::string reason;
    std::string person;
    std::string pass;
    std::string sql;
    std::string duration;
    std::string rule;
    std::string ticket;
    std::string target;
    std::string state;
    std::string from;
    std::string for_group;
    std::string to;
    std::string audit;
    report_reader from_files;
    std::string application;
    std::string shape;
    std::vector<std::string> resources;
    std::vector<std::string> actions;
    std::vector<std::string> scopes;
    std::string token_name;
    std::string output;
    std::string owner;
    std::string about;
    std::string subject;
};

http_cli::http_cli(CLI::App& app) : impl_(std::make_unique<impl>(app)) {}

http_cli::~http_cli() = default;

void http_cli::read_reports_with(report_reader f) {
    impl_->from_files = std::move(f);
}

bool http_cli::selected() const {
    return impl_->given() != nullptr;
}

std::string http_cli::misplaced() const {
    if (selected()) return {};
    for (const auto* o : impl_->leading)
        if (o->count() > 0) return o->get_name();
    return {};
}

int http_cli::run() {
    const auto* const entry = impl_->given();
    if (entry == nullptr) return usage;
    const auto say = [](const std::string& what, const std::string& next) {
        std::cerr << error_prefix() << visible(what, line_breaks::keep) << "\n";
        if (!next.empty()) std::cerr << "  " << visible(next, line_breaks::escape) << "\n";
    };
    try {
        entry->run();
        std::cout.flush();
        return std::cout ? done : refused;
    } catch (const failure& f) {
        say(f.what(), f.next());
        return f.status();
    } catch (const std::exception& e) {
        say(e.what(), "This should not happen; please report it with the command you gave.");
        return refused;
    }
}

int run(int argc, char** argv) {
    CLI::App app("Talks to a running Sallyport over its admin API");
    app.require_subcommand(1);
    http_cli commands(app);
    try {
        app.parse(argc, argv);
    } catch (const CLI::ParseError& e) {
        return app.exit(e) == 0 ? done : usage;
    }
    return commands.run();
}

}  // namespace sallyport::proxy::cli
