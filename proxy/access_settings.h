#pragma once

#include <cstddef>
#include <optional>

#include "policy/types.h"
#include "proxy/auth/jwt.h"

/// Who gets into the admin API, and how often; part of listen.admin, replaced at a reload.
namespace sallyport::proxy {

inline constexpr policy::milliseconds token_life_limit = std::chrono::hours(24 * 365);

struct access_settings {
    policy::milliseconds token_life_max = token_life_limit;  ///< of API tokens; never longer
    std::size_t requests_per_person = 100;   ///< a second, likewise per API token; bursts of 10 s
    std::size_t requests_per_address = 500;  ///< likewise; an IPv6 address counts as its /64
    std::size_t event_streams_per_person = 20;  ///< the tabs of a browser share one
    std::optional<auth::jwt_options> jwt{};  ///< absent: JWTs are refused
};

}  // namespace sallyport::proxy
