#pragma once

#include <string_view>
#include <vector>

#include "policy/facts.h"

/// What each output column of a query is made of.
namespace sallyport::policy::sql {

/// The tables of a query with the columns that it reads of them when only some of its output is
/// used: [0] when none is, so by WHERE, joins, GROUP BY and the like; [k] for the k-th column.
/// Empty when that cannot be told apart: rows are made distinct, or the text is no plain SELECT or
/// UNION ALL of such. For text that the server wrote (pg_get_viewdef): stars are spelled out in it.
/// Cost: a walk for each column; a text that is too long for that gives nothing. Needs the stack
/// that analyse() needs.
[[nodiscard]] std::vector<std::vector<relation_use>> outputs_of(std::string_view sql);

}  // namespace sallyport::policy::sql
