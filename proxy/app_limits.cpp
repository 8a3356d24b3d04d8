#include "proxy/app_limits.h"

#include <spdlog/spdlog.h>
#include <sys/resource.h>

namespace sallyport::proxy {

net::connection_caps caps_of(const limit_settings& l) {
    net::connection_caps c;
    c.connections = l.connections;
    c.reserve = l.admin_reserve;
    c.connections_per_address = l.connections_per_address;
    c.unauthenticated = l.unauthenticated;
    c.unauthenticated_per_address = l.unauthenticated_per_address;
    return c;
}

void raise_limits(std::size_t connections) {
    rlimit files{};
    if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
        files.rlim_cur = files.rlim_max;
        setrlimit(RLIMIT_NOFILE, &files);
        if (files.rlim_cur != RLIM_INFINITY && files.rlim_cur < connections * 2 + 64)
            spdlog::warn("only {} file descriptors for up to {} connections; raise LimitNOFILE",
                         files.rlim_cur, connections);
    }
    const rlimit none{0, 0};  // a core dump would hold passwords and keys
    setrlimit(RLIMIT_CORE, &none);
}

audit::log_options audit_options(const settings& s) {
    audit::log_options o;
    o.directory = s.audit_directory;
    o.signing_key = s.audit_signing_key;
    return o;
}

}  // namespace sallyport::proxy
