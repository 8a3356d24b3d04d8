#include "policy/sql/complexity.h"

#include <algorithm>
#include <array>
#include <vector>

#include "policy/sql/lexer.h"

namespace sallyport::policy::sql {
namespace {

/// How a token deepens the tree beside its neighbours, without any bracket.
enum class growth : std::uint8_t {
    none,
    chain,       ///< operators, NOT, IS …: one level each until the expression ends
    ends_chain,  ///< AND, OR, WHEN, THEN, ELSE: the parser keeps these in one flat list
    list,        ///< BETWEEN: goes on over AND and OR, ends at a comma
    join,        ///< JOIN: likewise, and ends the expression before it
    statement,   ///< UNION, INTERSECT, EXCEPT: ends with the statement
    case_opens,
    case_closes,
    opens,
    closes,
    comma,
    semicolon,
};

struct keyword {
    std::string_view word;
    growth what;
};
constexpr std::array keywords{
    keyword{"and", growth::ends_chain},      keyword{"at", growth::chain},
    keyword{"between", growth::list},        keyword{"case", growth::case_opens},
    keyword{"collate", growth::chain},       keyword{"else", growth::ends_chain},
    keyword{"end", growth::case_closes},     keyword{"except", growth::statement},
    keyword{"ilike", growth::chain},         keyword{"in", growth::chain},
    keyword{"intersect", growth::statement}, keyword{"is", growth::chain},
    keyword{"isnull", growth::chain},        keyword{"join", growth::join},
    keyword{"like", growth::chain},          keyword{"not", growth::chain},
    keyword{"notnull", growth::chain},       keyword{"or", growth::ends_chain},
    keyword{"similar", growth::chain},       keyword{"then", growth::ends_chain},
    keyword{"union", growth::statement},     keyword{"when", growth::ends_chain},
};

growth growth_of_word(std::string_view word) noexcept {
    if (word.size() > 9) return growth::none;
    std::array<char, 9> lower{};
    for (std::size_t i = 0; i < word.size(); ++i) {
        const char c = word[i];
        lower[i] = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
    }
    const std::string_view folded{lower.data(), word.size()};
    for (const auto& k : keywords)
        if (k.word == folded) return k.what;
    return growth::none;
}

/// After "." and AS a keyword is a mere name.
growth growth_of(const token& t, std::string_view text, bool name_expected) noexcept {
    switch (t.kind) {
        case token_kind::op:
            return growth::chain;
        case token_kind::word:
            return name_expected ? growth::none : growth_of_word(text);
        case token_kind::punctuation:
            break;
        default:
            return growth::none;
    }
    switch (text.front()) {
        case '(':
        case '[':
            return growth::opens;
        case ')':
        case ']':
            return growth::closes;
        case ',':
            return growth::comma;
        case ';':
            return growth::semicolon;
        case ':':
            return growth::chain;
        default:
            return growth::none;
    }
}

/// What a pair of brackets encloses; the outermost frame is the text.
struct frame {
    std::size_t chain = 0;
    std::size_t list = 0;
    std::size_t statement = 0;
    std::size_t cases = 0;
    std::size_t levels_max = 0;      // most levels that stood open at once
    std::size_t inner_depth = 0;     // deepest bracket inside
    std::size_t tokens = 0;          // inside, brackets included
    std::size_t segment_tokens = 0;  // since the last comma or semicolon
    std::size_t segment_levels = 0;  // most levels open at once in the segment
    std::uint64_t work = 0;

