#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "policy/commands.h"
#include "policy/facts.h"
#include "policy/rule.h"
#include "policy/types.h"

/// Rules in the form in which decide() reads them: per target, with resources resolved.
namespace sallyport::policy {

/// One rule as seen from one target.
struct compiled_rule {
    std::uint32_t index = 0;  ///< in rule_set::rules
    int tier = 0;
    policy::effect effect = policy::effect::allow;
    kind_mask kinds = 0;
    std::vector<const command_word*> commands;
    bool any_action = false;    ///< no `do:`
    bool whole_target = false;  ///< no `on:`, or a resource that is the whole target
    bool everybody = false;     ///< `who:` and `when:` hold for all, always
    bool log = false;
    std::vector<relation_pattern> patterns;  ///< of all its resources on this target
};

/// INVARIANT: every list is in the order of rule_set::rules, thus ascending in tier.
struct compiled_rules {
    std::map<std::string, std::vector<compiled_rule>, std::less<>> by_target;
    std::vector<compiled_rule> elsewhere;  ///< for targets that no resource names

    [[nodiscard]] const std::vector<compiled_rule>& of(std::string_view target) const noexcept;
};

[[nodiscard]] std::shared_ptr<const compiled_rules> compile(const rule_set& p);

/// Who asks, as `who` and patterns need it.
struct match_context {
    const policy::principal* principal = nullptr;
    std::string_view application;
    std::string_view address;
    const std::vector<std::string>* search_path = nullptr;  ///< empty or null: not known
};

/// Whether a `who:` speaks of the one who asks; unknown when the address cannot be read.
[[nodiscard]] truth matches(const who& w, const match_context& c) noexcept;

/// Whether patterns cover the use of a relation. For an allow rule everything that the use could
/// mean must be covered (`effect` allow), otherwise it is enough that something is.
[[nodiscard]] bool covers(const std::vector<relation_pattern>& patterns, const relation_use& use,
                          effect e, const match_context& c) noexcept;

/// Parses `schema.name(column, …)`; false, with `why`, if malformed. Names fold as in PostgreSQL.
[[nodiscard]] bool parse_relation_pattern(std::string_view text, relation_pattern& out,
                                          std::string& why);
[[nodiscard]] std::string to_string(const relation_pattern& p);

}  // namespace sallyport::policy
