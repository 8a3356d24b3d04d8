#include <gtest/gtest.h>

#include "tests/e2e/fixture.h"

/// The FunctionCall message: large objects where a rule allows them, and nothing else.
namespace sallyport::tests {
namespace {

constexpr std::uint32_t lo_creat = 957;
constexpr std::uint32_t lo_import = 764;
constexpr std::uint32_t pg_read_file = 3826;
constexpr std::uint32_t query_to_xml = 2925;

constexpr const char* allowing = R"yaml(version: 1
default: allow
opaque: { effect: hold, hold: { approvers: { groups: [security] }, wait: 30s, clients: refuse } }
rules:
  - { id: large-objects, tier: 10, do: [fastpath], effect: allow }
)yaml";

std::string call(std::uint32_t function, const std::vector<std::string>& arguments) {
    auto body =
        wire::int32(function) + wire::int16(0) + wire::int16(static_cast<int>(arguments.size()));
    for (const auto& a : arguments)
        body += wire::int32(static_cast<std::uint32_t>(a.size())) + a;
    return wire::frame('F', body + wire::int16(0));
}

class function_call : public e2e {
  protected:
    [[nodiscard]] exchange asked(wire_client& c, const std::string& message) const {
        c.send(message);
        return c.read_exchange();
    }
};

TEST_F(function_call, large_objects_work_where_a_rule_allows_them_and_are_on_record) {
    options.policy = allowing;
    start();
    auto c = client_as("alice");
    ASSERT_EQ(c.ask("BEGIN").types(), "CZ");

    const auto made = asked(c, call(lo_creat, {"-1"}));

    EXPECT_EQ(made.types(), "VZ");
    EXPECT_EQ(c.ask("COMMIT").types(), "CZ");
    EXPECT_EQ(direct("SELECT count(*) FROM pg_largeobject_metadata"), "1");
    EXPECT_TRUE(eventually([&] { return !audit_records("decision.allowed").empty(); }));
}

TEST_F(function_call, files_of_the_server_are_out_of_reach_whatever_the_rules_say) {
    options.policy =
        "version: 1\ndefault: allow\nopaque: allow\n"
        "rules: [{ id: all, tier: 1, do: [any], effect: allow }]\n";
    start();
    auto c = client_as("alice");

    EXPECT_EQ(asked(c, call(pg_read_file, {"PG_VERSION"})).sqlstate(), "42501");
    EXPECT_EQ(asked(c, call(lo_import, {"/etc/hostname"})).sqlstate(), "42501");
    EXPECT_EQ(c.ask("SELECT 1").types(), "TDCZ");
}

TEST_F(function_call, any_other_function_is_opaque) {
    options.policy = allowing;
    start();
    auto c = client_as("alice");

    const auto x = asked(c, call(query_to_xml, {"select ssn from customers", "t", "t", ""}));

    EXPECT_EQ(x.sqlstate(), "SP001");
    EXPECT_EQ(x.status, 'I');
}

TEST_F(function_call, a_malformed_one_fails_and_the_session_goes_on) {
    options.policy = allowing;
    start();
    auto c = client_as("alice");

    EXPECT_EQ(asked(c, wire::frame('F', wire::int32(lo_creat) + wire::int16(9))).sqlstate(),
              "08P01");
    EXPECT_EQ(c.ask("SELECT 1").types(), "TDCZ");
}

}  // namespace
}  // namespace sallyport::tests
