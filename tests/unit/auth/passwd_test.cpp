#include "proxy/passwd.h"

#include <sstream>

#include <gtest/gtest.h>

#include "proxy/auth/users.h"

namespace sallyport::proxy {
namespace {

struct outcome {
    int code = 0;
    std::string out;
    std::string err;
};

outcome run(const passwd_options& o, const std::string& typed) {
    std::istringstream in(typed);
    std::ostringstream out;
    std::ostringstream err;
    const int code = run_passwd(o, in, out, err);
    return {code, out.str(), err.str()};
}

TEST(passwd_test, printed_line_is_a_users_file_with_that_password) {
    const auto r = run({"alice", {"dev", "oncall"}, true, false}, "alice-demo\nignored\n");
    ASSERT_EQ(r.code, 0) << r.err;

    const auto loaded = auth::load_users_text("users:\n" + r.out, "users.yaml");

    ASSERT_TRUE(loaded.users) << to_string(loaded.faults.at(0));
    const auto* alice = loaded.users->find("alice");
    ASSERT_NE(alice, nullptr);
    EXPECT_EQ(alice->principal, (policy::principal{"alice", {"dev", "oncall"}, false}));
    EXPECT_TRUE(auth::verify_password(*alice->scram, "alice-demo"));
    EXPECT_EQ(r.out.find("alice-demo"), std::string::npos);
    EXPECT_EQ(r.err, "");
}

TEST(passwd_test, names_that_yaml_would_read_as_something_else_are_quoted) {
    for (const std::string name :
         {"true", "no", "7", "o'neil \"x\"", "back\\slash", "Zoë", "a: b", "#a"}) {
        const auto r = run({name, {name}, true, true}, "secret");
        ASSERT_EQ(r.code, 0) << r.err;
        const auto loaded = auth::load_users_text("users:\n" + r.out, "users.yaml");
        ASSERT_TRUE(loaded.users) << r.out << to_string(loaded.faults.at(0));
        const auto* u = loaded.users->find(name);
        ASSERT_NE(u, nullptr) << r.out;
        EXPECT_EQ(u->principal, (policy::principal{name, {name}, true}));
    }
}

TEST(passwd_test, passwords_that_cannot_be_are_refused) {
    for (const auto& typed :
         {std::string(), std::string("\n"), std::string(2000, 'x'), std::string("a\0b\n", 4)}) {
        const auto r = run({"alice", {}, true, false}, typed);
        EXPECT_EQ(r.code, 2);
        EXPECT_EQ(r.out, "");
        EXPECT_EQ(r.err.find("sallyport passwd: the password "), 0u) << r.err;
    }
}

TEST(passwd_test, names_that_cannot_be_are_refused_before_asking) {
    EXPECT_EQ(run({"a,b", {}, true, false}, "x").err,
              "sallyport passwd: the user's name has a comma\n");
    EXPECT_EQ(run({"alice", {"a,b"}, true, false}, "x").err,
              "sallyport passwd: the group's name has a comma\n");
    EXPECT_EQ(run({"", {}, true, false}, "x").code, 2);
}

}  // namespace
}  // namespace sallyport::proxy
