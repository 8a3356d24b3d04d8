#pragma once

#include <string>

#include "policy/catalog/rows.h"

/// What a target's relations are and were called, kept over restarts, so that a table that was
/// renamed, even while no proxy ran, is still the one that the rules speak of.
namespace sallyport::proxy::catalog {

/// In the folder of the state: "FOLDER/names.TARGET.json", bytes of the target's name that are no
/// letter, digit, '-' or '_' as %XX.
[[nodiscard]] std::string names_file(const std::string& state_path, const std::string& target);

/// Empty names when there is no such file. Errors: std::runtime_error, one line: it cannot be read,
/// or is not what save_names() writes.
[[nodiscard]] policy::catalog::past_names load_names(const std::string& path);

/// Replaces the file as a whole, durably; readable by its owner alone.
/// Errors: std::runtime_error, one line; what was there stays.
void save_names(const std::string& path, const policy::catalog::past_names& names);

}  // namespace sallyport::proxy::catalog
