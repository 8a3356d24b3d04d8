#pragma once

#include <cstddef>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>

#include "policy/types.h"

/// Requests that Slack sends when somebody clicks a button. Pure but for the memory of what came.
namespace sallyport::proxy::admin {

inline constexpr policy::milliseconds slack_window = std::chrono::minutes(5);

/// Each signed request counts once: within the window its signature is known again.
/// Concurrency: any thread.
class replay_guard {
  public:
    static constexpr std::size_t remembered_max = 10'000;
    /// False: it came before, or too many came; then it does not count.
    [[nodiscard]] bool first_time(const std::string& signature, policy::instant now);

  private:
    std::mutex mutex_;
    std::map<std::string, policy::instant> seen_;
};

/// "" if `signature` is Slack's over the body, made within the window; else one sentence.
/// Source: Slack, "Verifying requests from Slack": v0=HMAC-SHA256("v0:TIMESTAMP:BODY").
[[nodiscard]] std::string check_slack_signature(std::string_view secret, std::string_view timestamp,
                                                std::string_view signature, std::string_view body,
                                                policy::instant now);

/// Who clicked, and what the button is about.
struct slack_click {
    std::string user;     ///< Slack's id
    std::string subject;  ///< "hold 7"
};
/// nullopt: it is no click on a button of ours.
[[nodiscard]] std::optional<slack_click> parse_slack_click(std::string_view form_body);

/// What Slack shows to the one who clicked.
[[nodiscard]] std::string slack_answer(const std::string& text);

}  // namespace sallyport::proxy::admin
