#include "proxy/auth/jwt.h"

#include <gtest/gtest.h>

#include "tests/support/jwt.h"

namespace sallyport::proxy::auth {
namespace {

using nlohmann::json;
using tests::jwt_signer;
using tests::key_set_of;

constexpr std::int64_t now_s = 1'772'357'400;
const policy::instant now{std::chrono::seconds(now_s)};

const jwt_signer& rsa() {
    static const jwt_signer key("r1", "RSA");
    return key;
}
const jwt_signer& ec() {
    static const jwt_signer key("e1", "EC");
    return key;
}
const jwt_signer& ed() {
    static const jwt_signer key("d1", "ED25519");
    return key;
}

json good_claims() {
    return {{"iss", "https://login.example"},
            {"aud", "sallyport"},
            {"sub", "alice"},
            {"exp", now_s + 300},
            {"nbf", now_s - 10},
            {"iat", now_s - 10},
            {"roles", {"approvers", "other"}},
            {"realm", {{"r", "dev"}}}};
}

class jwt : public testing::Test {
  protected:
    jwt() {
        o.issuer = "https://login.example";
        o.audience = "sallyport";
        o.groups_claim = "roles";
        o.groups = {{"approvers", "security"}, {"dev", "developers"}};
        o.keys = jwk_set::parse(key_set_of(rsa(), ec(), ed())).keys;
    }
    [[nodiscard]] std::string why(const std::string& token) const {
        return verify_jwt(o, token, now).why;
    }
    [[nodiscard]] std::string why(const json& claims) const { return why(ed().token(claims)); }
    [[nodiscard]] std::string why_with(const char* name, const json& value) const {
        auto claims = good_claims();
        claims[name] = value;
        return why(claims);
    }
    [[nodiscard]] std::string why_without(const char* name) const {
        auto claims = good_claims();
        claims.erase(name);
        return why(claims);
    }
    jwt_options o;
};

TEST_F(jwt, each_algorithm_names_its_person_with_the_mapped_groups_alone) {
    for (const auto* key : {&rsa(), &ec(), &ed()}) {
        const auto v = verify_jwt(o, key->token(good_claims()), now);

        ASSERT_TRUE(v.who) << key->algorithm() << ": " << v.why;
        EXPECT_EQ(v.who->user, "alice");
        EXPECT_EQ(v.who->groups, std::vector<std::string>{"security"});
        EXPECT_EQ(v.who->expires_at, now + std::chrono::seconds(330));
    }
}

TEST_F(jwt, one_changed_letter_anywhere_is_refused) {
    for (const auto* key : {&rsa(), &ec(), &ed()}) {
        const auto token = key->token(good_claims());
        for (std::size_t i = 0; i < token.size(); ++i) {
            auto other = token;
            other[i] = other[i] == 'A' ? 'B' : 'A';
            EXPECT_FALSE(verify_jwt(o, other, now).who) << key->algorithm() << " at " << i;
        }
    }
}

TEST_F(jwt, no_algorithm_and_shared_secrets_are_refused) {
    const auto claims = good_claims().dump();
    for (const auto* alg : {"none", "None", "HS256", "HS512", "PS256", "ES384", ""})
        EXPECT_NE(why(ed().token({{"alg", alg}, {"kid", "d1"}}, claims)), "") << alg;
    const auto text = tests::to_base64url(R"({"alg":"none"})") + "." + tests::to_base64url(claims);
    EXPECT_NE(why(text + "."), "");

    // The oldest trick: the public key, which everybody has, as a shared secret.
    const auto secret = rsa().jwk().at("n").get<std::string>();
    const auto signed_text =
        tests::to_base64url(R"({"alg":"HS256","kid":"r1"})") + "." + tests::to_base64url(claims);
    unsigned char mac[32];
    unsigned size = 0;
    HMAC(EVP_sha256(), secret.data(), static_cast<int>(secret.size()),
         reinterpret_cast<const unsigned char*>(signed_text.data()), signed_text.size(), mac,
         &size);
    EXPECT_NE(
        why(signed_text + "." + tests::to_base64url({reinterpret_cast<const char*>(mac), size})),
        "");
}

TEST_F(jwt, key_of_another_algorithm_or_service_is_refused) {
    const auto claims = good_claims().dump();
    EXPECT_NE(why(ed().token({{"alg", "ES256"}, {"kid", "d1"}}, claims)), "");
    EXPECT_NE(why(ed().token({{"alg", "RS256"}, {"kid", "r1"}}, claims)), "");
    EXPECT_NE(why(ed().token({{"alg", "EdDSA"}, {"kid", "unknown"}}, claims)), "");
    const jwt_signer stranger("d1", "ED25519");
    EXPECT_EQ(why(stranger.token(good_claims())), "its signature is not of that key");
}

TEST_F(jwt, without_kid_the_only_key_of_its_algorithm_is_taken_and_no_other) {
    EXPECT_EQ(why(ed().token({{"alg", "EdDSA"}}, good_claims().dump())), "");
    const jwt_signer second("d2", "ED25519");
    o.keys = jwk_set::parse(key_set_of(ed(), second)).keys;
    EXPECT_NE(why(ed().token({{"alg", "EdDSA"}}, good_claims().dump())), "");
    EXPECT_EQ(why(ed().token(good_claims())), "");
}

TEST_F(jwt, each_claim_is_needed_and_must_fit) {
    for (const auto* name : {"iss", "aud", "exp", "sub"})
        EXPECT_NE(why_without(name), "") << name;
    EXPECT_EQ(why_without("nbf"), "") << "iat stands in for it";
    auto neither = good_claims();
    neither.erase("nbf");
    neither.erase("iat");
    EXPECT_EQ(why(neither), "it has neither nbf nor iat");
    EXPECT_NE(why_with("iss", "https://login.example/"), "");
    EXPECT_NE(why_with("iss", {"https://login.example"}), "");
    EXPECT_NE(why_with("aud", "other"), "");
    EXPECT_EQ(why_with("aud", {"other", "sallyport"}), "");
    EXPECT_NE(why_with("aud", 7), "");
    for (const json& bad : {json("soon"), json(-1), json(1e300), json(nullptr), json::array()})
        EXPECT_NE(why_with("exp", bad), "") << bad;
    EXPECT_NE(why_with("nbf", "soon"), "");
    for (const json& bad : {json(""), json(7), json("sallyport"), json("pg_x"), json("a,b"),
                            json("alice\n"), json(nullptr)})
        EXPECT_NE(why_with("sub", bad), "") << bad;
}

TEST_F(jwt, times_have_a_leeway_of_thirty_seconds_and_no_more) {
    EXPECT_EQ(why_with("exp", now_s - 29), "");
    EXPECT_EQ(why_with("exp", now_s - 30), "it has expired");
    EXPECT_EQ(why_with("nbf", now_s + 30), "");
    EXPECT_EQ(why_with("nbf", now_s + 31), "it is not valid yet");
    EXPECT_EQ(why_with("iat", now_s + 31), "it is not valid yet");
    o.max_age = std::chrono::minutes(10);
    auto old = good_claims();
    old["iat"] = now_s - 631;
    old["nbf"] = now_s - 631;
    EXPECT_EQ(why(old), "it is older than max_age");
    old["iat"] = now_s - 10;
    EXPECT_EQ(why(old), "it is older than max_age") << "the earlier of the two counts";
    old["iat"] = now_s - 629;
    old["nbf"] = now_s - 629;
    EXPECT_EQ(why(old), "");
}

TEST_F(jwt, doubled_members_critical_headers_and_long_tokens_are_refused) {
    const json header{{"alg", "EdDSA"}, {"kid", "d1"}};
    const auto twice = R"({"sub":"bob",)" + good_claims().dump().substr(1);
    EXPECT_EQ(why(ed().token(header, twice)), "its claims are no JSON object");
    EXPECT_NE(
        why(ed().token({{"alg", "EdDSA"}, {"kid", "d1"}, {"crit", {"b64"}}}, good_claims().dump())),
        "");
    EXPECT_NE(why(ed().token({{"alg", "EdDSA"}, {"kid", "d1"}, {"typ", "secevent+jwt"}},
                             good_claims().dump())),
              "");
    EXPECT_EQ(why_with("more", std::string(jwt_bytes_max, 'x')), "it is longer than 8 KiB");
    for (const auto* text : {"", ".", "..", "...", "a.b.c", "e30.e30.", "\xff.\xff.\xff"})
        EXPECT_FALSE(verify_jwt(o, text, now).who) << text;
}

TEST_F(jwt, claims_can_be_found_by_a_pointer) {
    o.groups_claim = "/realm/r";
    EXPECT_EQ(verify_jwt(o, ed().token(good_claims()), now).who->groups,
              std::vector<std::string>{"developers"});
    o.user_claim = "/realm/missing";
    EXPECT_EQ(why(good_claims()), "it names nobody");
}

TEST(jwk, sets_with_private_shared_or_no_usable_keys_are_refused) {
    auto with_private = ed().jwk();
    with_private["d"] = "AAAA";
    const auto of = [](const json& keys) {
        return jwk_set::parse(json{{"keys", keys}}.dump()).error;
    };
    EXPECT_NE(of(json::array({with_private})), "");
    EXPECT_NE(of(json::array({{{"kty", "oct"}, {"k", "c2VjcmV0"}}})), "");
    EXPECT_NE(of(json::array()), "");
    EXPECT_NE(of(json::array({7})), "");
    EXPECT_NE(of(json::array({ed().jwk(), ed().jwk()})), "") << "the same kid twice";
    EXPECT_NE(jwk_set::parse("{}").error, "");
    EXPECT_NE(jwk_set::parse("no json").error, "");
    EXPECT_EQ(of(json::array({ed().jwk(), {{"kty", "EC"}, {"crv", "P-521"}}})), "")
        << "keys of other kinds are left out";
}

TEST(jwk, weak_and_unsound_keys_are_left_out) {
    const auto of = [](const json& key) {
        return jwk_set::parse(json{{"keys", json::array({key})}}.dump()).error;
    };
    EXPECT_NE(of(jwt_signer("weak", "RSA", 1024).jwk()), "");
    auto off_curve = ec().jwk();
    off_curve["y"] = off_curve["x"];
    EXPECT_NE(of(off_curve), "");
    auto for_encryption = ed().jwk();
    for_encryption["use"] = "enc";
    EXPECT_NE(of(for_encryption), "");
    auto other_algorithm = rsa().jwk();
    other_algorithm["alg"] = "PS256";
    EXPECT_NE(of(other_algorithm), "");
}

TEST(base64url, is_strict) {
    EXPECT_EQ(from_base64url(to_base64url("ab\xff")), "ab\xff");
    EXPECT_EQ(from_base64url(""), "");
    for (const auto* bad : {"A", "AB=", "AA==", "A+", "A/", "AB", "A A"})
        EXPECT_FALSE(from_base64url(bad)) << bad;
}

}  // namespace
}  // namespace sallyport::proxy::auth
