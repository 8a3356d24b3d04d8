#pragma once

#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "policy/rule.h"

/// Policy file → rule_set, with every fault at once.
namespace sallyport::policy {

/// One fault of a file; printed as `file:line:column: what (did you mean …?)`. Lines and columns
/// from 1.
struct fault {
    std::string file;
    int line = 0;
    int column = 0;
    std::string what;
    std::string code = {};    ///< of lint: "shadowed", "unstaffed" …; "" = none
    std::string advice = {};  ///< of lint: what to do; "" = `what` says it
};
[[nodiscard]] std::string to_string(const fault& f);

/// What the rest of the configuration knows and a policy refers to. Empty sets: not checked.
struct known_names {
    std::set<std::string> targets;
    std::set<std::string> users;
    std::set<std::string> groups;  ///< groups that at least one user has
    /// Group → its users; empty: not known, and then the number of possible approvers is not
    /// checked.
    std::map<std::string, std::set<std::string>> members;
    std::set<std::string> services;  ///< users that are programs
    /// Now, for what the file dates; absent: how far away `review_by` is, is not checked.
    std::optional<instant> now = {};
};

struct loaded_policy {
    rule_set_ptr rules;           ///< null when there are faults
    std::vector<fault> faults;    ///< in file order
    std::vector<fault> warnings;  ///< lint: rules that can never match, unstaffed …; never fatal
};

/// What stands in a policy that loads and is hardly wanted, besides the warnings of the load: rules
/// without bounds, that contradict each other, that nobody can approve …; each with code and
/// advice.
[[nodiscard]] std::vector<fault> lint_policy(const rule_set& rules, const known_names& known);

[[nodiscard]] loaded_policy load_policy(const std::string& path, const known_names& known);
[[nodiscard]] loaded_policy load_policy_text(std::string_view text, const std::string& path,
                                             const known_names& known);

/// Runs the policy's own tests; one fault per test that failed. `now` is used where a test gives no
/// time.
[[nodiscard]] std::vector<fault> run_policy_tests(const rule_set& rules, instant now);

}  // namespace sallyport::policy
