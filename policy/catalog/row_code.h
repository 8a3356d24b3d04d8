#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "policy/facts.h"

/// What code that is given a row (NEW, OLD) does with it, from its tokens alone: bodies of trigger
/// functions in PL/pgSQL, conditions of triggers, rules.
namespace sallyport::policy::catalog {

struct row_use {
    bool whole = false;  ///< handed on as a whole, or out of sight
    std::vector<std::string> columns;
};

/// Columns of NEW and OLD that the code reads. Giving the row back, and asking whether NEW differs
/// from OLD, reads nothing that anybody gets to see.
[[nodiscard]] row_use columns_read(std::string_view code);

/// True if the body may give this column of NEW another value.
[[nodiscard]] bool may_set(std::string_view body, std::string_view column);

/// Makes all columns read of every relation that the statement writes: its code asks for the detail
/// of errors, and that shows the row that could not be written.
void read_what_is_written(statement_facts& s);

/// Calls `f` with every word that stands in a body of code, as the server stores names; strings and
/// comments are not told apart. False: there are names in a form that is not read (U&"…").
[[nodiscard]] bool each_word(std::string_view code, const std::function<void(std::string_view)>& f);

/// Adds what another use of the same relation touches.
void take_in(relation_use& known, relation_use other);

}  // namespace sallyport::policy::catalog
