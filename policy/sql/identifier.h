#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

/// Identifiers as the server stores them.
namespace sallyport::policy::sql {

/// NAMEDATALEN - 1.
inline constexpr std::size_t identifier_bytes_max = 63;

/// Cuts a name to 63 bytes at a character border, as the server does with every identifier.
[[nodiscard]] std::string cut_identifier(std::string_view name);

/// Splits text that the server reads as a qualified name (an argument of regclass, nextval …):
/// parts between dots, folded unless quoted, cut. Nothing when the server would reject it. Source:
/// SplitIdentifierString in src/backend/utils/adt/varlena.c.
[[nodiscard]] std::optional<std::vector<std::string>> split_qualified_name(std::string_view text);

}  // namespace sallyport::policy::sql
