#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "policy/facts.h"

/// Bodies of procedural code (plpgsql), from their tokens alone.
namespace sallyport::policy::sql {

/// Everything that a body can name. A superset: whether a word is a variable or a table, only the
/// catalog and the server know.
struct code_facts {
    /// Words, and pairs of words with a dot between them (schema and name): perhaps relations,
    /// functions, types or columns. Each once.
    std::vector<function_use> mentions;
    std::vector<function_use> operators;      ///< with the schemas that are told, each once
    std::vector<std::string> opaque_reasons;  ///< why the above is not all
    bool changes_settings = false;            ///< SET, RESET, set_config
};

/// Reads a body of plpgsql. libpg_query's own parser of that language is not used: it stops the
/// process on some texts. Static SQL stands in a body as it is, so its tokens name what it reaches;
/// what is put together when it runs (EXECUTE of more than a constant) is opaque.
/// Shape: `body` is the text between the dollar quotes. Time and memory are linear in it.
/// `strings_conform`: it runs with standard_conforming_strings on. Otherwise a backslash in a plain
/// string is a reason of opacity.
[[nodiscard]] code_facts analyse_code(std::string_view body, bool strings_conform = false);

}  // namespace sallyport::policy::sql
