#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "tests/unit/admin/world.h"

/// What the API tells of the transaction that a hold keeps open.
namespace sallyport::proxy::admin::testing {
namespace {

using nlohmann::json;
using ::testing::HasSubstr;

class HoldInTransaction : public ::testing::Test {
  protected:
    HoldInTransaction() {
        w.holds[0].session = policy::session_id{12};
        w.holds[0].in_transaction = true;
        w.sessions.live[0].transaction_since = w.time.now() - std::chrono::minutes(3);
        w.sessions.live[0].server_pid = 4711;
    }
    void servers_say(lock_report r) {
        auto d = w.make();
        d.locks = [r, this](const std::string& target, std::uint32_t pid, const auto& done) {
            asked = target + " " + std::to_string(pid);
            done(r);
        };
        w.context->business = std::make_shared<desk>(std::move(d));
    }
    json transaction(const std::string& path = "/api/v1/holds/7") {
        const auto answer = w.send_as("bob", "GET", path);
        EXPECT_EQ(answer.status, 200U) << answer.body;
        const auto body = json::parse(answer.body);
        return body.contains("transaction") ? body.at("transaction") : json("absent");
    }

    api_world w;
    std::string asked;
};

TEST_F(HoldInTransaction, age_and_locks_stand_beside_the_hold) {
    lock_report r;
    r.locks = {{"relation", "public.orders", "RowExclusiveLock", true},
               {"transactionid", "", "ShareLock", false}};
    r.blocked = 2;
    servers_say(r);

    const auto t = transaction();

    EXPECT_EQ(asked, "shop 4711");
    EXPECT_EQ(t.at("since"), "2026-03-01T09:27:00.000Z");
    EXPECT_EQ(t.at("blocks"), 2);
    EXPECT_EQ(t.at("locks_cut"), false);
    ASSERT_EQ(t.at("locks").size(), 2U);
    EXPECT_EQ(t.at("locks")[0].at("on"), "public.orders");
    EXPECT_EQ(t.at("locks")[1].at("granted"), false);
}

TEST_F(HoldInTransaction, the_server_knows_its_age_better) {
    lock_report r;
    r.age = std::chrono::minutes(1);
    servers_say(r);

    EXPECT_EQ(transaction().at("since"), "2026-03-01T09:29:00.000Z");
}

TEST_F(HoldInTransaction, locks_that_cannot_be_had_are_said_to_be_unknown) {
    lock_report r;
    r.unknown_because = "target shop has no `catalog:` login";
    servers_say(r);

    const auto t = transaction();

    EXPECT_TRUE(t.at("locks").is_null());
    EXPECT_EQ(t.at("locks_unknown_because"), r.unknown_because);
    EXPECT_EQ(t.at("since"), "2026-03-01T09:27:00.000Z");
}

TEST_F(HoldInTransaction, nobody_is_asked_where_there_is_none) {
    servers_say({});

    EXPECT_EQ(transaction("/api/v1/holds/7?transaction=no"), "absent");
    w.sessions.live[0].transaction_since = {};
    EXPECT_TRUE(transaction().is_null());
    w.sessions.live.clear();
    EXPECT_TRUE(transaction().is_null());
    w.holds[0].in_transaction = false;
    EXPECT_TRUE(transaction().is_null());

    EXPECT_EQ(asked, "");
    const auto answer = w.send_as("bob", "GET", "/api/v1/holds/7?transaction=maybe");
    EXPECT_EQ(answer.status, 400U);
    EXPECT_THAT(answer.body, HasSubstr("yes or no"));
}

}  // namespace
}  // namespace sallyport::proxy::admin::testing
