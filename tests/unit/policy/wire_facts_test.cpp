#include "policy/wire_facts.h"

#include <gtest/gtest.h>

namespace sallyport::policy {
namespace {

using k = kind;

std::vector<k> kinds_of(std::uint32_t oid) {
    return function_call_facts(oid)->statements.at(0).kinds;
}

TEST(function_call_facts, large_objects_of_the_client_are_known) {
    for (const std::uint32_t oid : {715U, 952U, 953U, 954U, 955U, 956U, 957U, 958U, 964U, 1004U})
        EXPECT_EQ(kinds_of(oid), std::vector{k::fastpath}) << oid;
}

TEST(function_call_facts, files_of_the_server_are_seen) {
    for (const std::uint32_t oid : {764U, 765U, 767U, 2624U, 3826U, 3828U})
        EXPECT_EQ(kinds_of(oid), (std::vector{k::fastpath, k::server_file, k::opaque})) << oid;
}

TEST(function_call_facts, any_other_function_is_opaque) {
    for (const std::uint32_t oid : {0U, 1U, 2078U, 16'384U, 0xffff'ffffU})
        EXPECT_EQ(kinds_of(oid), (std::vector{k::fastpath, k::opaque})) << oid;
}

TEST(replication_command, is_known_by_its_first_word) {
    for (const auto* const text :
         {"IDENTIFY_SYSTEM", "identify_system;", " \t\n\v\fBASE_BACKUP (LABEL 'x')",
          "START_REPLICATION SLOT \"a\" 0/0", "TIMELINE_HISTORY 1", "READ_REPLICATION_SLOT s",
          "Create_Replication_Slot s PHYSICAL", "drop_replication_slot s wait"})
        EXPECT_TRUE(is_replication_command(text)) << text;
    for (const auto* const text :
         {"", "  ", "SHOW work_mem", "select 1", "IDENTIFY_SYSTEM2", "/* */ IDENTIFY_SYSTEM",
          "\"IDENTIFY_SYSTEM\"", "BASE_BACKUP$", "select 'BASE_BACKUP'"})
        EXPECT_FALSE(is_replication_command(text)) << text;
}

struct restriction {
    const char* name;
    facts_ptr facts;
    bool by_rule;
    effect is;
};

TEST(wire_command, passes_by_a_rule_only_and_never_to_the_servers_files) {
    const rule r;
    const std::vector<restriction> rows{
        {"a call by default", function_call_facts(957), false, effect::deny},
        {"a call by rule", function_call_facts(957), true, effect::allow},
        {"lo_import by rule", function_call_facts(764), true, effect::deny},
        {"replication by default", replication_session_facts(), false, effect::deny},
        {"replication by rule", replication_session_facts(), true, effect::allow},
        {"a command by default", replication_command_facts("IDENTIFY_SYSTEM"), false, effect::deny},
    };
    for (const auto& row : rows) {
        decision d;
        d.effect = effect::allow;
        d.rule = row.by_rule ? &r : nullptr;

        restrict_wire_command(d, *row.facts);

        EXPECT_EQ(d.effect, row.is) << row.name;
        EXPECT_EQ(d.effect == effect::deny, d.rule_id == default_rule_id) << row.name;
    }
}

}  // namespace
}  // namespace sallyport::policy
