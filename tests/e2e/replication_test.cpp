#include <filesystem>

#include <gtest/gtest.h>

#include "tests/e2e/fixture.h"

/// Replication connections: a kind of their own that only a rule can allow, and PostgreSQL's own
/// tools through them.
namespace sallyport::tests {
namespace {

constexpr const char* allowing = R"yaml(version: 1
default: allow
opaque: allow
rules:
  - { id: backups, tier: 10, who: { groups: [dba] }, do: [replication], effect: allow }
  - { id: second-pair-of-eyes, tier: 10, who: { groups: [dev] }, do: [replication], effect: hold,
      hold: { approvers: { groups: [security] }, wait: 30s } }
)yaml";

class replication : public e2e {
  protected:
    replication()
        : source_({.settings = {{"wal_level", "logical"}, {"max_wal_senders", "8"}}, .hba = {}}) {
        source_.query("postgres", "ALTER ROLE app REPLICATION");
        source_database_ = source_.create_shop();
        target_options t;
        t.port = source_.port();
        t.dbname = source_database_;
        options.targets["shop"] = t;
        options.policy = allowing;
    }

    [[nodiscard]] command_result tool(const std::string& name, const std::string& user,
                                      std::vector<std::string> arguments) const {
        arguments.insert(arguments.begin(), postgres_program(name));
        for (const auto& a : {std::string("-h"), std::string("127.0.0.1"), std::string("-p"),
                              std::to_string(proxy->port()), std::string("-U"), user})
            arguments.push_back(a);
        return run(
            {.argv = std::move(arguments),
             .env = {{"PGPASSWORD", user + "-password"}, {"PGOPTIONS", "-c sallyport.target=shop"}},
             .input = "",
             .user = "",
             .directory = folder_.path()});
    }
    [[nodiscard]] login_options replicating(const std::string& user, const std::string& mode,
                                            const std::string& target = "shop") const {
        auto o = login_as(user, target);
        o.more = {{"replication", mode}};
        return o;
    }
    [[nodiscard]] std::string refusal(const login_options& o) const {
        wire_client c(proxy->port());
        try {
            c.login(o);
        } catch (const login_refused& e) {
            return e.sqlstate();
        }
        return "";
    }

