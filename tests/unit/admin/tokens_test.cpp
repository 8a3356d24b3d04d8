#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "tests/support/jwt.h"
#include "tests/unit/admin/world.h"

/// API tokens, JWTs, certificates, and how often one may ask.
namespace sallyport::proxy::admin::testing {
namespace {

using nlohmann::json;
using ::testing::Contains;
using ::testing::HasSubstr;

class api_tokens : public ::testing::Test {
  protected:
    /// Makes one as `user`; its text, "" if it was refused.
    std::string make(const std::string& user, const std::vector<std::string>& scopes,
                     const std::string& owner = {}, const std::string& lasts = "1d") {
        json body{{"name", "nightly"}, {"scopes", scopes}, {"for", lasts}};
        if (!owner.empty()) body["owner"] = owner;
        answer = w.send_as(user, "POST", "/api/v1/tokens", body.dump());
        return json_member(answer.body, "token");
    }
    http_response with(const std::string& token, const std::string& method,
                       const std::string& target, const std::string& body = {}) {
        return w.send(method, target, {{"Authorization", "Bearer " + token}}, body);
    }
    static std::string type_of(const http_response& r) {
        const auto type = json_member(r.body, "type");
        return type.substr(type.rfind(':') + 1);
    }
    api_world w;
    http_response answer;
};

TEST_F(api_tokens, token_is_its_owner_within_its_scopes) {
    const auto token = make("bob", {"see-holds", "vote-hold"});

    EXPECT_EQ(with(token, "GET", "/api/v1/holds/7").status, 200U);
    EXPECT_EQ(with(token, "POST", "/api/v1/holds/7/approve", "{}").status, 200U);
    EXPECT_THAT(w.steward_heard, Contains(HasSubstr("bob approves hold 7")));
    const auto out_of_scope = with(token, "GET", "/api/v1/opt-outs");
    EXPECT_EQ(out_of_scope.status, 403U);
    EXPECT_EQ(type_of(out_of_scope), "scope");
    const auto me = json::parse(with(token, "GET", "/api/v1/me").body);
    EXPECT_EQ(me.at("user"), "bob");
    EXPECT_EQ(me.at("by"), "token");
    EXPECT_EQ(me.at("scopes"), json({"see-holds", "vote-hold"}));
}

TEST_F(api_tokens, token_does_no_more_than_its_owners_roles_of_the_moment) {
    const auto token = make("carol", {"see-sessions", "kill-session"});
    ASSERT_EQ(with(token, "GET", "/api/v1/sessions").status, 200U);

    w.people["carol"].name = "carol";
    w.context->business = [&] {
        auto d = w.make();
        d.roles.admins.users = {"somebody-else"};
        return std::make_shared<desk>(std::move(d));
    }();

    EXPECT_EQ(type_of(with(token, "GET", "/api/v1/sessions")), "role");
}

TEST_F(api_tokens, token_of_somebody_who_is_gone_is_nobodys) {
    const auto token = make("alice", {"see-holds"});
    w.people.erase("alice");

    EXPECT_EQ(with(token, "GET", "/api/v1/holds").status, 401U);
}

TEST_F(api_tokens, expired_revoked_and_guessed_tokens_are_refused_alike) {
    const auto expired = make("alice", {"see-holds"}, "", "2h");
    const auto revoked = make("alice", {"see-holds"});
    const auto id = json_member(answer.body, "id");
    EXPECT_EQ(w.send_as("alice", "DELETE", "/api/v1/tokens/" + id).status, 200U);
    w.time.offset_ms += 7'300'000;
    auto guessed = make("eve", {"see-holds"});
    guessed.back() = guessed.back() == 'A' ? 'B' : 'A';

    for (const auto& token : {expired, revoked, guessed, std::string("spt_"), std::string("spt_7_"),
                              std::string("spt_999_x"), "spt_7_" + std::string(64, '0'),
                              "spt_99999999999999999999999_" + std::string(43, 'a')}) {
        const auto r = with(token, "GET", "/api/v1/holds");
        EXPECT_EQ(r.status, 401U) << token;
        EXPECT_EQ(r.body, with("spt_1_x", "GET", "/api/v1/holds").body);
    }
}

TEST_F(api_tokens, only_a_login_makes_tokens_and_only_within_bounds) {
    const auto token = make("alice", {"see-tokens", "revoke-token"});
    EXPECT_EQ(with(token, "GET", "/api/v1/tokens").status, 200U);
    EXPECT_EQ(type_of(with(token, "POST", "/api/v1/tokens",
                           R"({"name":"x","scopes":["see-holds"],"for":"1d"})")),
              "scope");

    for (const auto& [scopes, lasts] :
         std::vector<std::pair<std::vector<std::string>, std::string>>{{{"see-holds"}, "366d"},
                                                                       {{"see-holds"}, "30s"},
                                                                       {{}, "1d"},
                                                                       {{"see-hold"}, "1d"},
                                                                       {{"create-token"}, "1d"},
                                                                       {{"reload"}, "1d"},
                                                                       {{"see-audit"}, "1d"}}) {
        make("alice", scopes, "", lasts);
        EXPECT_EQ(type_of(answer), "invalid") << answer.body;
    }
    access_settings shorter;
    shorter.token_life_max = std::chrono::hours(1);
    w.context->set_access(shorter);
    make("alice", {"see-holds"}, "", "2h");
    EXPECT_EQ(type_of(answer), "invalid") << answer.body;
}

TEST_F(api_tokens, admins_make_tokens_for_programs_and_for_nobody_else) {
    EXPECT_NE(make("carol", {"see-holds"}, "ci"), "");
    EXPECT_EQ(make("carol", {"see-holds"}, "alice"), "");
    EXPECT_EQ(answer.status, 403U);
    EXPECT_EQ(make("alice", {"see-holds"}, "ci"), "");
    EXPECT_EQ(answer.status, 403U);
    for (const auto* vote : {"vote-hold", "vote-opt-out", "review"}) {
        EXPECT_EQ(make("carol", {vote}, "ci"), "");
        EXPECT_EQ(type_of(answer), "invalid") << answer.body;
    }
}

TEST_F(api_tokens, secret_is_shown_once_and_kept_nowhere) {
    const auto token = make("alice", {"see-holds"});
    const auto secret = token.substr(token.size() - 43);

    const auto list = w.send_as("alice", "GET", "/api/v1/tokens").body;

    EXPECT_EQ(token.size() - secret.size(), std::string("spt_8_").size());
    EXPECT_EQ(list.find(secret), std::string::npos);
    EXPECT_EQ(list.find(w.stored_tokens.back().secret_sha256), std::string::npos);
    EXPECT_EQ(w.stored_tokens.back().secret_sha256.size(), 64U);
    for (const auto& r : w.records)
        for (const auto& [name, value] : r.fields)
            EXPECT_EQ(value.find(secret), std::string::npos) << r.event << " " << name;
    EXPECT_EQ(w.records.back().event, "token.created");
}

TEST_F(api_tokens, others_tokens_are_seen_and_revoked_by_admins_alone) {
    make("bob", {"see-holds"});
    const auto at = "/api/v1/tokens/" + json_member(answer.body, "id");

    EXPECT_EQ(w.send_as("alice", "GET", "/api/v1/tokens").body.find("\"bob\""), std::string::npos);
    EXPECT_EQ(w.send_as("alice", "DELETE", at).status, 404U);
    EXPECT_NE(w.send_as("carol", "GET", "/api/v1/tokens").body.find("\"bob\""), std::string::npos);
    EXPECT_EQ(w.send_as("carol", "DELETE", at).status, 200U);
    EXPECT_EQ(w.send_as("carol", "DELETE", at).status, 409U);
    EXPECT_EQ(w.records.back().event, "token.revoked");
}

TEST_F(api_tokens, without_a_place_to_store_nothing_is_made_and_a_revocation_still_counts) {
    const auto token = make("bob", {"see-holds"});
    const auto at = "/api/v1/tokens/" + json_member(answer.body, "id");
    w.healthy = false;

    EXPECT_EQ(make("bob", {"see-holds"}), "");
    EXPECT_EQ(answer.status, 503U);
    EXPECT_EQ(w.send_as("bob", "DELETE", at).status, 503U);
    EXPECT_EQ(with(token, "GET", "/api/v1/holds").status, 401U);
}

TEST_F(api_tokens, uses_are_written_now_and_then_and_what_they_did_names_the_token) {
    const auto token = make("bob", {"vote-hold"});
    for (int i = 0; i < 5; ++i)
        with(token, "POST", "/api/v1/holds/7/approve", "{}");

    EXPECT_EQ(w.noted_uses, 1U);
    const auto& r = w.records.back();
    EXPECT_EQ(r.event, "admin.action");
    EXPECT_THAT(r.fields, Contains(std::pair<std::string, std::string>("token", "8")));
}

class api_jwt : public api_tokens {
  protected:
    api_jwt() { configure(false); }
    void configure(bool any_user) {
        access_settings a;
        a.jwt.emplace();
        a.jwt->issuer = "https://login.example";
        a.jwt->audience = "sallyport";
        a.jwt->groups_claim = "groups";
        a.jwt->groups = {{"approvers", "security"}, {"auditors", "audit"}};
        a.jwt->any_user = any_user;
        a.jwt->keys = auth::jwk_set::parse(tests::key_set_of(key)).keys;
        w.context->set_access(a);
    }
    [[nodiscard]] std::string jwt_of(const std::string& user, const json& groups = json::array(),
                                     std::int64_t lasts = 300) const {
        const auto now_s = w.time.now().time_since_epoch().count() / 1000;
        return key.token(json{{"iss", "https://login.example"},
                              {"aud", "sallyport"},
                              {"sub", user},
                              {"groups", groups},
                              {"iat", now_s},
                              {"nbf", now_s},
                              {"exp", now_s + lasts}});
    }
    tests::jwt_signer key{"k", "ED25519"};
};

TEST_F(api_jwt, person_of_users_yaml_is_let_in_with_the_mapped_groups_beside_hers) {
    const auto me =
        json::parse(with(jwt_of("alice", {"approvers", "unmapped"}), "GET", "/api/v1/me").body);

    EXPECT_EQ(me.at("user"), "alice");
    EXPECT_EQ(me.at("groups"), json({"dev", "security"}));
    EXPECT_EQ(me.at("by"), "jwt");
    EXPECT_EQ(with(jwt_of("dave", {"auditors"}), "GET", "/api/v1/audit").status, 200U);
    EXPECT_EQ(with(jwt_of("eve"), "GET", "/api/v1/audit").status, 403U);
}

TEST_F(api_jwt, unknown_people_come_in_only_where_users_are_any_and_never_the_shut_out) {
    EXPECT_EQ(with(jwt_of("zoe"), "GET", "/api/v1/me").status, 401U);
    configure(true);
    EXPECT_EQ(with(jwt_of("zoe"), "GET", "/api/v1/me").status, 200U);
    EXPECT_EQ(with(jwt_of("expired"), "GET", "/api/v1/me").status, 401U);
}

TEST_F(api_jwt, program_stays_a_program_and_makes_no_tokens) {
    const auto me = json::parse(with(jwt_of("ci"), "GET", "/api/v1/me").body);
    EXPECT_EQ(me.at("service"), true);

    const auto r = with(jwt_of("alice"), "POST", "/api/v1/tokens",
                        R"({"name":"x","scopes":["see-holds"],"for":"1d"})");
    EXPECT_EQ(type_of(r), "forbidden");
}

TEST_F(api_jwt, refusal_says_why_and_without_configuration_there_are_none) {
    const auto late = jwt_of("alice", json::array(), 1);
    w.time.offset_ms += 60'000;
    const auto r = with(late, "GET", "/api/v1/me");
    EXPECT_EQ(r.status, 401U);
    EXPECT_THAT(r.body, HasSubstr("it has expired"));
    w.context->set_access({});
    EXPECT_EQ(with(jwt_of("alice"), "GET", "/api/v1/me").status, 401U);
}

class api_rates : public api_tokens {
  protected:
    api_rates() {
        access_settings a;
        a.requests_per_person = 2;
        a.requests_per_address = 10;
        w.context->set_access(a);
    }
    /// How many requests in a row are answered before one is too many.
    std::size_t burst(const std::string& token) {
        for (std::size_t n = 0; n < 1000; ++n) {
            answer = with(token, "GET", "/api/v1/me");
            if (answer.status == 429) return n;
        }
        return 1000;
    }
};

TEST_F(api_rates, person_and_each_of_her_tokens_have_bursts_of_their_own) {
    const auto login = w.token_of("alice");
    const auto token = make("alice", {"see-holds"});

    EXPECT_EQ(burst(login), 19U) << "one went into making the token";
    EXPECT_EQ(type_of(answer), "too-many-requests");
    EXPECT_EQ(header_of(answer, "Retry-After"), "1");
    EXPECT_EQ(burst(token), 20U);
    w.time.offset_ms += 1'000;
    EXPECT_EQ(burst(login), 2U);
}

TEST_F(api_rates, address_is_bounded_whoever_asks_and_other_addresses_are_not) {
    std::size_t answered = 0;
    while (w.send("GET", "/healthz").status == 200)
        ++answered;

    EXPECT_EQ(answered, 100U);
    w.address = "2001:db8::1";
    EXPECT_EQ(w.send("GET", "/healthz").status, 200U);
    answered = 0;
    while (w.send("GET", "/healthz").status == 200)
        ++answered;
    w.address = "2001:db8::2";
    EXPECT_EQ(w.send("GET", "/healthz").status, 429U) << "the same subscriber's network";
}

TEST(request_throttle, tables_stay_bounded_and_still_let_people_in) {
    request_throttle t;
    const policy::instant now{policy::milliseconds(1'000'000)};
    for (std::size_t i = 0; i < request_throttle::entries_max + 5'000; ++i)
        EXPECT_EQ(t.admit_caller("person " + std::to_string(i), 1'000, now).count(), 0);

    EXPECT_LE(t.size(), request_throttle::entries_max + 1);
    EXPECT_EQ(t.admit_caller("late", 1, now + std::chrono::hours(1)).count(), 0);
    EXPECT_LE(t.size(), 2U) << "what had filled up again is forgotten";
}

class api_certificates : public api_tokens {
  protected:
    api_certificates() { w.context->options.mutual = true; }
};

TEST_F(api_certificates, certificate_logs_in_whom_it_names) {
    w.certificate = "CN=bob";
    const auto r = w.send("POST", "/api/v1/login", {}, "{}");

    ASSERT_EQ(r.status, 200U) << r.body;
    EXPECT_EQ(json_member(r.body, "user"), "bob");
    EXPECT_EQ(with(json_member(r.body, "token"), "GET", "/api/v1/me").status, 200U);
    EXPECT_EQ(w.log_in("alice", "alice-password").status, 401U) << "a password adds nothing";
    w.certificate = "CN=nobody";
    EXPECT_EQ(w.send("POST", "/api/v1/login", {}, "{}").status, 401U);
    EXPECT_EQ(w.send("POST", "/api/v1/login", {}, "{\"rubbish\":1}").status, 400U);
}

TEST_F(api_certificates, login_of_somebody_else_is_refused_behind_a_certificate) {
    w.certificate = "CN=bob";
    const auto token = json_member(w.send("POST", "/api/v1/login", {}, "{}").body, "token");
    w.certificate = "CN=eve";

    EXPECT_EQ(with(token, "GET", "/api/v1/me").status, 401U);
    w.certificate.reset();
    EXPECT_EQ(with(token, "GET", "/api/v1/me").status, 401U);
}

TEST(api_chain, verification_is_read_once_while_it_is_fresh) {
    api_world w;
    for (int i = 0; i < 3; ++i)
        EXPECT_EQ(json_member(w.send_as("dave", "GET", "/api/v1/audit/verify").body, "state"),
                  "verified");
    EXPECT_EQ(w.verifications, 1);
    w.time.offset_ms += 30'000;
    static_cast<void>(w.send_as("dave", "GET", "/api/v1/audit/verify"));
    EXPECT_EQ(w.verifications, 2);
}

TEST(api_chain, insight_is_read_once_a_minute_and_refuses_what_would_be_too_much) {
    api_world w;
    for (int i = 0; i < 3; ++i)
        EXPECT_EQ(w.send_as("dave", "GET", "/api/v1/insight").status, 200U);
    EXPECT_EQ(w.insights_read, 1);
    for (const auto* query :
         {"?step=1s", "?step=0", "?from=2026-03-02T00:00:00Z&to=2026-03-01T00:00:00Z",
          "?from=1971-01-01T00:00:00Z", "?since=1", "?from=yesterday"})
        EXPECT_EQ(w.send_as("dave", "GET", std::string("/api/v1/insight") + query).status, 400U)
            << query;
}

TEST(api_chain, story_is_of_exactly_one_subject) {
    api_world w;
    for (const auto* query :
         {"", "?hold=0", "?hold=1&opt_out=2", "?hold=x", "?rule=1", "?opt_out="})
        EXPECT_EQ(w.send_as("dave", "GET", std::string("/api/v1/audit/story") + query).status, 400U)
            << query;
    const auto bundle = w.send_as("dave", "GET", "/api/v1/audit/bundle?opt_out=3");
    EXPECT_EQ(bundle.body, "bundle of opt_out 3\n");
    EXPECT_EQ(w.records.back().event, "audit.exported");
}

}  // namespace
}  // namespace sallyport::proxy::admin::testing
