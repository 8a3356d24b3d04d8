#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "policy/facts.h"

/// Facts as one short line, for tables of expectations.
namespace sallyport::policy::sql {

/// "read, write | read pii.customers(id); write public.t | fn lower | set role=x | declare c |
/// opaque": kinds, then relations in order (columns only if known), functions and operators whose
/// schema is told, settings, names; parts that are empty are left out. Statements are joined by " /
/// ".
std::string to_text(const facts& f);
/// Only the names beside relations: "fn lower; op =; op public.+; type code; attr label".
std::string names_text(const facts& f);
/// Only "read pii.customers(id); write public.t", in the order in which they are met.
std::string columns_text(const facts& f);
/// Only "read pii.customers; write public.t", each relation once, without columns.
std::string relations_text(const facts& f);
/// The strings of a file of JSON strings, one a line.
std::vector<std::string> json_lines(const std::string& path);

}  // namespace sallyport::policy::sql
