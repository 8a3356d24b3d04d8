#include "policy/sql/code.h"

#include <algorithm>
#include <array>
#include <optional>
#include <unordered_set>

#include "policy/sql/functions_table.h"
#include "policy/sql/identifier.h"
#include "policy/sql/lexer.h"
#include "policy/sql/walker.h"

namespace sallyport::policy::sql {
namespace {

constexpr std::size_t body_bytes_max = 1u << 20;
constexpr std::size_t names_max = 20'000;
constexpr int depth_max = 3;  // constant EXECUTE in constant EXECUTE

// Keywords that stand for operators, looked up by name as any other.
struct spelled_operator {
    std::string_view keyword;
    std::string_view name;
};
constexpr std::array spelled_operators{
    spelled_operator{"like", "~~"},    spelled_operator{"like", "!~~"},
    spelled_operator{"ilike", "~~*"},  spelled_operator{"ilike", "!~~*"},
    spelled_operator{"similar", "~"},  spelled_operator{"similar", "!~"},
    spelled_operator{"between", ">="}, spelled_operator{"between", "<="},
    spelled_operator{"between", "<"},  spelled_operator{"between", ">"},
    spelled_operator{"in", "="},       spelled_operator{"in", "<>"},
    spelled_operator{"distinct", "="}, spelled_operator{"nullif", "="},
    spelled_operator{"case", "="},     spelled_operator{"using", "="},
    spelled_operator{"natural", "="},
};

// Commands that make names mean something else, or reach what they do not name.
struct verb_and_object {
    std::string_view verb;
    std::string_view object;
};
constexpr std::array unbounded_commands{
    verb_and_object{"alter", "database"},   verb_and_object{"alter", "extension"},
    verb_and_object{"alter", "foreign"},    verb_and_object{"alter", "function"},
    verb_and_object{"alter", "group"},      verb_and_object{"alter", "procedure"},
    verb_and_object{"alter", "role"},       verb_and_object{"alter", "routine"},
    verb_and_object{"alter", "schema"},     verb_and_object{"alter", "server"},
    verb_and_object{"alter", "user"},       verb_and_object{"create", "extension"},
    verb_and_object{"create", "foreign"},   verb_and_object{"create", "function"},
    verb_and_object{"create", "group"},     verb_and_object{"create", "procedure"},
    verb_and_object{"create", "role"},      verb_and_object{"create", "server"},
    verb_and_object{"create", "user"},      verb_and_object{"drop", "aggregate"},
    verb_and_object{"drop", "cast"},        verb_and_object{"drop", "domain"},
    verb_and_object{"drop", "extension"},   verb_and_object{"drop", "function"},
    verb_and_object{"drop", "language"},    verb_and_object{"drop", "operator"},
    verb_and_object{"drop", "owned"},       verb_and_object{"drop", "procedure"},
    verb_and_object{"drop", "routine"},     verb_and_object{"drop", "schema"},
    verb_and_object{"drop", "type"},        verb_and_object{"import", "foreign"},
    verb_and_object{"in", "schema"},        verb_and_object{"on", "schema"},
    verb_and_object{"reassign", "owned"},   verb_and_object{"reindex", "database"},
    verb_and_object{"reindex", "schema"},   verb_and_object{"reindex", "system"},
    verb_and_object{"replace", "function"}, verb_and_object{"replace", "procedure"},
};

struct word {
    token_kind kind = token_kind::end;
    std::string_view raw;
    std::string name;  // of identifiers: as the server stores them; of constant strings: the value
};

std::string folded(std::string_view text) {
    std::string out;
    for (const char c : text)
        out += c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
    return cut_identifier(out);
}

/// "a""b" without its quotes.
std::string unquoted(std::string_view text, char quote) {
    std::string out;
    text.remove_prefix(1);
    text.remove_suffix(1);
    for (std::size_t i = 0; i < text.size(); ++i) {
        out += text[i];
        if (text[i] == quote) ++i;
    }
    return out;
}

/// The value of '…' without backslashes, or of $tag$…$tag$; nothing for other forms.
std::optional<std::string> plain_string(std::string_view raw) {
    if (raw.size() >= 2 && raw.front() == '\'') {
        const auto body = raw.substr(1, raw.size() - 2);
        if (body.find('\\') != std::string_view::npos) return std::nullopt;
        // A continuation ('a' newline 'b') has a lone quote inside.
        for (std::size_t i = 0; i < body.size(); ++i)
            if (body[i] == '\'' && (i + 1 >= body.size() || body[++i] != '\'')) return std::nullopt;
        return unquoted(raw, '\'');
    }
    if (raw.size() >= 4 && raw.front() == '$') {
        const auto tag = raw.find('$', 1);
        if (tag == std::string_view::npos || raw.size() < 2 * (tag + 1)) return std::nullopt;
        return std::string{raw.substr(tag + 1, raw.size() - 2 * (tag + 1))};
    }
    return std::nullopt;
}

class reader {
  public:
    reader(code_facts& out, int depth, bool strings_conform)
        : out_(out), depth_(depth), strings_conform_(strings_conform) {}

