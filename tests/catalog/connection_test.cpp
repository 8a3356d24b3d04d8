#include "proxy/catalog/connection.h"

#include <atomic>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/catalog/world.h"
#include "tests/support/hostile_server.h"
#include "tests/support/server_phases.h"
#include "tests/support/wire_client.h"

/// A connection whose every wait ends.
namespace sallyport::tests {
namespace {

using namespace std::chrono_literals;
using proxy::catalog::connection;
using proxy::catalog::failure;
using proxy::catalog::row;
using ::testing::HasSubstr;

class catalog_connection : public catalog_world {
  protected:
    /// What a query of two columns ends with, at a server that answers it like this.
    std::string outcome(const hostile_server::script& answer) {
        hostile_server server_([&](hostile_connection& c) {
            (void)c.read_startup();
            c.accept_login();
            (void)c.read_message();
            answer(c);
        });
        struct at_end {
            std::atomic<bool>& flag;
            ~at_end() { flag = true; }
        } const ends{over};
        auto where = address();
        where.port = server_.port();
        connection c(where, stop);
        try {
            c.query("SELECT 1, 2", 2, 500ms, [&](const row&) {
                if (++rows == 1000) throw failure("enough");
            });
        } catch (const failure& e) {
            EXPECT_EQ(c.usable(), !e.sqlstate().empty());
            return e.what();
        }
        EXPECT_TRUE(c.usable());
        return "fine";
    }
    const proxy::catalog::stop_signal stop;
    std::atomic<bool> over{false};
    int rows = 0;
};

TEST_F(catalog_connection, rows_without_an_end_are_given_up) {
    EXPECT_EQ(outcome([&](hostile_connection& c) {
                  const auto two = wire::frame(
                      'D', wire::int16(2) + wire::int32(1) + "1" + wire::int32(1) + "2");
                  const auto column = [](const char* name) {
                      return std::string(name) + '\0' + wire::int32(0) + wire::int16(0) +
                             wire::int32(25) + wire::int16(-1) + wire::int32(0xffffffffU) +
                             wire::int16(0);
                  };
                  c.send(wire::frame('T', wire::int16(2) + column("a") + column("b")));
                  while (!over)
                      c.send(two);
              }),
              "enough");
    EXPECT_EQ(rows, 1000);
}

TEST_F(catalog_connection, notices_without_an_end_are_given_up) {
    EXPECT_EQ(outcome([&](hostile_connection& c) {
                  using namespace std::string_literals;
                  while (!over)
                      c.send(wire::frame('N', "SNOTICE\0C00000\0Mhello\0\0"s));
              }),
              "the server did not answer in time");
}

TEST_F(catalog_connection, silence_is_given_up) {
    EXPECT_EQ(outcome([](hostile_connection& c) { c.drain(); }),
              "the server did not answer in time");
}

TEST_F(catalog_connection, answers_of_another_shape_or_kind_are_refused) {
    EXPECT_EQ(outcome([](hostile_connection& c) {
                  c.send(server_wire::row_description() + server_wire::row("1"));
                  c.drain();
              }),
              "an answer of another shape");
    for (const char type : {'G', 'H', 'W'})
        EXPECT_EQ(outcome([&](hostile_connection& c) {
                      c.send(wire::frame(type, std::string(1, '\0') + wire::int16(0)));
                      c.drain();
                  }),
                  "an answer of another kind")
            << type;
}

TEST_F(catalog_connection, server_that_goes_away_is_an_error) {
    EXPECT_NE(outcome([](hostile_connection& c) {
                  c.send(server_wire::row_description());
                  c.close();
              }),
              "fine");
}

TEST_F(catalog_connection, words_of_a_server_stay_on_one_line) {
    using namespace std::string_literals;
    EXPECT_EQ(outcome([](hostile_connection& c) {
                  c.send(wire::frame('E', "SERROR\0C42501\0Mno\n\t\x1b[31mred\0\0"s) +
                         server_wire::ready());
                  c.drain();
              }),
              "no \\x1b[31mred");
}

TEST_F(catalog_connection, refused_statement_leaves_the_connection_usable) {
    connection c(address(), stop);
    EXPECT_THAT([&] { c.execute("SELECT 1/0", 5s); },
                testing::ThrowsMessage<failure>("division by zero"));
    EXPECT_TRUE(c.usable());
    std::string got;
    c.query("SELECT 'x', NULL", 2, 5s, [&](const row& r) {
        got = r.text(0);
        EXPECT_TRUE(r.null(1));
        EXPECT_EQ(r.number(0), 0U);
    });
    EXPECT_EQ(got, "x");
}

TEST_F(catalog_connection, password_in_clear_goes_to_nobody_unproven_beyond_this_machine) {
    auto where = address();
    where.host = "192.0.2.1";
    where.tls.mode = proxy::net::client_tls_mode::prefer;
    where.connect_timeout = 1ms;
    // An older libpq cannot be told which methods to take; a newer one only fails to connect.
    EXPECT_THAT([&] { connection c(where, stop); },
                testing::ThrowsMessage<failure>(testing::AnyOf(
                    HasSubstr("in clear"), HasSubstr("in time"), HasSubstr("unreachable"))));
}

}  // namespace
}  // namespace sallyport::tests
