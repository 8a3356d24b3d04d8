#pragma once

#include <string>
#include <vector>

/// `sallyport psql NAME`: PostgreSQL's own client, on the way through the proxy.
namespace sallyport::proxy::cli {

struct psql_options {
    std::string target;
    std::string host;  ///< "": SALLYPORT_HOST, else the host of `url`
    std::string port;  ///< "": SALLYPORT_PORT, else 6432
    std::string user;
    std::string url;
    std::vector<std::string> more;  ///< for psql itself
};

/// A connection string of libpq, whatever stands in its values.
[[nodiscard]] std::string conninfo(const psql_options& o);
/// Becomes psql. Throws failure when that cannot be.
[[noreturn]] void run_psql(const psql_options& o);

}  // namespace sallyport::proxy::cli
