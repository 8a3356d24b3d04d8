#include <set>
#include <string>

#include <gtest/gtest.h>

#include "policy/sql/walker.h"

namespace sallyport::policy::sql {
namespace {

// Statement-like types of the parser that the analysis does not handle, each with its reason.
const std::set<std::string> not_from_the_grammar{
    "raw_stmt",            // the wrapper around every statement, taken off by analyse()
    "set_operation_stmt",  // made by the server's analyser
    "plassign_stmt",       // only in PL/pgSQL's parse mode
};

TEST(sql_statement_table, names_every_statement_type_of_the_parser) {
    for (unsigned i = 0; i < pg_query__node__descriptor.n_fields; ++i) {
        const auto& field = pg_query__node__descriptor.fields[i];
        const std::string name = field.name;
        if (!name.ends_with("_stmt")) continue;
        const auto c = static_cast<node_case>(field.id);
        if (not_from_the_grammar.contains(name)) {
            EXPECT_EQ(find_statement(c), nullptr) << name;
            EXPECT_FALSE(is_known_expression(c)) << name;
            continue;
        }
        EXPECT_TRUE(find_statement(c) != nullptr || is_known_expression(c))
            << name << " is neither handled nor listed with a reason";
    }
}

TEST(sql_statement_table, has_every_entry_once_and_complete) {
    for (unsigned i = 0; i < pg_query__node__descriptor.n_fields; ++i) {
        const auto c = static_cast<node_case>(pg_query__node__descriptor.fields[i].id);
        const auto* e = find_statement(c);
        if (e == nullptr) continue;
        EXPECT_EQ(e->node, c);
        EXPECT_FALSE(e->command.empty());
        EXPECT_NE(e->visit, nullptr);
        EXPECT_FALSE(is_known_expression(c)) << e->command;
    }
}

TEST(sql_statement_table, leaves_types_of_the_analysed_tree_unknown) {
    for (const auto c : {PG_QUERY__NODE__NODE_VAR, PG_QUERY__NODE__NODE_QUERY,
                         PG_QUERY__NODE__NODE_RANGE_TBL_ENTRY, PG_QUERY__NODE__NODE_FUNC_EXPR}) {
        EXPECT_EQ(find_statement(c), nullptr);
        EXPECT_FALSE(is_known_expression(c));
    }
}

}  // namespace
}  // namespace sallyport::policy::sql