    void read(std::string_view body) {
        if (body.size() > body_bytes_max) return opaque("a body of code that is too long");
        if (!split(body)) return;
        for (at_ = 0; at_ < words_.size(); ++at_)
            look();
    }

  private:
    bool split(std::string_view body) {
        lexer lex{body};
        for (;;) {
            const token t = lex.next();
            if (t.kind == token_kind::end) break;
            if (t.kind == token_kind::comment) continue;
            const auto raw = lex.text(t);
            word w{t.kind, raw, {}};
            if (t.kind == token_kind::error) {
                opaque("a body of code whose tokens cannot be told apart");
                return false;
            }
            if (t.kind == token_kind::word) w.name = folded(raw);
            if (t.kind == token_kind::quoted_identifier) {
                if (raw.front() != '"') {
                    opaque("a U&\"…\" name in a body of code");
                    return false;
                }
                w.name = cut_identifier(unquoted(raw, '"'));
            }
            words_.push_back(std::move(w));
        }
        if (strings_conform_ || !lex.backslash_in_plain_string()) return true;
        // With standard_conforming_strings off, other tokens would come out.
        opaque("a backslash in a string of a body of code");
        return false;
    }

    [[nodiscard]] const word& ahead(std::size_t n) const noexcept {
        static const word none;
        return at_ + n < words_.size() ? words_[at_ + n] : none;
    }
    [[nodiscard]] bool is_name(const word& w) const noexcept {
        return w.kind == token_kind::word || w.kind == token_kind::quoted_identifier;
    }

    void look() {
        const word& w = words_[at_];
        if (w.kind == token_kind::op) {
            const bool of_schema =
                at_ >= 2 && words_[at_ - 1].raw == "." && is_name(words_[at_ - 2]);
            use(out_.operators, seen_operators_,
                of_schema ? std::string_view{words_[at_ - 2].name} : std::string_view{},
                w.raw == "!=" ? "<>" : w.raw);
            return;
        }
        if (w.raw == "::" && ahead(1).name.starts_with("reg") && at_ > 0) {
            relation_in(words_[at_ - 1]);
            return;
        }
        if (!is_name(w)) return;
        use(out_.mentions, seen_, {}, w.name);
        if (ahead(1).raw == "." && is_name(ahead(2)))
            use(out_.mentions, seen_, w.name, ahead(2).name);
        if (w.kind == token_kind::word) keyword(w);
        if (w.name.starts_with("reg") && ahead(1).kind == token_kind::string) relation_in(ahead(1));
        if (ahead(1).raw == "(")
            called(w);
        else if (at_ > 0 && words_[at_ - 1].raw == "." && is_telling_attribute(w.name))
            opaque(w.name + " by a dot in a body of code");
    }

    void keyword(const word& w) {
        if (w.name == "execute") return execute();
        for (const auto& [name, op] : spelled_operators)
            if (w.name == name) use(out_.operators, seen_operators_, {}, op);
        if (w.name == "reset" || w.name == "discard") out_.changes_settings = true;
        if (w.name == "update" && is_pg_settings(1)) out_.changes_settings = true;
        if (w.name == "set" && setting(ahead(1).name)) out_.changes_settings = true;
        if (w.name == "copy" && (is_name(ahead(1)) || ahead(1).raw == "("))
            opaque("COPY in a body of code");
        if (w.name == "do" && (ahead(1).kind == token_kind::string || ahead(1).name == "language"))
            opaque("DO in a body of code");
        for (const auto& [verb, object] : unbounded_commands)
            if (w.name == verb && ahead(1).name == object)
                opaque(std::string{verb} + " " + std::string{object} + " in a body of code");
        if (w.name == "grant" && grants_a_role()) opaque("GRANT of a role in a body of code");
        if (w.name == "load" && ahead(1).kind == token_kind::string)
            opaque("LOAD in a body of code");
    }

    /// Its rule turns an UPDATE into set_config.
    [[nodiscard]] bool is_pg_settings(std::size_t n) const noexcept {
        if (ahead(n).name == "only") ++n;
        if (ahead(n).raw == "(") ++n;
        if (ahead(n).name == "pg_catalog" && ahead(n + 1).raw == ".") n += 2;
        return ahead(n).name == "pg_settings";
    }

    static bool setting(const std::string& name) noexcept {
        static constexpr std::array scopes{std::string_view{"local"}, std::string_view{"names"},
                                           std::string_view{"schema"}, std::string_view{"session"}};
        // A quoted name is not folded, but settings are found in any case.
        const std::string lower = folded(name);
        return is_identity_setting(lower) || std::ranges::find(scopes, lower) != scopes.end();
    }

