#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "policy/decide.h"
#include "policy/rule.h"

/// Two policies side by side: which rules differ, and whom that affects.
namespace sallyport::policy {

struct rule_change {
    enum class way : std::uint8_t { added, removed, changed };
    way what = way::changed;
    std::string subject;              ///< "rule pii", "resource customer-pii", "default"
    std::vector<std::string> fields;  ///< "tier: 20 -> 30"; of what is added or removed: its lines
};
[[nodiscard]] const char* to_string(rule_change::way w) noexcept;

/// The fields of a rule, each as one line of text, for people. Equal texts: equal fields.
[[nodiscard]] std::vector<std::pair<std::string, std::string>> fields_of(const rule& r);

/// Every difference, by subject: default, opaque, resources, then rules in the order of the newer.
[[nodiscard]] std::vector<rule_change> compare_rules(const rule_set& older, const rule_set& newer);

/// "allow", "hold by pii-needs-approval", "deny by default".
struct outcome {
    policy::effect effect = policy::effect::deny;
    std::string rule;
    friend bool operator==(const outcome&, const outcome&) = default;
};
[[nodiscard]] std::string to_string(const outcome& o);

/// Some persons, for whom the same things change in the same way.
struct affected {
    std::vector<std::string> persons;
    std::string target;
    std::vector<std::string> actions;  ///< "read", "write", "truncate", "opening a session" …
    std::string object;                ///< "pii.customers", "any other relation", "" = none
    std::string when;  ///< "at Mon 2026-11-23 08:00 UTC, from 10.0.0.1"; "" = always, everywhere
    outcome before;
    outcome after;
    /// "alice, bob: read of pii.customers on shop: hold by pii -> allow by r2"
    [[nodiscard]] std::string sentence() const;
};

struct comparison_question {
    std::vector<principal> persons;
    std::vector<std::string> targets;
    instant now{};
    /// Asked for each question: true ends the comparison, and what was found until then is the
    /// result. Empty: never.
    std::function<bool()> give_up = {};
};

/// Asks both policies the same made-up questions: for every person and target opening a session,
/// and every kind and command of `do:` on every relation that a resource of either names, on one
/// that none names, and on nothing; within and outside the windows and networks that they name.
/// An effect that differs is listed, and a hold by another rule. Opt-outs and passes do not count.
[[nodiscard]] std::vector<affected> compare_decisions(const rule_set& older, const rule_set& newer,
                                                      const comparison_question& q);

}  // namespace sallyport::policy
