#include <gtest/gtest.h>

#include "tests/unit/house/sources.h"

namespace sallyport::tests::house {
namespace {

TEST(include_graph, no_arrow_runs_back) {
    const auto files = read_sources({"protocol", "policy", "proxy"}, {".h", ".cpp"});
    ASSERT_FALSE(files.empty()) << "nothing was read: is " SALLYPORT_SOURCE_DIR " the project?";

    for (const auto& file : files) {
        for (const auto& fault : include_faults(file))
            ADD_FAILURE() << fault;
    }
}

struct include_case {
    const char* path;
    const char* line;
    bool allowed;
};

class include_rule : public testing::TestWithParam<include_case> {};

TEST_P(include_rule, judges_as_the_table_says) {
    const auto& c = GetParam();

    const auto faults = include_faults(source_of(c.path, std::string(c.line) + "\n"));

    EXPECT_EQ(faults.empty(), c.allowed) << c.path << " with " << c.line;
}

INSTANTIATE_TEST_SUITE_P(
    table, include_rule,
    testing::Values(
        include_case{"protocol/frame.cpp", "#include \"protocol/frame.h\"", true},
        include_case{"protocol/frame.cpp", "#include \"policy/types.h\"", false},
        include_case{"protocol/frame.cpp", "#include \"frame.h\"", false},
        include_case{"protocol/frame.cpp", "#include <boost/system/result.hpp>", true},
        include_case{"protocol/frame.cpp", "#include <boost/asio/buffer.hpp>", false},
        include_case{"protocol/frame.cpp", "#include <sys/socket.h>", false},
        include_case{"policy/decide.cpp", "#include \"protocol/sqlstate.h\"", true},
        include_case{"policy/decide.cpp", "#include \"protocol/frame.h\"", false},
        include_case{"policy/decide.cpp", "#include <pg_query.h>", false},
        include_case{"policy/sql/analyse.cpp", "#include <pg_query.h>", true},
        include_case{"policy/sql/analyse.cpp", "#include <yaml-cpp/yaml.h>", false},
        include_case{"policy/yaml_reader.cpp", "#include <yaml-cpp/yaml.h>", true},
        include_case{"proxy/session/runner.cpp", "#include \"proxy/approval/steward.h\"", true},
        include_case{"proxy/session/runner.cpp", "#include \"proxy/store/store.h\"", false},
        include_case{"proxy/session/runner.cpp", "#include \"proxy/admin/server.h\"", false},
        include_case{"proxy/session/runner.cpp", "#include \"proxy/clock.h\"", true},
        include_case{"proxy/session/runner.cpp", "#include \"proxy/app.h\"", false},
        include_case{"proxy/session/gate.h", "#include <boost/asio/post.hpp>", false},
        include_case{"proxy/session/gate.h", "#include \"proxy/net/stream.h\"", false},
        include_case{"proxy/audit/chain.cpp", "#include <spdlog/spdlog.h>", false},
        include_case{"proxy/audit/log.cpp", "#include \"proxy/session/session.h\"", false},
        include_case{"proxy/admin/http.cpp", "#include \"protocol/frame.h\"", false},
        include_case{"proxy/admin/http.cpp", "#include <sqlite3.h>", false},
        include_case{"proxy/cli/cli.cpp", "#include \"policy/types.h\"", false},
        include_case{"proxy/main.cpp", "#include \"proxy/cli/cli.h\"", true},
        include_case{"policy/decide.cpp", "  #  include \"proxy/clock.h\"", false}));

}  // namespace
}  // namespace sallyport::tests::house
