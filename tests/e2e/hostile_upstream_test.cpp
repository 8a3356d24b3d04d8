#include <atomic>
#include <future>

#include <gtest/gtest.h>

#include "tests/e2e/direct.h"
#include "tests/support/certificates.h"
#include "tests/support/server_phases.h"

/// Servers that lie, talk out of turn, or die: one clear end for one session, and no other.
namespace sallyport::tests {
namespace {

class hostile_upstream : public e2e {
  protected:
    void to(server_phases phases, const std::string& tls = "") {
        hostile = std::make_unique<hostile_server>(play(std::move(phases)));
        options.targets["shop"] = {.port = hostile->port(), .dbname = "shop", .tls = tls};
        start();
    }
    /// A server whose answer to a Query is these bytes.
    void to_answer(const std::string& bytes) {
        to({.on_message = [bytes](hostile_connection& c, char type, const std::string&) {
            if (type != 'Q') return false;
            c.send(bytes);
            return true;
        }});
    }
    [[nodiscard]] static std::string types_of(const std::vector<message>& all) {
        std::string types;
        for (const auto& m : all)
            types += m.type;
        return types;
    }
    std::unique_ptr<hostile_server> hostile;
};

TEST_F(hostile_upstream, messages_that_cannot_be_end_the_session_and_no_other) {
    const std::string nul(1, '\0');
    const std::string attacks[] = {
        "Z" + wire::int32(3),                                         // too short for itself
        "Z" + wire::int32(0xffffffffU) + "I",                         // negative
        "D" + wire::int32(0x7fffffffU),                               // beyond any limit
        wire::frame('Z', "X"),                                        // no such status
        wire::frame('Z', "II"),                                       // too long
        wire::frame('Z', ""),                                         // too short
        std::string("\0\0\0\0\0\0", 6),                               // no type
        wire::frame('?', "what"),                                     // no such type
        wire::frame('Q', "SELECT 1" + nul),                           // a client's message
        wire::frame('1', ""),                                         // answers no Parse
        wire::frame('2', "") + server_wire::ready(),                  // answers no Bind
        wire::frame('s', "") + server_wire::ready(),                  // answers no Execute
        wire::frame('t', wire::int16(0)),                             // answers no Describe
        wire::frame('V', wire::int32(0)),                             // answers no FunctionCall
        wire::frame('K', wire::int32(1) + wire::int32(2)),            // a key in the middle
        wire::frame('R', wire::int32(3)),                             // asks for a password now
        server_wire::ready() + server_wire::ready(),                  // one too many
        server_wire::one_row("1") + server_wire::complete("SELECT"),  // an answer to nothing
    };
    std::atomic<std::size_t> next{0};
    to({.on_message = [&](hostile_connection& c, char type, const std::string& body) {
        if (type != 'Q' || body.find("attack") == std::string::npos) return false;
        c.send(attacks[next]);
        return true;
    }});
    const stopped_first stopped{hostile};
    auto witness = client_as("bob");

    for (; next < std::size(attacks); ++next) {
        SCOPED_TRACE(next);
        auto c = client_as("alice");
        c.send(wire::query("SELECT 'attack'"));

        const auto all = c.read_to_end();

        ASSERT_FALSE(all.empty());
        EXPECT_EQ(all.back().type, 'E') << types_of(all);
        const auto e = fields_of(all.back());
        EXPECT_EQ(e.at('S'), "FATAL");
        EXPECT_EQ(e.at('C'), "08P01");
        ASSERT_EQ(witness.ask("SELECT 1").types(), "TDCZ");
    }
}

TEST_F(hostile_upstream, errors_with_odd_fields_reach_the_client_and_the_session_lives) {
    const std::string nul(1, '\0');
    for (const auto& body :
         {nul, "C" + nul + nul, "M" + std::string(200'000, 'x') + nul + nul,
          "SFEHLER" + nul + "M\xff\xfe" + nul + nul, "zodd" + nul + "zodd" + nul + nul}) {
        to_answer(wire::frame('E', body) + server_wire::ready());
        auto c = client_as("alice");

        EXPECT_EQ(c.ask("SELECT 1").types(), "EZ");
        EXPECT_EQ(c.ask("SELECT 1").types(), "EZ");
        proxy.reset();
    }
}

TEST_F(hostile_upstream,
       notices_and_settings_between_all_other_messages_pass_and_count_for_nothing) {
    const std::string noise = server_wire::notice("noise") +
                              server_wire::parameter_status("application_name", "new") +
                              wire::frame('A', wire::int32(7) + std::string("bell\0ding\0", 10));
    to({.on_message = [noise](hostile_connection& c, char type, const std::string&) {
        c.send(noise);
        if (type == 'Q') {
            c.send(server_wire::row_description() + noise + server_wire::row("1") + noise +
                   server_wire::complete("SELECT 1") + noise + server_wire::ready() + noise);
            return true;
        }
        return false;
    }});
    auto c = client_as("alice");

    for (int i = 0; i < 3; ++i) {
        EXPECT_EQ(c.ask("SELECT 1").types(), "TDCZ");
        c.send(wire::once("SELECT 1") + wire::sync());
        EXPECT_EQ(c.read_exchange().types(), "12CZ");
    }
    EXPECT_EQ(c.server_parameters().at("application_name"), "new");
}

TEST_F(hostile_upstream, notices_before_authentication_never_reach_the_client) {
    to({.log_in = [](hostile_connection& c) {
        c.send(server_wire::notice("too early"));
        c.accept_login();
    }});
    wire_client c(proxy->port());

    c.authenticate(login_as("alice"));  // takes nothing but authentication messages

    static_cast<void>(c.read_until('Z'));
    EXPECT_EQ(c.ask("SELECT 1").types(), "TDCZ");
}

TEST_F(hostile_upstream, fatal_of_an_idle_server_comes_once_and_ends_the_session) {
    to({.on_message = [](hostile_connection& c, char type, const std::string&) {
        if (type != 'Q') return false;
        c.send(server_wire::one_row("1"));
        c.send(server_wire::error("57P05", "terminating connection due to idle-session timeout",
                                  "FATAL"));
        throw wire_closed("as PostgreSQL does");
    }});
    auto c = client_as("alice");
    ASSERT_EQ(c.ask("SELECT 1").types(), "TDCZ");

    const auto rest = c.read_to_end();

    EXPECT_EQ(types_of(rest), "E");
    EXPECT_EQ(fields_of(rest.at(0)).at('C'), "57P05");
}

TEST_F(hostile_upstream, server_that_closes_without_a_word_is_one_fatal_in_each_state) {
    for (const bool in_statement : {false, true}) {
        to({.on_message = [in_statement](hostile_connection& c, char type, const std::string&) {
            if (type != 'Q') return false;
            if (in_statement)
                c.send(server_wire::row_description() + server_wire::row("half"));
            else
                c.send(server_wire::one_row("1"));
            throw wire_closed("without a word");
        }});
        auto c = client_as("alice");
        c.send(wire::query("SELECT 1"));

        const auto all = c.read_to_end();

        EXPECT_EQ(types_of(all), in_statement ? "TDE" : "TDCZE");
        EXPECT_EQ(fields_of(all.back()).at('C'), "08006");
        proxy.reset();
    }
}

TEST_F(hostile_upstream, duplex_stream_outside_of_replication_does_no_harm) {
    std::atomic<bool> smuggled{false};
    to({.on_message = [&smuggled](hostile_connection& c, char type, const std::string&) {
        if (type == 'd') smuggled = true;
        if (type != 'Q') return false;
        c.send(wire::frame('W', std::string(3, '\0')));
        return true;
    }});
    const stopped_first stopped{hostile};
    auto c = client_as("alice");
    c.send(wire::query("SELECT 1"));

    const auto all = c.read_to_end();

    ASSERT_EQ(types_of(all), "E");
    EXPECT_EQ(fields_of(all.back()).at('C'), "08P01");
    EXPECT_FALSE(smuggled);
}

TEST_F(hostile_upstream, server_without_a_cancel_key_leaves_the_client_with_one_of_ours) {
    std::atomic<int> cancels{0};
    to({.log_in =
            [](hostile_connection& c) {
                c.send(wire::frame('R', wire::int32(0)) +
                       server_wire::parameter_status("standard_conforming_strings", "on") +
                       server_wire::ready());
            },
        .on_cancel = [&cancels](hostile_connection&, const std::string&) { ++cancels; }});
    const stopped_first stopped{hostile};
    auto c = client_as("alice");
    EXPECT_NE(c.backend_pid(), 0u);

    send_cancel(proxy->port(), c.backend_pid(), c.backend_secret());

    EXPECT_EQ(c.ask("SELECT 1").types(), "TDCZ");
    EXPECT_EQ(cancels, 0) << "there is nothing to send";
}

TEST_F(hostile_upstream, long_parameter_at_the_end_of_a_tls_record_does_not_stall) {
    temp_dir folder;
    const certificate_authority authority(folder.path());
    const auto pair = authority.issue({.file = "server"});
    const std::string value(3'000, 'v');
    // One record of 16 KiB whose last message lies across whatever buffer reads it.
    const auto record = [&value](const std::string& end) {
        const auto last = server_wire::parameter_status("application_name", value) + end;
        return server_wire::notice(std::string(16'384 - last.size() - 60, 'n')) + last;
    };
    to({.on_ssl_request =
            [pair](hostile_connection& c) {
                c.send("S");
                c.accept_tls(pair);
            },
        .log_in =
            [record](hostile_connection& c) {
                c.send(wire::frame('R', wire::int32(0)) +
                       wire::frame('K', wire::int32(7) + wire::int32(8)));
                c.send(record(server_wire::ready()));
            },
        .on_message =
            [record](hostile_connection& c, char type, const std::string&) {
                if (type == 'Q') c.send(record(server_wire::one_row("1")));
                return type == 'Q';
            }},
       "{ mode: require }");
    auto c = client_as("alice");

    EXPECT_EQ(c.server_parameters().at("application_name"), value);
    for (int i = 0; i < 5; ++i)
        EXPECT_EQ(c.ask("SELECT 1").types(), "TDCZ");
}

TEST_F(hostile_upstream, cancel_goes_to_the_session_s_server_by_the_same_tls) {
    temp_dir folder;
    const certificate_authority authority(folder.path());
    const auto pair = authority.issue({.file = "server"});
    std::atomic<int> handshakes{0};
    std::atomic<bool> right_key{false};
    std::atomic<bool> asked{false};
    std::promise<void> cancelled;
    const auto over = cancelled.get_future().share();
    to({.on_ssl_request =
            [pair, &handshakes](hostile_connection& c) {
                c.send("S");
                c.accept_tls(pair);
                ++handshakes;
            },
        .on_message =
            [over, &asked](hostile_connection& c, char type, const std::string&) {
                if (type != 'Q') return false;
                asked = true;
                over.wait();
                c.send(server_wire::error("57014", "canceling") + server_wire::ready());
                return true;
            },
        .on_cancel =
            [&](hostile_connection&, const std::string& packet) {
                right_key = packet == wire::cancel_request(4711, 0x01020304);
                cancelled.set_value();
            }},
       "{ mode: verify-full, ca: " + authority.certificate() + " }");
    const stopped_first stopped{hostile};
    auto c = client_as("alice");
    c.send(wire::query("SELECT 1"));
    ASSERT_TRUE(eventually([&] { return asked.load(); }));

    send_cancel(proxy->port(), c.backend_pid(), c.backend_secret());

    EXPECT_EQ(c.read_exchange().sqlstate(), "57014");
    EXPECT_EQ(handshakes, 2) << "the cancel went without TLS";
    EXPECT_TRUE(right_key);
}

TEST_F(hostile_upstream, login_that_never_ends_is_given_up_in_bounded_memory) {
    to({.log_in = [](hostile_connection& c) {
        c.send(wire::frame('R', wire::int32(0)));
        const auto setting = server_wire::parameter_status("x", std::string(60'000, 'y'));
        for (int i = 0; i < 2'000; ++i)
            c.send(setting);
        c.drain();
    }});
    wire_client c(proxy->port());

    EXPECT_THROW(c.login(login_as("alice")), login_refused);
    EXPECT_TRUE(proxy->process().alive());
}

TEST_F(hostile_upstream, bytes_of_a_refused_statement_never_reach_the_server) {
    auto seen = std::make_shared<std::string>();
    to({.on_message = [seen](hostile_connection& c, char type, const std::string& body) {
        *seen += body;
        if (type != 'Q' || body.rfind("sallyport refused", 0) != 0) return false;
        c.send(server_wire::error("42601", "syntax error") + server_wire::ready());
        return true;
    }});
    auto c = client_as("alice");

    EXPECT_EQ(c.ask("CREATE TABLE sneaky (secret_column int)").sqlstate(), "42501");

    EXPECT_EQ(seen->find("secret_column"), std::string::npos) << *seen;
}

TEST_F(hostile_upstream, allowed_messages_arrive_byte_for_byte) {
    std::string arrived;
    to({.on_message = [&arrived](hostile_connection&, char type, const std::string& body) {
        arrived += wire::frame(type, body);
        return false;
    }});
    const stopped_first stopped{hostile};
    const std::string sent =
        wire::query("SELECT 1 /* \xC3\xA9 */;;") +
        wire::parse("name with blanks", "SELECT $1, $2") +
        wire::bind("p", "name with blanks", {std::string("\0\xff bin", 6), std::nullopt}) +
        wire::describe('P', "p") + wire::execute("p", 7) + wire::close('P', "p") + wire::flush() +
        wire::sync();
    auto c = client_as("alice");

    c.send(sent);
    static_cast<void>(c.read_exchange());
    static_cast<void>(c.read_exchange());

    EXPECT_EQ(arrived, sent);
}

TEST_F(hostile_upstream, message_that_the_client_left_half_sent_is_never_completed) {
    std::atomic<bool> completed{false};
    std::atomic<bool> ended{false};
    to({.on_message = [&](hostile_connection& c, char type, const std::string&) {
        if (type != 'P') return false;
        answer(c, 'P');
        try {
            static_cast<void>(c.skip_message());  // the Bind of 10 MB
            completed = true;
        } catch (const wire_closed&) {
            ended = true;
            throw;
        }
        return true;
    }});
    const stopped_first stopped{hostile};
    {
        auto c = client_as("alice");
        c.send(wire::parse("", "SELECT $1"));
        c.send(wire::bind("", "", {std::string(10u << 20, 'x')}).substr(0, 5u << 20));
        c.reset();
    }

    EXPECT_TRUE(eventually([&] { return ended.load() || completed.load(); }));
    EXPECT_FALSE(completed);
}

// A server's message may arrive in pieces: what the proxy says by itself would be taken for its
// rest.
TEST_F(hostile_upstream, what_the_proxy_says_waits_for_the_end_of_the_message_under_way) {
    const auto bell = wire::frame('A', wire::int32(7) + std::string("bell\0", 5) +
                                           std::string(2'000, 'x') + std::string(1, '\0'));
    std::promise<void> held;
    auto on_hold = held.get_future();
    to({.on_message = [&](hostile_connection& c, char type, const std::string& body) {
        if (type != 'Q' || body.find("listening") == std::string::npos) return false;
        c.send(server_wire::one_row("1") + bell.substr(0, 700));
        on_hold.wait_for(patience);
        c.send(bell.substr(700));
        return true;
    }});
    const stopped_first stopped{hostile};
    auto c = client_as("alice");
    ASSERT_EQ(c.ask("SELECT 'listening'").types(), "TDCZ");

    c.send(wire::query(held_sql));
    const auto number = pending_hold_of("alice");
    ASSERT_NE(number, 0u);
    held.set_value();

    const auto rung = c.read();
    EXPECT_EQ(rung.type, 'A');
    EXPECT_EQ(bell.substr(5), rung.body);
    const auto notice = c.read();
    EXPECT_EQ(notice.type, 'N');
    EXPECT_NE(fields_of(notice).at('M').find("waits for approval"), std::string::npos);
}

TEST_F(hostile_upstream, row_that_is_cut_off_is_not_completed_by_the_farewell) {
    to({.on_message = [](hostile_connection& c, char type, const std::string&) {
        if (type != 'Q') return false;
        const auto row = server_wire::row(std::string(100, 'y'));
        c.send(server_wire::row_description() + row.substr(0, 50));
        c.close();
        return true;
    }});
    auto c = client_as("alice");
    c.send(wire::query("SELECT 1"));

    EXPECT_EQ(types_of(c.read_to_end()), "T");
}

}  // namespace
}  // namespace sallyport::tests
