#include "proxy/admin/console_command.h"

#include <algorithm>
#include <array>

#include "proxy/admin/console_lexer.h"
#include "proxy/admin/text.h"

namespace sallyport::proxy::admin {
namespace {

using tokens = std::vector<token>;

/// Clauses that a command may have after its words, as bits.
enum clause : unsigned {
    none = 0,
    with_id = 1U << 0U,
    reason_ = 1U << 1U,
    pass_ = 1U << 2U,
    for_clause = 1U << 3U,
    rule_ = 1U << 4U,
    ticket_ = 1U << 5U,
    target_ = 1U << 6U,
    all_ = 1U << 7U,
};

struct form {
    verb what;
    std::string_view words;  ///< upper case
    unsigned allowed;
    unsigned needed;
    std::string_view tag;
    std::string_view usage;
    std::string_view does;
};

constexpr std::array forms{
    form{verb::show_holds, "SHOW HOLDS", all_, none, "SHOW", "SHOW HOLDS [ALL]",
         "what waits for approval and you can see; ALL: also what has ended"},
    form{verb::show_hold, "SHOW HOLD", with_id, with_id, "SHOW", "SHOW HOLD 7",
         "one hold with its whole statement"},
    form{verb::approve, "APPROVE", with_id | reason_ | pass_ | for_clause, with_id, "APPROVE",
         "APPROVE 7 [REASON '…'] [PASS statement|shape|transaction|session] [FOR '30m']",
         "releases a hold, once enough people have"},
    form{verb::deny, "DENY", with_id | reason_, with_id | reason_, "DENY", "DENY 7 REASON '…'",
         "refuses a hold"},
    form{verb::show_opt_outs, "SHOW OPT OUTS", all_, none, "SHOW", "SHOW OPT_OUTS [ALL]",
         "opt-outs that are requested or active; ALL: also what has ended"},
    form{verb::request_opt_out, "REQUEST OPT OUT", rule_ | for_clause | reason_ | ticket_ | target_,
         rule_ | for_clause | reason_, "REQUEST",
         "REQUEST OPT OUT RULE r FOR '2h' REASON '…' [TICKET '…'] [TARGET t]",
         "asks for a time-limited exception from a holding rule, for yourself"},
    form{verb::approve_opt_out, "APPROVE OPT OUT", with_id | reason_, with_id, "APPROVE",
         "APPROVE OPT OUT 3 [REASON '…']", "approves a requested opt-out"},
    form{verb::deny_opt_out, "DENY OPT OUT", with_id | reason_, with_id | reason_, "DENY",
         "DENY OPT OUT 3 REASON '…'", "refuses a requested opt-out"},
    form{verb::revoke_opt_out, "REVOKE OPT OUT", with_id | reason_, with_id | reason_, "REVOKE",
         "REVOKE OPT OUT 3 REASON '…'", "ends an opt-out now"},
    form{verb::show_sessions, "SHOW SESSIONS", none, none, "SHOW", "SHOW SESSIONS",
         "live sessions (admins, auditors)"},
    form{verb::kill, "KILL", with_id | reason_, with_id | reason_, "KILL", "KILL 12 REASON '…'",
         "ends a session (admins)"},
    form{verb::show_rules, "SHOW RULES", none, none, "SHOW", "SHOW RULES", "the rules in force"},
    form{verb::show_stats, "SHOW STATS", none, none, "SHOW", "SHOW STATS",
         "numbers and health (admins, auditors)"},
    form{verb::show_version, "SHOW VERSION", none, none, "SHOW", "SHOW VERSION",
         "the version of Sallyport"},
    form{verb::reload, "RELOAD", none, none, "RELOAD", "RELOAD",
         "reads the policy and the users again (admins)"},
    form{verb::help, "HELP", none, none, "HELP", "HELP", "this list"},
    form{verb::help, "SHOW HELP", none, none, "HELP", "", ""},
};

command fail(const char* sqlstate, std::string message, std::string hint) {
    command c;
    c.sqlstate = sqlstate;
    c.message = std::move(message);
    c.hint = std::move(hint);
    return c;
}

std::string upper(std::string_view text) {
    std::string out(text);
    std::transform(out.begin(), out.end(), out.begin(), [](char c) {
        return c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
    });
    return out;
}

bool is_word(const token& t, std::string_view expected) {
    return t.what == token::kind::word && upper(t.text) == expected;
}

/// OPT_OUT, OPT-OUT and OPT_OUTS are two words everywhere after this.
tokens split_opt_out(const tokens& in) {
    tokens out;
    for (const auto& t : in) {
        const auto text = t.what == token::kind::word ? upper(t.text) : std::string{};
        const bool one = text == "OPT_OUT" || text == "OPT-OUT" || text == "OPTOUT";
        const bool many = text == "OPT_OUTS" || text == "OPT-OUTS" || text == "OPTOUTS";
        if (one || many) {
            out.push_back({token::kind::word, "OPT"});
            out.push_back({token::kind::word, one ? "OUT" : "OUTS"});
        } else {
            out.push_back(t);
        }
    }
    return out;
}

/// How many tokens the form's words take off the front; 0 when they are not there.
std::size_t words_matched(const tokens& t, std::string_view words) {
    std::size_t count = 0;
    while (!words.empty()) {
        const auto space = words.find(' ');
        if (count >= t.size() || !is_word(t[count], words.substr(0, space))) return 0;
        ++count;
        words.remove_prefix(space == std::string_view::npos ? words.size() : space + 1);
    }
    return count;
}

/// Reads the clauses after the words of one command.
class clause_reader {
  public:
    clause_reader(const form& f, const tokens& t, std::size_t at) : form_(f), tokens_(t), at_(at) {}

