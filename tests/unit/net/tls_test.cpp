#include "proxy/net/tls.h"

#include <cstdlib>
#include <string>

#include <gtest/gtest.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "proxy/net/secret_file.h"
#include "tests/unit/net/certificates.h"
#include "tests/unit/net/loopback.h"

namespace sallyport::proxy::net {
namespace {

using namespace testing;

std::string what_of_loading(const server_tls_options& o) {
    try {
        (void)server_tls::load(o);
        return "loaded";
    } catch (const tls_error& e) {
        return e.what();
    }
}

class tls_test : public ::testing::Test {
  protected:
    tls_test() { files_.issue("server"); }

    [[nodiscard]] server_tls_options server_options(server_tls_mode mode = server_tls_mode::require,
                                                    const std::string& name = "server") const {
        return {mode, files_.certificate(name), files_.key(name),
                mode == server_tls_mode::mutual ? files_.ca() : "", "postgresql"};
    }
    [[nodiscard]] client_tls_options client_options(
        client_tls_mode mode = client_tls_mode::verify_full) const {
        return {mode, mode == client_tls_mode::require ? "" : files_.ca(), "", ""};
    }
    // Handshake of pair_; both results.
    auto connect(const server_tls_options& s, const client_tls_options& c,
                 const std::string& host = "localhost") {
        pair_.server.start_tls_server(server_tls::load(s));
        pair_.client.start_tls_client(client_tls::load(c), host);
        return shake_hands(pair_.client, pair_.server);
    }

