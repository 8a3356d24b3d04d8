#include "protocol/sasl.h"

#include <gtest/gtest.h>

#include "protocol/limits.h"
#include "tests/unit/protocol/bytes.h"

namespace sallyport::protocol::sasl {
namespace {

using namespace protocol::testing;

template <class Message>
errc fault(std::string_view text) {
    const auto r = Message::parse(text);
    return r ? errc::ok : static_cast<errc>(r.error().value());
}

// The exchange of RFC 7677, section 3.
constexpr auto rfc_client_first = "n,,n=user,r=rOprNGfwEbeRWgbNEkqO"sv;
constexpr auto rfc_server_first =
    "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"sv;
constexpr auto rfc_client_final =
    "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,"
    "p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="sv;
constexpr auto rfc_server_final = "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="sv;

TEST(sasl, the_exchange_of_the_rfc_is_read) {
    const auto first = client_first::parse(rfc_client_first).value();
    EXPECT_EQ(first.channel_binding, binding::none);
    EXPECT_EQ(first.gs2_header, "n,,");
    EXPECT_EQ(first.bare, "n=user,r=rOprNGfwEbeRWgbNEkqO");
    EXPECT_EQ(first.username, "user");
    EXPECT_EQ(first.nonce, "rOprNGfwEbeRWgbNEkqO");

    const auto challenge = server_first::parse(rfc_server_first).value();
    EXPECT_EQ(challenge.nonce, "rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0");
    EXPECT_EQ(challenge.salt.size(), 16U);
    EXPECT_EQ(challenge.iterations, 4096U);

    const auto final = client_final::parse(rfc_client_final).value();
    EXPECT_EQ(final.channel_binding, "n,,");
    EXPECT_EQ(final.nonce, challenge.nonce);
    EXPECT_EQ(final.proof.size(), key_bytes);
    EXPECT_EQ(final.without_proof, rfc_client_final.substr(0, rfc_client_final.find(",p=")));

    const auto verdict = server_final::parse(rfc_server_final).value();
    EXPECT_EQ(verdict.signature.size(), key_bytes);
    EXPECT_EQ(verdict.error, "");
}

TEST(sasl, the_exchange_of_the_rfc_is_written) {
    const auto first = client_first::parse(rfc_client_first).value();
    EXPECT_EQ("n,," + format_client_first_bare(first.username, first.nonce), rfc_client_first);

    const auto challenge = server_first::parse(rfc_server_first).value();
    EXPECT_EQ(format_server_first(challenge.nonce, challenge.salt, challenge.iterations),
              rfc_server_first);

    const auto final = client_final::parse(rfc_client_final).value();
    const auto without_proof = format_client_final_without_proof("n,,", final.nonce);
    EXPECT_EQ(without_proof, final.without_proof);
    EXPECT_EQ(format_client_final(without_proof, final.proof), rfc_client_final);

    const auto verdict = server_final::parse(rfc_server_final).value();
    EXPECT_EQ(format_server_final(verdict.signature), rfc_server_final);
    EXPECT_EQ(format_server_error("invalid-proof"), "e=invalid-proof");
    EXPECT_EQ(server_final::parse("e=invalid-proof").value().error, "invalid-proof");
}

TEST(sasl, gs2_flags_are_told_apart) {
    EXPECT_EQ(client_first::parse("y,,n=,r=x").value().channel_binding, binding::unadvertised);
    const auto used = client_first::parse("p=tls-server-end-point,,n=,r=x").value();
    EXPECT_EQ(used.channel_binding, binding::used);
    EXPECT_EQ(used.binding_type, "tls-server-end-point");
    EXPECT_EQ(used.gs2_header, "p=tls-server-end-point,,");
}

TEST(sasl, hostile_client_first_texts_are_refused) {
    const std::pair<std::string_view, errc> table[] = {
        {"", errc::sasl_syntax},
        {"n", errc::sasl_syntax},
        {"n,", errc::sasl_syntax},
        {"n,,", errc::sasl_syntax},
        {"n,,n=u", errc::sasl_syntax},
        {"n,,n=u,", errc::sasl_syntax},
        {"n,,r=x", errc::sasl_syntax},
        {"n,,r=x,n=u", errc::sasl_syntax},
        {"n,x,n=,r=x", errc::sasl_syntax},
        {"n=,r=x", errc::sasl_channel_binding},
        {"N,,n=,r=x", errc::sasl_channel_binding},
        {"yy,,n=,r=x", errc::sasl_channel_binding},
        {"p=,,n=,r=x", errc::sasl_channel_binding},
        {"p=tls-unique,,n=,r=x", errc::sasl_channel_binding},
        {"p=tls-server-end-pointx,,n=,r=x", errc::sasl_channel_binding},
        {"n,a=admin,n=,r=x", errc::sasl_authorization_id},
        {"n,a=,n=,r=x", errc::sasl_authorization_id},
        {"n,,m=ext,n=,r=x", errc::sasl_extension},
        {"n,,n=,r=x,", errc::sasl_extension},
        {"n,,n=,r=x,t=1", errc::sasl_extension},
        {"n,,n=,m=x,r=x", errc::sasl_extension},
        {"n,,n=a=b,r=x", errc::sasl_syntax},
        {"n,,n=a=2c,r=x", errc::sasl_syntax},
        {"n,,n=a\0b,r=x"sv, errc::sasl_syntax},
        {"n,,n=,r=", errc::sasl_nonce},
        {"n,,n=,r=a b", errc::sasl_nonce},
        {"n,,n=,r=a\x7f", errc::sasl_nonce},
        {"n,,n=,r=a\0"sv, errc::sasl_nonce},
        {"n,,n=,r=\xc3\xa4", errc::sasl_nonce},
    };
    for (const auto& [text, expected] : table)
        EXPECT_EQ(fault<client_first>(text), expected) << text;
}

TEST(sasl, names_with_comma_and_equals_sign_come_back) {
    const auto text = "n,," + format_client_first_bare("a,b=c", "x");
    EXPECT_EQ(text, "n,,n=a=2Cb=3Dc,r=x");
    EXPECT_EQ(client_first::parse(text).value().username, "a,b=c");
}

TEST(sasl, nonces_are_accepted_up_to_their_cap) {
    const std::string longest(limits::sasl_nonce_bytes_max, 'n');
    EXPECT_EQ(fault<client_first>("n,,n=,r=" + longest), errc::ok);
    EXPECT_EQ(fault<client_first>("n,,n=,r=" + longest + "n"), errc::sasl_nonce);
    EXPECT_EQ(fault<server_first>("r=" + longest + ",s=AAAA,i=1"), errc::ok);
    EXPECT_EQ(fault<server_first>("r=" + longest + "n,s=AAAA,i=1"), errc::sasl_nonce);
}

TEST(sasl, texts_above_their_cap_are_refused) {
    const std::string filler(limits::sasl_text_bytes_max, 'x');
    EXPECT_EQ(fault<client_first>("n,,n=" + filler + ",r=x"), errc::sasl_text_too_long);
    EXPECT_EQ(fault<server_first>("r=x,s=AAAA,i=1" + filler), errc::sasl_text_too_long);
    EXPECT_EQ(fault<client_final>("c=" + filler), errc::sasl_text_too_long);
    EXPECT_EQ(fault<server_final>("v=" + filler), errc::sasl_text_too_long);
}

TEST(sasl, iteration_counts_are_bounded_numbers) {
    const auto with = [](std::string_view i) {
        return fault<server_first>("r=x,s=AAAA,i=" + std::string(i));
    };
    EXPECT_EQ(with("1"), errc::ok);
    EXPECT_EQ(with("1000000"), errc::ok);
    for (const auto i : {"", "0", "01", "-1", "+1", " 1", "1 ", "0x10", "1000001", "2000000000",
                         "4294967296", "99999999999999999999"})
        EXPECT_EQ(with(i), errc::sasl_iterations) << i;
}

TEST(sasl, hostile_server_first_texts_are_refused) {
    const std::pair<std::string_view, errc> table[] = {
        {"", errc::sasl_syntax},
        {"r=x", errc::sasl_syntax},
        {"s=AAAA,r=x,i=1", errc::sasl_syntax},
        {"r=x,i=1,s=AAAA", errc::sasl_syntax},
        {"m=x,r=x,s=AAAA,i=1", errc::sasl_extension},
        {"r=x,s=AAAA,i=1,", errc::sasl_extension},
        {"r=x,s=AAAA,i=1,d=sha256", errc::sasl_extension},
        {"r=x,s=,i=1", errc::sasl_base64},
        {"r=x,s=A,i=1", errc::sasl_base64},
        {"r=,s=AAAA,i=1", errc::sasl_nonce},
    };
    for (const auto& [text, expected] : table)
        EXPECT_EQ(fault<server_first>(text), expected) << text;
}

TEST(sasl, salts_are_accepted_up_to_their_cap) {
    const std::string longest(limits::sasl_salt_bytes_max, 's');
    EXPECT_EQ(fault<server_first>(format_server_first("x", longest, 1)), errc::ok);
    EXPECT_EQ(fault<server_first>(format_server_first("x", longest + "s", 1)), errc::sasl_base64);
}

TEST(sasl, hostile_client_final_texts_are_refused) {
    const std::string proof = base64_encode(std::string(32, 'p'));
    const std::pair<std::string, errc> table[] = {
        {"c=biws,r=x,p=" + proof, errc::ok},
        {"", errc::sasl_syntax},
        {"c=biws,r=x", errc::sasl_syntax},
        {"r=x,c=biws,p=" + proof, errc::sasl_syntax},
        {"c=,r=x,p=" + proof, errc::sasl_base64},
        {"c=biw,r=x,p=" + proof, errc::sasl_base64},
        {"c=biws,m=x,r=x,p=" + proof, errc::sasl_extension},
        {"c=biws,r=x,t=1,p=" + proof, errc::sasl_syntax},
        {"c=biws,r=x,p=" + proof + ",t=1", errc::sasl_extension},
        {"c=biws,r=x,p=" + proof + "\0"s, errc::sasl_base64},
        {"c=biws,r=,p=" + proof, errc::sasl_nonce},
        {"c=biws,r=x,p=", errc::sasl_base64},
        {"c=biws,r=x,p=" + base64_encode(std::string(31, 'p')), errc::sasl_base64},
        {"c=biws,r=x,p=" + base64_encode(std::string(33, 'p')), errc::sasl_base64},
        {"c=biws,r=x,p=" + base64_encode(std::string(4096, 'p')), errc::sasl_base64},
    };
    for (const auto& [text, expected] : table)
        EXPECT_EQ(fault<client_final>(text), expected) << text;
}

TEST(sasl, hostile_server_final_texts_are_refused) {
    const std::string signature = base64_encode(std::string(32, 's'));
    EXPECT_EQ(fault<server_final>("v=" + signature), errc::ok);
    EXPECT_EQ(fault<server_final>("v=" + signature + ",e=other-error"), errc::sasl_extension);
    EXPECT_EQ(fault<server_final>("v=" + base64_encode("short")), errc::sasl_base64);
    EXPECT_EQ(fault<server_final>("e="), errc::sasl_syntax);
    EXPECT_EQ(fault<server_final>("e=other-error,v=" + signature), errc::sasl_extension);
    EXPECT_EQ(fault<server_final>(""), errc::sasl_syntax);
    EXPECT_EQ(fault<server_final>("v"), errc::sasl_syntax);
}

TEST(base64, the_examples_of_the_rfc_hold_both_ways) {
    const std::pair<std::string_view, std::string_view> table[] = {{"", ""},
                                                                   {"f", "Zg=="},
                                                                   {"fo", "Zm8="},
                                                                   {"foo", "Zm9v"},
                                                                   {"foob", "Zm9vYg=="},
                                                                   {"fooba", "Zm9vYmE="},
                                                                   {"foobar", "Zm9vYmFy"},
                                                                   {"n,,", "biws"},
                                                                   {"y,,", "eSws"},
                                                                   {"\xff\xfe\xfd", "//79"}};
    for (const auto& [raw, text] : table) {
        EXPECT_EQ(base64_encode(raw), text);
        EXPECT_EQ(base64_decode(text), std::string(raw));
    }
}

TEST(base64, every_byte_value_comes_back) {
    std::string all;
    for (int c = 0; c < 256; ++c) {
        all.push_back(static_cast<char>(c));
        EXPECT_EQ(base64_decode(base64_encode(all)), all);
    }
}

TEST(base64, what_is_not_canonical_is_refused) {
    for (const auto text :
         {"Z"sv, "Zg"sv, "Zg="sv, "Zg==="sv, "Zg==Zg=="sv, "Z==="sv, "===="sv, "=Zg="sv, "Zh=="sv,
          "Zm9="sv, "Zm 9"sv, "Zm9v\n"sv, "Zm9-"sv, "Zm9_"sv, "Zm\0v"sv,
          "Zm\xff"sv
          "v"})
        EXPECT_EQ(base64_decode(text), std::nullopt) << text;
}

}  // namespace
}  // namespace sallyport::protocol::sasl
