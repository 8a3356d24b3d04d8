#include "proxy/token_keeping.h"

#include <memory>
#include <utility>

#include "proxy/clock.h"
#include "proxy/store/store.h"

namespace sallyport::proxy {

std::unique_ptr<admin::revocations> keep_revocations(approval::steward& steward) {
    return std::make_unique<admin::revocations>([&steward](std::uint64_t id, std::string by,
                                                           policy::instant at,
                                                           std::function<void(bool)> done) {
        steward.with_tokens(
            [id, by = std::move(by), at](store::token_store& s) {
                static_cast<void>(s.revoke_token(id, by, at));
            },
            std::move(done));
    });
}

admin::token_keeper keep_tokens(approval::steward& steward, store::store& state, const clock& time,
                                admin::revocations& revoked) {
    admin::token_keeper k;
    k.load = [&state, &time] {
        auto* const tokens = state.tokens();
        return tokens == nullptr ? std::vector<store::api_token>()
                                 : tokens->list_tokens(time.now());
    };
    k.add = [&steward](store::api_token t, std::function<void(std::optional<std::uint64_t>)> done) {
        const auto id = std::make_shared<std::uint64_t>(0);
        steward.with_tokens([id, t = std::move(t)](store::token_store& s) { *id = s.add_token(t); },
                            [id, done = std::move(done)](bool stored) {
                                done(stored ? std::optional(*id) : std::nullopt);
                            });
    };
    k.revoke = [&revoked](std::uint64_t id, std::string by, policy::instant at,
                          std::function<void(bool)> done) {
        revoked.store(id, std::move(by), at, std::move(done));
    };
    k.note_uses = [&steward](std::vector<std::pair<std::uint64_t, policy::instant>> uses) {
        steward.with_tokens(
            [uses = std::move(uses)](store::token_store& s) { s.note_token_uses(uses); },
            [](bool) {});
    };
    return k;
}

}  // namespace sallyport::proxy
