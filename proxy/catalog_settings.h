#pragma once

#include "proxy/catalog/connection.h"
#include "proxy/config.h"

namespace sallyport::proxy {

/// Where a target's catalog is read, and as whom. `t.catalog` must be set.
[[nodiscard]] inline catalog::server_address catalog_address(const target_settings& t) {
    catalog::server_address a;
    a.host = t.host;
    a.port = t.port;
    a.dbname = t.dbname;
    a.user = t.catalog->login.user;
    a.password = t.catalog->login.password;
    a.tls = t.tls;
    a.channel_binding = t.channel_binding;
    a.require_auth = t.require_auth;
    a.connect_timeout = t.connect_timeout;
    return a;
}

}  // namespace sallyport::proxy
