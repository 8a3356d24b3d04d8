#pragma once

#include <optional>
#include <string>

#include "tests/differential/peer.h"

/// What must be equal, and what may differ (tests/README.md says why).
namespace sallyport::tests::differential {

/// Sallyport ended the session because it cannot know what the server skips: see tests/README.md.
[[nodiscard]] bool lost_track(const replies& proxied);

/// The first difference in words; nullopt if there is none.
[[nodiscard]] std::optional<std::string> difference(const sequence& s, policy_kind kind,
                                                    const replies& direct, const replies& proxied);

}  // namespace sallyport::tests::differential
