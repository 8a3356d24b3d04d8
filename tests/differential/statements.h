#pragma once

#include <string>

#include "tests/differential/random.h"

/// SQL for random sequences. All of it is deterministic: no clock, no process or object number, no
/// order that a plan decides.
namespace sallyport::tests::differential {

struct parameterised {
    std::string sql;
    std::string kinds;  ///< one letter per parameter: i int4, t text, b bytea
};

/// Any statement: reads, writes, transactions, settings, names, cursors, errors.
[[nodiscard]] std::string any_statement(random_source& r);
/// A statement that succeeds, leaves nothing behind that a rollback does not take back, and
/// controls nothing.
[[nodiscard]] std::string plain_statement(random_source& r);
/// The text of a Query: often one statement, sometimes several, none, or comments.
[[nodiscard]] std::string query_text(random_source& r);
/// The text of a Parse.
[[nodiscard]] parameterised parse_text(random_source& r);
/// A statement that touches the table `forbidden`, and runs there at once.
[[nodiscard]] std::string forbidden_statement(random_source& r);

}  // namespace sallyport::tests::differential
