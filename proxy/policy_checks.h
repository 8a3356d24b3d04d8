#pragma once

#include <chrono>
#include <string>
#include <vector>

#include "policy/load.h"
#include "policy/rule.h"
#include "proxy/config.h"

/// A policy looked at by the running proxy, with the eyes of `lint`, `diff` and `replay`.
namespace sallyport::proxy {

struct lint_result {
    std::vector<policy::fault> found;  ///< by place; each with code and, mostly, advice
    bool elsewhere = false;            ///< another file than the policy has faults
    std::string policy_hash;           ///< "" = it does not load
};
/// What stands in the files of a configuration and is hardly wanted. Blocks.
[[nodiscard]] lint_result lint_files(const std::string& config_path);
/// The same for a policy alone, which may have faults; `rules` gets it if it has none.
[[nodiscard]] std::vector<policy::fault> lint_text(const std::string& yaml,
                                                   const policy::known_names& known,
                                                   policy::rule_set_ptr& rules);

/// The findings of the files as JSON: `policy`, `in_force` (the files are what is in force),
/// `findings`. Files are named without their directory.
[[nodiscard]] std::string findings_json(const std::string& config_path,
                                        const std::string& hash_in_force);

/// What is in force, and whom a candidate is compared for.
struct policy_world {
    const settings& config;
    const auth::user_directory& users;
    const policy::rule_set& rules;
    policy::instant now{};
    std::string audit_directory;  ///< "" = its reader may not see what the log has
};
/// What would change under the policy `yaml`, as JSON: its faults and findings, the rules that
/// differ, whom that affects, and the newest 10,000 records decided again. Blocks for `patience` at
/// most, then says that it was cut.
inline constexpr std::chrono::seconds candidate_patience{10};
[[nodiscard]] std::string candidate_json(const std::string& yaml, const policy_world& w);

}  // namespace sallyport::proxy
