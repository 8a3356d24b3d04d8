#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "proxy/admin/desk.h"
#include "proxy/admin/token_table.h"

/// Making, listing and revoking API tokens, with the checks and records that belong to it.
namespace sallyport::proxy::admin {

struct token_wish {
    std::string name;
    std::vector<std::string> scopes;
    policy::milliseconds life{};
    std::string owner;  ///< "": the asker's own
};

/// What came of it; with the token itself, once, where one was made.
struct new_token {
    approval::answer answer;
    std::string text;  ///< to be wiped by whom it was given to
    store::api_token token;
};

/// Concurrency: any thread; callbacks come once, on any thread. `table` must outlive the calls.
class token_desk {
  public:
    token_desk(std::shared_ptr<desk> business, token_table& table)
        : business_(std::move(business)), table_(table) {}

    /// A person makes tokens for herself, an admin also for programs (service: true); only from a
    /// login, so that no token outlives its end by making another.
    void create(const actor& a, token_wish w, policy::milliseconds life_max,
                std::function<void(new_token)> done) const;
    [[nodiscard]] listing<store::api_token> list(const actor& a) const;
    void revoke(const actor& a, std::uint64_t id, desk::on_answer done) const;

  private:
    [[nodiscard]] approval::answer check(const actor& a, const token_wish& w,
                                         policy::milliseconds life_max,
                                         policy::principal& owner) const;
    std::shared_ptr<desk> business_;
    token_table& table_;
};

}  // namespace sallyport::proxy::admin
