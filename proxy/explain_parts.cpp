#include "proxy/explain_parts.h"

#include <algorithm>
#include <map>
#include <string_view>
#include <utility>
#include <vector>

#include "policy/in_session.h"
#include "policy/sql/lexer.h"
#include "policy/touches.h"

namespace sallyport::proxy {

namespace {

using admin::explained_relation;
using admin::explained_statement;

constexpr std::size_t facts_max = 1'000;  // lines of explained::facts
constexpr std::size_t tokens_max = 500;

std::string dotted(const std::string& schema, const std::string& name) {
    return schema.empty() ? name : schema + "." + name;
}

template <class T>
std::size_t unreadable_in(const std::vector<T>& rows) {
    return static_cast<std::size_t>(
        std::ranges::count_if(rows, [](const auto& r) { return !r.unreadable.empty(); }));
}

/// Where the text names it, and by which road it comes to it. A use that the text has itself keeps
/// its place ("from"); what is reached says "PLACE: ROAD", or the road alone where a function's
/// body names it.
void tell_place(const policy::relation_use& u, const std::vector<policy::relation_use>& of_text,
                explained_relation& out) {
    const auto has_place = [&](std::string_view place) {
        return std::ranges::any_of(of_text, [&](const auto& t) { return t.place == place; });
    };
    out.named = std::ranges::any_of(of_text, [&](const auto& t) {
        return t.name == u.name && u.place.starts_with(t.place) &&
               (u.place.size() == t.place.size() || u.place[t.place.size()] == ' ');
    });
    if (out.named) {
        out.place = u.place;
        return;
    }
    const auto colon = u.place.find(": ");
    if (colon == std::string::npos) {
        out.road = u.place;
        return;
    }
    auto before = u.place.substr(0, colon);
    auto road = u.place.substr(colon + 2);
    if (has_place(before)) {
        out.place = std::move(before);
        out.road = std::move(road);
    } else {
        out.road = road.starts_with(before) ? std::move(road) : before + " → " + road;
    }
}

class statement_teller {
  public:
    statement_teller(const policy::decision& d, const policy::rule_set& rules) {
        for (const auto& g : d.guarded) {
            auto& ids = guards_[g.use];
            const auto& id = rules.rules[g.rule].id;
            if (std::ranges::find(ids, id) == ids.end()) ids.push_back(id);
        }
    }

    explained_statement tell(const policy::statement_facts* text,
                             const policy::statement_facts& s) const {
        static const std::vector<policy::relation_use> none;
        explained_statement out;
        out.command = s.command;
        for (const auto k : s.kinds)
            out.kinds.emplace_back(policy::to_string(k));
        for (const auto& u : s.relations)
            out.relations.push_back(relation(u, text == nullptr ? none : text->relations));
        // What a rule speaks of first: lists are cut at their end.
        std::ranges::stable_partition(out.relations,
                                      [](const auto& r) { return !r.rules.empty(); });
        for (const auto& f : s.functions)
            out.functions.push_back(dotted(f.schema, f.name));
        // Every comparison is an operator: shown only where the text says which is meant.
        for (const auto& o : s.operators)
            if (!o.schema.empty()) out.operators.push_back(dotted(o.schema, o.name));
        for (const auto& t : s.types)
            out.types.push_back(dotted(t.schema, t.name));
        for (const auto& c : s.settings)
            out.settings.push_back((c.name.empty() ? "(any)" : c.name) +
                                   (c.value.empty() ? "" : " = " + c.value));
        out.opaque = s.opaque_reasons;
        return out;
    }

  private:
    explained_relation relation(const policy::relation_use& u,
                                const std::vector<policy::relation_use>& of_text) const {
        explained_relation out;
        out.write = u.how == policy::access::write;
        out.schema = u.schema;
        out.name = u.name;
        out.columns = u.columns;
        if (out.columns.size() > 1) std::erase(out.columns, policy::no_column);
        tell_place(u, of_text, out);
        if (const auto at = guards_.find(&u); at != guards_.end()) out.rules = at->second;
        return out;
    }

