#pragma once

#include <cstddef>
#include <vector>

#include <nlohmann/json.hpp>

#include "policy/compare.h"
#include "policy/load.h"
#include "proxy/policy_replay.h"

/// What `lint`, `diff` and `replay` find, as JSON: the same for the command and for the API.
namespace sallyport::proxy {

using report_json = nlohmann::ordered_json;

[[nodiscard]] report_json to_json(const policy::fault& f);
[[nodiscard]] report_json to_json(const std::vector<policy::fault>& all);
[[nodiscard]] report_json to_json(const std::vector<policy::rule_change>& all);
[[nodiscard]] report_json to_json(const std::vector<policy::affected>& all);
/// At most `limit` rows.
[[nodiscard]] report_json to_json(const replay_report& r, std::size_t limit);

inline constexpr replay_verdict replay_verdicts[] = {replay_verdict::same, replay_verdict::stricter,
                                                     replay_verdict::looser,
                                                     replay_verdict::unknown};
[[nodiscard]] std::uint64_t count_of(const replay_report& r, replay_verdict v);

inline constexpr const char* replay_note =
    "Facts come from the recorded text, which has no literals, without catalog and session: where "
    "these counted, the decision is unknown or may differ. Plain allows are on record only where "
    "a rule or the file says log: all.";

}  // namespace sallyport::proxy
