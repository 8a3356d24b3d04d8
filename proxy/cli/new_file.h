#pragma once

#include <string>
#include <string_view>

namespace sallyport::proxy::cli {

/// Writes a file that is not there yet, readable by its owner alone. What is there stays.
/// Errors: failure(refused); then there is no file.
void write_new_file(const std::string& path, std::string_view text);

}  // namespace sallyport::proxy::cli
