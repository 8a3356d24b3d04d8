#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/e2e/api_fixture.h"

/// A hold inside of a transaction: its age and its locks, for whoever decides.
namespace sallyport::tests {
namespace {

using ::testing::HasSubstr;

class held_transaction : public described_api {
  protected:
    void with_catalog() {
        options.targets["shop"].more =
            "    catalog: { user: sallyport_catalog, password_file: secrets/sallyport_catalog }\n";
    }
    /// A hold of alice's with an order changed before it.
    std::string hold_in_transaction(wire_client& c) {
        EXPECT_EQ(c.ask("BEGIN").sqlstate(), "");
        EXPECT_EQ(c.ask("UPDATE orders SET item = item").sqlstate(), "");
        c.send(wire::query(held_sql));
        return std::to_string(pending_hold_of("alice"));
    }
};

TEST_F(held_transaction, its_age_and_locks_are_told_and_gone_when_it_ends) {
    with_catalog();
    start_described();
    auto c = client_as("alice");
    const auto id = hold_in_transaction(c);

    const auto hold =
        nlohmann::json::parse(asked("bob", "GET /api/v1/holds/{id}", "/api/v1/holds/" + id).body);
    const auto& t = hold.at("transaction");

    EXPECT_THAT(t.at("since").dump(), HasSubstr("20"));
    EXPECT_THAT(t.at("locks").dump(),
                HasSubstr(R"("mode":"RowExclusiveLock","on":"public.orders")"));
    EXPECT_EQ(t.at("blocks"), 0);
    const auto shown = cli("bob", {"hold", id});
    EXPECT_THAT(shown, HasSubstr("open since"));
    EXPECT_THAT(shown, HasSubstr("RowExclusiveLock on relation public.orders"));
    const auto sessions =
        nlohmann::json::parse(asked("otto", "GET /api/v1/sessions", "/api/v1/sessions").body);
    EXPECT_TRUE(sessions.at("sessions").at(0).at("transaction_since").is_string());

    approve(std::stoull(id));
    EXPECT_EQ(c.read_exchange().rows.at(0).at(0), held_value);
    EXPECT_TRUE(get("bob", "/api/v1/holds/" + id).at("transaction").is_null());
    EXPECT_EQ(c.ask("ROLLBACK").sqlstate(), "");
    EXPECT_TRUE(
        get("otto", "/api/v1/sessions").at("sessions").at(0).at("transaction_since").is_null());
}

TEST_F(held_transaction, without_a_catalog_login_the_age_alone_is_told) {
    start_described();
    auto c = client_as("alice");
    const auto id = hold_in_transaction(c);

    const auto hold =
        nlohmann::json::parse(asked("bob", "GET /api/v1/holds/{id}", "/api/v1/holds/" + id).body);

    EXPECT_TRUE(hold.at("transaction").at("since").is_string());
    EXPECT_TRUE(hold.at("transaction").at("locks").is_null());
    EXPECT_THAT(cli("bob", {"hold", id}), HasSubstr("no `catalog:` login"));
}

TEST_F(held_transaction, statement_outside_of_one_has_none) {
    start_described();
    auto c = client_as("alice");
    c.send(wire::query(held_sql));
    const auto id = std::to_string(pending_hold_of("alice"));

    const auto hold =
        nlohmann::json::parse(asked("bob", "GET /api/v1/holds/{id}", "/api/v1/holds/" + id).body);

    EXPECT_TRUE(hold.at("transaction").is_null());
}

}  // namespace
}  // namespace sallyport::tests
