#include <algorithm>
#include <array>
#include <cctype>
#include <utility>

#include "policy/commands.h"
#include "policy/match.h"
#include "policy/yaml_reader.h"
#include "protocol/frontend.h"
#include "proxy/session/gate.h"
#include "proxy/session/texts.h"
#include "proxy/visible.h"

// SHOW sallyport.status | holds | opt_outs | rules | reason | on_hold in any client. The answer
// goes into the statement itself, a SELECT of constants: so the server makes rows of it in whatever
// protocol the client speaks, and what a SHOW is to the transaction stays what it is.
namespace sallyport::proxy::session {

namespace {

constexpr std::size_t rows_max = 200;
constexpr std::size_t cell_bytes_max = 1'000;
constexpr std::size_t statement_bytes_max = 512;
constexpr std::array<std::string_view, 6> shown{"status", "holds",  "opt_outs",
                                                "rules",  "reason", "on_hold"};

/// Blanks and comments at the front.
void skip(std::string_view& s) {
    for (;;) {
        const auto from = s.find_first_not_of(" \t\r\n\f\v");
        s.remove_prefix(std::min(from, s.size()));
        std::size_t end = std::string_view::npos;
        if (s.starts_with("--"))
            end = s.find('\n');
        else if (s.starts_with("/*") && s.find("/*", 2) == std::string_view::npos)
            end = s.find("*/");
        else
            return;
        s.remove_prefix(end == std::string_view::npos ? s.size() : end + (s[end] == '*' ? 2 : 1));
    }
}

/// The word at the front in lower case.
std::string take_word(std::string_view& s) {
    std::string word;
    while (!s.empty() && (std::isalnum(static_cast<unsigned char>(s[0])) != 0 || s[0] == '_')) {
        word += static_cast<char>(std::tolower(static_cast<unsigned char>(s[0])));
        s.remove_prefix(1);
    }
    skip(s);
    return word;
}

/// What `SHOW sallyport.…` asks for; "": it is something else.
std::string asked_of(std::string_view sql) {
    if (sql.size() > statement_bytes_max) return {};
    skip(sql);
    if (take_word(sql) != "show" || take_word(sql) != "sallyport" || !sql.starts_with('.'))
        return {};
    sql.remove_prefix(1);
    skip(sql);
    auto what = take_word(sql);
    if (sql.starts_with(';')) {
        sql.remove_prefix(1);
        skip(sql);
    }
    return sql.empty() ? what : std::string();
}

/// A literal for any client_encoding and any standard_conforming_strings.
std::string literal(std::string_view text) {
    static constexpr char hex[] = "0123456789ABCDEF";
    std::string out = "E'";
    const auto cut = text.substr(0, cell_bytes_max);
    for (std::size_t i = 0; i < cut.size();) {
        const auto c = static_cast<unsigned char>(cut[i]);
        if (c < 0x80) {
            if (c == '\'' || c == '\\') out += cut[i];
            out += c == 0 ? '?' : cut[i];
            ++i;
            continue;
        }
        const std::size_t length = c >= 0xf0 ? 4 : c >= 0xe0 ? 3 : c >= 0xc2 ? 2 : 1;
        if (length == 1 || i + length > cut.size()) {
            if (length == 1) out += '?';
            i += length;
            continue;
        }
        std::uint32_t code = c & (0xffU >> (length + 1));
        for (std::size_t k = 1; k < length; ++k)
            code = code << 6 | (static_cast<unsigned char>(cut[i + k]) & 0x3fU);
        out += "\\U";
        for (int shift = 28; shift >= 0; shift -= 4)
            out += hex[code >> shift & 0xfU];
        i += length;
    }
    return out + (text.size() > cut.size() ? "...'" : "'");
}

std::string_view type_of(console_type t) {
    switch (t) {
        case console_type::boolean:
            return "::pg_catalog.bool";
        case console_type::int8:
            return "::pg_catalog.int8";
        case console_type::timestamptz:
            return "::pg_catalog.timestamptz";
        case console_type::text:
            break;
    }
    return "::pg_catalog.text";
}

/// The SELECT whose rows these are.
std::string select_of(const std::string& name, const console_result& r) {
    std::string names;
    for (const auto& c : r.columns)
        names += (names.empty() ? "\"" : ", \"") + c.name + "\"";
    std::string rows;
    const auto add = [&](const auto& value_at) {
        rows += rows.empty() ? "(" : ", (";
        for (std::size_t i = 0; i < r.columns.size(); ++i)
            rows += (i == 0 ? "" : ", ") + value_at(i) + std::string(type_of(r.columns[i].type));
        rows += ")";
    };
    for (std::size_t i = 0; i < r.rows.size() && i < rows_max; ++i)
        add([&](std::size_t k) {
            const auto& row = r.rows[i];
            return k < row.size() && row[k] ? literal(*row[k]) : std::string("NULL");
        });
    if (r.rows.empty()) add([](std::size_t) { return std::string("NULL"); });
    return "SELECT * FROM (VALUES " + rows + ") AS \"sallyport." + name + "\" (" + names + ")" +
           (r.rows.empty() ? " WHERE false" : "");
}

console_result one(const std::string& name, const std::string& value) {
    return {.columns = {{"sallyport." + name}},
            .rows = {{value}},
            .tag = {},
            .notices = {},
            .sqlstate = {},
            .message = {},
            .detail = {},
            .hint = {}};
}

std::string joined(const std::vector<std::string>& words) {
    std::string out;
    for (const auto& w : words)
        out += (out.empty() ? "" : ", ") + w;
    return out;
}

std::string people(const policy::approvers& a) {
    std::string out = std::to_string(a.approvals) + " of ";
    if (!a.groups.empty()) out += "group " + joined(a.groups);
    const auto names = joined(a.by_name());
    if (!names.empty()) out += (a.groups.empty() ? "" : ", ") + names;
    return out;
}

/// Whether a rule speaks of a target, and of what there.
bool speaks_of(const policy::rule_set& p, const policy::rule& r, const std::string& target,
               std::string& of) {
    if (r.on.empty()) {
        of = "everything";
        return true;
    }
    bool any = false;
    for (const auto& name : r.on) {
        const auto found = p.resources.find(name);
        if (found == p.resources.end()) continue;
        const auto& targets = found->second.targets;
        if (std::ranges::find(targets, target) == targets.end()) continue;
        any = true;
        of += (of.empty() ? "" : ", ");
        if (found->second.relations.empty()) of += "the database";
        std::string patterns;
        for (const auto& pattern : found->second.relations)
            patterns += (patterns.empty() ? "" : ", ") + policy::to_string(pattern);
        of += patterns;
    }
    return any;
}

std::string actions_of(const policy::rule& r) {
    std::vector<std::string> words;
    for (const auto k : r.kinds)
        words.emplace_back(policy::to_string(k));
    words.insert(words.end(), r.commands.begin(), r.commands.end());
    return words.empty() ? "any" : joined(words);
}

std::string opt_out_of(const policy::rule& r, const policy::match_context& me) {
    if (!r.opt_out) return "none";
    if (policy::matches(r.opt_out->who, me) != policy::truth::yes) return "not for you";
    return "up to " + policy::format_duration(r.opt_out->max_duration) + ", approved by " +
           people(r.opt_out->approved_by);
}

}  // namespace

// What applies to the one who asks, on this target, and whom to ask.
console_result gate::my_rules() const {
    console_result out;
    out.columns = {{"rule"}, {"effect"}, {"on"}, {"do"}, {"approvers"}, {"opt_out"}, {"message"}};
    policy::match_context me;
    me.principal = &subject_.principal;
    me.application = subject_.application;
    me.address = subject_.address;
    for (const auto& r : env_->rules->rules) {
        std::string of;
        if (policy::matches(r.who, me) == policy::truth::no || r.ended_at(env_->time->now()) ||
            !speaks_of(*env_->rules, r, subject_.target, of))
            continue;
        auto effect = std::string(policy::to_string(r.effect));
        if (r.observe) effect += " (only observed)";
        for (const auto& w : r.when)
            effect += (&w == &r.when.front() ? " " : "; ") + w.text + " " + w.zone;
        out.rows.push_back(
            {r.id, effect, of, actions_of(r),
             r.hold ? std::optional(people(r.hold->who)) : std::nullopt,
             r.effect == policy::effect::hold ? std::optional(opt_out_of(r, me)) : std::nullopt,
             r.message.empty() ? std::nullopt : std::optional(r.message)});
    }
    return out;
}

console_result gate::my_status() const {
    console_result out;
    out.columns = {{"name"}, {"value"}};
    const auto add = [&](std::string name, std::string value) {
        if (!value.empty())
            out.rows.push_back({std::move(name), visible(value, line_breaks::escape)});
    };
    const auto now = env_->time->now();
    const auto& p = subject_.principal;
    add("user", p.name);
    add("groups", joined(p.groups));
    add("target", subject_.target);
    add("session", std::to_string(subject_.session.value));
    add("address", subject_.address);
    add("reason", reason_);
    add("on_hold", refuse_holds_ ? "refuse" : "wait");
    for (const auto& o : env_->grants->opt_outs)
        if (o.lets(p) && o.live_at(now) && (o.target.empty() || o.target == subject_.target))
            add("opt-out " + std::to_string(o.id.value),
                "rule " + o.rule + " until " + format_instant(o.until) +
                    (o.role.empty() ? "" : ", as role " + o.role));
    const auto add_pass = [&](const policy::pass& pass) {
        if (pass.person == p.name && pass.live_at(now) && pass.target == subject_.target)
            add("pass " + std::to_string(pass.id.value),
                std::string("rule ") + pass.rule + " for this " + policy::to_string(pass.scope) +
                    " until " + format_instant(pass.until));
    };
    std::ranges::for_each(env_->grants->passes, add_pass);
    for (const auto& f : env_->grants->flags)
        if (f.live_at(now) && f.means(subject_))
            add(std::string(policy::to_string(f.kind)) + " " + std::to_string(f.id.value),
                f.reason + ", until " + format_instant(f.until));
    add("default", policy::to_string(env_->rules->default_effect));
    add("not understood", policy::to_string(env_->rules->opaque_effect));
    add("approve at", env_->approve_url);
    add("policy", env_->rules->hash.substr(0, 12));
    return out;
}

// Outcome forward: what goes to the server in place of frame `i`, if it is such a SHOW, is ready.
gate::outcome gate::plan_show(std::size_t i, std::string_view sql, std::string_view statement,
                              const std::vector<std::uint32_t>& types, actions& out) {
    auto& f = region_[i];
    f.instead.clear();
    const auto what = asked_of(sql);
    if (std::ranges::find(shown, what) == shown.end()) return outcome::forward;
    console_result answer;
    if (what == "status") {
        answer = my_status();
    } else if (what == "rules") {
        answer = my_rules();
    } else if (what == "reason") {
        answer = one(what, reason_);
    } else if (what == "on_hold") {
        answer = one(what, refuse_holds_ ? "refuse" : "wait");
    } else {
        const auto found =
            std::ranges::find(shown_, i, &std::pair<std::size_t, console_result>::first);
        if (found == shown_.end()) {
            out.add(action::type::ask_console).text = "SHOW " + what;
            state_ = state::asking;
            return outcome::wait;
        }
        answer = found->second;
        if (!answer.sqlstate.empty())
            return refuse(i, {answer.sqlstate, answer.message, answer.detail, answer.hint});
    }
    const auto select = select_of(what, answer);
    if (f.tag == 'Q')
        protocol::frontend::query{select}.encode(f.instead);
    else
        protocol::frontend::parse{statement, select, types}.encode(f.instead);
    return outcome::forward;
}

void gate::on_shown(console_result answer) {
    if (state_ != state::asking) return;
    shown_.emplace_back(waiting_frame_, std::move(answer));
    state_ = state::open;
}

}  // namespace sallyport::proxy::session
