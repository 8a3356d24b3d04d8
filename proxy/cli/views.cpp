#include "proxy/cli/views.h"

#include <nlohmann/json.hpp>

#include "proxy/cli/table.h"
#include "proxy/visible.h"

namespace sallyport::proxy::cli {
namespace {

using json = nlohmann::ordered_json;

json parse(const std::string& text) {
    return json::parse(text, nullptr, false);
}

const json& at(const json& j, const char* key) {
    static const json nothing;
    if (!j.is_object()) return nothing;
    const auto found = j.find(key);
    return found == j.end() ? nothing : *found;
}

const json& list(const json& j, const char* key) {
    static const json nothing = json::array();
    const auto& found = at(j, key);
    return found.is_array() ? found : nothing;
}

/// Any scalar as text that cannot act on the terminal.
std::string scalar(const json& j, line_breaks breaks = line_breaks::escape) {
    if (j.is_string()) return visible(j.get_ref<const std::string&>(), breaks);
    if (j.is_boolean()) return j.get<bool>() ? "yes" : "no";
    if (j.is_number()) return j.dump();
    return {};
}

std::string text(const json& j, const char* key, line_breaks breaks = line_breaks::escape) {
    return scalar(at(j, key), breaks);
}

std::string joined(const json& items) {
    std::string out;
    for (const auto& i : items)
        out += (out.empty() ? "" : ", ") + scalar(i);
    return out;
}

std::string time(const json& j, const char* key, const screen& s) {
    return when(text(j, key), s.now_ms);
}

std::string tally(const json& j) {
    const auto& approvals = at(j, "approvals");
    std::size_t approving = 0;
    for (const auto& v : list(approvals, "votes"))
        if (text(v, "vote") == "approve") ++approving;
    return std::to_string(approving) + "/" + text(approvals, "needed");
}

std::string approvers(const json& a) {
    const auto groups = joined(list(a, "groups"));
    const auto users = joined(list(a, "users"));
    std::string out = groups.empty() ? "" : "groups " + groups;
    if (!users.empty()) out += (out.empty() ? "users " : "; users ") + users;
    if (const auto programs = joined(list(a, "services")); !programs.empty())
        out += (out.empty() ? "programs " : "; programs ") + programs;
    return out;
}

/// "name  value" lines, the value wrapped beside its name.
class sheet {
  public:
    explicit sheet(const screen& s) : width_(s.width) {}
    void add(const std::string& name, const std::string& value) {
        if (value.empty()) return;
        const auto room = width_ > name_width + 20 ? width_ - name_width : 20;
        bool first = true;
        for (const auto& line : wrap(value, room)) {
            std::string head = first ? name : "";
            head.resize(name_width, ' ');
            out_ += head + line + "\n";
            first = false;
        }
    }
    void votes(const json& approvals) {
        for (const auto& v : list(approvals, "votes"))
            add(text(v, "vote") == "approve" ? "approved by" : "denied by",
                text(v, "user") + (text(v, "reason").empty() ? "" : ": " + text(v, "reason")));
    }
    void raw(const std::string& more) { out_ += more; }
    [[nodiscard]] std::string take() { return std::move(out_); }

