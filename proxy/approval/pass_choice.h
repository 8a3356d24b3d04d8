#pragma once

#include <optional>
#include <string>

#include "policy/hold.h"
#include "policy/rule.h"

/// What an approver may choose to grant. Pure.
namespace sallyport::proxy::approval {

/// How long the pass for the one statement lives: long enough to decide again and forward.
inline constexpr policy::milliseconds statement_pass_ms{60'000};

struct pass_choice {
    policy::pass_scope scope = policy::pass_scope::statement;
    policy::milliseconds lasts = statement_pass_ms;
};

struct chosen {
    pass_choice choice;
    std::string error;  ///< "" or which bound was hit and what would fit
};

/// The stricter of two bounds in every respect.
[[nodiscard]] policy::pass_bounds intersect(const policy::pass_bounds& a,
                                            const policy::pass_bounds& b);
/// Fits a wish into the bounds. `lasts` absent: as long as the bound allows.
[[nodiscard]] chosen choose_pass(const policy::hold& h, const policy::pass_bounds& bounds,
                                 policy::pass_scope scope,
                                 std::optional<policy::milliseconds> lasts);
/// The hold part of the rule as it is now; null if the rule is gone or holds no longer.
[[nodiscard]] const policy::hold_spec* hold_spec_now(const policy::rule_set_ptr& rules,
                                                     const std::string& rule);
/// "" if the rule of now would still give what is left of the pass, else why not.
[[nodiscard]] std::string outside_bounds(const policy::rule_set_ptr& rules, const policy::pass& p,
                                         policy::instant now);
/// What two approvers both agreed to.
[[nodiscard]] pass_choice agree(const pass_choice& a, const pass_choice& b);

}  // namespace sallyport::proxy::approval
