#pragma once

#include <set>
#include <string>

#include "policy/load.h"
#include "proxy/auth/users.h"

namespace sallyport::proxy {

/// What a policy may refer to, of the other two files; `users` null: they could not be read.
[[nodiscard]] policy::known_names known_names_of(std::set<std::string> targets,
                                                 const auth::user_directory* users,
                                                 policy::instant now);

}  // namespace sallyport::proxy