  private:
    static constexpr std::size_t name_width = 19;
    std::size_t width_;
    std::string out_;
};

const char* const not_json = "The answer is not the JSON that was expected.\n";

constexpr std::size_t list_lines_max = 6;

/// Since when it is open, what it holds, and who waits for that.
void add_transaction(const json& t, sheet& out, const screen& s) {
    if (!t.is_object()) return;
    out.add("open since", time(t, "since", s));
    const auto unknown = text(t, "locks_unknown_because");
    if (!at(t, "locks").is_array()) {
        out.add("locks", "not known: " + unknown);
        return;
    }
    for (const auto& l : list(t, "locks")) {
        const auto on = text(l, "on");
        out.add(at(l, "granted") == false ? "waits for" : "holds",
                text(l, "mode") + " on " + text(l, "type") + (on.empty() ? "" : " " + on));
    }
    if (list(t, "locks").empty()) out.add("locks", "none that matters to others");
    if (at(t, "locks_cut") == true) out.add("locks", "and more");
    if (at(t, "blocks").is_number() && at(t, "blocks") > 0)
        out.add("blocks", text(t, "blocks") + " other sessions of the server, which wait for it");
}

}  // namespace

std::string show_holds(const std::string& body, const screen& s) {
    const auto j = parse(body);
    if (!at(j, "holds").is_array()) return not_json;
    table t({"ID", "STATE", "USER", "TARGET", "RULE", "VOTES", "YOU MAY", "EXPIRES", "REASON"});
    for (const auto& h : list(j, "holds")) {
        const bool pending = text(h, "state") == "pending";
        auto statement = text(h, "statement", line_breaks::keep);
        if (text(h, "kind") == "session") statement = "(the session itself)";
        t.add({text(h, "id"), text(h, "state"), text(h, "user"), text(h, "target"), text(h, "rule"),
               tally(h), at(h, "may_vote") == true ? "vote" : "-",
               pending ? time(h, "expires_at", s) : "", text(h, "reason")},
              statement);
    }
    if (t.empty()) return "Nothing waits that you can see.\n";
    return t.print(s.width, list_lines_max, "sallyport hold ");
}

std::vector<std::string> hold_ids(const std::string& body) {
    std::vector<std::string> ids;
    const auto j = parse(body);
    for (const auto& h : list(j, "holds"))
        if (at(h, "id").is_number_unsigned()) ids.push_back(text(h, "id"));
    return ids;
}

std::string show_hold(const std::string& body, const screen& s) {
    const auto j = parse(body);
    if (!j.is_object()) return not_json;
    sheet out(s);
    out.add("hold", text(j, "id") + " (" + text(j, "kind") + ")");
    out.add("state", text(j, "state"));
    out.add("user", text(j, "user") + " (" + joined(list(j, "groups")) + ")");
    out.add("target", text(j, "target"));
    out.add("rule", text(j, "rule"));
    out.add("touches", joined(list(j, "touches")));
    out.add("reason", text(j, "reason"));
    out.add("from", text(j, "address") + " " + text(j, "application"));
    out.add("session", text(j, "session"));
    out.add("in transaction", text(j, "in_transaction"));
    add_transaction(at(j, "transaction"), out, s);
    out.add("opened", time(j, "opened_at", s));
    out.add("expires", text(j, "state") == "pending" ? time(j, "expires_at", s) : "");
    out.add("ended", time(j, "ended_at", s));
    out.add("ended because", text(j, "ended_reason"));
    out.add("approvers", approvers(at(j, "approvals")) + " (" + tally(j) + ")");
    if (at(j, "assigned").is_object())
        out.add("task of", text(at(j, "assigned"), "to") + ", by " + text(at(j, "assigned"), "by") +
                               ": " + text(at(j, "assigned"), "reason"));
    out.votes(at(j, "approvals"));
    std::string passes;
    if (at(j, "pass").is_object()) {
        for (const auto& [name, bound] : at(j, "pass").items()) {
            if (bound == false) continue;
            const auto most = bound.is_string() ? " up to " + scalar(bound) : "";
            passes += (passes.empty() ? "" : ", ") + visible(name, line_breaks::escape) + most;
        }
    }
    out.add("pass", passes);
    const auto granted_for = text(j, "granted_for");
    out.add("granted", text(j, "granted") + (granted_for.empty() ? "" : " for " + granted_for));
    out.add("you may vote", at(j, "may_vote") == true ? "yes" : text(j, "may_not_vote_because"));
    if (at(j, "waiters").is_number() && at(j, "waiters") > 1)
        out.add("waiting sessions", text(j, "waiters") + ", released together");
    std::size_t number = 0;
    for (const auto& p : list(j, "parameters"))
        out.add("parameter $" + std::to_string(++number), scalar(p, line_breaks::keep));
    out.add("sha256", text(j, "statement_sha256"));
    const auto statement = text(j, "statement", line_breaks::keep);
    if (!statement.empty()) {
        out.raw("statement, whole:\n");
        for (const auto& line : wrap(statement, s.width > 24 ? s.width - 4 : 20))
            out.raw("    " + line + "\n");
    }
    number = 0;
    for (const auto& v : list(j, "variants")) {
        out.raw("waiting besides (" + std::to_string(++number) + "):\n");
        for (const auto& line :
             wrap(text(v, "statement", line_breaks::keep), s.width > 24 ? s.width - 4 : 20))
            out.raw("    " + line + "\n");
        const auto values = joined(list(v, "parameters"));
        if (!values.empty()) out.raw("    with " + values + "\n");
    }
    if (at(j, "statement_base64").is_string())
        out.raw("(It has bytes that are not UTF-8, shown as U+FFFD; --json has them as base64.)\n");
    return out.take();
}

std::string show_opt_outs(const std::string& body, const screen& s) {
    const auto j = parse(body);
    if (!at(j, "opt_outs").is_array()) return not_json;
    table t({"ID", "STATE", "USER", "RULE", "TARGET", "FOR", "UNTIL", "USES", "VOTES", "TICKET",
             "REASON"});
    for (const auto& o : list(j, "opt_outs")) {
        const auto most = text(o, "max_uses");
        // What was revoked or used up ended before the time that was granted.
        const auto ends = text(o, "state") == "active" ? time(o, "until", s) : "";
        t.add({text(o, "id"), text(o, "state"), text(o, "user"), text(o, "rule"),
               at(o, "target").is_null() ? "all" : text(o, "target"), text(o, "for"), ends,
               text(o, "uses") + (most.empty() ? "" : "/" + most), tally(o), text(o, "ticket"),
               (text(o, "kind") == "break_glass" ? "BREAK-GLASS: " : "") + text(o, "reason")});
    }
    std::string standing;
    for (const auto& e : list(j, "exceptions"))
        standing += "\nstanding exception " + text(e, "rule") + " from " + joined(list(e, "over")) +
                    ", ends " + time(e, "review_by", s) + ": " + text(e, "reason") + "\n";
    if (t.empty()) return "No opt-outs that you can see.\n" + standing;
    return t.print(s.width) + standing;
}

std::string show_opt_out(const std::string& body, const screen& s) {
    const auto j = parse(body);
    if (!j.is_object()) return not_json;
    sheet out(s);
    out.add("opt-out", text(j, "id"));
    out.add("state", text(j, "state"));
    out.add("user", text(j, "user"));
    out.add("rule", text(j, "rule"));
    out.add("target", at(j, "target").is_null() ? "every one of the rule" : text(j, "target"));
    if (text(j, "kind") != "request") out.add("kind", text(j, "kind"));
    out.add("group", text(j, "group"));
    const auto& scope = at(j, "scope");
    out.add("application", text(scope, "application"));
    out.add("on", joined(list(scope, "on")));
    out.add("do", joined(list(scope, "do")));
    out.add("shape", text(scope, "shape"));
    out.add("extends", text(j, "extends"));
    out.add("begins", time(j, "starts_at", s));
    out.add("for", text(j, "for"));
    out.add("reason", text(j, "reason"));
    out.add("ticket", text(j, "ticket"));
    out.add("requested", time(j, "requested_at", s));
    if (text(j, "state") == "requested") out.add("lapses", time(j, "request_expires_at", s));
    out.add("from", time(j, "from", s));
    out.add(text(j, "state") == "active" ? "until" : "was granted until", time(j, "until", s));
    const auto most = text(j, "max_uses");
    out.add("uses", text(j, "uses") + (most.empty() ? "" : " of " + most));
    out.add("approvers", approvers(at(j, "approvals")) + " (" + tally(j) + ")");
    out.votes(at(j, "approvals"));
    out.add("ended because", text(j, "ended_reason"));
    out.add("you may vote", text(j, "may_vote"));
    return out.take();
}

std::string show_sessions(const std::string& body, const screen& s) {
    const auto j = parse(body);
    if (!at(j, "sessions").is_array()) return not_json;
    table t({"ID", "USER", "TARGET", "STATE", "SINCE", "FROM", "APPLICATION", "HOLD", "GRANT",
             "PID", "TLS"});
    for (const auto& one : list(j, "sessions"))
        t.add({text(one, "id"), text(one, "user"), text(one, "target"), text(one, "state"),
               time(one, "started_at", s), text(one, "address"), text(one, "application"),
               text(one, "hold"), text(one, "grant"), text(one, "server_pid"), text(one, "tls")},
              text(one, "statement"));
    if (t.empty()) return "No sessions.\n";
    return t.print(s.width);
}

namespace {

/// "only observes (3)", "exception from a, b until 2027-03-31, 4 uses: why".
std::string note_of(const json& r, const screen& s) {
    if (text(r, "observe") == "yes") return "only observes, " + text(r, "observed") + " so far";
    const auto& e = at(r, "exception");
    if (!e.is_object()) return {};
    auto out = text(e, "ended") == "yes" ? std::string("ended exception") : "exception";
    if (const auto over = joined(list(e, "over")); !over.empty()) out += " from " + over;
    if (const auto until = time(e, "review_by", s); !until.empty()) out += ", ends " + until;
    return out + ", " + text(e, "uses") + " uses: " + text(e, "reason");
}

/// "4 held, 2 passed, 1 bypassed": since the proxy's start.
std::string hits_of(const json& hits) {
    static constexpr std::pair<const char*, const char*> words[] = {
        {"hold", "held"},      {"pass", "passed"}, {"bypass", "bypassed"},
        {"refuse", "refused"}, {"deny", "denied"}, {"allow", "allowed"}};
    std::string out;
    for (const auto& [name, word] : words)
        if (at(hits, name).is_number() && at(hits, name) > 0)
            out += (out.empty() ? "" : ", ") + text(hits, name) + " " + word;
    return out;
}

}  // namespace

std::string show_rules(const std::string& body, const screen& s) {
    const auto j = parse(body);
    if (!at(j, "rules").is_array()) return not_json;
    table t({"TIER", "ID", "EFFECT", "ON", "DO", "APPROVERS", "OPT-OUT"});
    for (const auto& r : list(j, "rules")) {
        const auto on = joined(list(r, "on"));
        const auto actions = joined(list(r, "do"));
        const auto most = text(at(r, "opt_out"), "max_duration");
        const auto note = note_of(r, s);
        const auto message = text(r, "message");
        const auto hits = hits_of(at(r, "hits"));
        t.add({text(r, "tier"), text(r, "id"), text(r, "effect"), on.empty() ? "anything" : on,
               actions.empty() ? "anything" : actions, approvers(at(at(r, "hold"), "approvers")),
               most.empty() ? "" : "up to " + most},
              hits + (hits.empty() || note.empty() ? "" : "; ") + note +
                  (hits.empty() && note.empty() ? ""
                   : message.empty()            ? ""
                                                : "; ") +
                  message);
    }
    auto out = t.print(s.width);
    for (const auto& line : wrap("default: " + text(j, "default") + ", what cannot be analysed: " +
                                     text(j, "opaque") + ", policy " + text(j, "policy"),
                                 s.width))
        out += line + "\n";
    return out;
}

std::string show_reviews(const std::string& body, const screen& s) {
    const auto j = parse(body);
    if (!at(j, "reviews").is_array()) return not_json;
    table t({"OPT-OUT", "STATE", "USER", "RULE", "KIND", "USES", "DUE", "REVIEWER", "NOTE"});
    for (const auto& r : list(j, "reviews")) {
        const bool overdue = at(r, "overdue") == true;
        t.add({text(r, "opt_out"), overdue ? "OVERDUE" : text(r, "state"), text(r, "user"),
               text(r, "rule"), text(r, "kind"), text(r, "uses"), time(r, "due_at", s),
               text(r, "reviewer"), text(r, "note")});
    }
    if (t.empty()) return "No reviews that you can see.\n";
    return t.print(s.width);
}

std::string show_flags(const std::string& body, const screen& s) {
    const auto j = parse(body);
    if (!at(j, "flags").is_array()) return not_json;
    table t({"ID", "KIND", "ABOUT", "SUBJECT", "UNTIL", "SET BY", "REASON", "LIFTED BY"});
    for (const auto& f : list(j, "flags"))
        t.add({text(f, "id"), text(f, "kind"), text(f, "about"), text(f, "subject"),
               time(f, "until", s), text(f, "set_by"), text(f, "reason"), text(f, "lifted_by")});
    if (t.empty()) return "No flags and no locks.\n";
    return t.print(s.width);
}

std::string show_deliveries(const std::string& body, const screen& s) {
    const auto j = parse(body);
    if (!at(j, "channels").is_array()) return not_json;
    table channels(
        {"CHANNEL", "TO", "STATE", "WAITING", "DELIVERED", "FAILED", "GIVEN UP", "LAST"});
    for (const auto& c : list(j, "channels")) {
        const bool failing = text(c, "failing") == "yes";
        channels.add({text(c, "channel"), text(c, "to"), failing ? "FAILING" : "good",
                      text(c, "waiting"), text(c, "delivered"), text(c, "failed_attempts"),
                      text(c, "given_up"), time(c, "last_delivered", s)},
                     failing ? "since " + time(c, "failing_since", s) + ": " + text(c, "error")
                             : std::string());
    }
    if (channels.empty()) return "No channels are configured: nobody is told of anything.\n";
    auto out = channels.print(s.width);
    table troubled({"EVENT", "SUBJECT", "CHANNEL", "STATE", "ATTEMPTS", "AT", "NEXT"});
    for (const auto& d : list(j, "deliveries"))
        troubled.add({text(d, "event"), text(d, "subject"), text(d, "channel"), text(d, "state"),
                      text(d, "attempts"), time(d, "at", s), time(d, "next_at", s)},
                     text(d, "error"));
    if (!troubled.empty()) out += "\n" + troubled.print(s.width);
    return out;
}

std::string show_tokens(const std::string& body, const screen& s) {
    const auto j = parse(body);
    if (!at(j, "tokens").is_array()) return not_json;
    table t({"ID", "OWNER", "NAME", "SCOPES", "LAST USED", "EXPIRES", "REVOKED BY"});
    for (const auto& k : list(j, "tokens"))
        t.add({text(k, "id"), text(k, "owner"), text(k, "name"), joined(list(k, "scopes")),
               time(k, "used_at", s), time(k, "expires_at", s), text(k, "revoked_by")});
    if (t.empty()) return "No tokens.\n";
    return t.print(s.width);
}

std::string show_me(const std::string& body, const screen& s) {
    const auto j = parse(body);
    if (!j.is_object()) return not_json;
    sheet out(s);
    out.add("user", text(j, "user"));
    out.add("groups", joined(list(j, "groups")));
    out.add("admin", text(j, "admin"));
    out.add("auditor", text(j, "auditor"));
    out.add("login ends", time(j, "expires_at", s));
    return out.take();
}

std::string show_answer(const std::string& body, const screen&) {
    const auto j = parse(body);
    const auto said = text(j, "text");
    const auto id = text(j, "id");
    if (!said.empty()) return said + "\n";
    return text(j, "result") + (id.empty() ? "" : " (" + id + ")") + "\n";
}

std::string pretty(const std::string& body) {
    const auto j = parse(body);
    if (j.is_discarded()) return visible(body, line_breaks::keep) + "\n";
    return j.dump(2, ' ', true, json::error_handler_t::replace) + "\n";
}

problem_text read_problem(unsigned status, const std::string& body) {
    const auto j = parse(body);
    problem_text out{text(j, "detail"), text(j, "next")};
    if (out.detail.empty()) out.detail = "the proxy answered " + std::to_string(status);
    if (out.next.empty()) out.next = "Check that --url is the proxy's admin address.";
    for (const auto& f : list(j, "faults"))
        if (out.detail.find(scalar(f)) == std::string::npos) out.detail += "\n  " + scalar(f);
    return out;
}

std::string member(const std::string& body, const std::string& name) {
    const auto j = parse(body);
    const auto& found = at(j, name.c_str());
    return found.is_string() ? found.get<std::string>() : std::string{};
}

std::string login_body(const std::string& user, const std::string& password) {
    return json{{"user", user}, {"password", password}}.dump(-1, ' ', false,
                                                             json::error_handler_t::replace);
}

std::string body(const std::vector<std::pair<std::string, std::string>>& members) {
    return body(members, {});
}

std::string body(const std::vector<std::pair<std::string, std::string>>& members,
                 const more_members& more) {
    json j = json::object();
    for (const auto& [name, value] : members)
        if (!value.empty()) j[name] = value;
    for (const auto& [name, values] : more.lists)
        if (!values.empty()) j[name] = values;
    for (const auto& name : more.true_ones)
        j[name] = true;
    return j.dump(-1, ' ', false, json::error_handler_t::replace);
}

}  // namespace sallyport::proxy::cli