    certificate_folder files_;
    asio::io_context io_{1};
    stream_pair pair_{io_};
};

TEST_F(tls_test, verified_handshake_carries_bytes_both_ways) {
    const auto [c, s] = connect(server_options(), client_options());

    ASSERT_EQ(c.status, io_status::ok) << c.text;
    ASSERT_EQ(s.status, io_status::ok) << s.text;
    ASSERT_TRUE(write_all(pair_.client, "ping"));
    EXPECT_EQ(read_bytes(pair_.server, 4).first, "ping");
    ASSERT_TRUE(write_all(pair_.server, "pong"));
    EXPECT_EQ(read_bytes(pair_.client, 4).first, "pong");
}

TEST_F(tls_test, handshake_tells_version_cipher_protocol_and_identity) {
    ASSERT_EQ(connect(server_options(), client_options()).first.status, io_status::ok);

    const auto* info = pair_.client.tls();
    ASSERT_NE(info, nullptr);
    EXPECT_EQ(info->version, "TLSv1.3");
    EXPECT_FALSE(info->cipher.empty());
    EXPECT_EQ(info->alpn, "postgresql");
    EXPECT_TRUE(info->verified);
    EXPECT_EQ(info->subject, "CN=localhost,O=Example");
    EXPECT_EQ(info->common_name, "localhost");
    ASSERT_NE(pair_.server.tls(), nullptr);
    EXPECT_FALSE(pair_.server.tls()->verified);
    EXPECT_EQ(pair_.server.tls()->subject, "");
}

TEST_F(tls_test, nothing_is_said_about_tls_before_the_handshake_is_complete) {
    pair_.server.start_tls_server(server_tls::load(server_options()));

    EXPECT_EQ(pair_.server.handshake_step().status, io_status::want_read);

    EXPECT_TRUE(pair_.server.is_tls());
    EXPECT_EQ(pair_.server.tls(), nullptr);
    std::array<std::byte, 1> buffer{};
    EXPECT_EQ(pair_.server.read_some(buffer).status, io_status::error);
    EXPECT_EQ(pair_.server.write_some(as_bytes("x")).status, io_status::error);
}

TEST_F(tls_test, large_transfer_survives_partial_writes_from_a_moving_buffer) {
    ASSERT_EQ(connect(server_options(), client_options()).first.status, io_status::ok);
    std::string sent(3 << 20, '\0');
    for (std::size_t i = 0; i < sent.size(); ++i)
        sent[i] = static_cast<char>(i * 31 % 251);
    std::string received;
    std::size_t at = 0;

    while (received.size() < sent.size()) {
        if (at < sent.size()) {
            // A copy elsewhere each time: the buffer of a retry may lie at another address.
            const std::string moving = sent.substr(at, 100'000);
            const auto w = pair_.server.write_some(as_bytes(moving));
            ASSERT_TRUE(w.status == io_status::ok || w.status == io_status::want_write);
            at += w.bytes;
        }
        std::string buffer(30'000, '\0');
        const auto r = pair_.client.read_some(std::as_writable_bytes(std::span(buffer)));
        ASSERT_TRUE(r.status == io_status::ok || r.status == io_status::want_read);
        received.append(buffer, 0, r.bytes);
    }

    EXPECT_EQ(received, sent);
}

TEST_F(tls_test, decrypted_bytes_are_pending_and_a_wait_for_them_ends_at_once) {
    ASSERT_EQ(connect(server_options(), client_options()).first.status, io_status::ok);
    ASSERT_TRUE(write_all(pair_.client, std::string(4000, 'x')));
    EXPECT_FALSE(pair_.server.has_pending());
    ASSERT_EQ(read_bytes(pair_.server, 1).first, "x");

    EXPECT_TRUE(pair_.server.has_pending());
    EXPECT_EQ(pair_.server.buffered_plain_bytes(), 0u);
    bool called = false;
    pair_.server.async_wait_read([&](error_code ec) { called = !ec; });
    io_.run_for(std::chrono::seconds(5));

    EXPECT_TRUE(called);
    EXPECT_EQ(read_bytes(pair_.server, 3999).first.size(), 3999u);
    EXPECT_FALSE(pair_.server.has_pending());
}

TEST_F(tls_test, orderly_close_is_end_of_file) {
    ASSERT_EQ(connect(server_options(), client_options()).first.status, io_status::ok);
    ASSERT_TRUE(write_all(pair_.client, "last"));
    pair_.client.shutdown_write();

    EXPECT_EQ(read_bytes(pair_.server, 4).first, "last");
    EXPECT_EQ(read_bytes(pair_.server, 1).second, io_status::eof);
}

TEST_F(tls_test, close_without_close_notify_is_end_of_file) {
    ASSERT_EQ(connect(server_options(), client_options()).first.status, io_status::ok);
    ::shutdown(pair_.client.socket().native_handle(), SHUT_RDWR);

    EXPECT_EQ(read_bytes(pair_.server, 1).second, io_status::eof);
}

TEST_F(tls_test, reset_in_the_middle_is_end_of_file) {
    ASSERT_EQ(connect(server_options(), client_options()).first.status, io_status::ok);
    pair_.client.socket().set_option(asio::socket_base::linger(true, 0));
    pair_.client.close();
    ASSERT_TRUE(wait_readable(pair_.server));

    EXPECT_EQ(read_bytes(pair_.server, 1).second, io_status::eof);
}

TEST_F(tls_test, writing_to_a_peer_that_left_is_end_of_file_without_a_signal) {
    ASSERT_EQ(connect(server_options(), client_options()).first.status, io_status::ok);
    pair_.client.socket().set_option(asio::socket_base::linger(true, 0));
    pair_.client.close();
    ASSERT_TRUE(wait_readable(pair_.server));

    io_result r = pair_.server.write_some(as_bytes("x"));
    if (r.status == io_status::ok) r = pair_.server.write_some(as_bytes("x"));

    EXPECT_EQ(r.status, io_status::eof);
}

TEST_F(tls_test, damaged_record_is_an_error_and_nothing_follows_it) {
    ASSERT_EQ(connect(server_options(), client_options()).first.status, io_status::ok);
    const std::string garbage("\x17\x03\x03\x00\x20________________________________", 37);
    ASSERT_EQ(::send(pair_.client.socket().native_handle(), garbage.data(), garbage.size(), 0), 37);

    EXPECT_EQ(read_bytes(pair_.server, 1).second, io_status::error);
    EXPECT_EQ(read_bytes(pair_.server, 1).second, io_status::error);
    EXPECT_EQ(pair_.server.write_some(as_bytes("x")).status, io_status::error);
}

TEST_F(tls_test, plaintext_instead_of_a_handshake_is_refused_with_a_cause) {
    pair_.server.start_tls_server(server_tls::load(server_options()));
    ASSERT_TRUE(write_all(pair_.client, std::string("\0\0\0\x08\x04\xd2\x16\x2f padding", 16)));
    ASSERT_TRUE(wait_readable(pair_.server));

    const auto r = pair_.server.handshake_step();

    EXPECT_EQ(r.status, io_status::error);
    EXPECT_NE(r.text.find("TLS handshake failed"), std::string::npos) << r.text;
    EXPECT_EQ(pair_.server.handshake_step().status, io_status::error);
}

TEST_F(tls_test, peer_that_leaves_during_the_handshake_is_end_of_file) {
    pair_.server.start_tls_server(server_tls::load(server_options()));
    pair_.client.close();
    ASSERT_TRUE(wait_readable(pair_.server));

    EXPECT_EQ(pair_.server.handshake_step().status, io_status::eof);
}

// Who the server is
// ---------------------------------------------------------------------------------

TEST_F(tls_test, server_with_another_name_is_refused_by_verify_full_only) {
    const auto [c, s] = connect(server_options(), client_options(), "db.example.com");
    EXPECT_EQ(c.status, io_status::error);
    EXPECT_NE(c.text.find("hostname mismatch"), std::string::npos) << c.text;

    stream_pair again(io_);
    again.server.start_tls_server(server_tls::load(server_options()));
    again.client.start_tls_client(client_tls::load(client_options(client_tls_mode::verify_ca)),
                                  "db.example.com");
    EXPECT_EQ(shake_hands(again.client, again.server).first.status, io_status::ok);
}

TEST_F(tls_test, server_reached_by_address_is_checked_against_ip_names) {
    EXPECT_EQ(connect(server_options(), client_options(), "127.0.0.1").first.status, io_status::ok);

    stream_pair again(io_);
    again.server.start_tls_server(server_tls::load(server_options()));
    again.client.start_tls_client(client_tls::load(client_options()), "127.0.0.2");
    const auto c = shake_hands(again.client, again.server).first;
    EXPECT_EQ(c.status, io_status::error);
    EXPECT_NE(c.text.find("IP address mismatch"), std::string::npos) << c.text;
}

TEST_F(tls_test, self_signed_server_is_refused_unless_nobody_verifies) {
    files_.self_sign("stranger");
    const auto options = server_options(server_tls_mode::require, "stranger");
    EXPECT_EQ(connect(options, client_options(client_tls_mode::verify_ca)).first.status,
              io_status::error);

    stream_pair again(io_);
    again.server.start_tls_server(server_tls::load(options));
    const auto lax = client_tls::load(client_options(client_tls_mode::require));
    EXPECT_FALSE(lax->verifies());
    again.client.start_tls_client(lax, "localhost");
    EXPECT_EQ(shake_hands(again.client, again.server).first.status, io_status::ok);
    EXPECT_FALSE(again.client.tls()->verified);
}

TEST_F(tls_test, ca_given_means_verified_even_in_mode_require) {
    files_.self_sign("stranger");
    client_tls_options o{client_tls_mode::require, files_.ca(), "", ""};
    EXPECT_TRUE(client_tls::load(o)->verifies());

    EXPECT_EQ(connect(server_options(server_tls_mode::require, "stranger"), o).first.status,
              io_status::error);
}

TEST_F(tls_test, expired_server_is_refused) {
    certificate_options expired;
    expired.valid_from_s = -7200;
    expired.valid_until_s = -3600;
    files_.issue("expired", expired);

    const auto c =
        connect(server_options(server_tls_mode::require, "expired"), client_options()).first;

    EXPECT_EQ(c.status, io_status::error);
    EXPECT_NE(c.text.find("expired"), std::string::npos) << c.text;
}

// Who the client is
// ---------------------------------------------------------------------------------

TEST_F(tls_test, client_certificate_is_the_identity_in_mutual_mode) {
    certificate_options o;
    o.subject = {{"C", "DE"}, {"O", "Example, Inc."}, {"CN", "ci+robot"}};
    o.alternative_names = "";
    files_.issue("ci", o);
    auto client = client_options();
    client.certificate = files_.certificate("ci");
    client.key = files_.key("ci");

    const auto [c, s] = connect(server_options(server_tls_mode::mutual), client);

    ASSERT_EQ(s.status, io_status::ok) << s.text;
    EXPECT_TRUE(pair_.server.tls()->verified);
    EXPECT_EQ(pair_.server.tls()->subject, "CN=ci\\+robot,O=Example\\, Inc.,C=DE");
    EXPECT_EQ(pair_.server.tls()->common_name, "ci+robot");
}

TEST_F(tls_test, letters_beyond_ascii_in_a_subject_stay_readable) {
    certificate_options o;
    o.subject = {{"CN", "Zoë"}};
    o.alternative_names = "";
    files_.issue("zoe", o);
    auto client = client_options();
    client.certificate = files_.certificate("zoe");
    client.key = files_.key("zoe");

    ASSERT_EQ(connect(server_options(server_tls_mode::mutual), client).second.status,
              io_status::ok);

    EXPECT_EQ(pair_.server.tls()->subject, "CN=Zoë");
    EXPECT_EQ(pair_.server.tls()->common_name, "Zoë");
}

TEST_F(tls_test, client_without_certificate_is_refused_in_mutual_mode) {
    const auto s = connect(server_options(server_tls_mode::mutual), client_options()).second;

    EXPECT_EQ(s.status, io_status::error);
    EXPECT_NE(s.text.find("peer did not return a certificate"), std::string::npos) << s.text;
}

TEST_F(tls_test, client_of_another_ca_is_refused_in_mutual_mode) {
    files_.self_sign("stranger");
    auto client = client_options();
    client.certificate = files_.certificate("stranger");
    client.key = files_.key("stranger");

    EXPECT_EQ(connect(server_options(server_tls_mode::mutual), client).second.status,
              io_status::error);
}

TEST_F(tls_test, subject_with_a_nul_is_refused) {
    certificate_options o;
    o.subject = {{"CN", std::string("alice\0.evil", 11)}};
    o.alternative_names = "";
    files_.issue("nul", o);
    auto client = client_options();
    client.certificate = files_.certificate("nul");
    client.key = files_.key("nul");

    const auto s = connect(server_options(server_tls_mode::mutual), client).second;

    EXPECT_EQ(s.status, io_status::error);
    EXPECT_EQ(pair_.server.tls(), nullptr);
    EXPECT_NE(s.text.find("unusable subject"), std::string::npos) << s.text;
}

// What the server offers
// ----------------------------------------------------------------------------

/// A client that is not ours: whatever OpenSSL can be told to offer.
class foreign_client {
  public:
    explicit foreign_client(stream& near) : context_(SSL_CTX_new(TLS_client_method())) {
        SSL_CTX_set_verify(context_, SSL_VERIFY_NONE, nullptr);
        fd_ = near.socket().native_handle();
    }
    ~foreign_client() {
        SSL_free(ssl_);
        SSL_CTX_free(context_);
        ERR_clear_error();
    }
    foreign_client(const foreign_client&) = delete;
    foreign_client& operator=(const foreign_client&) = delete;
    [[nodiscard]] SSL_CTX* context() const { return context_; }
    [[nodiscard]] SSL* ssl() const { return ssl_; }

    // The server's result.
    handshake_result run(stream& server) {
        ssl_ = SSL_new(context_);
        SSL_set_fd(ssl_, fd_);
        SSL_set_connect_state(ssl_);
        if (session != nullptr) SSL_set_session(ssl_, session);
        handshake_result s{io_status::want_read, {}};
        const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(10);
        while (s.status == io_status::want_read || s.status == io_status::want_write) {
            if (std::chrono::steady_clock::now() > deadline) break;
            (void)SSL_do_handshake(ssl_);
            s = server.handshake_step();
        }
        (void)SSL_do_handshake(ssl_);
        return s;
    }
    SSL_SESSION* session = nullptr;

  private:
    SSL_CTX* context_;
    SSL* ssl_ = nullptr;
    int fd_ = -1;
};

TEST_F(tls_test, protocols_below_tls_1_2_are_refused) {
    pair_.server.start_tls_server(server_tls::load(server_options()));
    foreign_client client(pair_.client);
    SSL_CTX_set_security_level(client.context(), 0);
    SSL_CTX_set_min_proto_version(client.context(), TLS1_VERSION);
    SSL_CTX_set_max_proto_version(client.context(), TLS1_1_VERSION);

    EXPECT_EQ(client.run(pair_.server).status, io_status::error);
}

TEST_F(tls_test, renegotiation_and_compression_are_refused) {
    pair_.server.start_tls_server(server_tls::load(server_options()));
    foreign_client client(pair_.client);
    SSL_CTX_set_max_proto_version(client.context(), TLS1_2_VERSION);
    SSL_CTX_clear_options(client.context(), SSL_OP_NO_COMPRESSION);
    ASSERT_EQ(client.run(pair_.server).status, io_status::ok);
    EXPECT_EQ(SSL_get_current_compression(client.ssl()), nullptr);
    ERR_clear_error();

    ASSERT_EQ(SSL_renegotiate(client.ssl()), 1);
    (void)SSL_do_handshake(client.ssl());
    ASSERT_TRUE(wait_readable(pair_.server));
    std::array<std::byte, 16> buffer{};
    EXPECT_EQ(pair_.server.read_some(buffer).status, io_status::want_read);
    ASSERT_TRUE(wait_readable(pair_.client));

    EXPECT_NE(SSL_do_handshake(client.ssl()), 1);
    EXPECT_EQ(ERR_GET_REASON(ERR_peek_error()), SSL_R_NO_RENEGOTIATION);
}

TEST_F(tls_test, tls_1_2_without_forward_secrecy_is_refused) {
    pair_.server.start_tls_server(server_tls::load(server_options()));
    foreign_client client(pair_.client);
    SSL_CTX_set_max_proto_version(client.context(), TLS1_2_VERSION);
    SSL_CTX_set_cipher_list(client.context(), "ECDHE-ECDSA-AES128-SHA256:AES128-SHA");

    EXPECT_EQ(client.run(pair_.server).status, io_status::error);
}

TEST_F(tls_test, other_protocol_names_are_refused_and_none_is_taken) {
    pair_.server.start_tls_server(server_tls::load(server_options()));
    foreign_client browser(pair_.client);
    SSL_CTX_set_alpn_protos(browser.context(),
                            reinterpret_cast<const unsigned char*>("\x02h2\x08http/1.1"), 12);
    const auto refused = browser.run(pair_.server);
    EXPECT_EQ(refused.status, io_status::error);

    stream_pair again(io_);
    again.server.start_tls_server(server_tls::load(server_options()));
    foreign_client psql(again.client);
    EXPECT_EQ(psql.run(again.server).status, io_status::ok);
    EXPECT_EQ(again.server.tls()->alpn, "");
}

TEST_F(tls_test, our_protocol_name_is_found_behind_others) {
    pair_.server.start_tls_server(server_tls::load(server_options()));
    foreign_client client(pair_.client);
    SSL_CTX_set_alpn_protos(client.context(),
                            reinterpret_cast<const unsigned char*>("\x02h2\x0apostgresql"), 14);

    EXPECT_EQ(client.run(pair_.server).status, io_status::ok);
    EXPECT_EQ(pair_.server.tls()->alpn, "postgresql");
}

TEST_F(tls_test, sessions_are_never_resumed) {
    for (const int version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
        const auto context = server_tls::load(server_options());
        SSL_SESSION* session = nullptr;
        for (int round = 0; round < 2; ++round) {
            stream_pair p(io_);
            p.server.start_tls_server(context);
            foreign_client client(p.client);
            SSL_CTX_set_max_proto_version(client.context(), version);
            client.session = session;
            ASSERT_EQ(client.run(p.server).status, io_status::ok);
            ASSERT_TRUE(write_all(p.server, "x"));
            ASSERT_TRUE(wait_readable(p.client));
            char c = 0;
            (void)SSL_read(client.ssl(), &c, 1);
            EXPECT_EQ(SSL_session_reused(client.ssl()), 0);
            SSL_SESSION_free(session);
            session = SSL_get1_session(client.ssl());
            EXPECT_EQ(SSL_SESSION_has_ticket(session), 0);
        }
        SSL_SESSION_free(session);
    }
}

TEST_F(tls_test, live_connection_outlives_its_context) {
    auto context = server_tls::load(server_options());
    snapshot<server_tls> newest(context);
    pair_.server.start_tls_server(newest.get());
    pair_.client.start_tls_client(client_tls::load(client_options()), "localhost");
    const std::weak_ptr<const server_tls> old = context;
    context.reset();

    newest.set(server_tls::load(server_options()));

    EXPECT_EQ(shake_hands(pair_.client, pair_.server).second.status, io_status::ok);
    EXPECT_FALSE(old.expired());
    pair_.server.close();
}

// Files
// ---------------------------------------------------------------------------------------------

TEST_F(tls_test, missing_certificate_is_named_with_what_to_do) {
    auto o = server_options();
    o.certificate = files_.folder().file("none.crt");

    const auto what = what_of_loading(o);

    EXPECT_NE(what.find("none.crt"), std::string::npos) << what;
    EXPECT_NE(what.find("No such file"), std::string::npos) << what;
    EXPECT_EQ(what.find('\n'), std::string::npos);
}

TEST_F(tls_test, key_of_another_certificate_is_refused) {
    files_.issue("other");
    auto o = server_options();
    o.key = files_.key("other");

    EXPECT_NE(what_of_loading(o).find("does not belong to certificate"), std::string::npos)
        << what_of_loading(o);
}

TEST_F(tls_test, key_open_to_others_is_refused) {
    ::chmod(files_.key("server").c_str(), 0644);

    const auto what = what_of_loading(server_options());

    EXPECT_NE(what.find("chmod 0600 " + files_.key("server")), std::string::npos) << what;
}

TEST_F(tls_test, broken_key_is_refused_with_its_name) {
    files_.folder().write("server.key", "not a key\n");

    const auto what = what_of_loading(server_options());

    EXPECT_NE(what.find(files_.key("server")), std::string::npos) << what;
}

TEST_F(tls_test, mutual_mode_without_ca_is_refused) {
    auto o = server_options(server_tls_mode::mutual);
    o.client_ca.clear();

    EXPECT_NE(what_of_loading(o).find("client_ca"), std::string::npos);
}

TEST(secret_file_test, permissions_decide) {
    const temporary_folder folder;
    EXPECT_EQ(secret_file_fault(folder.write("ours", "x", 0600)), "");
    EXPECT_EQ(secret_file_fault(folder.write("read_only", "x", 0400)), "");
    EXPECT_NE(secret_file_fault(folder.write("world", "x", 0604)), "");
    EXPECT_NE(secret_file_fault(folder.write("group_write", "x", 0660)), "");
    EXPECT_NE(secret_file_fault(folder.path()).find("not a regular file"), std::string::npos);
    EXPECT_NE(secret_file_fault(folder.file("none")).find("No such file"), std::string::npos);
    // 0640 is for a file of root that a service group may read.
    const auto group_read = folder.write("group_read", "x", 0640);
    EXPECT_EQ(secret_file_fault(group_read).empty(), ::geteuid() == 0);
}

TEST(tls_options_test, every_mode_has_a_name_that_parses_back) {
    for (const auto m : {server_tls_mode::disable, server_tls_mode::prefer,
                         server_tls_mode::require, server_tls_mode::mutual}) {
        server_tls_mode back{};
        ASSERT_TRUE(parse_server_tls_mode(to_string(m), back));
        EXPECT_EQ(back, m);
    }
    for (const auto m :
         {client_tls_mode::disable, client_tls_mode::prefer, client_tls_mode::require,
          client_tls_mode::verify_ca, client_tls_mode::verify_full}) {
        client_tls_mode back{};
        ASSERT_TRUE(parse_client_tls_mode(to_string(m), back));
        EXPECT_EQ(back, m);
    }
    server_tls_mode out{};
    EXPECT_FALSE(parse_server_tls_mode("verify-full", out));
}

}  // namespace
}  // namespace sallyport::proxy::net
