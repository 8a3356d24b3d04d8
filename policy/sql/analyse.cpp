#include "policy/sql/analyse.h"

#include "policy/redact.h"
#include "policy/sql/complexity.h"
#include "policy/sql/lexer.h"
#include "policy/sql/walker.h"

namespace sallyport::policy::sql {
namespace {

constexpr std::size_t statements_max = 10'000;

void make_opaque(facts& f, std::string reason) {
    f.statements.clear();
    auto& s = f.statements.emplace_back();
    s.command = "unknown";
    s.kinds = {kind::opaque};
    s.opaque_reasons = {std::move(reason)};
    f.literal_sensitive = true;
    f.shape.clear();
}

/// Why the text must not reach the parser; "" when it may.
std::string refusal(std::string_view sql, const analyse_options& options) {
    if (sql.size() > options.bytes_max)
        return "longer than the inspection limit (" + std::to_string(sql.size()) + " > " +
               std::to_string(options.bytes_max) + " bytes)";
    if (sql.find('\0') != std::string_view::npos) return "a zero byte in the text";
    if (!is_utf8(sql)) return "not valid UTF-8";
    const complexity c = measure(sql);
    if (const char* why = too_complex(c)) return why;
    if (!options.standard_conforming_strings && c.plain_backslash)
        return "a backslash in a string while standard_conforming_strings is off or not known";
    return "";
}

/// The text as the server reads it with standard_conforming_strings off, for a parser that only
/// knows "on": '…' with a backslash is E'…' there. "" when it cannot be said so.
std::string with_escapes_told(std::string_view sql) {
    std::string out;
    out.reserve(sql.size() + 16);
    lexer lex{sql, false};
    std::size_t copied = 0;
    token before;
    for (token t = lex.next(); t.kind != token_kind::end; before = t, t = lex.next()) {
        if (t.kind == token_kind::error) return "";
        if (t.kind != token_kind::string) continue;
        const auto text = lex.text(t);
        if (text.find('\\') == std::string_view::npos) continue;
        if (text.front() == 'e' || text.front() == 'E' || text.front() == '$') continue;
        const bool national = before.kind == token_kind::word && before.end == t.begin;
        if (text.front() != '\'' || national) return "";
        out.append(sql, copied, t.begin - copied);
        // What stands before must not become one word with the letter.
        out += " E";
        copied = t.begin;
    }
    out.append(sql, copied);
    return out;
}

void analyse_into(facts& f, std::string_view sql, int depth) {
    const tree t{sql};
    if (t.result() == nullptr) {
        make_opaque(f, "does not parse: " + t.error());
        f.syntax_error = depth == 0;
        return;
    }
    const PgQuery__ParseResult& parsed = *t.result();
    if (parsed.n_stmts > statements_max) {
        make_opaque(f, "too many statements in one text");
        return;
    }
    f.statements.reserve(parsed.n_stmts);
    for (std::size_t i = 0; i < parsed.n_stmts; ++i) {
        auto& s = f.statements.emplace_back();
        walker w{s, depth};
        if (parsed.stmts[i]->stmt == nullptr) {
            make_opaque(f, "a statement that the parser does not name");
            return;
        }
        w.run(*parsed.stmts[i]->stmt);
        f.literal_sensitive = f.literal_sensitive || w.literal_sensitive();
    }
}

}  // namespace

facts_ptr analyse_text(std::string_view sql, int depth) {
    // What is read when the text is run, nobody knows: the setting may have been changed by then.
    auto f = std::make_shared<facts>();
    if (const std::string why = refusal(sql, {.standard_conforming_strings = false}); !why.empty())
        make_opaque(*f, why);
    else
        analyse_into(*f, sql, depth);
    return f;
}

facts_ptr analyse(std::string_view sql, const analyse_options& options) {
    auto f = std::make_shared<facts>();
    if (sql.size() > options.bytes_max) {
        f->redacted = "<too long, " + std::to_string(sql.size()) + " bytes>";
    } else {
        redacted_text shown = redact_and_shape(sql, options.standard_conforming_strings);
        f->redacted = std::move(shown.text);
        f->shape = std::move(shown.shape);
    }
    std::string told;
    if (!options.standard_conforming_strings && sql.size() <= options.bytes_max &&
        sql.find('\\') != std::string_view::npos)
        told = with_escapes_told(sql);
    analyse_options as_told = options;
    if (!told.empty()) {
        as_told.standard_conforming_strings = true;
        as_told.bytes_max = told.size();
    }
    const std::string_view read = told.empty() ? sql : told;
    if (const std::string why = refusal(read, as_told); !why.empty())
        make_opaque(*f, why);
    else
        analyse_into(*f, read, 0);
    return f;
}

}  // namespace sallyport::policy::sql
