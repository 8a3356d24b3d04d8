#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "policy/compare.h"
#include "policy/rule.h"
#include "proxy/audit/read.h"
#include "proxy/auth/users.h"

/// `sallyport replay`: recorded decisions, decided again under a candidate policy.
namespace sallyport::proxy {

/// looser: what was held or denied would be allowed, or what was denied would be held.
enum class replay_verdict : std::uint8_t { same, stricter, looser, unknown };
[[nodiscard]] const char* to_string(replay_verdict v) noexcept;

/// Decisions of one person that go the same way.
struct replay_row {
    replay_verdict what = replay_verdict::same;
    std::string person;
    policy::outcome before;
    policy::outcome after;  ///< unknown: no meaning
    std::string why;        ///< unknown: the reason
    std::uint64_t count = 0;
    std::vector<std::string> examples;  ///< "SEQUENCE on TARGET: statement", the oldest first
};

struct replay_report {
    std::uint64_t records = 0;  ///< of all kinds
    std::uint64_t skipped = 0;  ///< lines that are none
    std::map<replay_verdict, std::uint64_t> counts;
    std::vector<replay_row> rows;  ///< all that are not the same; looser first, then by count
    /// Decisions that stay what they are, and another rule makes them.
    std::uint64_t other_rule = 0;
};

struct replay_world {
    const policy::rule_set& candidate;
    /// The rules in force, if known: what they do not decide again as it was recorded under their
    /// own hash, cannot be known for the candidate either. Null: not checked.
    const policy::rule_set* in_force = nullptr;
    const auth::user_directory* users = nullptr;  ///< groups, where a record has none
    std::size_t examples = 3;                     ///< of each row
};

/// Takes one record after the other, in the order of the log.
/// Facts come from the redacted text: what its literals decided, and what only the session or the
/// catalog knew (prepared names, views, the search_path), makes the decision unknown or is missing.
class replayer {
  public:
    explicit replayer(replay_world w);
    ~replayer();
    replayer(const replayer&) = delete;
    replayer& operator=(const replayer&) = delete;

    void take(const audit::parsed_line& line);
    [[nodiscard]] replay_report finish();

  private:
    struct impl;
    std::unique_ptr<impl> impl_;
};

/// The SQL of a redacted text with something in place of its literals: facts for it, or null if
/// they cannot be what they were.
[[nodiscard]] policy::facts_ptr facts_of_redacted(const std::string& text);

}  // namespace sallyport::proxy
