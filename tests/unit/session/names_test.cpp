#include "proxy/session/names.h"

#include <gtest/gtest.h>

namespace sallyport::tests {
namespace {

using proxy::session::name_table;
using change = name_table::change;

name_table::staged parse_of(const std::string& name, std::size_t text_bytes) {
    name_table::staged s;
    s.what = change::parse;
    s.name = name;
    s.sql.facts = std::make_shared<const policy::facts>();
    s.sql.text = std::make_shared<const std::string>(text_bytes, 'x');
    return s;
}

name_table::staged bind_of(const std::string& name) {
    name_table::staged s;
    s.what = change::bind;
    s.name = name;
    s.made = std::make_unique<proxy::session::portal>();
    return s;
}

name_table::staged sql_of(policy::name_use::action what, const std::string& name,
                          std::size_t text_bytes) {
    name_table::staged s;
    s.what = change::sql;
    s.text = std::make_shared<const std::string>(text_bytes, 'x');
    policy::name_use u;
    u.what = what;
    u.name = name;
    s.uses.push_back(u);
    return s;
}

TEST(name_table, statements_that_are_not_confirmed_count_and_those_taken_back_do_not) {
    name_table names(2);
    const auto first = names.stage(parse_of("a", 1));
    const auto mark = names.mark();
    static_cast<void>(names.stage(parse_of("b", 1)));
    EXPECT_TRUE(names.full());

    names.unstage(mark);
    EXPECT_FALSE(names.full());
    names.confirm(first);
    EXPECT_FALSE(names.full());
    names.confirm(names.stage(parse_of("c", 1)));
    EXPECT_TRUE(names.full());
}

TEST(name_table, texts_are_bounded_in_bytes_until_their_statements_go) {
    name_table names(100, 10);
    names.confirm(names.stage(parse_of("a", 6)));
    EXPECT_FALSE(names.full(4));
    EXPECT_TRUE(names.full(5));

    names.confirm(names.stage(parse_of("a", 3)));
    EXPECT_FALSE(names.full(7)) << "a name that is used again counts once";
    names.drop(names.stage(parse_of("b", 7)));
    EXPECT_FALSE(names.full(7)) << "what the server refused is not kept";

    names.confirm(names.stage(sql_of(policy::name_use::action::prepare, "c", 7)));
    EXPECT_TRUE(names.full(1)) << "PREPARE counts, too";
    names.confirm(names.stage(sql_of(policy::name_use::action::deallocate, "c", 0)));
    EXPECT_FALSE(names.full(7));
    names.confirm(names.stage(sql_of(policy::name_use::action::deallocate_all, "", 0)));
    EXPECT_FALSE(names.full(10));
}

TEST(name_table, portals_are_bounded_until_their_transaction_ends) {
    name_table names(2);
    names.confirm(names.stage(bind_of("a")));
    names.confirm(names.stage(bind_of("")));
    EXPECT_FALSE(names.portals_full());
    static_cast<void>(names.stage(bind_of("b")));
    EXPECT_TRUE(names.portals_full());

    names.drop(2 + 1);
    names.confirm(names.stage(bind_of("c")));
    EXPECT_TRUE(names.portals_full());
    names.transaction_ended();
    EXPECT_FALSE(names.portals_full());
}

}  // namespace
}  // namespace sallyport::tests
