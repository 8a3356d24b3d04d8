#include <string>

#include <gtest/gtest.h>

#include "proxy/net/tls.h"
#include "tests/unit/net/certificates.h"
#include "tests/unit/net/loopback.h"

/// What SCRAM binds to.
namespace sallyport::proxy::net {
namespace {

using namespace testing;

std::string hash(const X509* certificate, const EVP_MD* with) {
    std::array<unsigned char, EVP_MAX_MD_SIZE> out{};
    unsigned size = 0;
    X509_digest(certificate, with, out.data(), &size);
    return {out.begin(), out.begin() + size};
}

struct signature_case {
    std::string key_type;
    std::string digest;
    const EVP_MD* expected;  // null: nothing can be bound to it
};

class end_point : public ::testing::TestWithParam<signature_case> {};

TEST_P(end_point, digest_is_made_with_the_hash_of_the_signature) {
    certificate_options o;
    o.key_type = GetParam().key_type;
    o.digest = GetParam().digest;
    const auto made = make_identity(o);

    const auto digest = end_point_digest(made.certificate.get());

    EXPECT_EQ(digest, GetParam().expected == nullptr
                          ? std::string()
                          : hash(made.certificate.get(), GetParam().expected));
}

INSTANTIATE_TEST_SUITE_P(signatures, end_point,
                         ::testing::Values(signature_case{"EC", "SHA256", EVP_sha256()},
                                           signature_case{"EC", "SHA384", EVP_sha384()},
                                           signature_case{"RSA", "SHA256", EVP_sha256()},
                                           signature_case{"RSA", "SHA512", EVP_sha512()},
                                           signature_case{"RSA", "SHA1", EVP_sha256()},
                                           signature_case{"RSA", "MD5", EVP_sha256()},
                                           signature_case{"RSA-PSS", "SHA256", EVP_sha256()},
                                           signature_case{"RSA-PSS", "SHA384", EVP_sha384()},
                                           signature_case{"ED25519", "", nullptr},
                                           signature_case{"ED448", "", nullptr}),
                         [](const auto& tested) {
                             auto name = tested.param.key_type + "_" + tested.param.digest;
                             std::replace(name.begin(), name.end(), '-', '_');
                             return name;
                         });

TEST(end_point_test, no_certificate_has_no_digest) {
    EXPECT_EQ(end_point_digest(nullptr), "");
}

class connection_end_point : public ::testing::Test {
  protected:
    connection_end_point() { files_.issue("server"); }
    [[nodiscard]] std::shared_ptr<const server_tls> server() const {
        return server_tls::load({server_tls_mode::require, files_.certificate("server"),
                                 files_.key("server"), "", "postgresql"});
    }
    [[nodiscard]] std::shared_ptr<const client_tls> client() const {
        return client_tls::load({client_tls_mode::verify_full, files_.ca(), "", ""});
    }
    certificate_folder files_;
    asio::io_context io_{1};
};

TEST_F(connection_end_point, both_sides_compute_the_same) {
    stream_pair pair(io_);
    pair.server.start_tls_server(server());
    pair.client.start_tls_client(client(), "localhost");

    ASSERT_EQ(shake_hands(pair.client, pair.server).second.status, io_status::ok);

    EXPECT_EQ(pair.server.tls()->end_point.size(), 32u);
    EXPECT_EQ(pair.server.tls()->end_point, pair.client.tls()->end_point);
}

TEST_F(connection_end_point, certificate_of_the_connection_counts_not_the_newest) {
    stream_pair before(io_);
    before.server.start_tls_server(server());
    before.client.start_tls_client(client(), "localhost");
    files_.issue("server");
    stream_pair after(io_);
    after.server.start_tls_server(server());
    after.client.start_tls_client(client(), "localhost");

    ASSERT_EQ(shake_hands(before.client, before.server).second.status, io_status::ok);
    ASSERT_EQ(shake_hands(after.client, after.server).second.status, io_status::ok);

    EXPECT_EQ(before.server.tls()->end_point, before.client.tls()->end_point);
    EXPECT_EQ(after.server.tls()->end_point, after.client.tls()->end_point);
    EXPECT_NE(before.server.tls()->end_point, after.server.tls()->end_point);
}

TEST_F(connection_end_point, server_says_whether_its_certificate_can_be_bound_to) {
    EXPECT_TRUE(server()->can_bind());

    certificate_options o;
    o.key_type = "ED25519";
    files_.self_sign("server", o);

    EXPECT_FALSE(server()->can_bind());
}

}  // namespace
}  // namespace sallyport::proxy::net
