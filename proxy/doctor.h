#pragma once

#include <iosfwd>
#include <string>

/// `sallyport doctor`: how the targets could be reached around the proxy.
namespace sallyport::proxy {

struct doctor_options {
    std::string config;
    std::string target;  ///< "" = all
    bool json = false;
};

/// Examines with the catalogs' logins; one finding a line, worst first. The exit code: 0 nothing
/// found, 1 findings, 2 a target could not be examined or a file has faults.
[[nodiscard]] int run_doctor(const doctor_options& o, std::ostream& out, std::ostream& err);

}  // namespace sallyport::proxy
