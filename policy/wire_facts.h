#pragma once

#include <cstdint>
#include <string_view>

#include "policy/decide.h"
#include "policy/facts.h"

/// Facts of what reaches the server without being SQL: functions called by number, and commands of
/// the replication protocol.
namespace sallyport::policy {

/// Facts of a FunctionCall message for the function with this oid. Always `fastpath`; a function
/// that reads or writes files of the server is `server-file` too, and one outside the client's side
/// of large objects is opaque: what it does is not in the message.
/// Source: pg_proc of PostgreSQL 15; oids of built-in functions do not change.
[[nodiscard]] const facts_ptr& function_call_facts(std::uint32_t oid);

/// The session itself, when it is opened for replication.
[[nodiscard]] const facts_ptr& replication_session_facts();

/// The text is a command of the replication grammar: the server decides by its first word, and then
/// takes no SQL behind it. SHOW is not counted: as SQL it is the same.
/// Source: PostgreSQL docs, "Streaming Replication Protocol".
[[nodiscard]] bool is_replication_command(std::string_view text) noexcept;

/// Facts of such a command; only asked for where the session is one of replication.
[[nodiscard]] facts_ptr replication_command_facts(std::string_view text);

/// The facts are some of the above.
[[nodiscard]] bool is_wire_command(const facts& f) noexcept;

/// What is not SQL passes only where a rule says so, whatever `default:` and `opaque:` are, and a
/// function that touches files of the server by no rule and no approval: the decision becomes a
/// deny by `default`. Facts of anything else are left alone.
void restrict_wire_command(decision& d, const facts& f);

}  // namespace sallyport::policy
