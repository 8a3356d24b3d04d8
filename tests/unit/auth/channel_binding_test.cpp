#include <string>

#include <gtest/gtest.h>

#include "protocol/sasl.h"
#include "proxy/auth/methods.h"
#include "proxy/auth/scram.h"

namespace sallyport::proxy::auth {
namespace {

namespace sasl = protocol::sasl;
using fate = scram_server::fate;

const std::string end_point(32, 'h');
const std::string plus_header = "p=tls-server-end-point,,";

scram_server server_with(scram_binding b) {
    scram_server s(make_verifier("pencil", 1), fate::honest, "server-nonce");
    s.set_binding(b, b == scram_binding::used ? end_point : "");
    return s;
}

// flag x what was offered and chosen: the whole matrix.
TEST(channel_binding_test, flag_must_agree_with_what_was_offered_and_chosen) {
    struct row {
        std::string header;
        scram_binding binding;
        scram_status expected;
    };
    const std::vector<row> matrix{
        {"n,,", scram_binding::absent, scram_status::send},
        {"n,,", scram_binding::declined, scram_status::send},
        {"n,,", scram_binding::used, scram_status::malformed},
        {"y,,", scram_binding::absent, scram_status::send},
        {"y,,", scram_binding::declined, scram_status::unbound},
        {"y,,", scram_binding::used, scram_status::malformed},
        {plus_header, scram_binding::absent, scram_status::malformed},
        {plus_header, scram_binding::declined, scram_status::malformed},
        {plus_header, scram_binding::used, scram_status::send},
        {"p=tls-unique,,", scram_binding::used, scram_status::malformed},
        {"p=tls-exporter,,", scram_binding::used, scram_status::malformed},
        {"p=,,", scram_binding::used, scram_status::malformed},
        {"P=tls-server-end-point,,", scram_binding::used, scram_status::malformed},
    };
    for (const auto& r : matrix) {
        auto s = server_with(r.binding);
        EXPECT_EQ(s.step(r.header + "n=,r=abc").status, r.expected)
            << r.header << " binding " << static_cast<int>(r.binding);
    }
}

// The answer to a client-final with this `c=`: a right one gets as far as the (wrong) proof.
scram_step final_with(scram_binding b, const std::string& header, const std::string& bound) {
    auto server = server_with(b);
    if (server.step(header + "n=,r=abc").status != scram_status::send) return {};
    const auto text = "c=" + sasl::base64_encode(bound) + ",r=abcserver-nonce";
    return server.step(text + ",p=" + sasl::base64_encode(std::string(32, 'p')));
}

TEST(channel_binding_test, value_that_comes_back_is_compared_byte_for_byte) {
    using enum scram_status;
    EXPECT_EQ(final_with(scram_binding::absent, "n,,", "n,,").status, failed);
    EXPECT_EQ(final_with(scram_binding::absent, "n,,", "y,,").status, malformed);
    EXPECT_EQ(final_with(scram_binding::absent, "y,,", "y,,").status, failed);
    EXPECT_EQ(final_with(scram_binding::absent, "y,,", "n,,").status, malformed);
    EXPECT_EQ(final_with(scram_binding::absent, "n,,", "n,," + end_point).status, malformed);
    EXPECT_EQ(final_with(scram_binding::declined, "n,,", "n,,").status, failed);
    EXPECT_EQ(final_with(scram_binding::used, plus_header, plus_header + end_point).status, failed);
    EXPECT_EQ(final_with(scram_binding::used, plus_header, plus_header).status, unbound);
    EXPECT_EQ(final_with(scram_binding::used, plus_header, "n,,").status, unbound);
    EXPECT_EQ(final_with(scram_binding::used, plus_header, plus_header + end_point + "h").status,
              unbound);
    EXPECT_EQ(
        final_with(scram_binding::used, plus_header, plus_header + std::string(32, 'x')).status,
        unbound);
}

scram_step log_in(scram_binding ours, sasl::binding theirs, const std::string& seen) {
    auto server = server_with(ours);
    scram_client client{secret("pencil")};
    client.set_binding(theirs, seen);
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

TEST(channel_binding_test, both_sides_on_one_connection_agree_and_on_two_do_not) {
    EXPECT_EQ(log_in(scram_binding::used, sasl::binding::used, end_point).status,
              scram_status::done);
    EXPECT_EQ(log_in(scram_binding::used, sasl::binding::used, std::string(32, 'x')).status,
              scram_status::unbound);
    EXPECT_EQ(log_in(scram_binding::absent, sasl::binding::unadvertised, "").status,
              scram_status::done);
    EXPECT_EQ(log_in(scram_binding::declined, sasl::binding::unadvertised, "").status,
              scram_status::unbound);
    EXPECT_EQ(log_in(scram_binding::declined, sasl::binding::none, "").status, scram_status::done);
}

TEST(channel_binding_test, doomed_exchange_is_told_of_a_wrong_binding_as_an_honest_one_is) {
    scram_server doomed(mock_verifier(std::string(32, 'm'), "nobody", 1), fate::doomed, "nonce");
    doomed.set_binding(scram_binding::declined);

    EXPECT_EQ(doomed.step("y,,n=,r=abc").status, scram_status::unbound);
}

TEST(methods_test, names_parse_back_and_scram_stands_for_both_mechanisms) {
    for (const auto m : {method::none, method::password, method::md5, method::scram_sha_256,
                         method::scram_sha_256_plus}) {
        method back{};
        ASSERT_TRUE(parse_method(to_string(m), back));
        EXPECT_EQ(back, m);
        EXPECT_TRUE(method_set::all().allows(m));
    }
    method ignored{};
    EXPECT_FALSE(parse_method("gss", ignored));
    for (const auto b : {channel_binding::off, channel_binding::prefer, channel_binding::require}) {
        channel_binding back{};
        ASSERT_TRUE(parse_channel_binding(to_string(b), back));
        EXPECT_EQ(back, b);
    }
    const method_set scram{method::scram_sha_256};
    EXPECT_TRUE(scram.allows(method::scram_sha_256_plus));
    EXPECT_FALSE(scram.allows(method::md5));
    EXPECT_FALSE(scram.allows(method::none));
    const method_set plus{method::scram_sha_256_plus};
    EXPECT_FALSE(plus.allows(method::scram_sha_256));
    EXPECT_EQ((method_set{method::md5, method::scram_sha_256}).text(), "scram-sha-256, md5");
    EXPECT_TRUE(method_set().empty());
}

}  // namespace
}  // namespace sallyport::proxy::auth