    postgres_server source_;
    std::string source_database_;
    temp_dir folder_;
};

TEST_F(replication, is_denied_where_no_rule_allows_it_in_every_spelling) {
    options.policy = "version: 1\ndefault: allow\nopaque: allow\n";
    start();

    for (const auto* const mode : {"true", "TRUE", "t", "yes", "y", "on", "1", "database"})
        EXPECT_EQ(refusal(replicating("dba", mode)), "42501") << mode;
    for (const auto* const mode : {"false", "off", "no", "0", "f", "of", "n"})
        EXPECT_EQ(refusal(replicating("dba", mode)), "") << mode;
    EXPECT_NE(refusal(replicating("dba", "perhaps")), "");
    EXPECT_EQ(source_.query("postgres", "SELECT count(*) FROM pg_stat_replication"), "0");
}

TEST_F(replication, identify_system_passes_where_a_rule_allows_and_is_on_record) {
    start();
    wire_client c(proxy->port());
    c.login(replicating("dba", "true"));

    const auto x = c.ask("IDENTIFY_SYSTEM");

    EXPECT_EQ(x.types(), "TDCZ");
    ASSERT_TRUE(eventually([&] {
        const auto records = audit_records("decision.allowed");
        return !records.empty() && records[0].value("statement", "") == "IDENTIFY_SYSTEM";
    }));
    EXPECT_EQ(audit_records("session.start").at(0).value("replication", ""), "physical");
}

TEST_F(replication, sql_on_a_logical_connection_is_inspected_like_any_other) {
    options.policy = std::string(allowing) +
                     "  - { id: no-ledger, tier: 5, on: [ledger], effect: deny }\n"
                     "resources: { ledger: { target: shop, relations: [ledger] } }\n";
    start();
    wire_client c(proxy->port());
    c.login(replicating("dba", "database"));

    EXPECT_EQ(c.ask("SELECT * FROM ledger").sqlstate(), "42501");
    EXPECT_EQ(c.ask("SELECT 1").types(), "TDCZ");
    EXPECT_EQ(c.ask("IDENTIFY_SYSTEM").types(), "TDCZ");
}

TEST_F(replication, is_held_before_the_server_is_asked) {
    start();
    wire_client c(proxy->port());
    c.authenticate(replicating("alice", "true"));
    const auto id = pending_hold_of("alice");
    ASSERT_NE(id, 0U);
    EXPECT_EQ(source_.query("postgres", "SELECT count(*) FROM pg_stat_replication"), "0");

    approve(id);

    c.read_until('Z');
    EXPECT_EQ(c.ask("IDENTIFY_SYSTEM").types(), "TDCZ");
}

TEST_F(replication, physical_connections_name_their_target_in_the_options) {
    target_options other;
    other.port = source_.port();
    other.dbname = source_database_;
    options.targets["hr"] = other;
    start();

    EXPECT_EQ(refusal(replicating("dba", "true", "replication")), "3D000");
    auto o = replicating("dba", "true", "replication");
    o.more.emplace_back("options", "-c sallyport.target=shop");
    EXPECT_EQ(refusal(o), "");
    auto plain = login_as("dba");
    plain.more = {{"options", "-c sallyport.target=hr"}};
    EXPECT_NE(refusal(plain), "");
}

TEST_F(replication, pg_basebackup_makes_a_backup_that_starts) {
    start();

    const auto r = tool("pg_basebackup", "dba",
                        {"-D", folder_.path() + "/backup", "-X", "stream", "-c", "fast"});

    ASSERT_EQ(r.exit_code, 0) << r.err;
    const auto verified =
        run({.argv = {postgres_program("pg_verifybackup"), folder_.path() + "/backup"}});
    EXPECT_EQ(verified.exit_code, 0) << verified.err;
}

TEST_F(replication, pg_receivewal_streams_up_to_a_position) {
    start();
    ASSERT_EQ(tool("pg_receivewal", "dba", {"--create-slot", "--slot", "archive"}).exit_code, 0);
    source_.query(source_database_, "CREATE TABLE w AS SELECT generate_series(1, 1000)");
    source_.query("postgres", "SELECT pg_switch_wal()");
    source_.query(source_database_, "CREATE TABLE x AS SELECT generate_series(1, 1000)");
    source_.query("postgres", "CHECKPOINT");
    const auto end = source_.query("postgres", "SELECT pg_current_wal_flush_lsn()");
    std::filesystem::create_directory(folder_.path() + "/wal");

    const auto r = tool("pg_receivewal", "dba",
                        {"-D", folder_.path() + "/wal", "--slot", "archive", "--endpos", end,
                         "--no-loop", "--no-sync"});

    EXPECT_EQ(r.exit_code, 0) << r.err;
    EXPECT_FALSE(std::filesystem::is_empty(folder_.path() + "/wal"));
}

TEST_F(replication, pg_recvlogical_decodes_changes) {
    start();
    const auto on = std::vector<std::string>{"-d", "shop", "--slot", "changes"};
    const auto with = [&](std::vector<std::string> more) {
        more.insert(more.end(), on.begin(), on.end());
        return more;
    };
    auto logical = [&](std::vector<std::string> more) {
        auto arguments = with(std::move(more));
        arguments.insert(arguments.begin(), postgres_program("pg_recvlogical"));
        for (const auto& a : {std::string("-h"), std::string("127.0.0.1"), std::string("-p"),
                              std::to_string(proxy->port()), std::string("-U"), std::string("dba")})
            arguments.push_back(a);
        return run({.argv = std::move(arguments),
                    .env = {{"PGPASSWORD", "dba-password"}},
                    .input = "",
                    .user = "",
                    .directory = folder_.path()});
    };
    const auto created = logical({"--create-slot", "-P", "test_decoding"});
    ASSERT_EQ(created.exit_code, 0) << created.err;
    source_.query(source_database_, "INSERT INTO ledger VALUES (77, 'seen')");
    source_.query("postgres", "CHECKPOINT");
    const auto end = source_.query("postgres", "SELECT pg_current_wal_flush_lsn()");

    const auto r = logical({"--start", "--endpos", end, "-f", "-", "--no-loop"});

    EXPECT_EQ(r.exit_code, 0) << r.err;
    EXPECT_NE(r.out.find("table public.ledger: INSERT: id[integer]:77"), std::string::npos)
        << r.out;
}

}  // namespace
}  // namespace sallyport::tests
