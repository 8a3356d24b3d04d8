#pragma once

#include <string>

/// Who may read a file that holds a secret.
namespace sallyport::proxy::net {

/// Says what is wrong with a secret's file, "" if nothing: it must be a regular file that belongs
/// to us and is closed to group and others (0600), or belongs to root and is closed to others
/// (0640). Errors: the text is one line: which file, what is wrong, what to do. Source: the rule
/// that PostgreSQL has for ssl_key_file.
[[nodiscard]] std::string secret_file_fault(const std::string& path);

}  // namespace sallyport::proxy::net