    [[nodiscard]] std::size_t levels() const noexcept { return chain + list + statement + cases; }
    void count(std::size_t n) noexcept {
        tokens += n;
        segment_tokens += n;
    }
    void note_levels() noexcept {
        segment_levels = std::max(segment_levels, levels());
        levels_max = std::max(levels_max, segment_levels);
    }
    void end_segment() noexcept {
        work += static_cast<std::uint64_t>(segment_levels + bracket_levels) * segment_tokens;
        segment_tokens = 0;
        segment_levels = 0;
        chain = list = 0;
    }
    static constexpr std::size_t bracket_levels = 4;
    [[nodiscard]] std::size_t depth() const noexcept {
        return levels_max + inner_depth + bracket_levels;
    }
};

/// Set operations and cases reach over commas, so their levels cost all tokens of the frame.
void close(frame& f) noexcept {
    f.end_segment();
    f.work += static_cast<std::uint64_t>(f.statement) * f.tokens;
}

void pop(std::vector<frame>& frames) {
    frame inner = frames.back();
    close(inner);
    frames.pop_back();
    frame& outer = frames.back();
    outer.inner_depth = std::max(outer.inner_depth, inner.depth());
    outer.work += inner.work;
    outer.count(inner.tokens);
}

void apply(frame& f, growth what) noexcept {
    switch (what) {
        case growth::chain:
            ++f.chain;
            break;
        case growth::ends_chain:
            f.chain = 0;
            break;
        case growth::list:
            ++f.list;
            break;
        case growth::statement:
            ++f.statement;
            f.chain = f.list = 0;
            break;
        case growth::case_opens:
            f.cases += 2;
            break;
        case growth::case_closes:
            f.cases -= std::min<std::size_t>(2, f.cases);
            break;
        case growth::comma:
            f.end_segment();
            break;
        case growth::semicolon:
            close(f);
            f.statement = f.cases = 0;
            break;
        default:
            break;
    }
    f.note_levels();
}

bool is_operator_char(char c) noexcept {
    return std::string_view{"~!@#^&|`?+-*/%<>="}.find(c) != std::string_view::npos;
}

/// The server's lexer reads a whole run of operator characters for each operator or comment that
/// starts in it, and gives the rest back: comments without a blank between them cost the square of
/// their length.
std::uint64_t rereading(std::string_view sql) noexcept {
    std::uint64_t cost = 0;
    std::size_t i = 0;
    while (i < sql.size()) {
        if (!is_operator_char(sql[i])) {
            ++i;
            continue;
        }
        std::size_t end = i;
        std::uint64_t starts = 0;
        for (; end < sql.size() && is_operator_char(sql[end]); ++end)
            if (sql[end] == '+' || sql[end] == '-' ||
                (sql[end] == '/' && end + 1 < sql.size() && sql[end + 1] == '*'))
                ++starts;
        cost += starts * (end - i);
        i = end;
    }
    return cost;
}

bool is_as(std::string_view word) noexcept {
    return word.size() == 2 && (word[0] | 0x20) == 'a' && (word[1] | 0x20) == 's';
}

}  // namespace

complexity measure(std::string_view sql) {
    complexity out;
    lexer lex{sql};
    std::vector<frame> frames(1);
    bool name_expected = false;
    for (;;) {
        const token t = lex.next();
        if (t.kind == token_kind::comment) continue;
        if (t.kind == token_kind::error) out.scannable = false;
        if (t.kind == token_kind::error || t.kind == token_kind::end) break;
        ++out.tokens;
        frames.back().count(1);
        const std::string_view text = lex.text(t);
        const growth what = growth_of(t, text, name_expected);
        name_expected =
            text == "." || (t.kind == token_kind::word && !name_expected && is_as(text));
        if (what == growth::opens)
            frames.emplace_back();
        else if (what == growth::closes && frames.size() > 1)
            pop(frames);
        else
            apply(frames.back(), what);
    }
    while (frames.size() > 1)
        pop(frames);
    close(frames.back());
    out.depth = frames.back().depth();
    out.work = frames.back().work;
    out.rereading = rereading(sql);
    out.plain_backslash = lex.backslash_in_plain_string();
    return out;
}

const char* too_complex(const complexity& c, const complexity_limits& limits) {
    if (c.tokens > limits.tokens_max) return "too many tokens";
    if (c.depth > limits.depth_max) return "nested too deeply";
    if (c.work > limits.work_max) return "too complex";
    if (c.rereading > limits.rereading_max) return "too many operator characters in a row";
    return nullptr;
}

}  // namespace sallyport::policy::sql
