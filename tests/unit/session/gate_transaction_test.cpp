#include <memory>
#include <string>

#include <gtest/gtest.h>

#include "policy/sql/analyse.h"
#include "protocol/backend.h"
#include "protocol/frontend.h"
#include "proxy/session/gate.h"

/// Since when a transaction is open, as surfaces tell it to whoever approves.
namespace sallyport {
namespace {

using proxy::session::actions;
using proxy::session::gate;
using status = protocol::backend::transaction_status;

class settable_clock final : public proxy::clock {
  public:
    [[nodiscard]] policy::instant now() const noexcept override { return at; }
    policy::instant at{std::chrono::hours(24 * 365 * 56)};
};

class direct_facts final : public proxy::session::facts_source {
  public:
    policy::facts_ptr find(std::string_view sql, bool) override {
        return policy::sql::analyse(sql, {});
    }
};

class GateTransaction : public testing::Test {
  protected:
    GateTransaction() {
        auto rules = std::make_shared<policy::rule_set>();
        rules->default_effect = policy::effect::allow;
        environment.rules = std::move(rules);
        environment.grants = std::make_shared<policy::grants>();
        environment.facts = &facts;
        environment.time = &time;
        subject.principal.name = "alice";
        subject.target = "shop";
        under_test = std::make_unique<gate>(
            environment, subject, proxy::session::gate_limits{},
            std::make_shared<const protocol::frame_limits>(protocol::frontend_limits));
    }

    /// One Query that leaves the session in this state, a minute after the one before.
    void run(const char* sql, status then) {
        time.at += std::chrono::minutes(1);
        std::string bytes;
        protocol::frontend::query{sql}.encode(bytes);
        actions out;
        ASSERT_EQ(under_test->on_client(bytes, gate::patience::normal, out), bytes.size());
        std::string replies;
        protocol::backend::command_complete{"OK"}.encode(replies);
        protocol::backend::ready_for_query{then}.encode(replies);
        ASSERT_EQ(under_test->on_server(replies, out), replies.size());
    }

    settable_clock time;
    direct_facts facts;
    proxy::session::gate_environment environment;
    policy::subject subject;
    std::unique_ptr<gate> under_test;
};

TEST_F(GateTransaction, its_begin_is_known_until_it_ends) {
    run("select 1", status::idle);
    EXPECT_EQ(under_test->transaction_since(), policy::instant{});

    run("begin", status::open);
    const auto began = time.at;
    run("select 1", status::open);
    run("select 1 / 0", status::failed);
    EXPECT_EQ(under_test->transaction_since(), began);

    run("rollback", status::idle);
    EXPECT_EQ(under_test->transaction_since(), policy::instant{});
    run("begin", status::open);
    EXPECT_EQ(under_test->transaction_since(), time.at);
}

}  // namespace
}  // namespace sallyport
