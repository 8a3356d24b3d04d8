#include "proxy/catalog/reader.h"

namespace sallyport::proxy::catalog {

std::vector<std::string> parse_array(std::string_view text) {
    std::vector<std::string> out;
    if (text.size() < 2 || text.front() != '{' || text.back() != '}') return out;
    text = text.substr(1, text.size() - 2);
    for (std::size_t at = 0; at < text.size();) {
        std::string item;
        const bool quoted = text[at] == '"';
        if (quoted) ++at;
        for (; at < text.size() && text[at] != (quoted ? '"' : ','); ++at) {
            if (text[at] == '\\' && at + 1 < text.size()) ++at;
            item += text[at];
        }
        if (quoted && at < text.size()) ++at;  // the closing quote
        if (at < text.size() && text[at] == ',') ++at;
        if (quoted || item != "NULL") out.push_back(std::move(item));
    }
    return out;
}

namespace {

/// The index behind the quoted piece that begins at `at`. A doubled quote is the beginning of the
/// next piece, which gives the same end; deparsed strings double their backslashes.
std::size_t behind_quoted(std::string_view text, std::size_t at) {
    const auto close = text.find(text[at], at + 1);
    return close == std::string_view::npos ? text.size() : close + 1;
}

bool quotes(char c) {
    return c == '"' || c == '\'';
}

}  // namespace

std::string when_of(std::string_view definition) {
    static constexpr std::string_view keyword = " WHEN (";
    std::size_t at = 0;
    while (at < definition.size() && definition.substr(at, keyword.size()) != keyword)
        at = quotes(definition[at]) ? behind_quoted(definition, at) : at + 1;
    if (at >= definition.size()) return {};
    const std::size_t begin = at + keyword.size();
    int depth = 1;
    for (at = begin; at < definition.size();) {
        const char c = definition[at];
        if (quotes(c)) {
            at = behind_quoted(definition, at);
            continue;
        }
        depth += c == '(' ? 1 : c == ')' ? -1 : 0;
        if (depth == 0) return std::string(definition.substr(begin, at - begin));
        ++at;
    }
    return {};
}

}  // namespace sallyport::proxy::catalog
