#include "policy/catalog/row_code.h"

#include <algorithm>
#include <array>

#include "policy/sql/identifier.h"
#include "policy/sql/lexer.h"

namespace sallyport::policy::catalog {

namespace {

using sql::token_kind;

constexpr std::size_t quoted_bytes_max = 256;  // longer is no name

/// The tokens of some code: words folded, quoted names without their quotes.
class tokens {
  public:
    explicit tokens(std::string_view code) {
        sql::lexer lex{code};
        for (;;) {
            const auto t = lex.next();
            if (t.kind == token_kind::end) break;
            if (t.kind == token_kind::comment) continue;
            if (t.kind == token_kind::error) {
                readable_ = false;
                break;
            }
            all_.push_back(stored(t.kind, lex.text(t)));
        }
        readable_ = readable_ && !lex.backslash_in_plain_string();
    }
    [[nodiscard]] bool readable() const noexcept { return readable_; }
    [[nodiscard]] std::size_t size() const noexcept { return all_.size(); }
    [[nodiscard]] std::string_view at(std::size_t i) const noexcept {
        return i < all_.size() ? std::string_view{all_[i]} : std::string_view{};
    }
    [[nodiscard]] std::string_view before(std::size_t i, std::size_t n = 1) const noexcept {
        return i >= n ? at(i - n) : std::string_view{};
    }
    [[nodiscard]] bool has(std::string_view word) const noexcept {
        return std::ranges::find(all_, word) != all_.end();
    }
    [[nodiscard]] bool is_row(std::size_t i) const noexcept {
        return (at(i) == "new" || at(i) == "old") && before(i) != ".";
    }
    /// Behind `new`, `new.*` and a parenthesis that closes them.
    [[nodiscard]] std::size_t behind_row(std::size_t i) const noexcept {
        ++i;
        if (at(i) == "." && at(i + 1) == "*") i += 2;
        while (at(i) == ")")
            ++i;
        return i;
    }
    /// `RETURN coalesce(new, old);` and the like, from its first token; 0: it is something else.
    [[nodiscard]] std::size_t end_of_plain_return(std::size_t i) const noexcept {
        static constexpr std::array plain{std::string_view{"new"},      std::string_view{"old"},
                                          std::string_view{"coalesce"}, std::string_view{"null"},
                                          std::string_view{"("},        std::string_view{")"},
                                          std::string_view{","}};
        if (at(i) != "return") return 0;
        for (++i; i < size(); ++i) {
            if (at(i) == ";") return i;
            if (std::ranges::find(plain, at(i)) == plain.end()) return 0;
        }
        return i;
    }
    /// `new IS DISTINCT FROM old`, `old IS NULL`.
    [[nodiscard]] bool is_compared(std::size_t i) const noexcept {
        std::size_t next = behind_row(i);
        if (at(next) == "is") {
            if (at(++next) == "not") ++next;
            return at(next) == "distinct" || at(next) == "null";
        }
        std::size_t first = i;
        while (before(first) == "(" || before(first) == "row")
            --first;
        return before(first) == "from" && before(first, 2) == "distinct";
    }

  private:
    static std::string stored(token_kind kind, std::string_view raw) {
        std::string out{raw};
        if (kind == token_kind::quoted_identifier && raw.size() >= 2 && raw.front() == '"')
            return sql::cut_identifier(raw.substr(1, raw.size() - 2));
        if (kind != token_kind::word) return out;
        for (char& c : out)
            if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
        return sql::cut_identifier(out);
    }

