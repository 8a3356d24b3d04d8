#include "protocol/startup.h"

#include <gtest/gtest.h>

#include "protocol/limits.h"
#include "tests/unit/protocol/bytes.h"

namespace sallyport::protocol {
namespace {

using namespace testing;

/// A StartupMessage of version 3.0 with the given pairs, terminator included if they have it.
std::string startup(std::string_view pairs) {
    return packet(be32(protocol_3_0) + std::string(pairs));
}

errc fault(std::string_view bytes_sent) {
    const auto r = decode_startup(bytes_sent);
    if (r) return errc::ok;
    EXPECT_EQ(r.error().category(), protocol_category());
    return static_cast<errc>(r.error().value());
}

startup_message accepted(std::string_view bytes_sent) {
    const auto r = decode_startup(bytes_sent);
    if (!r || !std::holds_alternative<startup_message>(*r)) {
        ADD_FAILURE() << "not accepted";
        return {};
    }
    return std::get<startup_message>(*r);
}

struct hostile_case {
    const char* what;
    std::string bytes_sent;
    errc expected;
};

void PrintTo(const hostile_case& c, std::ostream* out) {
    *out << c.what;
}

class hostile_startup : public ::testing::TestWithParam<hostile_case> {};

TEST_P(hostile_startup, is_refused_with_its_cause) {
    EXPECT_EQ(fault(GetParam().bytes_sent), GetParam().expected);
}

const std::string name_of_64(64, 'b');

INSTANTIATE_TEST_SUITE_P(
    table, hostile_startup,
    ::testing::Values(
        hostile_case{"nothing", "", errc::need_more},
        hostile_case{"three bytes", "\0\0\0"s, errc::need_more},
        hostile_case{"length 0", be32(0), errc::bad_length},
        hostile_case{"length 3", be32(3), errc::bad_length},
        hostile_case{"length 4, no version", be32(4), errc::bad_length},
        hostile_case{"length 7", be32(7) + "\0\3\0"s, errc::bad_length},
        hostile_case{"length 10005", be32(10'005), errc::bad_length},
        hostile_case{"length 0x7fffffff", be32(0x7fff'ffff), errc::bad_length},
        hostile_case{"length 0xffffffff", be32(0xffff'ffff), errc::bad_length},
        hostile_case{"an HTTP request", "GET / HTTP/1.1\r\n\r\n", errc::bad_length},
        hostile_case{"a TLS ClientHello", "\x16\x03\x01\x02\x00\x01"s, errc::bad_length},
        hostile_case{"shorter than it says", be32(20) + be32(protocol_3_0), errc::need_more},
        hostile_case{"longer than it says", startup("user\0a\0\0"sv) + "x", errc::trailing_bytes},
        hostile_case{"SSLRequest of 9 bytes", packet(be32(ssl_request_code) + "x"),
                     errc::bad_length},
        hostile_case{"GSSENCRequest of 12 bytes", packet(be32(gssenc_request_code) + be32(0)),
                     errc::bad_length},
        hostile_case{"cancel without key", packet(be32(cancel_request_code) + be32(1)),
                     errc::bad_cancel_key},
        hostile_case{"cancel without process id", packet(be32(cancel_request_code)),
                     errc::bad_cancel_key},
        hostile_case{"cancel key of 3", packet(be32(cancel_request_code) + be32(1) + "abc"),
                     errc::bad_cancel_key},
        hostile_case{"cancel key of 257",
                     packet(be32(cancel_request_code) + be32(1) + std::string(257, 'k')),
                     errc::bad_cancel_key},
        hostile_case{"no pairs, no terminator", startup(""), errc::bad_startup_layout},
        hostile_case{"no pairs", startup("\0"sv), errc::missing_user},
        hostile_case{"no terminator", startup("user\0a\0"sv), errc::bad_startup_layout},
        hostile_case{"value without NUL", startup("user\0a"sv), errc::bad_startup_layout},
        hostile_case{"key without value", startup("user\0"sv), errc::bad_startup_layout},
        hostile_case{"key without NUL", startup("user"sv), errc::bad_startup_layout},
        hostile_case{"early empty key", startup("user\0a\0\0user\0b\0\0"sv),
                     errc::bad_startup_layout},
        hostile_case{"two terminators", startup("user\0a\0\0\0"sv), errc::bad_startup_layout},
        hostile_case{"user twice", startup("user\0alice\0user\0postgres\0\0"sv),
                     errc::duplicate_parameter},
        hostile_case{"database twice", startup("user\0a\0database\0x\0database\0y\0\0"sv),
                     errc::duplicate_parameter},
        hostile_case{"a setting twice in other case", startup("user\0a\0role\0x\0ROLE\0y\0\0"sv),
                     errc::duplicate_parameter},
        hostile_case{"user in other case only", startup("USER\0a\0\0"sv), errc::bad_value},
        hostile_case{"database in other case", startup("user\0a\0dataBase\0b\0\0"sv),
                     errc::bad_value},
        hostile_case{"replication in other case", startup("user\0a\0Replication\0true\0\0"sv),
                     errc::bad_value},
        hostile_case{"empty user", startup("user\0\0\0"sv), errc::missing_user},
        hostile_case{"user of 64 bytes", startup("user\0"s + name_of_64 + "\0\0"s),
                     errc::name_too_long},
        hostile_case{"database of 64 bytes", startup("user\0a\0database\0"s + name_of_64 + "\0\0"s),
                     errc::name_too_long},
        hostile_case{"line end in user", startup("user\0a\nb\0\0"sv), errc::control_character},
        hostile_case{"escape in database", startup("user\0a\0database\0\x1b]0;\0\0"sv),
                     errc::control_character},
        hostile_case{"DEL in user", startup("user\0a\x7f\0\0"sv), errc::control_character},
        hostile_case{"control character in a key", startup("user\0a\0x\ty\0z\0\0"sv),
                     errc::control_character}));

TEST(startup, pairs_are_returned_in_the_order_sent) {
    const auto m = accepted(
        startup("user\0alice\0database\0shop\0application_name\0psql\0options\0-c a=b\0\0"sv));

    EXPECT_EQ(m.minor, 0);
    EXPECT_EQ(m.user, "alice");
    EXPECT_EQ(m.database, "shop");
    const std::vector<parameter> expected = {{"user", "alice"},
                                             {"database", "shop"},
                                             {"application_name", "psql"},
                                             {"options", "-c a=b"}};
    EXPECT_EQ(m.parameters, expected);
    ASSERT_NE(m.find("Application_Name"), nullptr);
    EXPECT_EQ(*m.find("Application_Name"), "psql");
    EXPECT_EQ(m.find("client_encoding"), nullptr);
}

TEST(startup, a_missing_or_empty_database_is_the_user_name) {
    EXPECT_EQ(accepted(startup("user\0alice\0\0"sv)).database, "alice");
    EXPECT_EQ(accepted(startup("user\0alice\0database\0\0\0"sv)).database, "alice");
}

TEST(startup, names_of_63_bytes_are_accepted) {
    const std::string name(63, 'b');
    const auto m = accepted(startup("user\0"s + name + "\0database\0"s + name + "\0\0"s));
    EXPECT_EQ(m.user, name);
    EXPECT_EQ(m.database, name);
}

TEST(startup, the_largest_packet_is_accepted) {
    std::string pairs = "user\0a\0x\0"s;
    pairs += std::string(10'000 - 4 - pairs.size() - 2, 'v') + "\0\0"s;
    const auto largest = startup(pairs);
    ASSERT_EQ(largest.size(), 10'004U);
    EXPECT_EQ(accepted(largest).user, "a");
}

TEST(startup, a_packet_cut_at_any_byte_needs_more) {
    const auto whole = startup("user\0alice\0database\0shop\0\0"sv);
    for (std::size_t n = 0; n < whole.size(); ++n)
        EXPECT_EQ(fault(bytes(whole).substr(0, n)), errc::need_more) << n;
    EXPECT_EQ(fault(whole), errc::ok);
}

TEST(startup, the_size_of_a_packet_is_known_from_its_first_four_bytes) {
    EXPECT_EQ(startup_packet_bytes(be32(8)).value(), 8U);
    EXPECT_EQ(startup_packet_bytes(be32(10'004)).value(), 10'004U);
    EXPECT_EQ(startup_packet_bytes("\0\0\0"sv).error(), errc::need_more);
}

TEST(startup, requests_for_encryption_are_told_apart) {
    std::string ssl;
    encode_ssl_request(ssl);
    std::string gss;
    encode_gssenc_request(gss);

    EXPECT_EQ(ssl, "\0\0\0\x08\x04\xd2\x16\x2f"s);
    EXPECT_EQ(gss, "\0\0\0\x08\x04\xd2\x16\x30"s);
    EXPECT_EQ(decode_startup(ssl).value(), startup_packet(ssl_request{}));
    EXPECT_EQ(decode_startup(gss).value(), startup_packet(gssenc_request{}));
}

TEST(startup, cancel_keys_of_every_legal_size_come_back) {
    for (const std::size_t size : {4U, 5U, 32U, 256U}) {
        const cancel_request sent{0xdead'beef, std::string(size, '\xee')};
        std::string out;
        encode_cancel_request(out, sent);
        EXPECT_EQ(out.size(), 12 + size);
        EXPECT_EQ(decode_startup(out).value(), startup_packet(sent));
    }
}

TEST(startup, a_newer_minor_is_reported_and_still_decoded) {
    for (const std::uint16_t minor : {std::uint16_t{1}, std::uint16_t{2}, std::uint16_t{9999}}) {
        const auto m = accepted(packet(be32(protocol_3_0 | minor) + "user\0a\0\0"s));
        EXPECT_EQ(m.minor, minor);
        EXPECT_EQ(m.user, "a");
    }
}

TEST(startup, protocol_extensions_are_listed) {
    const auto m = accepted(startup("user\0a\0_pq_.x\0\0_pqx\0y\0_PQ_.z\0\0\0"sv));
    EXPECT_EQ(m.protocol_extensions(), (std::vector<std::string>{"_pq_.x", "_PQ_.z"}));
}

TEST(startup, another_major_is_reported) {
    const auto decoded = [](std::uint32_t code) {
        return decode_startup(packet(be32(code) + "user\0a\0\0"s)).value();
    };
    EXPECT_EQ(decoded(0x0002'0000), startup_packet(unsupported_version{2, 0}));
    EXPECT_EQ(decoded(0x0004'0000), startup_packet(unsupported_version{4, 0}));
    EXPECT_EQ(decoded(1234U << 16 | 5681), startup_packet(unsupported_version{1234, 5681}));
    EXPECT_EQ(decoded(0), startup_packet(unsupported_version{0, 0}));
}

TEST(startup, what_is_sent_upstream_reads_back) {
    std::string out;
    encode_startup_message(out, "app", "shop", {{"client_encoding", "UTF8"}, {"TimeZone", ""}});

    const auto m = accepted(out);
    const std::vector<parameter> expected = {
        {"user", "app"}, {"database", "shop"}, {"client_encoding", "UTF8"}, {"TimeZone", ""}};
    EXPECT_EQ(m.parameters, expected);
}

struct options_case {
    const char* what;
    std::string_view text;
    std::vector<parameter> settings;
    std::vector<std::string> unsupported;
};

TEST(options, are_split_as_the_server_splits_them) {
    const options_case table[] = {
        {"nothing", "", {}, {}},
        {"blanks", " \t\n\v\f\r ", {}, {}},
        {"-c and a word", "-c a=b", {{"a", "b"}}, {}},
        {"-c in one word", "-ca=b", {{"a", "b"}}, {}},
        {"long form", "--a=b", {{"a", "b"}}, {}},
        {"dashes in a name",
         "--work-mem=1-2 -c stop-at=1",
         {{"work_mem", "1-2"}, {"stop_at", "1"}},
         {}},
        {"empty value", "-c a=", {{"a", ""}}, {}},
        {"second equals sign", "-c a=b=c", {{"a", "b=c"}}, {}},
        {"escaped blank", R"(-c a=b\ c -c d=e)", {{"a", "b c"}, {"d", "e"}}, {}},
        {"escaped backslash", R"(-c a=b\\c)", {{"a", R"(b\c)"}}, {}},
        {"escaped letter", R"(-c a=\b)", {{"a", "b"}}, {}},
        {"backslash at the end", R"(-c a=b\)", {{"a", "b"}}, {}},
        {"escape cannot make a blank split", R"(-c\ a=b)", {{" a", "b"}}, {}},
        {"the same name twice", "-c a=1 -c a=2", {{"a", "1"}, {"a", "2"}}, {}},
        {"short switch", "-S 9999", {}, {"-S", "9999"}},
        {"switch between settings", "-c a=b -e -c d=e", {{"a", "b"}, {"d", "e"}}, {"-e"}},
        {"-c at the end", "-c", {}, {"-c"}},
        {"-c without value", "-c a", {}, {"a"}},
        {"no name", "-c =b --=c", {}, {"=b", "--=c"}},
        {"end of switches", "-- a=b", {}, {"--", "a=b"}},
        {"joined switches", "-ec a=b", {}, {"-ec", "a=b"}},
        {"a lone backslash", "\\", {}, {""}},
    };
    for (const auto& c : table) {
        const auto parsed = parse_options_parameter(c.text);
        EXPECT_EQ(parsed.settings, c.settings) << c.what;
        EXPECT_EQ(parsed.unsupported, c.unsupported) << c.what;
    }
}

TEST(options, that_we_write_read_back_the_same) {
    const std::vector<parameter> settings = {{"search_path", "a, \"b c\""},
                                             {"x.y", "\\ \t=\n"},
                                             {"empty", ""},
                                             {"utf8", "\xc3\xa4\xa0"}};
    const auto parsed = parse_options_parameter(format_options_parameter(settings));
    EXPECT_EQ(parsed.settings, settings);
    EXPECT_TRUE(parsed.unsupported.empty());
}

TEST(options, keep_high_bytes_escaped_whatever_the_servers_locale_calls_a_blank) {
    EXPECT_EQ(format_options_parameter({{"a", "\xa0"}}), "-c a=\\\xa0");
}

}  // namespace
}  // namespace sallyport::protocol
