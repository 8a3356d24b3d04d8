// The first byte says who is attacked: a server by what its client sends before and during TLS, a
// client by its server, or both by somebody between them who damages what they say.

#include <algorithm>
#include <optional>
#include <span>
#include <variant>

#include <sys/socket.h>
#include <unistd.h>

#include "protocol/limits.h"
#include "protocol/startup.h"
#include "proxy/net/stream.h"
#include "tests/fuzz/check.h"
#include "tests/unit/net/certificates.h"

namespace {

using namespace sallyport;
using namespace sallyport::proxy::net;
using fuzz::require;

constexpr int steps_max = 64;  // reads, handshake steps: more than any input needs

struct certificates {
    certificates() {
        testing::certificate_options o;
        o.valid_until_s = 30L * 24 * 3600;
        folder.self_sign("server", o);
    }
    testing::certificate_folder folder;
};

struct world {
    world() {
        const certificates made;
        server_tls_options s;
        s.mode = server_tls_mode::prefer;
        s.certificate = made.folder.certificate("server");
        s.key = made.folder.key("server");
        server = server_tls::load(s);
        client_tls_options c;
        c.ca = s.certificate;
        verifying = client_tls::load(c);
        c.ca.clear();
        c.mode = client_tls_mode::require;
        trusting = client_tls::load(c);
    }
    asio::io_context io;
    std::shared_ptr<const server_tls> server;
    std::shared_ptr<const client_tls> verifying;
    std::shared_ptr<const client_tls> trusting;
};

world& the_world() {
    static world w;
    return w;
}

/// The other end of a stream, written and read at once.
class peer {
  public:
    explicit peer(int fd) : fd_(fd) {}
    ~peer() { ::close(fd_); }
    peer(const peer&) = delete;
    peer& operator=(const peer&) = delete;

    void write(std::string_view bytes) {
        if (bytes.empty()) return;
        const auto n = ::send(fd_, bytes.data(), bytes.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
        if (n > 0) written_ += static_cast<std::size_t>(n);
    }
    std::string read() const {
        std::string all;
        char buffer[16'384];
        for (;;) {
            const auto n = ::recv(fd_, buffer, sizeof buffer, MSG_DONTWAIT);
            if (n <= 0) return all;
            all.append(buffer, static_cast<std::size_t>(n));
        }
    }
    void shut() { gone_ = ::shutdown(fd_, SHUT_WR) == 0; }
    [[nodiscard]] bool gone() const { return gone_; }
    [[nodiscard]] std::size_t written() const { return written_; }

  private:
    int fd_;
    bool gone_ = false;
    std::size_t written_ = 0;
};

/// A connected pair; local sockets, which leave nothing behind that waits.
std::pair<stream, int> connected() {
    int fds[2];
    require(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) == 0, "a pair of sockets");
    require(fds[1] < 64, "no descriptor stays open");
    return {stream(tcp::socket(the_world().io, tcp::v4(), fds[0])), fds[1]};
}

bool over(const handshake_result& h) {
    require((h.status == io_status::error || h.status == io_status::eof) != h.text.empty(),
            "a handshake that fails says why, and no other does");
    return h.status != io_status::want_read && h.status != io_status::want_write;
}

/// Nothing passes through a stream whose handshake has failed.
void check_broken(stream& s) {
    std::byte byte{};
    require(s.read_some({&byte, 1}).status == io_status::error, "nothing is read after a failure");
    require(s.write_some({&byte, 1}).status == io_status::error, "nothing is written after one");
    require(s.handshake_step().status == io_status::error, "a failed handshake stays failed");
    require(s.tls() == nullptr, "a failed handshake has established nothing");
}

/// A handshake with bytes that were made without knowledge of ours; true if it is over.
bool fails_or_waits(stream& s) {
    for (int step = 0;; ++step) {
        require(step < steps_max, "a handshake takes bounded steps");
        const auto h = s.handshake_step();
        require(h.status != io_status::ok, "garbage shakes no hands");
        if (over(h)) {
            check_broken(s);
            return true;
        }
        if (h.status == io_status::want_read) return false;
    }
}

// a server and its client ----------------------------------------------------------------------

/// From accept to the startup packet, as session::negotiate() does it.
class entry {
  public:
    entry(stream& s, const peer& from, bool tls) : stream_(s), from_(from), tls_(tls) {}

