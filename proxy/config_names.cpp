#include "proxy/config_names.h"

#include <utility>

namespace sallyport::proxy {

policy::known_names known_names_of(std::set<std::string> targets, const auth::user_directory* users,
                                   policy::instant now) {
    policy::known_names known;
    known.now = now;
    known.targets = std::move(targets);
    if (users == nullptr) return known;
    known.users = users->names();
    known.groups = users->groups();
    for (const auto& [name, u] : users->all()) {
        for (const auto& g : u.principal.groups)
            known.members[g].insert(name);
        if (u.principal.service) known.services.insert(name);
    }
    return known;
}

}  // namespace sallyport::proxy
