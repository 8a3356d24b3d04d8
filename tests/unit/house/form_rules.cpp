#include <algorithm>
#include <array>
#include <regex>

#include "tests/unit/house/sources.h"

namespace sallyport::tests::house {
namespace {

constexpr std::size_t lines_max = 600;
constexpr std::size_t columns_max = 100;

struct banned_text {
    std::regex pattern;
    std::vector<std::string> folders;
    std::string instead;
};

/// Written in pieces so that this file does not find itself.
const std::vector<banned_text>& banned_texts() {
    static const std::vector<std::string> everywhere{"protocol", "policy", "proxy",
                                                     "tests",    "bench",  "config"};
    static const std::vector<banned_text> table{
        {std::regex("\\b(TO"
                    "DO|FIX"
                    "ME|XX"
                    "X)\\b"),
         everywhere, "finish it, or write an issue and say here what holds today"},
        {std::regex(R"(\b(u|nano)?sle)"
                    R"(ep(_for|_until)?\s*\()"),
         {"tests/unit", "tests/sim"},
         "use the virtual clock, or wait for the event itself"},
        {std::regex(R"(_clock::n)"
                    R"(ow\(\)|\bgettimeofday\b|\btime\(nullptr\))"),
         {"protocol", "policy"},
         "take `now` as an argument: pure code reads no clock"},
        {std::regex(R"(\b(strcpy|strcat|sprintf|gets|strtok|atoi|atol|alloca)\s*\()"),
         {"protocol", "policy", "proxy"},
         "use std::string, std::format-like helpers or std::from_chars"},
        {std::regex(R"(\bmem)"
                    R"(cmp\s*\()"),
         {"proxy/auth", "proxy/session", "proxy/admin"},
         "secrets are compared with CRYPTO_memcmp, other things with =="},
        {std::regex(R"(co_await [^;]*[(, ]\[[^\]\[]+\]\s*\()"),
         {"proxy"},
         "g++ 12 destroys the captures of a lambda inside of a co_await twice: give it a name "
         "first"},
        {std::regex(R"(\busing namespace std;)"), everywhere, "name what you use"},
    };
    return table;
}

/// Characters, not bytes: a continuation byte of UTF-8 takes no column.
std::size_t columns_of(const std::string& line) {
    return static_cast<std::size_t>(std::count_if(line.begin(), line.end(), [](char c) {
        return (static_cast<unsigned char>(c) & 0xC0) != 0x80;
    }));
}

void check_lines(const source_file& file, std::vector<std::string>& faults) {
    const bool cpp = file.has_suffix(".h") || file.has_suffix(".cpp");
    for (std::size_t i = 0; i < file.lines.size(); ++i) {
        const std::string place = file.path + ":" + std::to_string(i + 1) + ": ";
        const auto columns = columns_of(file.lines[i]);
        if (cpp && columns > columns_max)
            faults.push_back(place + std::to_string(columns) + " columns, at most " +
                             std::to_string(columns_max) + ": run clang-format, or split the text");
        for (const auto& b : banned_texts()) {
            const bool here = std::any_of(b.folders.begin(), b.folders.end(),
                                          [&](const auto& f) { return file.under(f); });
            std::smatch match;
            if (here && std::regex_search(file.lines[i], match, b.pattern))
                faults.push_back(place + "`" + match.str() + "`: " + b.instead);
        }
    }
}

}  // namespace

std::vector<std::string> form_faults(const source_file& file) {
    std::vector<std::string> faults;
    const bool header = file.has_suffix(".h");
    const bool cpp = header || file.has_suffix(".cpp");
    if (cpp && file.lines.size() > lines_max)
        faults.push_back(file.path + ": " + std::to_string(file.lines.size()) + " lines, at most " +
                         std::to_string(lines_max) + ": it has grown two concerns; make two files");
    if (header &&
        std::find(file.lines.begin(), file.lines.end(), "#pragma once") == file.lines.end())
        faults.push_back(file.path + ": no `#pragma once`: put it on the first line");
    check_lines(file, faults);
    return faults;
}

}  // namespace sallyport::tests::house
