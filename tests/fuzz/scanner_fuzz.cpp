#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include <pg_query.h>
#include <pg_query/pg_query.pb-c.h>

#include "policy/sql/lexer.h"
#include "tests/fuzz/check.h"

namespace {

using sallyport::policy::sql::lexer;
using sallyport::policy::sql::token;
using sallyport::policy::sql::token_kind;

struct border {
    std::size_t begin = 0;
    std::size_t end = 0;
    int token = 0;
};

/// What the parser's own scanner says. False: it refuses the text.
bool scan(const std::string& sql, std::vector<border>& out) {
    PgQueryScanResult r = pg_query_scan(sql.c_str());
    const bool well = r.error == nullptr;
    if (well) {
        auto* found = pg_query__scan_result__unpack(
            nullptr, r.pbuf.len, reinterpret_cast<const std::uint8_t*>(r.pbuf.data));
        for (std::size_t i = 0; i < found->n_tokens; ++i) {
            const auto& t = *found->tokens[i];
            out.push_back({static_cast<std::size_t>(t.start), static_cast<std::size_t>(t.end),
                           static_cast<int>(t.token)});
        }
        pg_query__scan_result__free_unpacked(found, nullptr);
    }
    pg_query_free_scan_result(r);
    return well;
}

bool is_string(token_kind k) {
    return k == token_kind::string || k == token_kind::bit_string;
}

/// The scanner's number for a literal of ours; 0: it is no plain literal.
int literal_token(token_kind k) {
    if (k == token_kind::integer) return PG_QUERY__TOKEN__ICONST;
    if (k == token_kind::decimal) return PG_QUERY__TOKEN__FCONST;
    return k == token_kind::string ? PG_QUERY__TOKEN__SCONST : 0;
}

/// The server continues a string behind a comment ('a' --c newline 'b'), libpg_query ends it there:
/// two strings in a row do not parse, which fails closed. What goes on may have no end.
bool continued_behind_a_comment(const std::vector<token>& ours, const std::vector<border>& theirs) {
    for (const auto& t : ours)
        for (const auto& c : theirs)
            if ((is_string(t.kind) || t.kind == token_kind::error) &&
                c.token == PG_QUERY__TOKEN__SQL_COMMENT && c.begin > t.begin && c.begin < t.end)
                return true;
    return false;
}

}  // namespace

/// Wherever the parser's scanner takes a text, our lexer finds the same borders and literals.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string sql{sallyport::fuzz::as_text(data, size)};
    if (sql.find('\0') != std::string::npos) return 0;  // never reaches a server as one text
    std::vector<border> theirs;
    if (!scan(sql, theirs)) return 0;
    std::vector<token> ours;
    bool failed = false;
    for (lexer lex{sql};;) {
        const token t = lex.next();
        failed = failed || t.kind == token_kind::error;
        if (t.kind == token_kind::end) break;
        ours.push_back(t);
        if (failed) break;
    }
    if (continued_behind_a_comment(ours, theirs)) return 0;
    using sallyport::fuzz::require;
    require(!failed, "what the scanner takes, the lexer takes");
    require(ours.size() == theirs.size(), "both find as many tokens");
    for (std::size_t i = 0; i < ours.size(); ++i) {
        require(ours[i].begin == theirs[i].begin, "tokens begin at the same bytes");
        const int literal = literal_token(ours[i].kind);
        const int token = theirs[i].token;
        const bool is_literal = token == PG_QUERY__TOKEN__ICONST ||
                                token == PG_QUERY__TOKEN__FCONST ||
                                token == PG_QUERY__TOKEN__SCONST;
        if (is_literal || (literal != 0 && token != PG_QUERY__TOKEN__USCONST))
            require(token == literal, "literals are of the same kind");
    }
    return 0;
}
