#pragma once

#include <functional>
#include <mutex>
#include <optional>
#include <string>

#include "policy/types.h"
#include "proxy/admin/insight.h"
#include "proxy/audit/story.h"
#include "proxy/audit/verify.h"

/// What the API tells of the log beyond a search.
namespace sallyport::proxy::admin {

/// All of them may block for seconds and throw std::runtime_error.
struct audit_sources {
    std::function<audit::story(const audit::story_subject&)> story;
    /// "" when there is no record of the subject.
    std::function<std::string(const audit::story_subject&, policy::instant now)> bundle;
    std::function<audit::verify_report()> verify;
    std::function<std::string(const insight_question&)> insight;  ///< JSON
};
/// Those that read the files of this directory, and sign with this key (a PEM file).
[[nodiscard]] audit_sources audit_sources_of(std::string directory, std::string signing_key);

/// The newest verification of the chain; one runs at a time. Concurrency: any thread.
class verification {
  public:
    static constexpr policy::milliseconds fresh_for = std::chrono::seconds(30);

    struct state {
        std::optional<audit::verify_report> report;  ///< absent: none has finished yet
        policy::instant checked_at{};
        bool running = false;
    };
    [[nodiscard]] state now() const;
    /// True: the caller runs one and must call finish(). False: one is fresh, or runs.
    [[nodiscard]] bool begin(policy::instant now);
    /// nullopt: it could not be done.
    void finish(std::optional<audit::verify_report> report, policy::instant now);

  private:
    mutable std::mutex mutex_;
    state state_;
};

}  // namespace sallyport::proxy::admin
