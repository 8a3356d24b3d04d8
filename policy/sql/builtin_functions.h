#pragma once

#include <string_view>

/// The server's own functions and types, for when no catalog tells them.
namespace sallyport::policy::sql {

/// True for the name of a function of pg_catalog or information_schema.
[[nodiscard]] bool is_builtin_function(std::string_view name) noexcept;

/// True for a type of pg_catalog that facts do not list, or take for what names an object: its bare
/// name means another one if the path has such before pg_catalog.
[[nodiscard]] bool is_builtin_type_name(std::string_view name) noexcept;

}  // namespace sallyport::policy::sql
