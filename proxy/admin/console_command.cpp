#include "proxy/admin/console_command.h"

#include <algorithm>
#include <array>

#include "proxy/admin/console_chatter.h"
#include "proxy/admin/console_lexer.h"
#include "proxy/admin/desk.h"
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
    group_ = 1U << 8U,
    application_ = 1U << 9U,
    on_ = 1U << 10U,
    do_ = 1U << 11U,
    shape_ = 1U << 12U,
    from_ = 1U << 13U,
    with_subject = 1U << 14U,
    note_ = 1U << 15U,
    to_ = 1U << 16U,
    statement_ = 1U << 17U,
};
constexpr unsigned scope_ = application_ | on_ | do_ | shape_;

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
    form{verb::request_hold, "REQUEST HOLD",
         target_ | statement_ | reason_ | application_ | for_clause, target_ | reason_, "REQUEST",
         "REQUEST HOLD TARGET t [STATEMENT '…'] REASON '…' [APPLICATION '…'] [FOR '12h']",
         "asks ahead for a statement, or without one for a session, that a rule holds"},
    form{verb::escalate, "ESCALATE", with_id, with_id, "ESCALATE", "ESCALATE 7",
         "asks a hold's next approvers at once"},
    form{verb::reassign, "REASSIGN", with_id | to_ | reason_, with_id | to_ | reason_, "REASSIGN",
         "REASSIGN 7 TO carol REASON '…'",
         "makes a hold one person's task (its approvers, admins); the others may still decide it"},
    form{verb::show_opt_outs, "SHOW OPT OUTS", all_, none, "SHOW", "SHOW OPT_OUTS [ALL]",
         "opt-outs that are requested or active; ALL: also what has ended"},
    form{verb::request_opt_out, "REQUEST OPT OUT",
         rule_ | for_clause | reason_ | ticket_ | target_ | group_ | from_ | scope_,
         rule_ | for_clause | reason_, "REQUEST",
         "REQUEST OPT OUT RULE r FOR '2h' REASON '…' [TICKET '…'] [TARGET t] [FROM 'time'] "
         "[GROUP g] [APPLICATION '…'] [ON resource] [DO 'read, write'] [SHAPE '…']",
         "asks for a time-limited exception from a holding rule, for yourself or a group of yours"},
    form{verb::break_glass, "BREAK GLASS",
         rule_ | for_clause | reason_ | ticket_ | target_ | scope_,
         rule_ | for_clause | reason_ | ticket_, "BREAK GLASS",
         "BREAK GLASS RULE r FOR '20m' REASON '…' TICKET '…' [TARGET t]",
         "opts out at once and alone: everybody is told, and it is reviewed afterwards"},
    form{verb::extend_opt_out, "EXTEND OPT OUT", with_id | for_clause | reason_ | ticket_,
         with_id | for_clause | reason_, "EXTEND", "EXTEND OPT OUT 3 FOR '1h' REASON '…'",
         "asks for more time, by a request of its own that is approved like the first"},
    form{verb::extend_opt_out, "EXTEND", with_id | for_clause | reason_ | ticket_,
         with_id | for_clause | reason_, "EXTEND", "", ""},
    form{verb::withdraw_vote, "WITHDRAW VOTE", with_id, with_id, "WITHDRAW", "WITHDRAW VOTE 7",
         "takes your approval of a hold back, while it has not led to anything"},
    form{verb::withdraw_opt_out_vote, "WITHDRAW VOTE OPT OUT", with_id, with_id, "WITHDRAW",
         "WITHDRAW VOTE OPT OUT 3", "the same for an opt-out"},
    form{verb::show_reviews, "SHOW REVIEWS", all_, none, "SHOW", "SHOW REVIEWS [ALL]",
         "opt-outs that were used and wait for a look back; ALL: also those that have had it"},
    form{verb::sign_off, "SIGN OFF", with_id | note_, with_id, "SIGN OFF", "SIGN OFF 3 [NOTE '…']",
         "closes the review of an opt-out: its uses were right"},
    form{verb::finding, "FINDING", with_id | note_, with_id | note_, "FINDING",
         "FINDING 3 NOTE '…'", "closes the review of an opt-out: something was not right"},
    form{verb::show_flags, "SHOW FLAGS", all_, none, "SHOW", "SHOW FLAGS [ALL]",
         "flags and locks in force (admins, auditors, monitors); ALL: also past ones"},
    form{verb::set_flag, "FLAG", with_subject | for_clause | reason_,
         with_subject | for_clause | reason_, "FLAG",
         "FLAG principal|application|address|target 'name' FOR '8h' REASON '…'",
         "nothing passes by itself any more: each session needs a person (admins, monitors)"},
    form{verb::set_lock, "LOCK", with_subject | for_clause | reason_,
         with_subject | for_clause | reason_, "LOCK",
         "LOCK principal|application|address|target|rule 'name' FOR '8h' REASON '…'",
         "ends live sessions and refuses new ones (admins)"},
    form{verb::lift_flag, "LIFT", with_id | reason_, with_id | reason_, "LIFT", "LIFT 5 REASON '…'",
         "ends a flag or a lock (admins, never one's own)"},
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
    form{verb::show_deliveries, "SHOW DELIVERIES", none, none, "SHOW", "SHOW DELIVERIES",
         "whom notices reach, and whom not (admins, auditors, monitors)"},
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
        if ((form_.allowed & with_subject) != 0) read_subject();
        while (out_.sqlstate.empty() && at_ < tokens_.size())
            read_clause();
        if (!out_.sqlstate.empty()) return std::move(out_);
        const unsigned missing = form_.needed & ~seen_;
        if ((missing & reason_) != 0) return wrong("A REASON '…' is needed");
        if ((missing & rule_) != 0) return wrong("RULE and the rule's name are needed");
        if ((missing & for_clause) != 0) return wrong("FOR and a duration are needed");
        if ((missing & ticket_) != 0) return wrong("A TICKET '…' is needed");
        if ((missing & note_) != 0) return wrong("A NOTE '…' is needed");
        if ((missing & target_) != 0) return wrong("TARGET and the target's name are needed");
        if ((missing & to_) != 0) return wrong("TO and a person are needed");
        return std::move(out_);
    }

  private:
    command wrong(const std::string& what) const {
        auto usage = form_.usage;
        for (const auto& f : forms)  // a short form has that of the long one
            if (usage.empty() && f.what == form_.what) usage = f.usage;
        return fail("42601", what + ".", "The form is: " + std::string(usage));
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

    void read_subject() {
        policy::flag_on on{};
        const bool there = at_ < tokens_.size() && tokens_[at_].what == token::kind::word &&
                           policy::parse_flag_on(lower(tokens_[at_].text), on);
        if (!there) {
            out_ = wrong("PRINCIPAL, APPLICATION, ADDRESS, TARGET or RULE is needed after " +
                         std::string(form_.words));
            return;
        }
        const auto word = upper(tokens_[at_++].text);
        out_.about = on;
        out_.subject = value(word);
        seen_ |= with_subject;
    }

    void read_actions() {
        const auto text = lower(value("DO"));
        std::string word;
        for (const char c : text + ",") {
            if (c != ',' && c != ' ') {
                word += c;
                continue;
            }
            if (word.empty()) continue;
            if (auto why = add_action(out_.scope, word); !why.empty() && out_.sqlstate.empty())
                out_ = fail("22023", why, "Write them like DO 'read, write'.");
            word.clear();
        }
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
        } else if (out_.sqlstate.empty() && begins("GROUP", group_)) {
            out_.group = value("GROUP");
        } else if (out_.sqlstate.empty() && begins("APPLICATION", application_)) {
            out_.scope.application = value("APPLICATION");
        } else if (out_.sqlstate.empty() && begins("ON", on_)) {
            out_.scope.resources.push_back(value("ON"));
        } else if (out_.sqlstate.empty() && begins("DO", do_)) {
            read_actions();
        } else if (out_.sqlstate.empty() && begins("SHAPE", shape_)) {
            out_.scope.shape = lower(value("SHAPE"));
        } else if (out_.sqlstate.empty() && begins("FROM", from_)) {
            read_time();
        } else if (out_.sqlstate.empty() && begins("TO", to_)) {
            out_.subject = value("TO");
        } else if (out_.sqlstate.empty() && begins("STATEMENT", statement_)) {
            out_.value = literal("STATEMENT");
        } else if (out_.sqlstate.empty() && begins("NOTE", note_)) {
            out_.reason = literal("NOTE");
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

    void read_time() {
        const auto text = literal("FROM");
        if (!out_.sqlstate.empty()) return;
        out_.from = parse_iso_time(text);
        if (!out_.from)
            out_ = fail("22023", "This is no time.", "Write it like '2026-03-01T09:30:00Z'.");
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
    if (auto chatter = driver_chatter(t)) return std::move(*chatter);
    return not_understood(t);
}

std::vector<help_line> help_lines() {
    std::vector<help_line> out;
    for (const auto& f : forms)
        if (!f.usage.empty()) out.push_back({std::string(f.usage), std::string(f.does)});
    return out;
}

}  // namespace sallyport::proxy::admin
