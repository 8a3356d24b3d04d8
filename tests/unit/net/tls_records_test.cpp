#include <memory>

#include <gtest/gtest.h>
#include <openssl/ssl.h>

#include "proxy/net/tls.h"
#include "tests/unit/net/certificates.h"
#include "tests/unit/net/loopback.h"

/// What goes over the wire below the plaintext: sizes of records, and keys that change midway.
namespace sallyport::proxy::net {
namespace {

using namespace testing;

/// A client that is nothing but OpenSSL, on a socket that never blocks.
class raw_client {
  public:
    explicit raw_client(tcp::socket socket) : socket_(std::move(socket)) {
        socket_.non_blocking(true);
        context_.reset(SSL_CTX_new(TLS_client_method()));
        ssl_.reset(SSL_new(context_.get()));
        SSL_set_fd(ssl_.get(), socket_.native_handle());
        SSL_set_connect_state(ssl_.get());
        SSL_set_msg_callback(ssl_.get(), see);
        SSL_set_msg_callback_arg(ssl_.get(), this);
    }
    /// True once the handshake with `server` is over.
    bool shake_hands(stream& server) {
        for (int i = 0; i < 10'000; ++i) {
            const bool mine = SSL_do_handshake(ssl_.get()) == 1;
            const bool theirs = server.handshake_step().status == io_status::ok;
            if (mine && theirs) return true;
        }
        return false;
    }
    std::string read_some() {
        std::string buffer(65'536, '\0');
        const int n = SSL_read(ssl_.get(), buffer.data(), static_cast<int>(buffer.size()));
        buffer.resize(n > 0 ? static_cast<std::size_t>(n) : 0);
        return buffer;
    }
    /// Asks the server for new keys, too. The request goes with the next bytes.
    void change_keys() {
        SSL_key_update(ssl_.get(), SSL_KEY_UPDATE_REQUESTED);
        SSL_write(ssl_.get(), "k", 1);
    }
    [[nodiscard]] std::size_t longest_record() const { return longest_; }

  private:
    static void see(int outgoing, int, int type, const void* bytes, std::size_t size, SSL*,
                    void* self) {
        if (outgoing != 0 || type != SSL3_RT_HEADER || size < 5) return;
        const auto* header = static_cast<const unsigned char*>(bytes);
        auto& longest = static_cast<raw_client*>(self)->longest_;
        longest = std::max(longest, std::size_t{header[3]} << 8 | header[4]);
    }
    struct free_context {
        void operator()(SSL_CTX* c) const { SSL_CTX_free(c); }
    };
    struct free_ssl {
        void operator()(SSL* s) const { SSL_free(s); }
    };
    tcp::socket socket_;
    std::unique_ptr<SSL_CTX, free_context> context_;
    std::unique_ptr<SSL, free_ssl> ssl_;
    std::size_t longest_ = 0;
};

class tls_records : public ::testing::Test {
  protected:
    tls_records() {
        files_.issue("server");
        server_.start_tls_server(
            server_tls::load({server_tls_mode::require, files_.certificate("server"),
                              files_.key("server"), "", "postgresql"}));
    }
    certificate_folder files_;
    asio::io_context io_{1};
    std::pair<tcp::socket, tcp::socket> sockets_ = connected_sockets(io_);
    raw_client client_{std::move(sockets_.first)};
    stream server_{std::move(sockets_.second)};
};

TEST_F(tls_records, to_clients_are_no_longer_than_what_postgresql_flushes_at_once) {
    ASSERT_TRUE(client_.shake_hands(server_));
    const std::string sent(1 << 20, 'x');
    std::size_t at = 0;
    std::size_t received = 0;

    while (received < sent.size()) {
        const auto w = server_.write_some(as_bytes(std::string_view(sent).substr(at)));
        at += w.bytes;
        received += client_.read_some().size();
    }

    EXPECT_LE(client_.longest_record(), 8'192u + 256u) << "libpq's asynchronous reads stall";
    EXPECT_GT(client_.longest_record(), 4'096u);
}

TEST_F(tls_records, keys_that_the_client_changes_during_a_large_answer_do_not_stop_it) {
    ASSERT_TRUE(client_.shake_hands(server_));
    std::string sent(8 << 20, '\0');
    for (std::size_t i = 0; i < sent.size(); ++i)
        sent[i] = static_cast<char>(i * 31 % 251);
    std::string received;
    std::size_t at = 0;
    int changes = 0;
    std::size_t requests = 0;

    while (received.size() < sent.size()) {
        if (received.size() / (1 << 20) > static_cast<std::size_t>(changes)) {
            client_.change_keys();
            ++changes;
        }
        const auto w = server_.write_some(as_bytes(std::string_view(sent).substr(at)));
        ASSERT_TRUE(w.status == io_status::ok || w.status == io_status::want_write ||
                    w.status == io_status::want_read);
        at += w.bytes;
        std::array<std::byte, 16> buffer{};
        const auto r = server_.read_some(buffer);
        ASSERT_TRUE(r.status == io_status::ok || r.status == io_status::want_read ||
                    r.status == io_status::want_write);
        requests += r.bytes;
        received += client_.read_some();
    }

    EXPECT_EQ(received, sent);
    EXPECT_GE(changes, 7);
    EXPECT_GT(requests, 0u);
}

}  // namespace
}  // namespace sallyport::proxy::net