    /// GRANT a TO b, without ON.
    [[nodiscard]] bool grants_a_role() const noexcept {
        for (std::size_t n = 1; ahead(n).kind != token_kind::end && ahead(n).raw != ";"; ++n) {
            if (ahead(n).name == "on") return false;
            if (ahead(n).name == "to") return true;
        }
        return false;
    }

    /// `EXECUTE FUNCTION name (`, which no expression can be: the word may be a variable's name.
    [[nodiscard]] bool is_of_a_trigger() const noexcept {
        if (ahead(1).name != "function" && ahead(1).name != "procedure") return false;
        std::size_t n = 2;
        while (is_name(ahead(n)) && ahead(n + 1).raw == ".")
            n += 2;
        return is_name(ahead(n)) && ahead(n + 1).raw == "(";
    }

    void execute() {
        const auto& next = ahead(1);
        // GRANT EXECUTE ON …: a reserved word, so never a variable.
        if (is_of_a_trigger() || (next.kind == token_kind::word && next.name == "on")) return;
        const auto text = next.kind == token_kind::string ? plain_string(next.raw) : std::nullopt;
        const auto& behind = ahead(2);
        const bool whole = behind.raw == ";" || behind.name == "into" || behind.name == "using" ||
                           behind.name == "loop" || behind.kind == token_kind::end;
        if (!text || !whole || depth_ >= depth_max)
            return opaque("dynamic EXECUTE in a body of code");
        code_facts inner;
        reader{inner, depth_ + 1, strings_conform_}.read(*text);
        for (const auto& m : inner.mentions)
            use(out_.mentions, seen_, m.schema, m.name);
        for (const auto& o : inner.operators)
            use(out_.operators, seen_operators_, o.schema, o.name);
        for (auto& why : inner.opaque_reasons)
            opaque(std::move(why));
        out_.changes_settings = out_.changes_settings || inner.changes_settings;
    }

    void called(const word& w) {
        const auto* e = find_function(w.name);
        if (e == nullptr) return;
        switch (e->role) {
            case function_role::none:
            case function_role::harmless_name:
            case function_role::notifies:
            case function_role::maintains:
            case function_role::schedules:
                return;
            case function_role::sets_config:
                out_.changes_settings = true;
                return;
            case function_role::names_relation:
            case function_role::reads_relation:
            case function_role::writes_relation:
                if (e->arguments == 1 && is_whole_name(2)) return relation_in(ahead(2));
                if (is_of_sequences(w.name) && is_own_sequence(2)) return relation_in(ahead(4));
                [[fallthrough]];
            default:
                opaque(w.name + " in a body of code");
        }
    }

    /// An argument that is one string, at most with a cast that leaves it the same name.
    [[nodiscard]] bool is_whole_name(std::size_t n) const noexcept {
        if (ahead(n).kind != token_kind::string) return false;
        ++n;
        while (ahead(n).raw == "::" &&
               (ahead(n + 1).name == "regclass" || ahead(n + 1).name == "text"))
            n += 2;
        return ahead(n).raw == "," || ahead(n).raw == ")";
    }

    /// pg_get_serial_sequence('table', 'column') as an argument.
    [[nodiscard]] bool is_own_sequence(std::size_t n) const noexcept {
        return ahead(n).name == "pg_get_serial_sequence" && ahead(n + 1).raw == "(" &&
               is_whole_name(n + 2) && ahead(n + 3).raw == "," &&
               ahead(n + 4).kind == token_kind::string && ahead(n + 5).raw == ")" &&
               (ahead(n + 6).raw == "," || ahead(n + 6).raw == ")");
    }

    void relation_in(const word& w) {
        if (w.kind != token_kind::string) return;  // what is computed is read by EXECUTE only
        const auto text = plain_string(w.raw);
        const auto parts = text ? split_qualified_name(*text) : std::nullopt;
        if (!parts) return opaque("a name in a string of a body of code");
        use(out_.mentions, seen_, parts->size() > 1 ? (*parts)[parts->size() - 2] : "",
            parts->back());
    }

    void use(std::vector<function_use>& list, std::unordered_set<std::string>& seen,
             std::string_view schema, std::string_view name) {
        std::string key{schema};
        key += '\0';
        key += name;
        if (!seen.insert(std::move(key)).second) return;
        if (list.size() >= names_max) return opaque("a body of code that names too much");
        list.push_back({std::string{schema}, std::string{name}});
    }

    void opaque(std::string why) {
        auto& reasons = out_.opaque_reasons;
        if (std::ranges::find(reasons, why) == reasons.end()) reasons.push_back(std::move(why));
    }

    code_facts& out_;
    int depth_;
    bool strings_conform_;
    std::vector<word> words_;
    std::size_t at_ = 0;
    std::unordered_set<std::string> seen_;
    std::unordered_set<std::string> seen_operators_;
};

}  // namespace

code_facts analyse_code(std::string_view body, bool strings_conform) {
    code_facts out;
    reader{out, 0, strings_conform}.read(body);
    return out;
}

}  // namespace sallyport::policy::sql
