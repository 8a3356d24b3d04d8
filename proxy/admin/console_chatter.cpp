#include "proxy/admin/console_chatter.h"

#include <algorithm>
#include <array>

#include "proxy/admin/text.h"

namespace sallyport::proxy::admin {

namespace {

std::string upper(std::string_view text) {
    std::string out(text);
    std::transform(out.begin(), out.end(), out.begin(), [](char c) {
        return c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
    });
    return out;
}

bool is_word(const token& t, std::string_view expected) {
    return t.what == token::kind::word && upper(t.text) == expected;
}

struct answer_row {
    std::string_view said;  ///< normalised: lower case, tokens with one space between
    std::string_view column;
    std::string_view value;
};

constexpr std::string_view server_version = "15.0";

// What psql, pgjdbc, psycopg, pgx, Npgsql and pool checks ask before anybody has typed a word.
constexpr std::array selects{
    answer_row{"select 1", "?column?", "1"},
    answer_row{"select version ( )", "version", "Sallyport console, PostgreSQL 15.0 protocol"},
    answer_row{"select pg_catalog.version ( )", "version",
               "Sallyport console, PostgreSQL 15.0 protocol"},
    answer_row{"select current_database ( )", "current_database", "sallyport"},
    answer_row{"select current_schema ( )", "current_schema", "public"},
    answer_row{"select pg_catalog.current_database ( )", "current_database", "sallyport"},
    answer_row{"select pg_catalog.pg_is_in_recovery ( )", "pg_is_in_recovery", "f"},
    answer_row{"select pg_is_in_recovery ( )", "pg_is_in_recovery", "f"},
};

constexpr std::array settings{
    answer_row{"server_version", "server_version", server_version},
    answer_row{"client_encoding", "client_encoding", "UTF8"},
    answer_row{"server_encoding", "server_encoding", "UTF8"},
    answer_row{"transaction_read_only", "transaction_read_only", "off"},
    answer_row{"default_transaction_read_only", "default_transaction_read_only", "off"},
    answer_row{"standard_conforming_strings", "standard_conforming_strings", "on"},
    answer_row{"search_path", "search_path", "public"},
    answer_row{"timezone", "TimeZone", "UTC"},
    answer_row{"datestyle", "DateStyle", "ISO, MDY"},
    answer_row{"transaction isolation level", "transaction_isolation", "read committed"},
    answer_row{"transaction_isolation", "transaction_isolation", "read committed"},
};

std::string normalised(const std::vector<token>& t) {
    std::string out;
    for (const auto& one : t) {
        if (!out.empty()) out += ' ';
        if (one.what == token::kind::string)
            out += "'" + one.text + "'";
        else
            out += one.what == token::kind::word ? lower(one.text) : one.text;
    }
    return out;
}

}  // namespace

std::optional<command> driver_chatter(const std::vector<token>& t) {
    command c;
    const auto text = normalised(t);
    const auto first = upper(t.front().text);
    for (const auto& row : selects) {
        if (text != row.said) continue;
        c.what = verb::driver_select;
        c.word = row.column;
        c.value = row.value;
        c.tag = "SELECT 1";
        return c;
    }
    if (first == "SHOW") {
        for (const auto& row : settings) {
            if (text != "show " + std::string(row.said)) continue;
            c.what = verb::driver_show;
            c.word = row.column;
            c.value = row.value;
            c.tag = "SHOW";
            return c;
        }
    }
    static constexpr std::array<std::pair<std::string_view, std::string_view>, 10> commands{{
        {"SET", "SET"},
        {"RESET", "RESET"},
        {"BEGIN", "BEGIN"},
        {"START", "START TRANSACTION"},
        {"COMMIT", "COMMIT"},
        {"END", "COMMIT"},
        {"ROLLBACK", "ROLLBACK"},
        {"ABORT", "ROLLBACK"},
        {"DISCARD", "DISCARD ALL"},
        {"DEALLOCATE", "DEALLOCATE"},
    }};
    for (const auto& [word, tag] : commands) {
        if (!is_word(t.front(), word)) continue;
        c.what = verb::driver_command;
        c.tag = tag;
        return c;
    }
    return std::nullopt;
}

}  // namespace sallyport::proxy::admin
