#include "protocol/trace.h"

#include <random>

#include <gtest/gtest.h>

#include "protocol/backend.h"
#include "protocol/frontend.h"
#include "protocol/startup.h"
#include "tests/unit/protocol/bytes.h"

namespace sallyport::protocol {
namespace {

using namespace testing;
namespace f = frontend;
namespace b = backend;

TEST(trace, each_frontend_message_has_its_line) {
    const std::pair<std::string, std::string_view> table[] = {
        {encoded(f::query{"select 1"}), R"(Query "select 1")"},
        {encoded(f::parse{"s1", "select $1", {23}}), R"(Parse statement="s1" "select $1" types=1)"},
        {encoded(f::bind{"", "s1", {}, {"a"sv, std::nullopt}, {}}),
         R"(Bind portal="" statement="s1" params=2)"},
        {encoded(f::execute{"", 0}), R"(Execute portal="" rows=0)"},
        {encoded(f::describe{f::named_kind::statement, "s1"}), R"(Describe statement="s1")"},
        {encoded(f::close{f::named_kind::portal, ""}), R"(Close portal="")"},
        {encoded(f::function_call{957, {}, {"x"sv}, 0}), "FunctionCall oid=957 args=1"},
        {encoded(f::copy_data{"abc"}), "CopyData bytes=3"},
        {encoded(f::copy_done{}), "CopyDone"},
        {encoded(f::copy_fail{"no"}), R"(CopyFail "no")"},
        {encoded(f::flush{}), "Flush"},
        {encoded(f::sync{}), "Sync"},
        {encoded(f::terminate{}), "Terminate"},
    };
    for (const auto& [frame, line] : table)
        EXPECT_EQ(trace_frontend(frame), line);
}

TEST(trace, each_backend_message_has_its_line) {
    const std::pair<std::string, std::string_view> table[] = {
        {encoded(b::authentication{b::authentication_ok{}}), "AuthenticationOk"},
        {encoded(b::authentication{b::authentication_sasl{{"SCRAM-SHA-256"}}}),
         R"(AuthenticationSASL "SCRAM-SHA-256")"},
        {encoded(b::parameter_status{"TimeZone", "UTC"}), R"(ParameterStatus "TimeZone" "UTC")"},
        {encoded(b::ready_for_query{}), "ReadyForQuery I"},
        {encoded(b::negotiate_protocol_version{0x0003'0000, {"_pq_.x"}}),
         R"(NegotiateProtocolVersion newest=3.0 "_pq_.x")"},
        {encoded(b::notification_response{7, "c", "p"}),
         R"(NotificationResponse pid=7 channel="c" payload="p")"},
        {encoded(b::error_response{{{'S', "ERROR"}, {'C', "42501"}, {'M', "no"}, {'H', "ask"}}}),
         R"(ErrorResponse ERROR 42501 "no" hint="ask")"},
        {encoded(b::notice_response{{{'S', "NOTICE"}, {'C', "00000"}, {'M', "m"}, {'D', "d"}}}),
         R"(NoticeResponse NOTICE 00000 "m" detail="d")"},
        {encoded(b::error_response{}), R"(ErrorResponse "" "" "")"},
        {encoded(b::row_description{{{"id", 0, 0, 25, -1, -1, 0}}}), R"(RowDescription "id")"},
        {encoded(b::data_row{{"1"sv, std::nullopt}}), R"(DataRow "1" NULL)"},
        {encoded(b::command_complete{"SELECT 1"}), R"(CommandComplete "SELECT 1")"},
        {encoded(b::parameter_description{{23, 25}}), "ParameterDescription 23 25"},
        {encoded(b::function_call_response{std::nullopt}), "FunctionCallResponse NULL"},
        {encoded(b::copy_in_response{0, {0}}), "CopyInResponse text columns=1"},
        {encoded(b::copy_out_response{1, {}}), "CopyOutResponse binary columns=0"},
        {encoded(b::copy_both_response{0, {}}), "CopyBothResponse text columns=0"},
        {encoded(b::copy_data{"abc"}), "CopyData bytes=3"},
        {encoded(b::copy_done{}), "CopyDone"},
        {encoded(b::empty_query_response{}), "EmptyQueryResponse"},
        {encoded(b::parse_complete{}), "ParseComplete"},
        {encoded(b::bind_complete{}), "BindComplete"},
        {encoded(b::close_complete{}), "CloseComplete"},
        {encoded(b::no_data{}), "NoData"},
        {encoded(b::portal_suspended{}), "PortalSuspended"},
    };
    for (const auto& [frame, line] : table)
        EXPECT_EQ(trace_backend(frame), line);
}

TEST(trace, secrets_appear_by_their_size_only) {
    EXPECT_EQ(trace_frontend(encoded(f::password{"hunter2"})), "Password bytes=8");
    EXPECT_EQ(trace_backend(encoded(b::backend_key_data{7, "keys"})),
              "BackendKeyData pid=7 key_bytes=4");
    EXPECT_EQ(trace_backend(encoded(b::authentication{b::authentication_sasl_final{"v=x"}})),
              "AuthenticationSASLFinal bytes=3");
    std::string cancel;
    encode_cancel_request(cancel, {7, "keys"});
    EXPECT_EQ(trace_startup(cancel), "CancelRequest pid=7 key_bytes=4");
}

TEST(trace, startup_packets_have_their_line) {
    std::string out;
    encode_startup_message(out, "alice", "shop", {{"application_name", "psql"}});
    EXPECT_EQ(trace_startup(out),
              R"(StartupMessage 3.0 user="alice" database="shop" "application_name"="psql")");
    out.clear();
    encode_ssl_request(out);
    EXPECT_EQ(trace_startup(out), "SSLRequest");
    EXPECT_EQ(trace_startup(""), "Malformed startup packet: the message is not complete bytes=0");
}

TEST(trace, one_line_whatever_the_text_holds) {
    EXPECT_EQ(trace_frontend(encoded(f::query{"a\n\"b\\\x1b\xc3\xa4\x7f"})),
              R"(Query "a\n\"b\\\x1b\xc3\xa4\x7f")");
    // A severity that is not a word cannot pass for the rest of a line.
    EXPECT_EQ(trace_backend(encoded(b::error_response{{{'S', "ERROR 00000 \"ok\""}}})),
              R"(ErrorResponse "ERROR 00000 \"ok\"" "" "")");
}

TEST(trace, malformed_frames_are_named) {
    EXPECT_EQ(trace_frontend(""), R"(Malformed "": the message is not complete bytes=0)");
    EXPECT_EQ(trace_frontend("Q"), R"(Malformed "Q": the message is not complete bytes=1)");
    EXPECT_EQ(trace_frontend("Q\0\0\0\4"sv), R"(Malformed "Q": text without a terminator bytes=5)");
    EXPECT_EQ(trace_frontend("S\0\0\0\4S"sv),
              R"(Malformed "S": message has bytes after its last field bytes=6)");
    EXPECT_EQ(trace_frontend("Q\0\0\0\3"sv), R"(Malformed "Q": invalid message length bytes=5)");
    EXPECT_EQ(trace_backend("?\0\0\0\4"sv), R"(Malformed "?": unknown message type bytes=5)");
    EXPECT_EQ(trace_backend("\0\0\0\0\4"sv), R"(Malformed "\x00": unknown message type bytes=5)");
}

TEST(trace, any_bytes_give_one_printable_line) {
    std::mt19937 random(7);  // any fixed seed: a failure must come back
    const std::string_view tags = "QPBEDCSHFdcfXpRKSZENCTI123GWnstVAv";
    for (int round = 0; round < 20'000; ++round) {
        std::string body(random() % 40, '\0');
        for (auto& c : body)
            c = static_cast<char>(random() % 3 == 0 ? random() % 3 : random());
        const auto whole = framed(tags[random() % tags.size()], body);
        for (const auto& line :
             {trace_frontend(whole), trace_backend(whole), trace_startup(body)}) {
            ASSERT_FALSE(line.empty());
            for (const char c : line)
                ASSERT_TRUE(c >= 0x20 && c < 0x7f) << line;
        }
    }
}

TEST(errors, every_cause_has_words_of_its_own) {
    for (const auto e : {errc::ok,
                         errc::need_more,
                         errc::bad_length,
                         errc::frame_too_large,
                         errc::unknown_tag,
                         errc::truncated,
                         errc::trailing_bytes,
                         errc::missing_terminator,
                         errc::bad_kind,
                         errc::bad_format_code,
                         errc::bad_count,
                         errc::name_too_long,
                         errc::bad_value,
                         errc::bad_startup_layout,
                         errc::duplicate_parameter,
                         errc::missing_user,
                         errc::control_character,
                         errc::bad_cancel_key,
                         errc::sasl_syntax,
                         errc::sasl_extension,
                         errc::sasl_authorization_id,
                         errc::sasl_nonce,
                         errc::sasl_iterations,
                         errc::sasl_base64,
                         errc::sasl_channel_binding,
                         errc::sasl_text_too_long}) {
        const boost::system::error_code code = e;
        EXPECT_EQ(code.message(), describe(e));
        EXPECT_NE(describe(e), "unknown protocol error") << static_cast<int>(e);
        EXPECT_EQ(code.failed(), e != errc::ok);
    }
    EXPECT_EQ(describe(static_cast<errc>(9999)), "unknown protocol error");
}

}  // namespace
}  // namespace sallyport::protocol
