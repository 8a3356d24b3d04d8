#include "proxy/session/worker_catalog.h"

#include <chrono>

#include "policy/sql/cache.h"

namespace sallyport::proxy::session {

namespace {

constexpr std::size_t bytes_max = 16u << 20;  // of what is remembered, per worker
constexpr std::size_t entry_bytes = 256;

}  // namespace

catalog_source::look_result worker_catalog::look(std::string_view target) {
    look_result out;
    if (service_ == nullptr || config_ == nullptr) return out;
    const auto at = config_->targets.find(std::string{target});
    if (at == config_->targets.end() || !at->second.catalog) return out;
    out.configured = true;
    out.newest = service_->current(target);
    const auto oldest = std::chrono::steady_clock::now() - at->second.catalog->max_staleness;
    out.fresh = out.newest != nullptr && service_->answered_at(target) >= oldest;
    return out;
}

policy::catalog::resolution worker_catalog::resolve(const policy::facts_ptr& facts,
                                                    const policy::catalog::snapshot_ptr& snapshot,
                                                    const policy::catalog::session_names& names) {
    // What is not in a cache is this statement's alone; names of the session's own are not shared.
    const bool own = names.retold || (names.own != nullptr && !names.own->empty()) ||
                     (names.temporary != nullptr && !names.temporary->empty());
    if (facts.use_count() <= 1 || own) return policy::catalog::resolve(*facts, *snapshot, names);
    const auto range = known_.equal_range(facts.get());
    for (auto at = range.first; at != range.second; ++at) {
        const auto& r = at->second;
        const bool same_path =
            r.path_known == (names.path != nullptr) && (!r.path_known || r.path == *names.path);
        if (same_path && r.snapshot == snapshot && r.own_ddl == names.own_ddl &&
            r.strings_conform == names.strings_conform)
            return r.found;
    }
    auto found = policy::catalog::resolve(*facts, *snapshot, names);
    const auto bytes = entry_bytes + policy::sql::memory_bytes(*found.facts);
    if (bytes_ + bytes > bytes_max) {
        known_.clear();
        bytes_ = 0;
    }
    if (bytes > bytes_max) return found;
    bytes_ += bytes;
    remembered r;
    r.facts = facts;
    r.snapshot = snapshot;
    if (names.path != nullptr) r.path = *names.path;
    r.path_known = names.path != nullptr;
    r.own_ddl = names.own_ddl;
    r.strings_conform = names.strings_conform;
    r.found = found;
    known_.emplace(facts.get(), std::move(r));
    return found;
}

}  // namespace sallyport::proxy::session