    command run() {
        out_.what = form_.what;
        out_.tag = form_.tag;
        if ((form_.allowed & with_id) != 0) read_id();
        while (out_.sqlstate.empty() && at_ < tokens_.size())
            read_clause();
        if (!out_.sqlstate.empty()) return std::move(out_);
        const unsigned missing = form_.needed & ~seen_;
        if ((missing & reason_) != 0) return wrong("A REASON '…' is needed");
        if ((missing & rule_) != 0) return wrong("RULE and the rule's name are needed");
        if ((missing & for_clause) != 0) return wrong("FOR and a duration are needed");
        return std::move(out_);
    }

  private:
    command wrong(const std::string& what) const {
        return fail("42601", what + ".", "The form is: " + std::string(form_.usage));
    }

    void read_id() {
        const bool there = at_ < tokens_.size() && tokens_[at_].what == token::kind::word;
        const auto id = there ? parse_id(tokens_[at_].text) : std::nullopt;
        if (!id) {
            out_ = wrong("A number is needed after " + std::string(form_.words));
            return;
        }
        out_.id = *id;
        seen_ |= with_id;
        ++at_;
    }

    /// True when this clause stands here, may, and stands here for the first time.
    bool begins(std::string_view word, clause bit) {
        if (!is_word(tokens_[at_], word) || (form_.allowed & bit) == 0) return false;
        if ((seen_ & bit) != 0) {
            out_ = wrong(std::string(word) + " is there twice");
            return false;
        }
        seen_ |= bit;
        ++at_;
        return true;
    }

    std::string value(std::string_view of) {
        if (at_ < tokens_.size() && tokens_[at_].what != token::kind::symbol)
            return tokens_[at_++].text;
        out_ = wrong("Something is missing after " + std::string(of));
        return {};
    }

    std::string literal(std::string_view of) {
        if (at_ < tokens_.size() && tokens_[at_].what == token::kind::string)
            return tokens_[at_++].text;
        out_ = wrong("A '…' literal is needed after " + std::string(of));
        return {};
    }

    void read_clause() {
        if (begins("ALL", all_)) {
            out_.all = true;
        } else if (out_.sqlstate.empty() && begins("REASON", reason_)) {
            out_.reason = literal("REASON");
        } else if (out_.sqlstate.empty() && begins("PASS", pass_)) {
            read_pass();
        } else if (out_.sqlstate.empty() && begins("FOR", for_clause)) {
            read_duration();
        } else if (out_.sqlstate.empty() && begins("RULE", rule_)) {
            out_.rule = value("RULE");
        } else if (out_.sqlstate.empty() && begins("TICKET", ticket_)) {
            out_.ticket = value("TICKET");
        } else if (out_.sqlstate.empty() && begins("TARGET", target_)) {
            out_.target = value("TARGET");
        } else if (out_.sqlstate.empty()) {
            out_ = wrong("Not understood from \"" + tokens_[at_].text.substr(0, 64) + "\" on");
        }
    }

    void read_pass() {
        const auto text = lower(value("PASS"));
        policy::pass_scope scope{};
        if (!out_.sqlstate.empty()) return;
        if (!policy::parse_pass_scope(text, scope)) {
            out_ = fail("22023", "There is no such pass.",
                        "It is one of statement, shape, transaction, session.");
            return;
        }
        out_.pass = scope;
    }