    /// Goes on with what has arrived; false when it is over.
    bool go_on() {
        if (shaking_) return !fails_or_waits(stream_);
        if (read_ == 0 && !began_) {
            const auto first = stream_.peek();
            require(first.has_value() == (from_.written() > 0), "peek sees what is there");
            if (!first && !from_.gone()) return true;
            began_ = true;
            require(stream_.buffered_plain_bytes() == from_.written(), "and takes nothing");
            if (first == std::byte{0x16}) return tls_ && begin_tls();
        }
        for (int packets = 0;; ++packets) {
            require(packets <= 3, "few packets come before the startup packet");
            if (!fill(4)) return !eof_;
            const auto bytes = protocol::startup_packet_bytes(packet_);
            if (!bytes) return false;
            require(*bytes >= 8 && *bytes <= 4 + protocol::limits::startup_packet_bytes_max,
                    "a startup packet has its bounds");
            if (!fill(*bytes)) return !eof_;
            const auto decoded = protocol::decode_startup(std::exchange(packet_, {}));
            if (!decoded) return false;
            // Behind this packet nothing may have come: whoever put it there is not our client.
            const auto behind = from_.written() - read_;
            require(stream_.buffered_plain_bytes() == behind, "every stuffed byte is seen");
            if (std::holds_alternative<protocol::ssl_request>(*decoded)) {
                if (std::exchange(asked_ssl_, true)) return false;
                if (tls_) return behind == 0 && answer("S") && begin_tls();
                if (!answer("N")) return false;
            } else if (std::holds_alternative<protocol::gssenc_request>(*decoded)) {
                if (std::exchange(asked_gss_, true) || behind > 0 || !answer("N")) return false;
            } else {
                return false;
            }
        }
    }

  private:
    bool answer(std::string_view text) {
        return stream_.write_some(std::as_bytes(std::span(text))).status == io_status::ok;
    }
    bool begin_tls() {
        stream_.start_tls_server(the_world().server);
        shaking_ = true;
        return !fails_or_waits(stream_);
    }
    /// False if not so many bytes of the packet have come.
    bool fill(std::size_t bytes) {
        while (packet_.size() < bytes) {
            const auto at = packet_.size();
            packet_.resize(bytes);
            const auto r = stream_.read_some(
                std::as_writable_bytes(std::span(packet_.data() + at, bytes - at)));
            packet_.resize(at + r.bytes);
            read_ += r.bytes;
            require((r.bytes > 0) == (r.status == io_status::ok), "what is read is there");
            eof_ = r.status == io_status::eof;
            if (r.status != io_status::ok) return false;
        }
        return true;
    }

