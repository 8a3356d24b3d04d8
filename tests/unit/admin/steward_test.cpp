#include "proxy/approval/steward.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "proxy/admin/console.h"
#include "tests/unit/admin/world.h"
#include "tests/unit/approval/support.h"

/// Both surfaces on a real steward, with its real store and log.
namespace sallyport::proxy::admin::testing {
namespace {

using ::testing::HasSubstr;

class surfaces_on_a_steward : public approval::testing::steward_test {
  protected:
    surfaces_on_a_steward() {
        people.people["bob"].groups = {"security"};
        people.people["carol"].groups = {"security"};
        auto d = people.make();
        d.approval = approvals_of(*s);
        d.rules = [this] { return people.rules; };
        d.record = [this](audit::record r) { log->append(std::move(r), {}); };
        context = std::make_shared<api_context>();
        context->business = std::make_shared<desk>(d);
        context->run_blocking = [](const std::function<void()>& f) {
            f();
            return true;
        };
        http = std::make_unique<api>(context);
        psql = std::make_unique<console>(d);
    }

    http_response post(const std::string& user, const std::string& path, const std::string& body) {
        const auto token = context->logins.open(user, context->business->now()).token;
        http_request r;
        r.method = "POST";
        r.target = path;
        r.headers = {{"Host", "localhost"},
                     {"Content-Type", "application/json"},
                     {"Authorization", "Bearer " + token}};
        r.body = body;
        r.address = "127.0.0.1";
        std::promise<http_response> said;
        http->handle(std::move(r), [&](http_response a) { said.set_value(std::move(a)); });
        return said.get_future().get();
    }
    console_result type(const std::string& user, const std::string& text) {
        std::promise<console_result> said;
        psql->execute({people.people.at(user), "127.0.0.1"}, text,
                      [&](console_result r) { said.set_value(std::move(r)); });
        return said.get_future().get();
    }

    world people;
    std::shared_ptr<api_context> context;
    std::unique_ptr<api> http;
    std::unique_ptr<console> psql;
};

TEST_F(surfaces_on_a_steward, approval_over_http_releases_the_hold_with_its_pass) {
    auto held = open(wish());

    const auto said = post("bob", "/api/v1/holds/" + std::to_string(held.id.value) + "/approve",
                           R"({"reason":"ok","pass":"shape","for":"10m"})");

    EXPECT_EQ(said.status, 200U) << said.body;
    const auto outcome = held.outcome->get_future().get();
    EXPECT_EQ(outcome.state, policy::hold_state::approved);
    EXPECT_EQ(outcome.decided_by, "bob");
    EXPECT_EQ(outcome.pass->scope, policy::pass_scope::shape);
}

TEST_F(surfaces_on_a_steward, requester_can_approve_on_no_surface) {
    auto held = open(wish());
    const auto id = std::to_string(held.id.value);
    people.people["alice"].groups = {"security"};

    EXPECT_EQ(post("alice", "/api/v1/holds/" + id + "/approve", "{}").status, 403U);
    EXPECT_EQ(type("alice", "APPROVE " + id).sqlstate, "42501");
    EXPECT_EQ(get(held.id)->state, policy::hold_state::pending);
}

TEST_F(surfaces_on_a_steward, one_person_on_two_surfaces_is_one_vote) {
    auto held = open(wish("alice", 2));
    const auto id = std::to_string(held.id.value);

    const auto first = post("bob", "/api/v1/holds/" + id + "/approve", "{}");
    EXPECT_EQ(json_member(first.body, "result"), "counted") << first.body;
    EXPECT_NE(type("bob", "APPROVE " + id).sqlstate, "");
    EXPECT_EQ(get(held.id)->state, policy::hold_state::pending);

    EXPECT_EQ(type("carol", "APPROVE " + id).sqlstate, "");
    EXPECT_EQ(held.outcome->get_future().get().state, policy::hold_state::approved);
}

TEST_F(surfaces_on_a_steward, vote_on_an_ended_hold_is_a_conflict_on_both) {
    auto held = open(wish());
    const auto id = std::to_string(held.id.value);
    ASSERT_EQ(type("bob", "DENY " + id + " REASON 'no'").sqlstate, "");

    EXPECT_EQ(post("carol", "/api/v1/holds/" + id + "/approve", "{}").status, 409U);
    EXPECT_EQ(type("carol", "APPROVE " + id).sqlstate, "55000");
}

TEST_F(surfaces_on_a_steward, actions_and_their_refusals_are_in_the_log) {
    auto held = open(wish());
    const auto id = std::to_string(held.id.value);
    static_cast<void>(post("alice", "/api/v1/holds/" + id + "/approve", "{}"));
    static_cast<void>(type("bob", "APPROVE " + id + " REASON 'ok'"));
    psql.reset();

    EXPECT_EQ(events()["admin.action"], 2);
}

}  // namespace
}  // namespace sallyport::proxy::admin::testing
