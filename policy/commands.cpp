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
constexpr kind_mask code = bit(kind::execute_code) | changes;
constexpr kind_mask prepared = bit(kind::prepared) | changes | bit(kind::lock);

constexpr std::array words{
    command_word{"abort", transactions},
    command_word{"alter", rights},
    command_word{"alter aggregate", schema},
    command_word{"alter collation", schema},
    command_word{"alter conversion", schema},
    command_word{"alter database", schema},
    command_word{"alter default privileges", rights},
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
    command_word{"alter policy", schema},
    command_word{"alter procedure", schema},
    command_word{"alter publication", schema},
    command_word{"alter role", rights},
    command_word{"alter routine", schema},
    command_word{"alter rule", schema},
    command_word{"alter schema", schema},
    command_word{"alter sequence", schema},
    command_word{"alter server", schema},
    command_word{"alter statistics", schema},
    command_word{"alter subscription", schema},
    command_word{"alter system", schema | bit(kind::maintenance)},
    command_word{"alter table", schema},
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
    command_word{"call", code},
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
    command_word{"do", code},
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

struct also {
    std::string_view word;
    std::string_view command;
    truth is;
};
/// Where a command is written in other words too, or can do to an object what another one is for:
/// the server takes ALTER TABLE for views and ALTER INDEX … RENAME for tables. Without the catalog
/// nobody knows what the name stands for.
constexpr std::array others{
    also{"abort", "rollback", truth::yes},
    also{"alter aggregate", "alter function", truth::unknown},
    also{"alter aggregate", "alter routine", truth::unknown},
    also{"alter domain", "alter type", truth::unknown},
    also{"alter foreign table", "alter index", truth::unknown},
    also{"alter foreign table", "alter table", truth::unknown},
    also{"alter function", "alter routine", truth::unknown},
    also{"alter group", "alter role", truth::yes},
    also{"alter index", "alter table", truth::unknown},
    also{"alter materialized view", "alter index", truth::unknown},
    also{"alter materialized view", "alter table", truth::unknown},
    also{"alter procedure", "alter routine", truth::unknown},
    also{"alter sequence", "alter index", truth::unknown},
    also{"alter sequence", "alter table", truth::unknown},
    also{"alter table", "alter index", truth::unknown},
    also{"alter user", "alter role", truth::yes},
    also{"alter view", "alter index", truth::unknown},
    also{"alter view", "alter table", truth::unknown},
    also{"create group", "create role", truth::yes},
    also{"create user", "create role", truth::yes},
    also{"drop aggregate", "drop function", truth::unknown},
    also{"drop aggregate", "drop routine", truth::unknown},
    also{"drop domain", "drop type", truth::unknown},
    also{"drop function", "drop routine", truth::unknown},
    also{"drop group", "drop role", truth::yes},
    also{"drop procedure", "drop routine", truth::unknown},
    also{"drop user", "drop role", truth::yes},
    also{"end", "commit", truth::yes},
    also{"lock", "lock table", truth::yes},
    also{"start transaction", "begin", truth::yes},
};

}  // namespace

truth speaks_of(const command_word& word, std::string_view command) noexcept {
    const auto text = word.text;
    if (text == command) return truth::yes;
    const bool narrower = begins_with_word(command, text);
    if (narrower && (text == "create" || text == "alter" || text == "drop")) return truth::yes;
    for (const auto& o : others)
        if (o.word == text && o.command == command) return o.is;
    return narrower || begins_with_word(text, command) ? truth::unknown : truth::no;
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