    std::vector<std::string> all_;
    bool readable_ = true;
};

/// A statement of PL/pgSQL may begin behind this.
bool ends_statement(std::string_view token) noexcept {
    static constexpr std::array ends{std::string_view{""},     std::string_view{";"},
                                     std::string_view{">>"},   std::string_view{"begin"},
                                     std::string_view{"else"}, std::string_view{"loop"},
                                     std::string_view{"then"}};
    return std::ranges::find(ends, token) != ends.end();
}

/// The statement so far has words behind which values are put into variables.
bool is_filled(const tokens& t, std::size_t i) noexcept {
    for (; i > 0 && t.before(i) != ";"; --i) {
        const auto word = t.before(i);
        const bool into = word == "into" && t.before(i, 2) != "insert" && t.before(i, 2) != "merge";
        if (into || word == "get" || word == "for" || word == "foreach") return true;
    }
    return false;
}

/// The place at `i` is given a value; `next` stands behind it.
bool is_set(const tokens& t, std::size_t i, std::size_t next) noexcept {
    if (t.at(next) == ":=" || t.at(next) == "[" || t.at(next) == ".") return true;
    if (t.at(next) == "=" && ends_statement(t.before(i))) return true;
    return is_filled(t, i);
}

}  // namespace

row_use columns_read(std::string_view code) {
    const tokens t{code};
    row_use out;
    if (!t.readable()) return {true, {}};
    for (std::size_t i = 0; i < t.size(); ++i) {
        if (const auto end = t.end_of_plain_return(i); end != 0) i = end;
        if (!t.is_row(i) || t.is_compared(i)) continue;
        if (t.at(i + 1) != "." || t.at(i + 2) == "*") {
            out.whole = true;
            continue;
        }
        // NEW.x := … only writes it.
        const auto next = t.at(i + 3);
        if (next == ":=" || (next == "=" && ends_statement(t.before(i)))) continue;
        out.columns.emplace_back(t.at(i + 2));
    }
    return out;
}

bool may_set(std::string_view body, std::string_view column) {
    const tokens t{body};
    if (!t.readable() || t.has("call")) return true;
    for (std::size_t i = 0; i < t.size(); ++i) {
        if (const auto end = t.end_of_plain_return(i); end != 0)
            i = end;
        else if (t.at(i) == "return" && t.at(i + 1) != ";")
            return true;  // another row
        if (t.at(i) != "new" || t.before(i) == "." || t.is_compared(i)) continue;
        if (t.at(i + 1) == "." && t.at(i + 2) != "*") {
            if (t.at(i + 2) == column && is_set(t, i, i + 3)) return true;
            continue;
        }
        const bool argument = (t.before(i) == "(" || t.before(i) == ",") && !is_filled(t, i);
        if (!argument) return true;
    }
    return false;
}

void read_what_is_written(statement_facts& s) {
    for (std::size_t i = 0, end = s.relations.size(); i < end; ++i) {
        if (s.relations[i].how != access::write) continue;
        relation_use u = s.relations[i];
        u.how = access::read;
        u.columns.clear();
        const auto known = std::ranges::find_if(s.relations, [&](const auto& r) {
            return r.how == access::read && r.schema == u.schema && r.name == u.name;
        });
        if (known == s.relations.end())
            s.relations.push_back(std::move(u));
        else
            known->columns.clear();
    }
}

bool each_word(std::string_view code, const std::function<void(std::string_view)>& f) {
    const auto is_part = [](char c) {
        const unsigned u = static_cast<unsigned char>(c);
        return (u | 0x20u) - 'a' < 26u || u - '0' < 10u || u >= 0x80 || c == '_' || c == '$';
    };
    const auto name = [&](std::string_view word) {
        auto stored = sql::cut_identifier(word);
        f(stored);
        const auto fold = [](char c) {
            return c >= 'A' && c <= 'Z' ? static_cast<char>(c | 0x20) : c;
        };
        if (std::ranges::none_of(stored, [&](char c) { return fold(c) != c; })) return;
        std::ranges::transform(stored, stored.begin(), fold);
        f(stored);
    };
    for (std::size_t at = 0; at < code.size();) {
        auto end = at;
        if (code[at] == '"') {
            // Between any two: one of the pairs holds a name.
            end = code.find('"', at + 1);
            if (end != std::string_view::npos && end - at <= quoted_bytes_max)
                f(sql::cut_identifier(code.substr(at + 1, end - at - 1)));
            ++at;
            continue;
        }
        while (end < code.size() && is_part(code[end]))
            ++end;
        const auto word = code.substr(at, end - at);
        if ((word == "u" || word == "U") && code.substr(end, 2) == "&\"") return false;
        if (!word.empty()) name(word);
        // $ may be of the name or of a quotation around it.
        for (std::size_t from = 0, to = 0; word.find('$') != word.npos && from < word.size();
             from = to + 1) {
            to = std::min(word.find('$', from), word.size());
            if (to > from) name(word.substr(from, to - from));
        }
        at = std::max(end, at + 1);
    }
    return true;
}

void take_in(relation_use& known, relation_use other) {
    known.by_code = known.by_code || other.by_code;
    known.scanned = known.scanned || other.scanned;
    if (known.columns.empty() || other.columns.empty()) {
        known.columns.clear();
        return;
    }
    for (auto& c : other.columns)
        if (std::ranges::find(known.columns, c) == known.columns.end())
            known.columns.push_back(std::move(c));
}

}  // namespace sallyport::policy::catalog
