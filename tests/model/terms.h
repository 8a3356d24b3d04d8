#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include "policy/load.h"
#include "policy/types.h"

/// The policy of the model: few knobs, the text that they make, and what that text means, said a
/// second time without any of the product's code.
namespace sallyport::model {

using policy::instant;
using policy::milliseconds;

inline constexpr const char* guarded = "pii";      ///< the rule that holds
inline constexpr const char* spared = "reports";   ///< the exception from it
inline constexpr const char* reporter = "report";  ///< the application that the exception is for

struct person {
    std::string name;
    std::vector<std::string> groups;
    bool service = false;
    [[nodiscard]] bool in(const std::string& group) const;
    [[nodiscard]] bool in_any(const std::vector<std::string>& all) const;
    [[nodiscard]] policy::principal principal() const { return {name, groups, service}; }
};
[[nodiscard]] const std::vector<person>& people();
/// Everybody is in the groups of the beginning.
void enrol();
/// The person enters the group, or leaves it. While nobody asks for people().
void transfer(const std::string& name, const std::string& group);
[[nodiscard]] const person& called(const std::string& name);

/// An opt-out as code.
struct written {
    int number = 0;  ///< in its reason, so that no two are alike
    std::string who;
    instant from;
    instant until;
    std::vector<std::string> approved_by;
    [[nodiscard]] std::string reason() const { return "written " + std::to_string(number); }
};

struct terms {
    bool holds = true;  ///< the rule is there at all
    std::vector<std::string> approvers{"security"};
    int approvals = 1;
    bool escalates = false;  ///< to chiefs, after five minutes
    std::optional<milliseconds> shape;
    std::optional<milliseconds> transaction;
    std::optional<milliseconds> session;

    bool opt_outs = true;
    std::string who = "oncall";
    std::vector<std::string> opt_approvers{"security"};
    int opt_approvals = 1;
    milliseconds longest = std::chrono::hours(2);
    std::uint64_t uses = 0;   ///< 0: not bounded
    int live_per_person = 0;  ///< 0: not bounded
    int live_in_all = 0;      ///< likewise
    int per_month = 0;        ///< of a person; 0: not bounded
    int of_team = 0;          ///< a month, of the group that may ask; 0: not bounded
    int of_all = 0;           ///< a month; 0: not bounded
    int extensions = 0;       ///< of one opt-out; 0: not bounded
    milliseconds cool_down{};
    bool overdue_blocks = false;
    bool glass = true;
    bool exception = false;
    std::vector<written> file;

    [[nodiscard]] std::string text() const;
    [[nodiscard]] policy::loaded_policy load() const;
    /// `w` could stand in the file under these terms.
    [[nodiscard]] bool takes(const written& w) const;
};
inline constexpr milliseconds escalates_after = std::chrono::minutes(5);
inline constexpr milliseconds glass_longest = std::chrono::minutes(20);
inline constexpr milliseconds review_within = std::chrono::hours(3);

/// Statements that sessions run; the first four are held by the rule.
struct text {
    const char* sql;
    int shape;  ///< equal for equal shapes
    bool held;
    bool writes;
};
[[nodiscard]] const std::vector<text>& texts();

}  // namespace sallyport::model