    void read_duration() {
        const auto text = value("FOR");
        if (!out_.sqlstate.empty()) return;
        out_.for_ = parse_duration(text);
        if (!out_.for_)
            out_ = fail("22023", "This is no duration.", "Write it like '30m' or '2h'.");
    }

    const form& form_;
    const tokens& tokens_;
    std::size_t at_;
    unsigned seen_ = 0;
    command out_;
};

struct answer_row {
    std::string_view said;  ///< normalised: lower case, tokens with one space between
    std::string_view column;
    std::string_view value;
};

constexpr std::string_view server_version = "15.0";

// What psql, pgjdbc, psycopg, pgx, Npgsql and pool checks ask before anybody has typed a word.
constexpr std::array selects{
    answer_row{"select 1", "?column?", "1"},
    answer_row{"select version ( )", "version", "Sallyport console, PostgreSQL 15.0 protocol"},
    answer_row{"select pg_catalog.version ( )", "version",
               "Sallyport console, PostgreSQL 15.0 protocol"},
    answer_row{"select current_database ( )", "current_database", "sallyport"},
    answer_row{"select current_schema ( )", "current_schema", "public"},
    answer_row{"select pg_catalog.current_database ( )", "current_database", "sallyport"},
    answer_row{"select pg_catalog.pg_is_in_recovery ( )", "pg_is_in_recovery", "f"},
    answer_row{"select pg_is_in_recovery ( )", "pg_is_in_recovery", "f"},
};

constexpr std::array settings{
    answer_row{"server_version", "server_version", server_version},
    answer_row{"client_encoding", "client_encoding", "UTF8"},
    answer_row{"server_encoding", "server_encoding", "UTF8"},
    answer_row{"transaction_read_only", "transaction_read_only", "off"},
    answer_row{"default_transaction_read_only", "default_transaction_read_only", "off"},
    answer_row{"standard_conforming_strings", "standard_conforming_strings", "on"},
    answer_row{"search_path", "search_path", "public"},
    answer_row{"timezone", "TimeZone", "UTC"},
    answer_row{"datestyle", "DateStyle", "ISO, MDY"},
    answer_row{"transaction isolation level", "transaction_isolation", "read committed"},
    answer_row{"transaction_isolation", "transaction_isolation", "read committed"},
};

std::string normalised(const tokens& t) {
    std::string out;
    for (const auto& one : t) {
        if (!out.empty()) out += ' ';
        if (one.what == token::kind::string)
            out += "'" + one.text + "'";
        else
            out += one.what == token::kind::word ? lower(one.text) : one.text;
    }
    return out;
}

std::optional<command> parse_driver_chatter(const tokens& t) {
    command c;
    const auto text = normalised(t);
    const auto first = upper(t.front().text);
    for (const auto& row : selects) {
        if (text != row.said) continue;
        c.what = verb::driver_select;
        c.word = row.column;
        c.value = row.value;
        c.tag = "SELECT 1";
        return c;
    }
    if (first == "SHOW") {
        for (const auto& row : settings) {
            if (text != "show " + std::string(row.said)) continue;
            c.what = verb::driver_show;
            c.word = row.column;
            c.value = row.value;
            c.tag = "SHOW";
            return c;
        }
    }
    static constexpr std::array<std::pair<std::string_view, std::string_view>, 10> commands{{
        {"SET", "SET"},
        {"RESET", "RESET"},
        {"BEGIN", "BEGIN"},
        {"START", "START TRANSACTION"},
        {"COMMIT", "COMMIT"},
        {"END", "COMMIT"},
        {"ROLLBACK", "ROLLBACK"},
        {"ABORT", "ROLLBACK"},
        {"DISCARD", "DISCARD ALL"},
        {"DEALLOCATE", "DEALLOCATE"},
    }};
    for (const auto& [word, tag] : commands) {
        if (!is_word(t.front(), word)) continue;
        c.what = verb::driver_command;
        c.tag = tag;
        return c;
    }
    return std::nullopt;
}

command not_understood(const tokens& t) {
    static constexpr std::array queries{"SELECT", "WITH",   "TABLE",   "VALUES",  "INSERT",
                                        "UPDATE", "DELETE", "MERGE",   "CREATE",  "ALTER",
                                        "DROP",   "COPY",   "EXPLAIN", "TRUNCATE"};
    const auto first = t.front().what == token::kind::word ? upper(t.front().text) : std::string{};
    if (std::find(queries.begin(), queries.end(), first) != queries.end())
        return fail("0A000", "The console has no tables and runs no queries.",
                    "HELP shows its commands; psql's \\d and tab completion do not work here.");
    std::string said = first;
    for (std::size_t i = 1; i < t.size() && i < 3 && t[i].what == token::kind::word; ++i) {
        if (parse_id(t[i].text)) break;
        said += " " + upper(t[i].text);
    }
    std::vector<std::string> known;
    for (const auto& f : forms)
        known.emplace_back(f.words);
    auto near = nearest(said, known);
    if (near.empty()) near = nearest(said.substr(0, said.rfind(' ')), known);
    if (near.empty()) near = nearest(first, known);
    return fail("42601", "There is no such command.",
                (near.empty() ? std::string() : "Did you mean " + near + "? ") +
                    "HELP shows all commands.");
}

}  // namespace

command parse_command(std::string_view text) {
    auto split = split_tokens(text);
    if (!split.error.empty()) return fail("42601", split.error, "HELP shows all commands.");
    auto& t = split.tokens;
    const auto is_end = [](const token& x) {
        return x.what == token::kind::symbol && x.text == ";";
    };
    while (!t.empty() && is_end(t.back()))
        t.pop_back();
    if (t.empty()) return {};
    if (std::any_of(t.begin(), t.end(), is_end))
        return fail("42601", "Only one command at a time.", "Send them one by one.");
    if (t.front().what == token::kind::symbol && t.front().text == "\\")
        return fail("0A000", "Backslash commands are psql's own.", "HELP shows all commands.");
    t = split_opt_out(t);
    const form* best = nullptr;
    std::size_t taken = 0;
    for (const auto& f : forms) {
        const auto words = words_matched(t, f.words);
        if (words > taken) {
            best = &f;
            taken = words;
        }
    }
    if (best != nullptr) return clause_reader(*best, t, taken).run();
    if (auto chatter = parse_driver_chatter(t)) return std::move(*chatter);
    return not_understood(t);
}

std::vector<help_line> help_lines() {
    std::vector<help_line> out;
    for (const auto& f : forms)
        if (!f.usage.empty()) out.push_back({std::string(f.usage), std::string(f.does)});
    return out;
}

std::vector<console_column> columns_of(const command& c) {
    using enum console_type;
    if (!c.sqlstate.empty()) return {};
    switch (c.what) {
        case verb::show_holds:
            return {{"id", int8},
                    {"kind", text},
                    {"state", text},
                    {"user", text},
                    {"target", text},
                    {"rule", text},
                    {"votes", text},
                    {"may_vote", boolean},
                    {"opened_at", timestamptz},
                    {"expires_at", timestamptz},
                    {"reason", text},
                    {"statement", text}};
        case verb::show_hold:
            return {{"field", text}, {"value", text}};
        case verb::approve:
        case verb::deny:
        case verb::request_opt_out:
        case verb::approve_opt_out:
        case verb::deny_opt_out:
        case verb::revoke_opt_out:
        case verb::kill:
            return {{"id", int8}, {"result", text}, {"message", text}};
        case verb::show_opt_outs:
            return {{"id", int8},          {"state", text},       {"rule", text},
                    {"user", text},        {"target", text},      {"votes", text},
                    {"may_vote", boolean}, {"from", timestamptz}, {"until", timestamptz},
                    {"uses", int8},        {"max_uses", int8},    {"ticket", text},
                    {"reason", text}};
        case verb::show_sessions:
            return {{"id", int8},
                    {"user", text},
                    {"address", text},
                    {"application", text},
                    {"target", text},
                    {"state", text},
                    {"started_at", timestamptz},
                    {"hold", int8},
                    {"grant", text},
                    {"server_pid", int8},
                    {"tls", boolean},
                    {"statement", text}};
        case verb::show_rules:
            return {{"id", text},        {"tier", int8},    {"effect", text},
                    {"on", text},        {"do", text},      {"approvers", text},
                    {"approvals", int8}, {"opt_out", text}, {"message", text}};
        case verb::show_stats:
            return {{"holds_pending", int8},
                    {"opt_outs_requested", int8},
                    {"opt_outs_live", int8},
                    {"sessions", int8},
                    {"healthy", boolean}};
        case verb::show_version:
            return {{"version", text}};
        case verb::help:
            return {{"command", text}, {"does", text}};
        case verb::driver_select:
            return {{c.word, c.word == "?column?"            ? int8
                             : c.word == "pg_is_in_recovery" ? boolean
                                                             : text}};
        case verb::driver_show:
            return {{c.word, text}};
        case verb::nothing:
        case verb::reload:
        case verb::driver_command:
        case verb::count_:
            break;
    }
    return {};
}

}  // namespace sallyport::proxy::admin
