#pragma once

#include <string>

/// `sallyport report --audit DIR`: the report from the log's files, without a proxy.
namespace sallyport::proxy {

/// The report as JSON; `from`, `to`: ISO times, "" = all. How far it is goes to standard error, if
/// that is a terminal. Errors: std::runtime_error, one line.
[[nodiscard]] std::string report_from_files(const std::string& directory, const std::string& from,
                                            const std::string& to);

}  // namespace sallyport::proxy
