#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "proxy/audit/chain.h"

/// Numbers against overuse: how much of what rules hold goes round them, by whom, how often.
namespace sallyport::proxy::audit {

/// Durations in buckets that double: the memory is fixed, a quantile is right within its bucket.
class duration_histogram {
  public:
    void add(policy::milliseconds d);
    [[nodiscard]] std::uint64_t count() const noexcept { return count_; }
    /// The upper border of the bucket in which the quantile lies; zero when there is nothing.
    [[nodiscard]] policy::milliseconds quantile(double q) const noexcept;

  private:
    std::array<std::uint64_t, 40> buckets_{};
    std::uint64_t count_ = 0;
};

/// Of one rule, person, team or week.
struct usage_numbers {
    std::uint64_t holds = 0;
    std::uint64_t approved = 0;
    std::uint64_t denied = 0;
    std::uint64_t expired = 0;
    std::uint64_t withdrawn = 0;
    std::uint64_t opt_outs = 0;      ///< that became active, broken glass included
    std::uint64_t break_glass = 0;   ///< of these
    std::uint64_t uses = 0;          ///< statements and sessions that passed under an opt-out
    duration_histogram decided_in;   ///< from the hold to its approval or denial
    std::set<std::int32_t> weeks{};  ///< with a use, as days since 1970 of their Monday

    /// Of the statements on which a holding rule had a say, those that went round it.
    [[nodiscard]] double bypass_share() const noexcept;
};

struct overuse_finding {
    std::string about;  ///< "rule" or "person"
    std::string name;
    std::string code;  ///< "mostly-bypassed", "rubber-stamp", "nobody-decides", "given-up-on" …
    std::string text;  ///< one sentence with the numbers and what to do
};

struct overuse_report {
    std::uint64_t records = 0;  ///< that were counted
    std::uint64_t skipped = 0;  ///< lines that are none
    bool cut = false;           ///< the time was over before the log was
    std::string first;          ///< time of the first and the last record
    std::string last;
    std::map<std::string, usage_numbers> rules;
    std::map<std::string, usage_numbers> persons;
    std::map<std::string, usage_numbers> teams;
    std::map<std::string, usage_numbers> weeks;  ///< "2026-W09"
    /// Holds and uses by week, rule and person.
    std::map<std::array<std::string, 3>, std::pair<std::uint64_t, std::uint64_t>> cells;
    std::vector<overuse_finding> findings;  ///< rules first, the worst first
};

/// Takes the records of a log in their order, one in memory at a time. Names beyond a bound are
/// counted together as "(others)".
class overuse_counter {
  public:
    /// Only what happened from `from` on and before `to` counts.
    overuse_counter(std::optional<policy::instant> from, std::optional<policy::instant> to);
    void take(const parsed_line& line);
    [[nodiscard]] overuse_report finish();

  private:
    struct open_hold {
        policy::instant at;
        std::vector<std::string> teams;
    };
    struct subject {
        std::string rule;
        std::string person;
        std::vector<std::string> teams;
        policy::instant at;
    };
    template <class F>
    void count(const subject& s, F f);
    void opened(const parsed_line& line, subject s);
    void decided(const parsed_line& line, subject s, std::uint64_t usage_numbers::*what);

    std::optional<policy::instant> from_;
    std::optional<policy::instant> to_;
    overuse_report report_;
    std::map<std::string, open_hold> open_;                     // by number
    std::deque<std::string> open_order_;                        // the oldest first
    std::map<std::string, std::vector<std::string>> teams_of_;  // last seen, by person
};

/// Reads a whole log. `goes_on` is asked now and then with the number of records read; false ends
/// it early. Errors: std::runtime_error if the directory cannot be read.
[[nodiscard]] overuse_report count_overuse(const std::string& directory,
                                           std::optional<policy::instant> from,
                                           std::optional<policy::instant> to,
                                           const std::function<bool(std::uint64_t)>& goes_on);

/// The report for programs; `sallyport report --json` and GET /api/v1/report.
[[nodiscard]] std::string overuse_json(const overuse_report& r);

}  // namespace sallyport::proxy::audit
