#include <gtest/gtest.h>

#include "tests/e2e/fixture.h"

/// Protocol 3.2, its longer cancel keys, and how versions and extensions are negotiated.
namespace sallyport::tests {
namespace {

constexpr std::uint32_t version_3_0 = 3U << 16;
constexpr std::uint32_t version_3_1 = version_3_0 | 1U;
constexpr std::uint32_t version_3_2 = version_3_0 | 2U;
constexpr std::uint32_t version_grease = version_3_0 | 9999U;

class modern_protocol : public e2e {
  protected:
    [[nodiscard]] login_options speaking(std::uint32_t version, const parameters& more = {}) const {
        auto o = login_as("alice");
        o.version = version;
        o.more = more;
        return o;
    }
    [[nodiscard]] wire_client logged_in(const login_options& o) const {
        wire_client c(proxy->port());
        c.login(o);
        return c;
    }
};

/// Body of a NegotiateProtocolVersion.
std::string negotiation(std::uint32_t newest, const std::vector<std::string>& options) {
    auto body = wire::int32(newest) + wire::int32(static_cast<std::uint32_t>(options.size()));
    for (const auto& o : options)
        body += o + '\0';
    return body;
}

TEST_F(modern_protocol, a_3_0_client_has_a_key_of_4_bytes_and_no_negotiation) {
    start();

    const auto c = logged_in(speaking(version_3_0));

    EXPECT_EQ(c.backend_key().size(), 4U);
    EXPECT_EQ(c.negotiated(), std::nullopt);
}

TEST_F(modern_protocol, a_3_2_client_is_not_negotiated_with_and_has_a_long_key) {
    start();

    auto c = logged_in(speaking(version_3_2));

    EXPECT_EQ(c.negotiated(), std::nullopt);
    EXPECT_EQ(c.backend_key().size(), 32U);
    EXPECT_EQ(c.ask("SELECT pg_backend_pid()").rows.at(0).at(0), std::to_string(c.backend_pid()));
}

TEST_F(modern_protocol, version_3_1_was_never_released_and_becomes_3_0) {
    start();

    const auto c = logged_in(speaking(version_3_1));

    EXPECT_EQ(c.negotiated(), negotiation(version_3_0, {}));
    EXPECT_EQ(c.backend_key().size(), 4U);
}

TEST_F(modern_protocol, a_version_of_the_future_becomes_3_2) {
    start();

    auto c = logged_in(speaking(version_grease, {{"_pq_.test_protocol_negotiation", ""}}));

    EXPECT_EQ(c.negotiated(), negotiation(version_3_2, {"_pq_.test_protocol_negotiation"}));
    EXPECT_EQ(c.backend_key().size(), 32U);
    EXPECT_EQ(c.ask("SELECT 1").types(), "TDCZ");
}

TEST_F(modern_protocol, an_extension_is_named_back_to_a_3_0_client_once) {
    start();

    const auto c = logged_in(speaking(version_3_0, {{"_pq_.x", "1"}, {"_pq_.y", "2"}}));

    EXPECT_EQ(c.negotiated(), negotiation(version_3_0, {"_pq_.x", "_pq_.y"}));
}

TEST_F(modern_protocol, a_long_key_cancels_and_a_part_of_it_does_not) {
    start();
    auto c = logged_in(speaking(version_3_2));
    c.send(wire::query("SELECT pg_sleep(60)"));
    ASSERT_TRUE(eventually([&] {
        return direct(
                   "SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%pg_sleep(60)%' "
                   "AND state = 'active' AND pid <> pg_backend_pid()") == "1";
    }));

    send_cancel(proxy->port(), c.backend_pid(), c.backend_key().substr(0, 4));
    send_cancel(proxy->port(), c.backend_pid(), c.backend_key() + "x");
    EXPECT_EQ(direct("SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%pg_sleep(60)%' "
                     "AND state = 'active' AND pid <> pg_backend_pid()"),
              "1");
    send_cancel(proxy->port(), c.backend_pid(), c.backend_key());

    EXPECT_EQ(c.read_exchange().sqlstate(), "57014");
}

}  // namespace
}  // namespace sallyport::tests
