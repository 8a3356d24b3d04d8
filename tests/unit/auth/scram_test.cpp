#include "proxy/auth/scram.h"

#include <set>
#include <string>

#include <gtest/gtest.h>

#include "protocol/sasl.h"

namespace sallyport::proxy::auth {
namespace {

namespace sasl = protocol::sasl;
using fate = scram_server::fate;

// Made by PostgreSQL 15 with: create role … password …
constexpr std::string_view alice_verifier =
    "SCRAM-SHA-256$4096:Ddgq+344WIJPyN9lCBk2hQ==$sBhrrruTFK0QcevNGQXp6kARpHgJpOJSZMhMsiqpIjg=:"
    "cltudU5TfJ2YxrAnH5y8O+4Vlr1cxlYwGVLiTGTalAQ=";
constexpr std::string_view snowman_verifier =
    "SCRAM-SHA-256$4096:WhW0ysglMRrBFJUaFIqNvQ==$Lw6crlbu4W69WN0jopRWeKMSE8mgJKRW4OV6Qg2Z+dw=:"
    "YT4w+TTIxuH8F+HHuHX+FVbhcsnd9VpePpulSOVX+1E=";

// RFC 7677, section 3.
constexpr std::string_view rfc_client_nonce = "rOprNGfwEbeRWgbNEkqO";
constexpr std::string_view rfc_server_nonce = "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0";
constexpr std::string_view rfc_salt = "W22ZaJ0SNY7soEsUEjb6gQ==";
constexpr std::string_view rfc_client_first = "n,,n=user,r=rOprNGfwEbeRWgbNEkqO";
constexpr std::string_view rfc_server_first =
    "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096";
constexpr std::string_view rfc_client_final =
    "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,"
    "p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=";
constexpr std::string_view rfc_server_final = "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=";

scram_verifier rfc_verifier() {
    return make_verifier("pencil", 4096, *sasl::base64_decode(rfc_salt));
}
scram_server rfc_server(fate f = fate::honest) {
    return {rfc_verifier(), f, std::string(rfc_server_nonce)};
}

TEST(scram_server_test, published_exchange_is_reproduced) {
    auto server = rfc_server();

    const auto first = server.step(rfc_client_first);
    ASSERT_EQ(first.status, scram_status::send) << first.cause;
    EXPECT_EQ(first.data, rfc_server_first);
    const auto final = server.step(rfc_client_final);

    EXPECT_EQ(final.status, scram_status::done) << final.cause;
    EXPECT_EQ(final.data, rfc_server_final);
}

TEST(scram_client_test, published_exchange_is_reproduced) {
    scram_client client(secret("pencil"), std::string(rfc_client_nonce), "user");

    EXPECT_EQ(client.first(), rfc_client_first);
    const auto final = client.server_first(rfc_server_first);
    ASSERT_EQ(final.status, scram_status::send) << final.cause;
    EXPECT_EQ(final.data, rfc_client_final);
    EXPECT_FALSE(client.verified());
    EXPECT_EQ(client.server_final(rfc_server_final).status, scram_status::done);
    EXPECT_TRUE(client.verified());
}

// One login between both classes; the server's last step.
scram_step log_in(scram_server& server, std::string_view password,
                  std::shared_ptr<scram_key_cache> cache = nullptr) {
    scram_client client{secret(password), std::move(cache)};
    const auto first = server.step(client.first());
    if (first.status != scram_status::send) return first;
    const auto proof = client.server_first(first.data);
    if (proof.status != scram_status::send) return proof;
    auto last = server.step(proof.data);
    if (last.status == scram_status::done) {
        EXPECT_EQ(client.server_final(last.data).status, scram_status::done);
    }
    return last;
}

TEST(scram_server_test, right_password_passes_and_wrong_one_does_not) {
    const auto verifier = *parse_verifier(alice_verifier);
    scram_server good(verifier, fate::honest);
    scram_server bad(verifier, fate::honest);

    EXPECT_EQ(log_in(good, "alice-demo").status, scram_status::done);
    EXPECT_EQ(log_in(bad, "alice-dem0").status, scram_status::failed);
}

TEST(scram_server_test, doomed_exchange_fails_even_with_the_right_password) {
    scram_server server(*parse_verifier(alice_verifier), fate::doomed);

    const auto last = log_in(server, "alice-demo");

    EXPECT_EQ(last.status, scram_status::failed);
    EXPECT_EQ(last.data, "");
}

TEST(scram_server_test, nonces_are_never_repeated) {
    std::set<std::string> seen;
    for (int i = 0; i < 100; ++i)
        EXPECT_TRUE(seen.insert(random_nonce()).second);
    EXPECT_EQ(seen.begin()->size(), 24u);
}

TEST(scram_server_test, flag_y_is_taken_and_must_come_back) {
    auto server = rfc_server();
    ASSERT_EQ(server.step("y,,n=,r=abc").status, scram_status::send);
    auto other = rfc_server();
    ASSERT_EQ(other.step("y,,n=,r=abc").status, scram_status::send);
    const std::string rest = ",r=abc" + std::string(rfc_server_nonce) +
                             ",p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=";

    EXPECT_EQ(server.step("c=eSws" + rest).status, scram_status::failed);
    EXPECT_EQ(other.step("c=biws" + rest).status, scram_status::malformed);
}

TEST(scram_server_test, channel_binding_is_refused_while_not_offered) {
    EXPECT_EQ(rfc_server().step("p=tls-server-end-point,,n=,r=abc").status,
              scram_status::malformed);
}

TEST(scram_server_test, another_nonce_in_the_last_message_is_refused) {
    auto server = rfc_server();
    ASSERT_EQ(server.step(rfc_client_first).status, scram_status::send);

    EXPECT_EQ(
        server.step("c=biws,r=rOprNGfwEbeRWgbNEkqO,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=")
            .status,
        scram_status::malformed);
}

TEST(scram_server_test, hostile_texts_are_malformed_in_every_state) {
    const std::string long_text = "n,,n=,r=" + std::string(100'000, 'a');
    for (const std::string_view text :
         {std::string_view(""), std::string_view("n"), std::string_view("n,,"),
          std::string_view("n,a=bob,n=,r=abc"), std::string_view("n,,m=x,n=,r=abc"),
          std::string_view("n,,n=,r="), std::string_view("n,,n=,r=a\0b", 11),
          std::string_view("\xff\xfe"), std::string_view(long_text)}) {
        EXPECT_EQ(rfc_server().step(text).status, scram_status::malformed) << text.substr(0, 40);
        auto server = rfc_server();
        ASSERT_EQ(server.step(rfc_client_first).status, scram_status::send);
        EXPECT_EQ(server.step(text).status, scram_status::malformed) << text.substr(0, 40);
    }
}

TEST(scram_server_test, proof_of_wrong_size_is_refused) {
    for (const std::string proof : {"", "AAAA", "!!!!"}) {
        auto server = rfc_server();
        ASSERT_EQ(server.step(rfc_client_first).status, scram_status::send);
        const auto r = server.step("c=biws,r=rOprNGfwEbeRWgbNEkqO" + std::string(rfc_server_nonce) +
                                   ",p=" + proof);
        EXPECT_EQ(r.status, scram_status::malformed) << proof;
    }
}

TEST(scram_server_test, exchange_cannot_be_continued_after_its_end) {
    auto server = rfc_server();
    ASSERT_EQ(server.step(rfc_client_first).status, scram_status::send);
    ASSERT_EQ(server.step(rfc_client_final).status, scram_status::done);

    EXPECT_EQ(server.step(rfc_client_final).status, scram_status::malformed);
}

TEST(scram_server_test, failed_exchange_cannot_be_tried_again) {
    auto server = rfc_server();
    ASSERT_EQ(server.step(rfc_client_first).status, scram_status::send);
    ASSERT_EQ(server.step("garbage").status, scram_status::malformed);

    EXPECT_EQ(server.step(rfc_client_final).status, scram_status::malformed);
}

// Client
// --------------------------------------------------------------------------------------------

scram_client started() {
    scram_client client(secret("pencil"), std::string(rfc_client_nonce), "user");
    (void)client.first();
    return client;
}

TEST(scram_client_test, server_that_does_not_know_the_password_is_found_out) {
    auto client = started();
    ASSERT_EQ(client.server_first(rfc_server_first).status, scram_status::send);

    const auto r = client.server_final("v=AAAATRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=");

    EXPECT_EQ(r.status, scram_status::failed);
    EXPECT_FALSE(client.verified());
}

TEST(scram_client_test, server_that_reports_an_error_is_a_failure_without_its_words) {
    auto client = started();
    ASSERT_EQ(client.server_first(rfc_server_first).status, scram_status::send);

    const auto r = client.server_final("e=invalid-proof");

    EXPECT_EQ(r.status, scram_status::failed);
    EXPECT_EQ(r.cause.find("invalid-proof"), std::string::npos);
    EXPECT_FALSE(client.verified());
}

TEST(scram_client_test, nonce_that_is_not_ours_is_refused) {
    const auto with_nonce = [](std::string_view nonce) {
        return "r=" + std::string(nonce) + ",s=" + std::string(rfc_salt) + ",i=4096";
    };
    EXPECT_EQ(started().server_first(with_nonce("somebody-else")).status, scram_status::malformed);
    EXPECT_EQ(started().server_first(with_nonce(rfc_client_nonce)).status, scram_status::malformed);
    EXPECT_EQ(started().server_first(with_nonce("rOprNGfwEbeRWgbNEkq")).status,
              scram_status::malformed);
}

TEST(scram_client_test, iteration_counts_that_would_stop_a_core_are_refused_without_work) {
    for (const std::string count : {"600001", "2000000000", "4294967296", "0", "-1", "x"}) {
        auto client = started();
        const auto text = "r=rOprNGfwEbeRWgbNEkqO123,s=" + std::string(rfc_salt) + ",i=" + count;
        EXPECT_TRUE(client.cheap(text)) << count;
        EXPECT_EQ(client.server_first(text).status, scram_status::malformed) << count;
    }
    EXPECT_TRUE(started().cheap(rfc_server_first));
    EXPECT_FALSE(
        started().cheap("r=rOprNGfwEbeRWgbNEkqO123,s=" + std::string(rfc_salt) + ",i=600000"));
}

TEST(scram_client_test, messages_out_of_turn_never_verify) {
    scram_client fresh(secret("pencil"), std::string(rfc_client_nonce), "user");
    EXPECT_EQ(fresh.server_final(rfc_server_final).status, scram_status::malformed);
    EXPECT_FALSE(fresh.verified());

    auto client = started();
    EXPECT_EQ(client.server_final(rfc_server_final).status, scram_status::malformed);
    EXPECT_EQ(client.server_first(rfc_server_first).status, scram_status::malformed);
    EXPECT_FALSE(client.verified());
}

TEST(scram_client_test, cached_keys_log_in_like_fresh_ones) {
    const auto cache = std::make_shared<scram_key_cache>();
    const auto verifier = *parse_verifier(alice_verifier);
    for (int i = 0; i < 2; ++i) {
        scram_server server(verifier, fate::honest);
        EXPECT_EQ(log_in(server, "alice-demo", cache).status, scram_status::done);
        EXPECT_TRUE(cache->find(verifier.salt, verifier.iterations));
    }
}

TEST(scram_client_test, cache_stays_small_whatever_salts_a_server_shows) {
    scram_key_cache cache;
    for (int i = 0; i < 100; ++i)
        cache.add("salt" + std::to_string(i), 4096, {});
    int kept = 0;
    for (int i = 0; i < 100; ++i)
        kept += cache.find("salt" + std::to_string(i), 4096) ? 1 : 0;

    EXPECT_EQ(kept, 8);
    EXPECT_TRUE(cache.find("salt99", 4096));
}

// Verifiers
// -----------------------------------------------------------------------------------------

TEST(verifier_test, verifier_of_postgresql_is_read_and_its_password_fits) {
    const auto v = parse_verifier(alice_verifier);

    ASSERT_TRUE(v);
    EXPECT_EQ(v->iterations, 4096u);
    EXPECT_EQ(v->salt.size(), 16u);
    EXPECT_TRUE(verify_password(*v, "alice-demo"));
    EXPECT_FALSE(verify_password(*v, "alice-demo "));
    EXPECT_FALSE(verify_password(*v, ""));
    EXPECT_FALSE(verify_password(*v, std::string(password_bytes_max + 1, 'x')));
    EXPECT_EQ(format_verifier(*v), alice_verifier);
}

TEST(verifier_test, verifier_of_postgresql_for_letters_beyond_ascii_fits) {
    EXPECT_TRUE(verify_password(*parse_verifier(snowman_verifier), "Zoë ☃"));
}

TEST(verifier_test, made_verifier_fits_its_password_and_has_a_salt_of_its_own) {
    const auto a = make_verifier("alice-demo");
    const auto b = make_verifier("alice-demo");

    EXPECT_EQ(parse_verifier(format_verifier(a)), a);
    EXPECT_TRUE(verify_password(a, "alice-demo"));
    EXPECT_FALSE(verify_password(a, "alice"));
    EXPECT_EQ(a.salt.size(), scram_salt_bytes);
    EXPECT_NE(a.salt, b.salt);
    EXPECT_NE(a.stored_key, b.stored_key);
}

TEST(verifier_test, anything_else_is_no_verifier) {
    const std::string good(alice_verifier);
    const auto replaced = [&](const std::string& what, const std::string& by) {
        auto text = good;
        text.replace(text.find(what), what.size(), by);
        return text;
    };
    for (const auto& text : {std::string(),
                             std::string("alice-demo"),
                             std::string("md5d8578edf8458ce06fbc5bb76a58c5ca4"),
                             std::string("SCRAM-SHA-256$"),
                             good + "=",
                             good + "A",
                             " " + good,
                             good.substr(0, 60),
                             replaced("4096", "0"),
                             replaced("4096", "-1"),
                             replaced("4096", "600001"),
                             replaced("4096", "99999999999"),
                             replaced("4096", " 4096"),
                             replaced("4096", ""),
                             replaced("Ddgq+344WIJPyN9lCBk2hQ==", ""),
                             replaced("hQ==", "hQ"),
                             replaced("AQ=", "AQ=="),
                             replaced(":cltu", ":"),
                             replaced("SCRAM-SHA-256", "scram-sha-256"),
                             std::string(100'000, 'A')})
        EXPECT_FALSE(parse_verifier(text)) << text.substr(0, 80);
}

TEST(verifier_test, mock_salt_is_the_same_for_a_name_and_differs_between_names_and_secrets) {
    const std::string key(32, 'k');
    const auto a = mock_verifier(key, "nobody", 4096);

    EXPECT_EQ(a.salt, mock_verifier(key, "nobody", 4096).salt);
    EXPECT_EQ(a.salt.size(), scram_salt_bytes);
    EXPECT_NE(a.salt, mock_verifier(key, "nobody2", 4096).salt);
    EXPECT_NE(a.salt, mock_verifier(std::string(32, 'l'), "nobody", 4096).salt);
    EXPECT_EQ(mock_verifier(key, "nobody", 8192).iterations, 8192u);
}

TEST(password_test, md5_answer_is_what_postgresql_expects) {
    // 'md5' || md5(md5('secret' || 'alice') || 'abcd'), as PostgreSQL's md5() computes it.
    const std::array<std::uint8_t, 4> salt{0x61, 0x62, 0x63, 0x64};

    EXPECT_EQ(md5_response("secret", "alice", salt), "md5c90bcafc0a2b54511742383e34d5dc9d");
}

TEST(password_test, comparison_tells_equal_from_unequal) {
    EXPECT_TRUE(equal_constant_time("", ""));
    EXPECT_TRUE(equal_constant_time("abc", "abc"));
    EXPECT_FALSE(equal_constant_time("abc", "abd"));
    EXPECT_FALSE(equal_constant_time("abc", "abcd"));
}

}  // namespace
}  // namespace sallyport::proxy::auth