    std::map<const policy::relation_use*, std::vector<std::string>> guards_;
};

std::string line_of(const explained_relation& r) {
    std::string line = (r.write ? "write " : "read ") + dotted(r.schema, r.name);
    for (std::size_t i = 0; i < r.columns.size(); ++i)
        line += (i == 0 ? "(" : ", ") + r.columns[i];
    if (!r.columns.empty()) line += ")";
    if (!r.road.empty()) return line + " by way of " + r.road;
    return r.place.empty() ? line : line + " in " + r.place;
}

void add_lines(const explained_statement& s, std::vector<std::string>& out) {
    const auto add = [&](std::string line) {
        if (out.size() < facts_max) out.push_back(std::move(line));
    };
    std::string kinds;
    for (const auto& k : s.kinds)
        kinds += (kinds.empty() ? "" : ", ") + k;
    add("statement " + s.command + " (" + kinds + ")");
    for (const auto& r : s.relations)
        add(line_of(r));
    for (const auto& f : s.functions)
        add("function " + f);
    for (const auto& o : s.operators)
        add("operator " + o);
    for (const auto& t : s.types)
        add("type " + t);
    for (const auto& c : s.settings)
        add("setting " + c);
    for (const auto& why : s.opaque)
        add("opaque: " + why);
}

bool has_schema(const policy::catalog::rows& r, const std::string& name) {
    return std::ranges::any_of(r.schemas, [&](const auto& s) { return s.name == name; });
}

}  // namespace

session_roles roles_of(const target_settings& t, const policy::principal& p) {
    session_roles out;
    out.login = t.login.as_client ? p.name : t.login.user;
    out.current = t.unapproved_role.empty() ? out.login : t.unapproved_role;
    return out;
}

admin::explained_path path_of_session(const policy::catalog::rows& r, const session_roles& roles,
                                      const std::optional<std::string>& given) {
    admin::explained_path out;
    std::string text = "\"$user\", public";
    out.from = "PostgreSQL's default";
    int rank = 0;
    for (const auto& s : r.settings) {
        if (s.name != "search_path" || (!s.role.empty() && s.role != roles.login)) continue;
        const int better = 1 + (s.role.empty() ? 0 : 2) + (s.this_database ? 1 : 0);
        if (better <= rank) continue;
        rank = better;
        text = s.value;
        out.from =
            (s.role.empty() ? "the setting of every role" : "the setting of role " + roles.login) +
            (s.this_database ? " in database " + r.database : "");
        if (s.role.empty() && s.this_database) out.from = "the setting of database " + r.database;
    }
    if (given) {
        text = *given;
        out.from = "the question";
    }
    for (auto& name : policy::path_schemas(text)) {
        if (name == "$user") name = roles.current;
        const bool again = std::ranges::find(out.schemas, name) != out.schemas.end();
        if (!again && (name == "pg_catalog" || has_schema(r, name)))
            out.schemas.push_back(std::move(name));
    }
    if (std::ranges::find(out.schemas, "pg_catalog") == out.schemas.end())
        out.schemas.insert(out.schemas.begin(), "pg_catalog");
    return out;
}

void add_tokens(std::string_view sql, admin::explained& out) {
    using kind = policy::sql::token_kind;
    policy::sql::lexer lex{sql};
    for (;;) {
        const auto t = lex.next();
        if (t.kind == kind::end) return;
        ++out.token_count;
        if (out.tokens.size() < tokens_max) {
            const bool names = t.kind == kind::word || t.kind == kind::quoted_identifier ||
                               t.kind == kind::parameter || t.kind == kind::op ||
                               t.kind == kind::punctuation;
            out.tokens.push_back({policy::sql::to_string(t.kind),
                                  names ? std::string{lex.text(t)} : std::string{}, t.begin});
        }
        if (t.kind == kind::error) return;
    }
}

void say_catalog(const policy::catalog::snapshot& s, admin::explained_catalog& out) {
    const auto& r = s.source();
    out.database = r.database;
    out.server_version = r.server_version;
    out.relations = r.relations.size();
    out.functions = r.functions.size();
    out.unreadable = unreadable_in(r.relations) + unreadable_in(r.expressions) +
                     unreadable_in(r.functions) + unreadable_in(r.types) +
                     unreadable_in(r.triggers) + unreadable_in(r.rules);
}

void say_facts(const policy::facts& text, const policy::facts& resolved, const policy::decision& d,
               const policy::rule_set& rules, admin::explained& out) {
    const statement_teller teller(d, rules);
    out.touches = policy::touches_of(resolved);
    for (std::size_t i = 0; i < resolved.statements.size(); ++i) {
        const auto* of_text = i < text.statements.size() ? &text.statements[i] : nullptr;
        out.statements.push_back(teller.tell(of_text, resolved.statements[i]));
        add_lines(out.statements.back(), out.facts);
    }
}

}  // namespace sallyport::proxy
