#pragma once

#include <chrono>
#include <map>
#include <mutex>
#include <string>
#include <tuple>

#include "policy/types.h"

/// Numbers over time, from the audit log.
namespace sallyport::proxy::admin {

inline constexpr std::size_t insight_steps_max = 500;
inline constexpr std::size_t insight_top = 10;  ///< rules and people
inline constexpr policy::milliseconds insight_span_max = std::chrono::hours(24 * 400);

struct insight_question {
    policy::instant from;       ///< inclusive
    policy::instant to;         ///< exclusive
    policy::milliseconds step;  ///< (to - from) / step is at most insight_steps_max, rounded up
    auto operator<=>(const insight_question&) const = default;
};
/// "" if it can be answered, else one sentence.
[[nodiscard]] std::string check(const insight_question& q);

/// The answer as JSON. Reads the log up to `to`: what lived at `from` may have begun long before.
/// Errors: std::runtime_error when it cannot be read, or not until `give_up_at`.
[[nodiscard]] std::string read_insight(const std::string& directory, const insight_question& q,
                                       std::chrono::steady_clock::time_point give_up_at);

/// Answers of the last minute. Concurrency: any thread.
class insight_cache {
  public:
    static constexpr policy::milliseconds life = std::chrono::seconds(60);
    static constexpr std::size_t entries_max = 32;
    [[nodiscard]] std::string find(const insight_question& q, policy::instant now);
    void put(const insight_question& q, std::string answer, policy::instant now);

  private:
    struct entry {
        std::string answer;
        policy::instant at;
    };
    std::mutex mutex_;
    std::map<insight_question, entry> all_;
};

}  // namespace sallyport::proxy::admin
