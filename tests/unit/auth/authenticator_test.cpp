#include "proxy/auth/authenticator.h"

#include <string>

#include <gtest/gtest.h>

#include "protocol/backend.h"
#include "protocol/frontend.h"
#include "protocol/sasl.h"

namespace sallyport::proxy::auth {
namespace {

namespace backend = protocol::backend;
namespace frontend = protocol::frontend;
using kind = login_step::kind;

const std::string mock_key(32, 'm');

policy::instant at(std::int64_t ms) {
    return policy::instant(policy::milliseconds(ms));
}

user_directory_ptr directory() {
    std::vector<user> users(4);
    users[0].principal = {"alice", {"dev", "oncall"}, false};
    users[0].scram = make_verifier("alice-demo");
    users[1].principal = {"bob", {"security"}, false};
    users[1].scram = make_verifier("bob-demo");
    users[1].valid_until = at(1000);
    users[2].principal = {"ci", {"pipelines"}, true};
    users[2].certificate = "CN=ci,O=Example";
    users[3].principal = {"carol", {"dba"}, false};
    users[3].certificate = "CN=carol,O=Example";
    users[3].valid_until = at(1000);
    return std::make_shared<const user_directory>(std::move(users));
}

// The body of a message: without tag and length.
std::string body_of(const std::string& frame) {
    return frame.substr(5);
}

std::string initial(std::string_view data, std::string_view mechanism = "SCRAM-SHA-256") {
    std::string out;
    frontend::sasl_initial_response{mechanism, data}.encode(out);
    return body_of(out);
}

std::string response(std::string_view data) {
    std::string out;
    frontend::sasl_response{data}.encode(out);
    return body_of(out);
}

// The payload of an AuthenticationSASLContinue that is all of `bytes`.
std::string challenge(const std::string& bytes) {
    const auto body = body_of(bytes);
    const auto message = backend::authentication::decode(body);
    const auto* data = std::get_if<backend::authentication_sasl_continue>(&message->request);
    return data == nullptr ? "not a challenge" : std::string(data->data);
}

struct run {
    login_step last;
    std::string server_first;
};

run log_in(const user_directory_ptr& users, const std::string& name, std::string_view password,
           policy::instant now = at(0)) {
    authenticator a(users, mock_key, {name, now, false, {}});
    EXPECT_EQ(a.start().what, kind::send);
    scram_client client{secret(password)};
    const auto first = a.step(initial(client.first()));
    EXPECT_EQ(first.what, kind::send);
    const auto server_first = challenge(first.bytes);
    const auto proof = client.server_first(server_first);
    EXPECT_EQ(proof.status, scram_status::send) << proof.cause;
    return {a.step(response(proof.data)), server_first};
}

TEST(authenticator_test, right_password_gives_the_principal_and_ends_in_authentication_ok) {
    const auto r = log_in(directory(), "alice", "alice-demo").last;

    ASSERT_EQ(r.what, kind::accepted);
    EXPECT_EQ(r.principal, (policy::principal{"alice", {"dev", "oncall"}, false}));
    EXPECT_EQ(r.method, "scram-sha-256");
    ASSERT_GT(r.bytes.size(), 9u);
    EXPECT_EQ(r.bytes.substr(r.bytes.size() - 9), std::string("R\0\0\0\x08\0\0\0\0", 9));
    EXPECT_EQ(r.bytes[8], 12);  // SASLFinal comes first
}

TEST(authenticator_test, one_mechanism_is_offered) {
    authenticator a(directory(), mock_key, {"alice", at(0), false, {}});

    EXPECT_EQ(a.start().bytes, std::string("R\0\0\0\x17\0\0\0\x0aSCRAM-SHA-256\0\0", 24));
}

TEST(authenticator_test, wrong_unknown_expired_and_passwordless_users_look_the_same) {
    const auto users = directory();
    const auto wrong = log_in(users, "alice", "guess");
    const auto unknown = log_in(users, "nobody", "guess");
    const auto expired = log_in(users, "bob", "bob-demo", at(1000));
    const auto without = log_in(users, "ci", "guess");

    for (const auto* r : {&wrong, &unknown, &expired, &without}) {
        EXPECT_EQ(r->last.what, kind::refused);
        EXPECT_EQ(r->last.sqlstate, "28P01");
        EXPECT_EQ(r->last.bytes, "");
        const auto parsed = protocol::sasl::server_first::parse(r->server_first);
        ASSERT_TRUE(parsed);
        EXPECT_EQ(parsed->iterations, 4096u);
        EXPECT_EQ(parsed->salt.size(), scram_salt_bytes);
        EXPECT_EQ(r->server_first.size(), wrong.server_first.size());
    }
    EXPECT_EQ(wrong.last.message, "password authentication failed for user \"alice\"");
    EXPECT_EQ(unknown.last.message, "password authentication failed for user \"nobody\"");
    EXPECT_EQ(expired.last.message, "password authentication failed for user \"bob\"");
    EXPECT_EQ(wrong.last.reason, "wrong password");
    EXPECT_EQ(unknown.last.reason, "unknown user");
    EXPECT_EQ(expired.last.reason, "expired user");
    EXPECT_EQ(without.last.reason, "user has no password");
}

TEST(authenticator_test, salts_of_unknown_users_stay_the_same) {
    const auto salt = [](const run& r) {
        return protocol::sasl::server_first::parse(r.server_first)->salt;
    };
    const auto users = directory();

    EXPECT_EQ(salt(log_in(users, "nobody", "a")), salt(log_in(directory(), "nobody", "b")));
    EXPECT_NE(salt(log_in(users, "nobody", "a")), salt(log_in(users, "noone", "a")));
}

TEST(authenticator_test, user_is_good_until_the_instant_it_ends) {
    EXPECT_EQ(log_in(directory(), "bob", "bob-demo", at(999)).last.what, kind::accepted);
}

TEST(authenticator_test, client_may_wait_for_the_empty_challenge) {
    authenticator a(directory(), mock_key, {"alice", at(0), false, {}});
    (void)a.start();
    std::string frame;
    frontend::sasl_initial_response{"SCRAM-SHA-256", std::nullopt}.encode(frame);

    const auto empty = a.step(body_of(frame));

    ASSERT_EQ(empty.what, kind::send);
    EXPECT_EQ(challenge(empty.bytes), "");
    scram_client client{secret("alice-demo")};
    const auto first = a.step(response(client.first()));
    ASSERT_EQ(first.what, kind::send);
    const auto proof = client.server_first(challenge(first.bytes));
    EXPECT_EQ(a.step(response(proof.data)).what, kind::accepted);
}

TEST(authenticator_test, malformed_messages_are_protocol_violations_and_end_the_login) {
    const std::string mechanism("SCRAM-SHA-256\0", 14);
    for (const auto& body :
         {std::string(), std::string("alice-demo\0", 11), mechanism, mechanism + "\xff\xff\xff\xf0",
          mechanism + std::string("\0\0\0\x05", 4) + "abc",
          mechanism + std::string("\0\0\0\x01", 4) + "abc",
          initial("n,,n=,r=abc", "SCRAM-SHA-256-PLUS"), initial("n,,n=,r=abc", "PLAIN"),
          initial("p=tls-server-end-point,,n=,r=abc"), initial("garbage")}) {
        authenticator a(directory(), mock_key, {"alice", at(0), false, {}});
        (void)a.start();
        const auto r = a.step(body);
        EXPECT_EQ(r.what, kind::refused);
        EXPECT_EQ(r.sqlstate, "08P01");
        EXPECT_EQ(a.step(initial("n,,n=,r=abc")).sqlstate, "08P01");
    }
}

TEST(authenticator_test, password_message_before_the_question_is_refused) {
    authenticator a(directory(), mock_key, {"alice", at(0), false, {}});

    EXPECT_EQ(a.step(initial("n,,n=,r=abc")).what, kind::refused);
    EXPECT_EQ(a.start().what, kind::refused);
}

const std::string end_point(32, 'h');

authenticator over_tls(const std::string& user, bool required = false) {
    return {directory(), mock_key, {user, at(0), false, {}, end_point, required}};
}

std::string mechanisms_of(const login_step& s) {
    return s.bytes.substr(9);
}

const std::string both("SCRAM-SHA-256-PLUS\0SCRAM-SHA-256\0\0", 34);

TEST(authenticator_test, plus_is_offered_first_where_there_is_something_to_bind_to) {
    auto a = over_tls("alice");
    auto required = over_tls("alice", true);

    EXPECT_EQ(mechanisms_of(a.start()), both);
    EXPECT_EQ(mechanisms_of(required.start()), std::string("SCRAM-SHA-256-PLUS\0\0", 20));
}

TEST(authenticator_test, users_who_cannot_log_in_are_offered_the_same_and_refused_the_same) {
    for (const char* name : {"alice", "bob", "ci", "nobody"}) {
        authenticator a(directory(), mock_key, {name, at(1000), false, {}, end_point, false});
        EXPECT_EQ(mechanisms_of(a.start()), both) << name;
        scram_client client{secret("guess")};
        client.set_binding(protocol::sasl::binding::used, end_point);
        const auto first = a.step(initial(client.first(), "SCRAM-SHA-256-PLUS"));
        ASSERT_EQ(first.what, kind::send) << name;
        const auto last = a.step(response(client.server_first(challenge(first.bytes)).data));
        EXPECT_EQ(last.sqlstate, "28P01") << name;
        EXPECT_EQ(last.message,
                  "password authentication failed for user \"" + std::string(name) + "\"");
    }
}

TEST(authenticator_test, bound_login_is_accepted_and_named) {
    auto a = over_tls("alice", true);
    (void)a.start();
    scram_client client{secret("alice-demo")};
    client.set_binding(protocol::sasl::binding::used, end_point);

    const auto first = a.step(initial(client.first(), "SCRAM-SHA-256-PLUS"));
    const auto last = a.step(response(client.server_first(challenge(first.bytes)).data));

    EXPECT_EQ(last.what, kind::accepted);
    EXPECT_EQ(last.method, "scram-sha-256-plus");
}

TEST(authenticator_test, downgrade_and_foreign_channel_are_refused_in_postgresql_s_words) {
    auto downgraded = over_tls("alice");
    (void)downgraded.start();
    const auto y = downgraded.step(initial("y,,n=,r=abc"));
    EXPECT_EQ(y.sqlstate, "28000");
    EXPECT_EQ(y.message, "SCRAM channel binding negotiation error");

    auto foreign = over_tls("alice");
    (void)foreign.start();
    scram_client client{secret("alice-demo")};
    client.set_binding(protocol::sasl::binding::used, std::string(32, 'x'));
    const auto first = foreign.step(initial(client.first(), "SCRAM-SHA-256-PLUS"));
    const auto last = foreign.step(response(client.server_first(challenge(first.bytes)).data));
    EXPECT_EQ(last.sqlstate, "28000");
    EXPECT_EQ(last.message, "SCRAM channel binding check failed");
}

TEST(authenticator_test, mechanism_that_was_not_offered_is_a_violation) {
    auto required = over_tls("alice", true);
    (void)required.start();
    EXPECT_EQ(required.step(initial("n,,n=,r=abc")).sqlstate, "08P01");

    auto mixed = over_tls("alice");
    (void)mixed.start();
    EXPECT_EQ(mixed.step(initial("n,,n=,r=abc", "SCRAM-SHA-256-PLUS")).sqlstate, "08P01");
}

TEST(authenticator_test, required_binding_without_tls_lets_nobody_in) {
    authenticator a(directory(), mock_key, {"alice", at(0), false, {}, "", true});

    const auto r = a.start();

    EXPECT_EQ(r.what, kind::refused);
    EXPECT_EQ(r.sqlstate, "28000");
}

login_step by_certificate(const std::string& name, std::optional<certificate_identity> c,
                          policy::instant now = at(0)) {
    authenticator a(directory(), mock_key, {name, now, true, std::move(c)});
    return a.start();
}

TEST(authenticator_test, certificate_is_the_identity) {
    const auto r = by_certificate("ci", certificate_identity{true, "CN=ci,O=Example"});

    ASSERT_EQ(r.what, kind::accepted);
    EXPECT_EQ(r.principal, (policy::principal{"ci", {"pipelines"}, true}));
    EXPECT_EQ(r.method, "certificate");
    EXPECT_EQ(r.bytes, std::string("R\0\0\0\x08\0\0\0\0", 9));
}

TEST(authenticator_test, certificate_of_somebody_else_unmapped_unverified_or_missing_is_refused) {
    const std::vector<login_step> refused{
        by_certificate("alice", certificate_identity{true, "CN=ci,O=Example"}),
        by_certificate("ci", certificate_identity{true, "CN=ci,O=Other"}),
        by_certificate("ci", certificate_identity{true, "CN=ci"}),
        by_certificate("ci", certificate_identity{false, "CN=ci,O=Example"}),
        by_certificate("ci", certificate_identity{true, ""}),
        by_certificate("ci", std::nullopt),
        by_certificate("carol", certificate_identity{true, "CN=carol,O=Example"}, at(1000)),
    };
    for (const auto& r : refused) {
        EXPECT_EQ(r.what, kind::refused);
        EXPECT_EQ(r.sqlstate, "28000");
        EXPECT_TRUE(r.message.starts_with("certificate authentication failed for user \""))
            << r.message;
        EXPECT_FALSE(r.reason.empty());
    }
    EXPECT_EQ(
        by_certificate("carol", certificate_identity{true, "CN=carol, O=Example"}, at(999)).what,
        kind::accepted);
}

TEST(check_password_test, same_rules_hold_for_other_surfaces) {
    const auto users = directory();
    std::string reason;
    const auto check = [&](std::string_view name, std::string_view password, std::int64_t now) {
        return check_password(*users, mock_key, name, password, at(now), reason);
    };

    ASSERT_TRUE(check("alice", "alice-demo", 0));
    EXPECT_EQ(check("alice", "alice-demo", 0)->name, "alice");
    EXPECT_FALSE(check("alice", "guess", 0));
    EXPECT_EQ(reason, "wrong password");
    EXPECT_FALSE(check("nobody", "guess", 0));
    EXPECT_EQ(reason, "unknown user");
    EXPECT_FALSE(check("bob", "bob-demo", 1000));
    EXPECT_EQ(reason, "expired user");
    EXPECT_FALSE(check("ci", "", 0));
    EXPECT_EQ(reason, "user has no password");
}

}  // namespace
}  // namespace sallyport::proxy::auth
