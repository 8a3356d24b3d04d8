#pragma once

#include <condition_variable>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "proxy/admin/api.h"
#include "proxy/admin/dependencies.h"

/// A small world behind the admin surfaces: alice (dev) asks, bob (security) approves, carol is
/// admin, dave is auditor, eve has nothing. Everybody's password is her name and "-password".
namespace sallyport::proxy::admin::testing {

class manual_clock final : public clock {
  public:
    [[nodiscard]] policy::instant now() const noexcept override {
        return policy::instant(policy::milliseconds(1'772'357'400'000 + offset_ms));
    }
    std::int64_t offset_ms = 0;
};

class fake_sessions final : public session_directory {
  public:
    void list(std::function<void(std::vector<session_info>)> done) override { done(live); }
    void kill(policy::session_id id, std::string by, std::string reason,
              std::function<void(bool)> done) override {
        killed.push_back(std::to_string(id.value) + " by " + by + ": " + reason);
        done(std::erase_if(live, [id](const auto& s) { return s.id == id; }) > 0);
    }
    std::vector<session_info> live;
    std::vector<std::string> killed;
};

/// Remembers what surfaces asked of the steward, and answers with one hold and one opt-out of
/// alice's.
struct world {
    world();

    [[nodiscard]] static policy::hold alices_hold();
    [[nodiscard]] static policy::opt_out alices_opt_out();
    [[nodiscard]] static policy::flag eves_flag();
    /// Live for an hour; of an address its range is filled in.
    [[nodiscard]] policy::flag restraint(policy::flag_kind kind, policy::flag_on on,
                                         const std::string& subject, std::uint64_t id) const;
    [[nodiscard]] dependencies make();
    [[nodiscard]] actor as(const std::string& name, const std::string& surface = "api") const;
    [[nodiscard]] std::vector<std::string> events() const;

    manual_clock time;
    fake_sessions sessions;
    std::map<std::string, policy::principal> people;
    std::vector<policy::hold> holds{alices_hold()};
    std::vector<policy::opt_out> opt_outs{alices_opt_out()};
    std::vector<policy::review> reviews;
    std::vector<policy::flag> flags{eves_flag()};
    std::shared_ptr<policy::rule_set> rules;
    role_config roles;
    bool healthy = true;
    approval::answer steward_says{.what = approval::verdict::done, .text = "It is done.", .id = 7};
    reload_answer reload_says{.done = true, .faults = {}, .warnings = {}, .policy_hash = "abc"};
    std::vector<std::string> steward_heard;
    std::vector<audit::record> records;
    audit::query audit_asked;  ///< the newest question to the log …
    std::uint64_t audit_before = 0;
    std::vector<store::api_token> stored_tokens;
    std::size_t noted_uses = 0;
    std::vector<std::string> candidates;
    int verifications = 0;
    int insights_read = 0;
};

/// An api on a world, with what blocks run at once.
struct api_world : world {
    api_world();
    /// The response to one request, which must be answered before handle() returns.
    [[nodiscard]] http_response send(const std::string& method, const std::string& target,
                                     std::vector<std::pair<std::string, std::string>> headers = {},
                                     const std::string& body = {});
    /// With JSON media type, Host, and the bearer token of `user`.
    [[nodiscard]] http_response send_as(const std::string& user, const std::string& method,
                                        const std::string& target, const std::string& body = {});
    [[nodiscard]] http_response log_in(const std::string& user, const std::string& password);
    [[nodiscard]] std::string token_of(const std::string& user);

    std::shared_ptr<api_context> context;
    std::unique_ptr<api> surface;
    std::map<std::string, std::string> tokens;
    std::string address = "127.0.0.1";
    std::optional<std::string> certificate;  ///< subject, where TLS asks for one
};

/// The value of a member of a flat JSON object, as text; "" if absent.
[[nodiscard]] std::string json_member(const std::string& body, const std::string& name);
[[nodiscard]] std::string header_of(const http_response& r, const std::string& name);

}  // namespace sallyport::proxy::admin::testing
