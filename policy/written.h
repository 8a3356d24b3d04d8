#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "policy/load.h"
#include "policy/opt_out.h"

/// Opt-outs as code: `opt_outs:` of the policy, or of a file beside it.
///
///     opt_outs:
///       - who: alice
///         rule: pii-needs-approval
///         reason: quarterly export
///         ticket: INC-7
///         approved_by: [bob]
///         from: 2026-12-01T08:00:00Z
///         until: 2026-12-01T12:00:00Z
///
/// They are bounded as every other opt-out is, and approved by whoever could have voted for it.
namespace sallyport::policy {

struct written_opt_out {
    std::string key;  ///< hex SHA-256 over all that it says: what is changed is another opt-out
    opt_out_request request;             ///< kind file, from `starts_at` for `duration`
    std::vector<principal> approved_by;  ///< distinct, none of them the one it is for
    std::uint64_t max_uses = 0;          ///< 0: as many as the rule lets
    std::string file;                    ///< where it stands
    int line = 0;
    [[nodiscard]] instant until() const noexcept { return request.starts_at + request.duration; }
};

struct written_opt_outs {
    std::vector<written_opt_out> all;  ///< in file order; some may have ended
};

struct loaded_opt_outs {
    std::shared_ptr<const written_opt_outs> opt_outs;  ///< null when there are faults
    std::vector<fault> faults;                         ///< in file order
    std::vector<fault> warnings;                       ///< those that have ended
};
/// Reads a file of them, whose one key is `opt_outs`, and checks each against the rules.
[[nodiscard]] loaded_opt_outs load_opt_outs_text(std::string_view text, const std::string& path,
                                                 const rule_set& rules, const known_names& known);

}  // namespace sallyport::policy
