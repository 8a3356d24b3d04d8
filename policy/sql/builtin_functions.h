#pragma once

#include <string_view>

/// The server's own functions, for when no catalog tells them.
namespace sallyport::policy::sql {

/// True for the name of a function of pg_catalog or information_schema.
[[nodiscard]] bool is_builtin_function(std::string_view name) noexcept;

}  // namespace sallyport::policy::sql
