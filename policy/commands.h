#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "policy/facts.h"
#include "policy/truth.h"

/// The command words that `do:` accepts besides kinds.
namespace sallyport::policy {

using kind_mask = std::uint32_t;
static_assert(kind_count <= 32);

[[nodiscard]] constexpr kind_mask bit(kind k) noexcept {
    return kind_mask{1} << static_cast<unsigned>(k);
}

/// Every kind that a statement can have: all but `connect`. What `do: [any]` means.
inline constexpr kind_mask every_statement_kind =
    (kind_mask{1} << kind_count) - 1U - (kind_mask{1} << static_cast<unsigned>(kind::connect));

struct command_word {
    std::string_view text;  ///< as in statement_facts::command
    /// The kinds that are in the nature of the command. A rule that allows the command allows these
    /// and no others: a SELECT that deletes in its WITH, or reads a file of the server, needs more.
    kind_mask natural;
};

/// Whether a statement whose command the analysis calls `command` is one that the word speaks of.
/// Some words have narrower relatives (`create table as`), and some commands do another one's work
/// (ALTER TABLE alters views too): unknown then.
[[nodiscard]] truth speaks_of(const command_word& word, std::string_view command) noexcept;

/// The commands of PostgreSQL 15, sorted.
[[nodiscard]] std::span<const command_word> all_commands() noexcept;
/// The command of that text (lower case, single blanks), or null.
[[nodiscard]] const command_word* find_command(std::string_view text) noexcept;

/// "read, write, ddl …" for messages: every kind, every command.
[[nodiscard]] std::vector<std::string> all_action_words();

}  // namespace sallyport::policy
