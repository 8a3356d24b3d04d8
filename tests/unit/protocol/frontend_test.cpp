#include "protocol/frontend.h"

#include <gtest/gtest.h>

#include "protocol/frame.h"
#include "tests/unit/protocol/bytes.h"

namespace sallyport::protocol::frontend {
namespace {

using namespace protocol::testing;

const std::string name_of_63(63, 'n');
const std::string name_of_64(64, 'n');

template <class Message>
errc fault(std::string_view body) {
    const auto r = Message::decode(body);
    return r ? errc::ok : static_cast<errc>(r.error().value());
}

/// encode gives one legal frame, decode gives the message back, and no shorter body does.
template <class Message>
void expect_round_trip(const Message& sent) {
    const auto whole = encoded(sent);
    const auto scan = try_read_header(whole, frontend_limits);
    ASSERT_EQ(scan.error, errc::ok);
    EXPECT_EQ(scan.header.tag, Message::tag);
    ASSERT_EQ(scan.header.frame_bytes(), whole.size());
    const auto body = bytes(whole).substr(frame_header_bytes);
    const auto got = Message::decode(body);
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

TEST(frontend, messages_come_back_as_they_were_sent_and_no_cut_of_them_does) {
    expect_exact(query{"select 1"});
    expect_exact(query{""});
    expect_exact(parse{"s1", "select $1, $2", {23, 0}});
    expect_exact(bind{"p", "s", {1}, {"abc"sv, std::nullopt, ""sv}, {0, 1}});
    expect_exact(bind{"", "", {}, {}, {}});
    expect_exact(execute{"p", 100});
    expect_exact(execute{"", -1});
    expect_exact(describe{named_kind::statement, "s"});
    expect_exact(close{named_kind::portal, ""});
    expect_exact(function_call{957, {0, 1}, {"a\0b"sv, std::nullopt}, 1});
    expect_exact(copy_fail{"stopped"});
    expect_exact(password{"secret"});
    expect_exact(sasl_initial_response{"SCRAM-SHA-256", "n,,n=,r=abc"sv});
    expect_exact(sasl_initial_response{"SCRAM-SHA-256", std::nullopt});
    expect_exact(sasl_initial_response{"SCRAM-SHA-256", ""sv});
}

TEST(frontend, opaque_bodies_come_back_whole) {
    expect_round_trip(copy_data{"a\0b\n"sv});
    expect_round_trip(copy_data{""});
    expect_round_trip(sasl_response{"c=biws,r=x,p=y"});
}

TEST(frontend, messages_that_are_only_a_tag_have_an_empty_body) {
    expect_exact(copy_done{});
    expect_exact(frontend::flush{});
    expect_exact(sync{});
    expect_exact(terminate{});
    EXPECT_EQ(encoded(sync{}), "S\0\0\0\4"s);
}

TEST(frontend, query_has_its_first_nul_as_its_last_byte) {
    EXPECT_EQ(fault<query>("select 1\0"sv), errc::ok);
    EXPECT_EQ(fault<query>("select 1"sv), errc::missing_terminator);
    EXPECT_EQ(fault<query>(""sv), errc::missing_terminator);
    EXPECT_EQ(fault<query>("select 1\0; drop table t\0"sv), errc::trailing_bytes);
    EXPECT_EQ(fault<query>("select 1\0\0"sv), errc::trailing_bytes);
}

TEST(frontend, names_of_63_bytes_pass_and_of_64_do_not) {
    expect_exact(parse{name_of_63, "select 1", {}});
    expect_exact(bind{name_of_63, name_of_63, {}, {}, {}});
    expect_exact(execute{name_of_63, 0});
    expect_exact(describe{named_kind::portal, name_of_63});
    expect_exact(close{named_kind::statement, name_of_63});

    const auto body = [](const auto& m) { return encoded(m).substr(frame_header_bytes); };
    EXPECT_EQ(fault<parse>(body(parse{name_of_64, "", {}})), errc::name_too_long);
    EXPECT_EQ(fault<bind>(body(bind{name_of_64, "", {}, {}, {}})), errc::name_too_long);
    EXPECT_EQ(fault<bind>(body(bind{"", name_of_64, {}, {}, {}})), errc::name_too_long);
    EXPECT_EQ(fault<execute>(body(execute{name_of_64, 0})), errc::name_too_long);
    EXPECT_EQ(fault<describe>(body(describe{named_kind::statement, name_of_64})),
              errc::name_too_long);
    EXPECT_EQ(fault<close>(body(close{named_kind::statement, name_of_64})), errc::name_too_long);
}

TEST(frontend, kinds_other_than_statement_and_portal_are_refused) {
    for (const char kind : {'s', 'p', 'X', '\0'}) {
        EXPECT_EQ(fault<describe>(std::string(1, kind) + "n\0"s), errc::bad_kind);
        EXPECT_EQ(fault<close>(std::string(1, kind) + "n\0"s), errc::bad_kind);
    }
}

TEST(frontend, format_codes_are_checked_in_value_and_number) {
    const auto bind_body = [](std::string_view formats) {
        return "\0\0"s + std::string(formats) + be16(3) + be32(0) + be32(0) + be32(0) + be16(0);
    };
    EXPECT_EQ(fault<bind>(bind_body("\0\0"sv)), errc::ok);
    EXPECT_EQ(fault<bind>(bind_body("\0\1\0\1"sv)), errc::ok);
    EXPECT_EQ(fault<bind>(bind_body("\0\3\0\1\0\0\0\1"sv)), errc::ok);
    EXPECT_EQ(fault<bind>(bind_body("\0\2\0\1\0\0"sv)), errc::bad_format_code);
    EXPECT_EQ(fault<bind>(bind_body("\0\1\0\2"sv)), errc::bad_format_code);
    EXPECT_EQ(fault<bind>(bind_body("\0\1\xff\xff"sv)), errc::bad_format_code);

    const auto call = [](std::uint16_t result_format) {
        return be32(957) + be16(0) + be16(0) + be16(result_format);
    };
    EXPECT_EQ(fault<function_call>(call(1)), errc::ok);
    EXPECT_EQ(fault<function_call>(call(2)), errc::bad_format_code);
}

TEST(frontend, counts_beyond_the_body_are_refused_before_anything_is_allocated) {
    EXPECT_EQ(fault<parse>("\0\0\xff\xff"sv), errc::truncated);
    EXPECT_EQ(fault<bind>("\0\0\xff\xff"sv), errc::truncated);
    EXPECT_EQ(fault<bind>("\0\0\0\0\xff\xff\0\0\0\0"sv), errc::truncated);
    EXPECT_EQ(fault<function_call>("\0\0\0\1\0\0\xff\xff"sv), errc::truncated);
}

TEST(frontend, value_lengths_are_checked_against_the_body) {
    const auto one_value = [](std::uint32_t length, std::string_view rest) {
        return "\0\0\0\0"s + be16(1) + be32(length) + std::string(rest) + be16(0);
    };
    EXPECT_EQ(fault<bind>(one_value(3, "abc")), errc::ok);
    EXPECT_EQ(fault<bind>(one_value(0xffff'ffff, "")), errc::ok);
    EXPECT_EQ(fault<bind>(one_value(0xffff'fffe, "abc")), errc::bad_value);
    EXPECT_EQ(fault<bind>(one_value(0x8000'0000, "abc")), errc::bad_value);
    EXPECT_EQ(fault<bind>(one_value(0x7fff'ffff, "abc")), errc::truncated);
    EXPECT_EQ(fault<bind>(one_value(6, "abc")), errc::truncated);
    EXPECT_EQ(fault<bind>(one_value(2, "abc")), errc::truncated);
}

TEST(frontend, the_largest_number_of_parameters_comes_back) {
    bind sent{"", "s", {}, {}, {}};
    sent.parameters.assign(65'535, "v"sv);
    expect_round_trip(sent);
}

TEST(frontend, bind_prefix_is_read_as_soon_as_both_names_are_there) {
    const auto whole = encoded(bind{"portal", "statement", {}, {"v"sv}, {}}).substr(5);
    const std::size_t names = "portal"sv.size() + 1 + "statement"sv.size() + 1;
    for (std::size_t n = 0; n <= whole.size(); ++n) {
        const auto got = bind_prefix::decode(bytes(whole).substr(0, n));
        if (n < names)
            EXPECT_EQ(got.error(), errc::need_more) << n;
        else
            EXPECT_EQ(got.value(), (bind_prefix{"portal", "statement"})) << n;
    }
}

TEST(frontend, bind_prefix_does_not_wait_for_a_name_that_is_too_long) {
    EXPECT_EQ(fault<bind_prefix>(name_of_63), errc::need_more);
    EXPECT_EQ(fault<bind_prefix>(name_of_63 + "\0"s), errc::need_more);
    EXPECT_EQ(fault<bind_prefix>(name_of_64), errc::name_too_long);
    EXPECT_EQ(fault<bind_prefix>(name_of_64 + "\0\0"s), errc::name_too_long);
    EXPECT_EQ(fault<bind_prefix>("\0"s + name_of_64), errc::name_too_long);
}

TEST(frontend, sasl_initial_response_length_cannot_overflow) {
    const auto body = [](std::uint32_t length, std::string_view data) {
        return "SCRAM-SHA-256\0"s + be32(length) + std::string(data);
    };
    EXPECT_EQ(fault<sasl_initial_response>(body(3, "abc")), errc::ok);
    EXPECT_EQ(fault<sasl_initial_response>(body(0xffff'ffff, "")), errc::ok);
    EXPECT_EQ(fault<sasl_initial_response>(body(0xffff'ffff, "abc")), errc::trailing_bytes);
    EXPECT_EQ(fault<sasl_initial_response>(body(0xffff'fff0, "abc")), errc::bad_value);
    EXPECT_EQ(fault<sasl_initial_response>(body(0x7fff'ffff, "abc")), errc::truncated);
    EXPECT_EQ(fault<sasl_initial_response>(body(2, "abc")), errc::trailing_bytes);
    EXPECT_EQ(fault<sasl_initial_response>(body(0, "")), errc::ok);
    EXPECT_EQ(fault<sasl_initial_response>("SCRAM-SHA-256\0\0\0"sv), errc::truncated);
    EXPECT_EQ(fault<sasl_initial_response>("SCRAM-SHA-256"sv), errc::missing_terminator);
}

TEST(frontend, a_password_ends_at_its_only_nul) {
    EXPECT_EQ(fault<password>("\0"sv), errc::ok);
    EXPECT_EQ(fault<password>("secret"sv), errc::missing_terminator);
    EXPECT_EQ(fault<password>("secret\0more\0"sv), errc::trailing_bytes);
}

}  // namespace
}  // namespace sallyport::protocol::frontend