    stream& stream_;
    const peer& from_;
    bool tls_;
    bool began_ = false;
    bool shaking_ = false;
    bool asked_ssl_ = false;
    bool asked_gss_ = false;
    bool eof_ = false;
    std::string packet_;
    std::size_t read_ = 0;
};

void attack_server(std::string_view input, bool tls, std::size_t cut) {
    auto [server, fd] = connected();
    peer client(fd);
    entry e(server, client, tls);
    cut = std::min(cut, input.size());
    for (const auto part : {input.substr(0, cut), input.substr(cut)}) {
        client.write(part);
        if (!e.go_on()) return;
    }
    client.shut();
    require(!e.go_on(), "a client that has gone is not waited for");
}

// a client and its server ----------------------------------------------------------------------

void attack_client(std::string_view input, bool verify, bool direct, std::size_t cut) {
    auto& w = the_world();
    auto [client, fd] = connected();
    peer server(fd);
    cut = std::min(cut, input.size());
    server.write(input.substr(0, cut));
    if (!direct) {
        std::byte answer{};
        const auto r = client.read_some({&answer, 1});
        if (r.status != io_status::ok || answer != std::byte{'S'}) return;
        require(client.buffered_plain_bytes() == cut - 1, "every stuffed byte is seen");
        if (cut > 1) return;
    }
    client.start_tls_client(verify ? w.verifying : w.trusting, verify ? "localhost" : "10.1.2.3");
    if (fails_or_waits(client)) return;
    server.write(input.substr(cut));
    if (fails_or_waits(client)) return;
    server.shut();
    require(fails_or_waits(client), "a server that has gone is not waited for");
}

// somebody between them ------------------------------------------------------------------------

/// What is done to one piece on its way: a byte changed, lost or added, a part sent twice.
std::string damage(std::string piece, unsigned how, unsigned where, unsigned byte) {
    if (piece.empty()) return piece;
    const auto at = where % piece.size();
    switch (how % 4) {
        case 0:
            piece[at] = static_cast<char>(static_cast<unsigned char>(piece[at]) ^ byte);
            break;
        case 1:
            piece.erase(at, 1 + byte % 8);
            break;
        case 2:
            piece.insert(at, 1, static_cast<char>(byte));
            break;
        default:
            piece += piece.substr(at);
    }
    return piece;
}

/// What a stream has received, appended; false when it is at its end.
bool receive(stream& s, std::string& into) {
    std::byte buffer[256];
    for (int step = 0; step < steps_max; ++step) {
        const auto r = s.read_some(buffer);
        if (r.status == io_status::ok) {
            into.append(reinterpret_cast<const char*>(buffer), r.bytes);
            continue;
        }
        return r.status == io_status::want_read;
    }
    return true;
}

void attack_both(std::string_view input, bool verify) {
    auto& w = the_world();
    auto [client, client_fd] = connected();
    auto [server, server_fd] = connected();
    peer to_client(client_fd);
    peer to_server(server_fd);
    client.start_tls_client(verify ? w.verifying : w.trusting, "localhost");
    server.start_tls_server(w.server);
    constexpr std::string_view said = "what one says is what the other hears";
    handshake_result c{io_status::want_read, {}};
    handshake_result s{io_status::want_read, {}};
    std::string heard[2];
    bool touched = false;
    // Three bytes of input for each piece on its way: which damage, where, and with what.
    for (int turn = 0; turn < steps_max; ++turn) {
        if (!over(c) && over(c = client.handshake_step()) && c.status == io_status::ok)
            (void)client.write_some(std::as_bytes(std::span(said)));
        if (!over(s) && over(s = server.handshake_step()) && s.status == io_status::ok)
            (void)server.write_some(std::as_bytes(std::span(said)));
        if (c.status == io_status::ok && !receive(client, heard[0])) c.status = io_status::error;
        if (s.status == io_status::ok && !receive(server, heard[1])) s.status = io_status::error;
        if (c.status == io_status::error) c.text = "over";
        if (s.status == io_status::error) s.text = "over";
        for (const auto& [from, to] :
             {std::pair{&to_client, &to_server}, std::pair{&to_server, &to_client}}) {
            auto piece = from->read();
            if (!piece.empty() && input.size() >= 3 && input[0] % 2 != 0) {
                const auto byte = [&input](std::size_t i) {
                    return static_cast<unsigned char>(input[i]);
                };
                piece = damage(std::move(piece), byte(0) / 2u, byte(1) + 256u * (byte(0) / 8u),
                               byte(2));
                touched = true;
            }
            if (!piece.empty()) input.remove_prefix(std::min<std::size_t>(input.size(), 3));
            to->write(piece);
        }
    }
    for (const auto& h : heard)
        require(h == std::string_view(said).substr(0, h.size()),
                "nothing is heard but what was said");
    require(touched || (heard[0] == said && heard[1] == said), "who is let be is heard");
    if (c.status != io_status::ok || s.status != io_status::ok) return;
    require(client.tls()->alpn == "postgresql" && server.tls()->alpn == "postgresql", "ALPN holds");
    require(client.tls()->version == "TLSv1.3", "nobody talks them down");
    require(client.tls()->verified == verify, "verified is what was verified");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size < 2) return 0;
    const unsigned how = data[0];
    const auto input = fuzz::as_text(data + 2, size - 2);
    const auto cut = std::size_t{data[1]};
    if (how % 4 < 2)
        attack_server(input, how % 2 == 0, cut);
    else if (how % 4 == 2)
        attack_client(input, (how & 4) != 0, (how & 8) != 0, cut);
    else
        attack_both(input, (how & 4) != 0);
    return 0;
}
