#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "policy/load.h"
#include "policy/rule.h"
#include "policy/yaml_reader.h"

/// The parts of load_policy(), one per section of the file. Not for use elsewhere.
namespace sallyport::policy {

/// What the parts share while one file is read.
struct loading {
    yaml_reader& in;
    const known_names& known;
    rule_set& out;
    std::vector<fault>& warnings;

    void warn(const YAML::Node& at, std::string what, std::string code = {}) const;
};

/// Caps of the policy. A number of the file outside its range is a fault that names the range.
inline constexpr int tier_max = 10'000;
inline constexpr int approvals_max = 20;
inline constexpr std::size_t rules_max = 20'000;
inline constexpr std::size_t resources_max = 20'000;
inline constexpr std::size_t entries_max = 1'000;  ///< of one list
inline constexpr std::size_t message_bytes_max = 500;
inline constexpr std::size_t ticket_pattern_bytes_max = 200;
inline constexpr std::size_t ticket_bytes_max = 256;
inline constexpr std::size_t reason_bytes_max = 2'000;
inline constexpr std::size_t test_sql_bytes_max = 64u << 10;
inline constexpr milliseconds hold_wait_max = std::chrono::hours(7 * 24);
inline constexpr milliseconds pass_max = std::chrono::hours(7 * 24);
inline constexpr milliseconds opt_out_max = std::chrono::hours(31 * 24);
inline constexpr milliseconds drain_max = std::chrono::hours(1);
inline constexpr milliseconds review_max = std::chrono::hours(90 * 24);
inline constexpr milliseconds break_glass_max = std::chrono::hours(4);
inline constexpr milliseconds later_start_max = std::chrono::hours(31 * 24);
inline constexpr int quota_max = 100'000;
inline constexpr milliseconds exception_max = std::chrono::hours(366 * 24);
inline constexpr milliseconds exception_warned = std::chrono::hours(14 * 24);
inline constexpr std::size_t excepts_max = 32;  ///< rules that rule::excepts names

/// "rule 'x'" for messages; the text is of the file and may be anything.
[[nodiscard]] std::string quoted(std::string_view text);
/// Letters, digits, '-', '_', '.', at most 63, beginning with a letter or digit.
[[nodiscard]] bool is_plain_id(std::string_view text) noexcept;
/// yaml_reader::duration with an upper bound.
[[nodiscard]] std::optional<milliseconds> duration_up_to(yaml_reader& in, const YAML::Node& map,
                                                         const char* key, milliseconds max);

void load_resources(loading& l, const YAML::Node& node);
void load_rules(loading& l, const YAML::Node& node);
void load_tests(loading& l, const YAML::Node& node);
/// `opt_outs:`, behind the rules, against which it is checked.
void load_written(loading& l, const YAML::Node& node);
/// `do:` of a rule or of an opt-out.
void load_actions(loading& l, const YAML::Node& node, std::vector<kind>& kinds,
                  std::vector<std::string>& commands);

/// `reason:` and `review_by:` of a rule that allows.
void load_review(loading& l, const YAML::Node& node, const std::string& where, rule& r);
/// Finds the rules that take somebody out of later ones, and demands reason and end of them.
void load_exceptions(loading& l);

/// `who:`; with `only_names`, applications and addresses are refused: a request has neither.
enum class who_fields : std::uint8_t { all, only_names };
[[nodiscard]] who load_who(loading& l, const YAML::Node& node, std::string_view where,
                           who_fields f);

[[nodiscard]] std::optional<hold_spec> load_hold(loading& l, const YAML::Node& node,
                                                 const std::string& where);
[[nodiscard]] std::optional<opt_out_spec> load_opt_out(loading& l, const YAML::Node& node,
                                                       const std::string& where);

/// A day as ISO 8601 writes it, "2027-03-31": its first instant, in UTC. nullopt if malformed.
[[nodiscard]] std::optional<instant> parse_date(std::string_view text);
/// An instant as RFC 3339 writes it: "2026-03-29T10:00:00Z" or with an offset. nullopt if
/// malformed.
[[nodiscard]] std::optional<instant> parse_instant(std::string_view text);

/// Whether a ticket pattern can be used; `why` says what is wrong.
[[nodiscard]] bool is_ticket_pattern(const std::string& pattern, std::string& why);
/// Whether the whole ticket matches the pattern, in polynomial time; false for a pattern that is
/// bad.
[[nodiscard]] bool ticket_fits(const std::string& pattern, const std::string& ticket);

/// What is no fault but hardly meant. Adds to `warnings`.
void lint(const rule_set& p, const known_names& known, std::vector<fault>& warnings);

}  // namespace sallyport::policy
