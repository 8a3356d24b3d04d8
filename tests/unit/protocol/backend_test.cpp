#include "protocol/backend.h"

#include <gtest/gtest.h>

#include "protocol/frame.h"
#include "tests/unit/protocol/bytes.h"

namespace sallyport::protocol::backend {
namespace {

using namespace protocol::testing;

template <class Message>
errc fault(std::string_view body) {
    const auto r = Message::decode(body);
    return r ? errc::ok : static_cast<errc>(r.error().value());
}

template <class Message>
void expect_round_trip(const Message& sent) {
    const auto whole = encoded(sent);
    const auto scan = try_read_header(whole, backend_limits);
    ASSERT_EQ(scan.error, errc::ok);
    EXPECT_EQ(scan.header.tag, Message::tag);
    ASSERT_EQ(scan.header.frame_bytes(), whole.size());
    const auto got = Message::decode(bytes(whole).substr(frame_header_bytes));
    ASSERT_TRUE(got.has_value()) << got.error().message();
    EXPECT_EQ(*got, sent);
}

/// A body cut anywhere or with a byte more is refused.
template <class Message>
void expect_exact(const Message& sent) {
    expect_round_trip(sent);
    const auto body = encoded(sent).substr(frame_header_bytes);
    for (std::size_t n = 0; n < body.size(); ++n)
        EXPECT_NE(fault<Message>(bytes(body).substr(0, n)), errc::ok) << Message::tag << n;
    EXPECT_NE(fault<Message>(body + "x"), errc::ok) << Message::tag;
    EXPECT_NE(fault<Message>(body + "\0"s), errc::ok) << Message::tag;
}

TEST(backend, messages_come_back_as_they_were_sent_and_no_cut_of_them_does) {
    expect_exact(authentication{authentication_ok{}});
    expect_exact(authentication{authentication_cleartext{}});
    expect_exact(authentication{authentication_md5{"salt"}});
    expect_exact(authentication{authentication_sasl{{"SCRAM-SHA-256-PLUS", "SCRAM-SHA-256"}}});
    expect_exact(parameter_status{"server_version", "15.4"});
    expect_exact(ready_for_query{transaction_status::open});
    expect_exact(negotiate_protocol_version{0x0003'0000, {"_pq_.x", "_pq_.y"}});
    expect_exact(notification_response{7, "channel", ""});
    expect_exact(error_response{{{'S', "ERROR"}, {'C', "42501"}, {'M', "no"}}});
    expect_exact(notice_response{{}});
    expect_exact(row_description{{{"id", 16'384, 1, 23, 4, -1, 0}, {"", 0, 0, 25, -1, -1, 1}}});
    expect_exact(data_row{{"1"sv, std::nullopt, ""sv}});
    expect_exact(command_complete{"SELECT 1"});
    expect_exact(parameter_description{{23, 25}});
    expect_exact(function_call_response{"a\0b"sv});
    expect_exact(function_call_response{std::nullopt});
    expect_exact(copy_in_response{0, {0, 0}});
    expect_exact(copy_out_response{1, {1}});
    expect_exact(copy_both_response{0, {}});
}

TEST(backend, bodies_that_go_on_to_the_end_come_back_whole) {
    expect_round_trip(authentication{authentication_sasl_continue{"r=x,s=y,i=4096"}});
    expect_round_trip(authentication{authentication_sasl_final{"v=x"}});
    expect_round_trip(copy_data{"row\n"});
}

TEST(backend, messages_that_are_only_a_tag_have_an_empty_body) {
    expect_exact(empty_query_response{});
    expect_exact(parse_complete{});
    expect_exact(bind_complete{});
    expect_exact(close_complete{});
    expect_exact(no_data{});
    expect_exact(portal_suspended{});
    expect_exact(copy_done{});
}

TEST(backend, an_unknown_authentication_method_is_named_and_cannot_be_sent) {
    const auto got = authentication::decode(be32(7) + "anything");
    ASSERT_TRUE(got.has_value());
    EXPECT_EQ(got->request, authentication::request_type(authentication_unsupported{7}));
    EXPECT_EQ(encoded(*got), "");
}

TEST(backend, a_mechanism_list_is_terminated_not_empty_and_bounded) {
    const auto list = [](std::string_view names) { return be32(10) + std::string(names); };
    std::string many;
    for (int i = 0; i < 17; ++i)
        many += "X\0"s;

    EXPECT_EQ(fault<authentication>(list("SCRAM-SHA-256\0\0"sv)), errc::ok);
    EXPECT_EQ(fault<authentication>(list("SCRAM-SHA-256\0"sv)), errc::missing_terminator);
    EXPECT_EQ(fault<authentication>(list("\0"sv)), errc::bad_count);
    EXPECT_EQ(fault<authentication>(list("X\0\0Y\0\0"sv)), errc::trailing_bytes);
    EXPECT_EQ(fault<authentication>(list(many.substr(2) + "\0"s)), errc::ok);
    EXPECT_EQ(fault<authentication>(list(many + "\0"s)), errc::bad_count);
}

TEST(backend, cancel_keys_have_4_to_256_bytes) {
    for (const std::size_t size : {4U, 32U, 256U})
        expect_round_trip(backend_key_data{42, std::string(size, 'k')});
    for (const std::size_t size : {0U, 3U, 257U})
        EXPECT_EQ(fault<backend_key_data>(be32(42) + std::string(size, 'k')), errc::bad_cancel_key);
    EXPECT_EQ(fault<backend_key_data>("\0\0"sv), errc::truncated);
}

TEST(backend, ready_for_query_knows_three_states) {
    for (const char c : {'I', 'T', 'E'})
        EXPECT_EQ(fault<ready_for_query>(std::string(1, c)), errc::ok);
    for (const char c : {'i', 'X', '\0'})
        EXPECT_EQ(fault<ready_for_query>(std::string(1, c)), errc::bad_value);
}

TEST(backend, counts_beyond_the_body_are_refused_before_anything_is_allocated) {
    EXPECT_EQ(fault<row_description>("\xff\xff"sv), errc::truncated);
    EXPECT_EQ(fault<data_row>("\xff\xff\0\0\0\0"sv), errc::truncated);
    EXPECT_EQ(fault<parameter_description>("\xff\xff"sv), errc::truncated);
    EXPECT_EQ(fault<copy_in_response>("\0\xff\xff"sv), errc::truncated);
    EXPECT_EQ(fault<negotiate_protocol_version>(be32(0) + be32(0xffff'ffff)), errc::bad_count);
}

TEST(backend, negative_lengths_of_values_are_refused) {
    EXPECT_EQ(fault<data_row>("\0\1\xff\xff\xff\xfe"sv), errc::bad_value);
    EXPECT_EQ(fault<function_call_response>("\x80\0\0\0"sv), errc::bad_value);
}

TEST(backend, format_codes_are_text_or_binary) {
    EXPECT_EQ(fault<copy_in_response>("\2\0\0"sv), errc::bad_format_code);
    EXPECT_EQ(fault<copy_out_response>("\0\0\1\0\2"sv), errc::bad_format_code);
    EXPECT_EQ(fault<row_description>("\0\1n\0\0\0\0\0\0\0\0\0\0\x19\0\4\0\0\0\0\0\2"sv),
              errc::bad_format_code);
}

TEST(backend, the_row_count_is_the_number_at_the_end_of_the_command_tag) {
    using count = std::optional<std::uint64_t>;
    EXPECT_EQ((command_complete{"SELECT 3"}.row_count()), count(3));
    EXPECT_EQ((command_complete{"INSERT 0 12"}.row_count()), count(12));
    EXPECT_EQ((command_complete{"CREATE TABLE"}.row_count()), std::nullopt);
    EXPECT_EQ((command_complete{"COMMIT"}.row_count()), std::nullopt);
    EXPECT_EQ((command_complete{"SELECT "}.row_count()), std::nullopt);
    EXPECT_EQ((command_complete{"SELECT -1"}.row_count()), std::nullopt);
    EXPECT_EQ((command_complete{"SELECT 99999999999999999999"}.row_count()), std::nullopt);
}

}  // namespace
}  // namespace sallyport::protocol::backend
