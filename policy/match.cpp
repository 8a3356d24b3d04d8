#include "policy/match.h"

#include <algorithm>
#include <cctype>

namespace sallyport::policy {

namespace {

constexpr std::size_t name_bytes_max = 63;  // NAMEDATALEN - 1: the server cuts longer names

bool contains(const std::vector<std::string>& list, std::string_view text) noexcept {
    return std::any_of(list.begin(), list.end(), [&](const auto& x) { return x == text; });
}

truth both(truth a, truth b) noexcept {
    if (a == truth::no || b == truth::no) return truth::no;
    return a == truth::yes && b == truth::yes ? truth::yes : truth::unknown;
}

truth opposite(truth t) noexcept {
    return t == truth::unknown ? t : t == truth::yes ? truth::no : truth::yes;
}

truth address_matches(const who& w, std::string_view text) noexcept {
    const auto a = parse_address(text);
    if (!a || w.networks.size() != w.addresses.size()) return truth::unknown;
    const bool in = std::any_of(w.networks.begin(), w.networks.end(),
                                [&](const network& n) { return n.contains(*a); });
    return in ? truth::yes : truth::no;
}

/// The name of a use that is all the relations of its schema.
constexpr std::string_view every_relation = "*";

bool is_builtin_schema(std::string_view schema) noexcept {
    return schema == "pg_catalog" || schema == "information_schema";
}

/// pg_catalog is searched before all others, and each of its relations begins so.
bool may_be_in_pg_catalog(const relation_use& use) noexcept {
    return use.schema.empty() && use.name.starts_with("pg_");
}

bool names(const relation_pattern& p, std::string_view schema, std::string_view name) noexcept {
    if (p.name != "*" && p.name != name) return false;
    if (p.schema != "*") return p.schema == schema;
    return p.name != "*" || !is_builtin_schema(schema);
}

/// For deny and hold: could the use be what the pattern names?
bool may_name(const relation_pattern& p, const relation_use& use,
              const std::vector<std::string>* path) noexcept {
    if (use.name == every_relation) {
        if (use.schema.empty()) return true;
        return p.schema == "*" ? p.name != "*" || !is_builtin_schema(use.schema)
                               : p.schema == use.schema;
    }
    if (!use.schema.empty()) return names(p, use.schema, use.name);
    if (p.name != "*") return p.name == use.name;
    if (p.schema == "*") return true;
    if (p.schema == "pg_catalog" && may_be_in_pg_catalog(use)) return true;
    return path != nullptr && contains(*path, p.schema);
}

bool columns_overlap(const relation_pattern& p, const relation_use& use) noexcept {
    if (p.columns.empty() || use.columns.empty()) return true;
    return std::any_of(use.columns.begin(), use.columns.end(),
                       [&](const auto& c) { return contains(p.columns, c); });
}

/// For allow: is every column of the use covered, if the relation is the one of that schema? A null
/// schema stands for one that is not known: patterns that name the table do.
bool fully_covered(const std::vector<relation_pattern>& patterns, const std::string_view* schema,
                   const relation_use& use) noexcept {
    const auto named = [&](const relation_pattern& p) {
        if (schema != nullptr) return names(p, *schema, use.name);
        return p.name == use.name || (p.schema == "*" && p.name == "*");
    };
    const auto column_covered = [&](const std::string& column) {
        return std::any_of(patterns.begin(), patterns.end(), [&](const relation_pattern& p) {
            return named(p) && contains(p.columns, column);
        });
    };
    const bool whole =
        std::any_of(patterns.begin(), patterns.end(),
                    [&](const relation_pattern& p) { return named(p) && p.columns.empty(); });
    return whole || (!use.columns.empty() &&
                     std::all_of(use.columns.begin(), use.columns.end(), column_covered));
}

// ---- patterns as text ---------------------------------------------------------------------------

bool is_identifier_start(char c) noexcept {
    const auto u = static_cast<unsigned char>(c);
    return std::isalpha(u) != 0 || c == '_' || u >= 0x80;
}
bool is_identifier_part(char c) noexcept {
    return is_identifier_start(c) || c == '$' || (c >= '0' && c <= '9');
}

bool eat_quoted(std::string_view& s, std::string& out) {
    s.remove_prefix(1);
    while (!s.empty()) {
        const char c = s.front();
        s.remove_prefix(1);
        if (c != '"') {
            out += c;
        } else if (!s.empty() && s.front() == '"') {
            out += '"';
            s.remove_prefix(1);
        } else {
            return true;
        }
    }
    return false;
}

/// An identifier as SQL writes it, folded as the server folds it.
bool eat_identifier(std::string_view& s, std::string& out) {
    out.clear();
    if (!s.empty() && s.front() == '"') {
        if (!eat_quoted(s, out)) return false;
    } else {
        if (s.empty() || !is_identifier_start(s.front())) return false;
        while (!s.empty() && is_identifier_part(s.front())) {
            const char c = s.front();  // only ASCII folds in a UTF-8 database
            out += c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
            s.remove_prefix(1);
        }
    }
    return !out.empty() && out.size() <= name_bytes_max;
}

bool eat_part(std::string_view& s, std::string& out) {
    if (!s.starts_with('*')) return eat_identifier(s, out) && out != "*";
    s.remove_prefix(1);
    out = "*";
    return true;
}

void skip_blanks(std::string_view& s) {
    while (!s.empty() && s.front() == ' ')
        s.remove_prefix(1);
}

bool eat_columns(std::string_view& s, std::vector<std::string>& out) {
    s.remove_prefix(1);
    while (true) {
        std::string column;
        skip_blanks(s);
        if (!eat_identifier(s, column) || contains(out, column)) return false;
        out.push_back(std::move(column));
        skip_blanks(s);
        if (s.empty()) return false;
        const char c = s.front();
        s.remove_prefix(1);
        if (c == ')') return s.empty();
        if (c != ',') return false;
    }
}

std::string quoted(const std::string& name) {
    std::string_view rest = name;
    std::string folded;
    if (name == "*" ||
        (eat_identifier(rest, folded) && rest.empty() && folded == name && name.front() != '"'))
        return name;
    std::string out = "\"";
    for (const char c : name)
        out += c == '"' ? "\"\"" : std::string(1, c);
    return out + "\"";
}

compiled_rule compile_rule(const rule& r, std::uint32_t index) {
    compiled_rule c;
    c.index = index;
    c.tier = r.tier;
    c.effect = r.effect;
    c.any_action = r.kinds.empty() && r.commands.empty();
    for (const auto k : r.kinds)
        c.kinds |= bit(k);
    for (const auto& text : r.commands)
        if (const auto* word = find_command(text)) c.commands.push_back(word);
    c.everybody = r.who.everybody() && r.when.empty() && !r.review_by;
    c.observe = r.observe;
    c.exception = r.is_exception();
    c.log = r.log == log_mode::all;
    c.whole_target = r.on.empty();
    return c;
}

void note_place(compiled_target& t, std::uint32_t place) {
    const auto add = [place](compiled_target::places& to) {
        if (to.empty() || to.back() != place) to.push_back(place);
    };
    const auto& r = t.rules[place];
    const bool all = std::any_of(r.patterns.begin(), r.patterns.end(),
                                 [](const auto& p) { return p.schema == "*" && p.name == "*"; });
    if (r.whole_target || all) return add(t.whole);
    for (const auto& p : r.patterns) {
        if (p.name != "*") {
            add(t.by_name[p.name]);
        } else {
            add(t.schemas);
            add(t.by_schema[p.schema]);
        }
    }
}

/// The rules as seen from one target; `target` empty: from one that no resource names.
compiled_target compile_for(const rule_set& p, const std::string& target) {
    compiled_target made;
    auto& out = made.rules;
    for (std::uint32_t i = 0; i < p.rules.size(); ++i) {
        const auto& r = p.rules[i];
        auto c = compile_rule(r, i);
        for (const auto& name : r.on) {
            const auto found = p.resources.find(name);
            if (found == p.resources.end()) {
                // A rule that cannot be evaluated matches if it denies or holds.
                c.whole_target = c.whole_target || r.effect != effect::allow;
            } else if (contains(found->second.targets, target)) {
                const auto& relations = found->second.relations;
                c.whole_target = c.whole_target || relations.empty();
                c.patterns.insert(c.patterns.end(), relations.begin(), relations.end());
            }
        }
        if (c.whole_target || !c.patterns.empty()) out.push_back(std::move(c));
    }
    std::stable_sort(out.begin(), out.end(),
                     [](const auto& a, const auto& b) { return a.tier < b.tier; });
    for (std::uint32_t i = 0; i < out.size(); ++i)
        note_place(made, i);
    return made;
}

}  // namespace

truth matches(const who& w, const match_context& c) noexcept {
    const auto in_any_group = [&] {
        return std::any_of(w.groups.begin(), w.groups.end(),
                           [&](const auto& g) { return c.principal->in_group(g); });
    };
    if (!w.users.empty() && !contains(w.users, c.principal->name)) return truth::no;
    if (!w.groups.empty() && !in_any_group()) return truth::no;
    if (!w.applications.empty() && !contains(w.applications, c.application)) return truth::no;
    auto result = truth::yes;
    if (!w.addresses.empty()) result = both(result, address_matches(w, c.address));
    if (w.not_) result = both(result, opposite(matches(*w.not_, c)));
    return result;
}

bool covers(const std::vector<relation_pattern>& patterns, const relation_use& use, effect e,
            const match_context& c) noexcept {
    if (e != effect::allow) {
        return std::any_of(patterns.begin(), patterns.end(), [&](const relation_pattern& p) {
            return may_name(p, use, c.search_path) && columns_overlap(p, use);
        });
    }
    if (!use.schema.empty() || use.name == every_relation) {
        const std::string_view schema = use.schema;
        return fully_covered(patterns, &schema, use);
    }
    if (may_be_in_pg_catalog(use)) {
        const std::string_view schema = "pg_catalog";
        if (!fully_covered(patterns, &schema, use)) return false;
    }
    if (c.search_path == nullptr || c.search_path->empty())
        return fully_covered(patterns, nullptr, use);
    return std::all_of(c.search_path->begin(), c.search_path->end(), [&](std::string_view schema) {
        return fully_covered(patterns, &schema, use);
    });
}

bool parse_relation_pattern(std::string_view text, relation_pattern& out, std::string& why) {
    out = {};
    why =
        "write a relation as schema.name, schema.*, name, or schema.name(column, column); "
        "a name that is not plain lower case stands in \"double quotes\"";
    auto s = text;
    std::string first;
    if (s.size() > 4096 || !eat_part(s, first)) return false;
    if (s.starts_with('.')) {
        s.remove_prefix(1);
        out.schema = std::move(first);
        if (!eat_part(s, out.name)) return false;
    } else {
        out.schema = "*";
        out.name = std::move(first);
    }
    skip_blanks(s);
    return s.empty() || (s.front() == '(' && eat_columns(s, out.columns));
}

std::string to_string(const relation_pattern& p) {
    std::string out = quoted(p.schema) + "." + quoted(p.name);
    for (std::size_t i = 0; i < p.columns.size(); ++i)
        out += (i == 0 ? "(" : ", ") + quoted(p.columns[i]);
    return p.columns.empty() ? out : out + ")";
}

const compiled_target& compiled_rules::of(std::string_view target) const noexcept {
    const auto found = by_target.find(target);
    return found == by_target.end() ? elsewhere : found->second;
}

rule_walk::rule_walk(const compiled_target& t, const relation_use* use,
                     const std::vector<std::string>* search_path) noexcept
    : end_(static_cast<std::uint32_t>(t.rules.size())) {
    every_ = use != nullptr && use->name == every_relation;
    if (every_) return;
    lists_[count_++] = t.whole;
    if (use != nullptr) {
        add(t.by_name, use->name);
        // Without a schema it may be in any of the path, and a pattern `schema.*` means it then.
        if (!use->schema.empty()) {
            add(t.by_schema, use->schema);
        } else if (search_path != nullptr && search_path->size() > path_max) {
            lists_[count_++] = t.schemas;
        } else {
            if (may_be_in_pg_catalog(*use)) add(t.by_schema, "pg_catalog");
            if (search_path != nullptr)
                for (const auto& schema : *search_path)
                    add(t.by_schema, schema);
        }
    }
    find();
}

void rule_walk::add(const compiled_target::by_text& from, std::string_view text) noexcept {
    if (const auto found = from.find(text); found != from.end()) lists_[count_++] = found->second;
}

void rule_walk::find() noexcept {
    at_ = end_;
    for (std::size_t i = 0; i < count_; ++i)
        if (!lists_[i].empty()) at_ = std::min(at_, lists_[i].front());
}

void rule_walk::advance() noexcept {
    if (every_) {
        ++at_;
        return;
    }
    for (std::size_t i = 0; i < count_; ++i)
        if (!lists_[i].empty() && lists_[i].front() == at_) lists_[i] = lists_[i].subspan(1);
    find();
}

std::shared_ptr<const compiled_rules> compile(const rule_set& p) {
    auto c = std::make_shared<compiled_rules>();
    for (const auto& [name, r] : p.resources)
        for (const auto& target : r.targets)
            if (!c->by_target.contains(target)) c->by_target[target] = compile_for(p, target);
    c->elsewhere = compile_for(p, std::string());
    return c;
}

}  // namespace sallyport::policy
