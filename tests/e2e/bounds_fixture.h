#pragma once

#include <string>
#include <vector>

#include "tests/e2e/fixture.h"

/// What the tests of a rule's bounds start from.
namespace sallyport::tests {

/// The example policy with bounds of its own, asked on every surface.
class bounded : public e2e {
  protected:
    /// The text with the first `from`, which must be there, replaced.
    [[nodiscard]] static std::string changed(std::string text, const std::string& from,
                                             const std::string& to);
    /// The example policy with these lines at the head of its `opt_out:`, indented by six.
    [[nodiscard]] static std::string with_bounds(const std::string& lines) {
        return changed(example_policy(), "      max_duration: 4h\n",
                       lines + "      max_duration: 4h\n");
    }
    void load(const std::string& policy) const;

    /// A client that is told of a hold (SP001) and does not wait.
    [[nodiscard]] wire_client refusing(const std::string& user,
                                       const std::string& target = "shop") const;
    /// "": it passed.
    [[nodiscard]] static std::string outcome(wire_client& c, const std::string& sql = held_sql) {
        return c.ask(sql).sqlstate();
    }

    /// A wish for an opt-out, as the API takes it, complete but for these members.
    [[nodiscard]] static nlohmann::json wish(const nlohmann::json& changes = {});
    [[nodiscard]] http_response ask_for(const nlohmann::json& changes,
                                        const std::string& user = "alice") const {
        return api(user).post("/api/v1/opt-outs", wish(changes).dump());
    }
    /// The number of an accepted wish; 0: it was refused.
    [[nodiscard]] std::uint64_t accepted(const nlohmann::json& changes,
                                         const std::string& user = "alice") const;
    void approve_opt_out(std::uint64_t id, const std::string& user = "bob") const;
    void revoke_opt_out(std::uint64_t id, const std::string& user = "bob") const;
    /// One that is accepted, active, and over.
    std::uint64_t spend(const nlohmann::json& changes, const std::string& user = "alice") const;
    /// API, command line and console refuse the wish, each with a sentence that says `why`.
    void refused_everywhere(const nlohmann::json& changes, const std::string& why,
                            const std::string& user = "alice") const;
    /// … and so they do with the extension of opt-out `id` by an hour.
    void extension_refused_everywhere(std::uint64_t id, const std::string& why,
                                      const std::string& user = "alice") const;

    [[nodiscard]] nlohmann::json opt_out(std::uint64_t id) const {
        return get("bob", "/api/v1/opt-outs/" + std::to_string(id));
    }
    /// The sentence of a problem that the API answered with.
    [[nodiscard]] static std::string detail_of(const http_response& answer);

  private:
    void refused_everywhere(const std::string& user, const http_response& answer,
                            std::vector<std::string> arguments, const std::string& command,
                            const std::string& why) const;
};

/// The instant so many milliseconds from now, as the surfaces take it.
[[nodiscard]] std::string time_in(std::int64_t ms);

}  // namespace sallyport::tests
