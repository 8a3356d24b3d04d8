#pragma once

#include <string_view>

#include "policy/sql/tree.h"

namespace sallyport::policy::sql {

/// The command of PostgreSQL's documentation that the statement `m` is, in lower case: `drop table`
/// for a DropStmt of a table, `alter view` for a RenameStmt of one. `wide` is the name for every
/// statement of its type, and the answer where the type is one command. The view is of static
/// storage (policy/commands.h has the list) or `wide` itself.
[[nodiscard]] std::string_view command_name(const ProtobufCMessage& m, std::string_view wide);

}  // namespace sallyport::policy::sql
