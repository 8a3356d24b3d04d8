#include "policy/commands.h"

#include <algorithm>
#include <array>

namespace sallyport::policy {

namespace {

constexpr kind_mask queries = bit(kind::read) | bit(kind::lock);
constexpr kind_mask changes = bit(kind::read) | bit(kind::write);
constexpr kind_mask copies = changes | bit(kind::copy_in) | bit(kind::copy_out);
constexpr kind_mask explains = bit(kind::explain) | bit(kind::read);
constexpr kind_mask schema = bit(kind::ddl);
constexpr kind_mask schema_of_rows = bit(kind::ddl) | changes;
constexpr kind_mask rights = bit(kind::grant) | bit(kind::ddl);
constexpr kind_mask transactions = bit(kind::transaction);
constexpr kind_mask settings = bit(kind::session_setting) | bit(kind::transaction);
constexpr kind_mask cursors = bit(kind::cursor) | queries;
constexpr kind_mask prepared = bit(kind::prepared) | changes | bit(kind::lock);

constexpr std::array words{
    command_word{"abort", transactions},
    command_word{"alter", rights},
    command_word{"alter aggregate", schema},
    command_word{"alter collation", schema},
    command_word{"alter conversion", schema},
    command_word{"alter database", schema},
    command_word{"alter default privileges", rights},
    command_word{"alter depends", schema},
    command_word{"alter domain", schema},
    command_word{"alter event trigger", schema},
    command_word{"alter extension", schema},
    command_word{"alter foreign data wrapper", schema},
    command_word{"alter foreign table", schema},
    command_word{"alter function", schema},
    command_word{"alter group", rights},
    command_word{"alter index", schema},
    command_word{"alter language", schema},
    command_word{"alter large object", schema},
    command_word{"alter materialized view", schema},
    command_word{"alter operator", schema},
    command_word{"alter operator class", schema},
    command_word{"alter operator family", schema},
    command_word{"alter owner", rights},
    command_word{"alter policy", schema},
    command_word{"alter procedure", schema},
    command_word{"alter publication", schema},
    command_word{"alter rename", schema},
    command_word{"alter role", rights},
    command_word{"alter routine", schema},
    command_word{"alter rule", schema},
    command_word{"alter schema", schema},
    command_word{"alter sequence", schema},
    command_word{"alter server", schema},
    command_word{"alter set schema", schema},
    command_word{"alter statistics", schema},
    command_word{"alter subscription", schema},
    command_word{"alter system", schema | bit(kind::maintenance)},
    command_word{"alter table", schema},
    command_word{"alter table all", schema},
    command_word{"alter tablespace", schema},
    command_word{"alter text search configuration", schema},
    command_word{"alter text search dictionary", schema},
    command_word{"alter text search parser", schema},
    command_word{"alter text search template", schema},
    command_word{"alter trigger", schema},
    command_word{"alter type", schema},
    command_word{"alter user", rights},
    command_word{"alter user mapping", schema},
    command_word{"alter view", schema},
    command_word{"analyze", bit(kind::maintenance)},
    command_word{"begin", transactions},
    command_word{"call", bit(kind::execute_code)},
    command_word{"checkpoint", bit(kind::maintenance)},
    command_word{"close", cursors},
    command_word{"cluster", bit(kind::maintenance)},
    command_word{"comment", schema},
    command_word{"commit", transactions},
    command_word{"commit prepared", transactions},
    command_word{"copy", copies},
    command_word{"create", rights},
    command_word{"create access method", schema},
    command_word{"create aggregate", schema},
    command_word{"create cast", schema},
    command_word{"create collation", schema},
    command_word{"create conversion", schema},
    command_word{"create database", schema},
    command_word{"create domain", schema},
    command_word{"create event trigger", schema},
    command_word{"create extension", schema},
    command_word{"create foreign data wrapper", schema},
    command_word{"create foreign table", schema},
    command_word{"create function", schema},
    command_word{"create group", rights},
    command_word{"create index", schema},
    command_word{"create language", schema},
    command_word{"create materialized view", schema_of_rows},
    command_word{"create operator", schema},
    command_word{"create operator class", schema},
    command_word{"create operator family", schema},
    command_word{"create policy", schema},
    command_word{"create procedure", schema},
    command_word{"create publication", schema},
    command_word{"create role", rights},
    command_word{"create rule", schema},
    command_word{"create schema", schema},
    command_word{"create sequence", schema},
    command_word{"create server", schema},
    command_word{"create statistics", schema},
    command_word{"create subscription", schema},
    command_word{"create table", schema},
    command_word{"create table as", schema_of_rows},
    command_word{"create tablespace", schema},
    command_word{"create text search configuration", schema},
    command_word{"create text search dictionary", schema},
    command_word{"create text search parser", schema},
    command_word{"create text search template", schema},
    command_word{"create transform", schema},
    command_word{"create trigger", schema},
    command_word{"create type", schema},
    command_word{"create user", rights},
    command_word{"create user mapping", schema},
    command_word{"create view", schema_of_rows},
    command_word{"deallocate", prepared},
    command_word{"declare", cursors},
    command_word{"delete", changes},
    command_word{"discard", settings},
    command_word{"do", bit(kind::execute_code)},
    command_word{"drop", rights},
    command_word{"drop access method", schema},
    command_word{"drop aggregate", schema},
    command_word{"drop cast", schema},
    command_word{"drop collation", schema},
    command_word{"drop conversion", schema},
    command_word{"drop database", schema},
    command_word{"drop domain", schema},
    command_word{"drop event trigger", schema},
    command_word{"drop extension", schema},
    command_word{"drop foreign data wrapper", schema},
    command_word{"drop foreign table", schema},
    command_word{"drop function", schema},
    command_word{"drop group", rights},
    command_word{"drop index", schema},
    command_word{"drop language", schema},
    command_word{"drop materialized view", schema},
    command_word{"drop operator", schema},
    command_word{"drop operator class", schema},
    command_word{"drop operator family", schema},
    command_word{"drop owned", rights},
    command_word{"drop policy", schema},
    command_word{"drop procedure", schema},
    command_word{"drop publication", schema},
    command_word{"drop role", rights},
    command_word{"drop routine", schema},
    command_word{"drop rule", schema},
    command_word{"drop schema", schema},
    command_word{"drop sequence", schema},
    command_word{"drop server", schema},
    command_word{"drop statistics", schema},
    command_word{"drop subscription", schema},
    command_word{"drop table", schema},
    command_word{"drop tablespace", schema},
    command_word{"drop text search configuration", schema},
    command_word{"drop text search dictionary", schema},
    command_word{"drop text search parser", schema},
    command_word{"drop text search template", schema},
    command_word{"drop transform", schema},
    command_word{"drop trigger", schema},
    command_word{"drop type", schema},
    command_word{"drop user", rights},
    command_word{"drop user mapping", schema},
    command_word{"drop view", schema},
    command_word{"end", transactions},
    command_word{"execute", prepared},
    command_word{"explain", explains},
    command_word{"fetch", cursors},
    command_word{"grant", rights},
    command_word{"grant role", rights},
    command_word{"import foreign schema", schema},
    command_word{"insert", changes},
    command_word{"listen", bit(kind::notify)},
    command_word{"load", bit(kind::maintenance)},
    command_word{"lock", bit(kind::lock)},
    command_word{"lock table", bit(kind::lock)},
    command_word{"merge", changes},
    command_word{"move", cursors},
    command_word{"notify", bit(kind::notify)},
    command_word{"prepare", prepared},
    command_word{"prepare transaction", transactions},
    command_word{"reassign owned", rights},
    command_word{"refresh materialized view", schema_of_rows},
    command_word{"reindex", bit(kind::maintenance)},
    command_word{"release", transactions},
    command_word{"reset", settings},
    command_word{"revoke", rights},
    command_word{"revoke role", rights},
    command_word{"rollback", transactions},
    command_word{"rollback prepared", transactions},
    command_word{"rollback to", transactions},
    command_word{"savepoint", transactions},
    command_word{"security label", schema},
    command_word{"select", queries},
    command_word{"select into", schema_of_rows},
    command_word{"set", settings},
    command_word{"set constraints", settings},
    command_word{"set transaction", settings},
    command_word{"show", bit(kind::show)},
    command_word{"start transaction", transactions},
    command_word{"truncate", bit(kind::write)},
    command_word{"unlisten", bit(kind::notify)},
    command_word{"update", changes},
    command_word{"vacuum", bit(kind::maintenance)},
};
static_assert(std::ranges::is_sorted(words, {}, &command_word::text));

/// `text` is `head` and at least one word more.
bool begins_with_word(std::string_view text, std::string_view head) noexcept {
    return text.size() > head.size() && text.starts_with(head) && text[head.size()] == ' ';
}

/// Commands under which the analysis knows forms of ALTER, whatever is altered. ALTER TABLE is also
/// the parser's form for views, indexes, sequences and foreign tables.
constexpr std::array<std::string_view, 5> wide_alters{
    "alter depends", "alter owner", "alter rename", "alter set schema", "alter table"};

struct synonym {
    std::string_view word;
    std::string_view command;
};
/// Words for which the analysis has another command.
constexpr std::array synonyms{
    synonym{"abort", "rollback"},
    synonym{"alter group", "alter role"},
    synonym{"alter procedure", "alter function"},
    synonym{"alter routine", "alter function"},
    synonym{"alter user", "alter role"},
    synonym{"create group", "create role"},
    synonym{"create procedure", "create function"},
    synonym{"create user", "create role"},
    synonym{"drop group", "drop role"},
    synonym{"drop user", "drop role"},
    synonym{"end", "commit"},
    synonym{"lock", "lock table"},
    synonym{"revoke", "grant"},
    synonym{"revoke role", "grant role"},
    synonym{"revoke", "grant role"},
    synonym{"start transaction", "begin"},
};

}  // namespace

truth speaks_of(const command_word& word, std::string_view command) noexcept {
    const auto text = word.text;
    if (text == command) return truth::yes;
    const bool narrower = begins_with_word(command, text);
    if (narrower && (text == "create" || text == "alter" || text == "drop")) return truth::yes;
    const bool wide_alter = begins_with_word(text, "alter") &&
                            std::ranges::find(wide_alters, command) != wide_alters.end();
    const bool other_name = std::ranges::any_of(
        synonyms, [&](const synonym& s) { return s.word == text && s.command == command; });
    return narrower || wide_alter || other_name || begins_with_word(text, command) ? truth::unknown
                                                                                   : truth::no;
}

std::span<const command_word> all_commands() noexcept {
    return words;
}

const command_word* find_command(std::string_view text) noexcept {
    const auto it = std::ranges::lower_bound(words, text, {}, &command_word::text);
    return it != words.end() && it->text == text ? &*it : nullptr;
}

std::vector<std::string> all_action_words() {
    std::vector<std::string> all{"any"};
    for (std::size_t i = 0; i < kind_count; ++i)
        all.emplace_back(to_string(static_cast<kind>(i)));
    for (const auto& w : words)
        all.emplace_back(w.text);
    return all;
}

}  // namespace sallyport::policy
