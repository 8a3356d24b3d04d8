#pragma once

#include <cstddef>
#include <unordered_map>
#include <vector>

#include "proxy/catalog/service.h"
#include "proxy/config.h"
#include "proxy/session/gate.h"

namespace sallyport::proxy::session {

/// The catalogs as the gates of one worker see them. Resolved facts are kept for texts that came
/// from the worker's cache of facts: the same text under the same path and catalog costs a look-up.
/// Not thread-safe.
class worker_catalog final : public catalog_source {
  public:
    /// `service` and `config` outlive it; set again after a reload.
    void use(const catalog::service* service, settings_ptr config) {
        service_ = service;
        config_ = std::move(config);
        known_.clear();  // resolved under a policy that may be another now
        bytes_ = 0;
    }
    [[nodiscard]] look_result look(std::string_view target) override;
    [[nodiscard]] policy::catalog::resolution resolve(
        const policy::facts_ptr& facts, const policy::catalog::snapshot_ptr& snapshot,
        const policy::catalog::session_names& names) override;

  private:
    struct remembered {
        policy::facts_ptr facts;  ///< kept alive, so that its address stays its own
        policy::catalog::snapshot_ptr snapshot;
        std::vector<std::string> path;
        bool path_known = false;
        bool own_ddl = false;
        bool strings_conform = true;
        policy::catalog::resolution found;
    };
    const catalog::service* service_ = nullptr;
    settings_ptr config_;
    std::unordered_multimap<const policy::facts*, remembered> known_;
    std::size_t bytes_ = 0;
};

}  // namespace sallyport::proxy::session
