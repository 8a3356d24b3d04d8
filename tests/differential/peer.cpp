#include "tests/differential/peer.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>

#include <poll.h>
#include <sys/socket.h>

#include "protocol/cursor.h"
#include "tests/differential/random.h"

namespace sallyport::tests::differential {
namespace {

using std::chrono::steady_clock;

// How long the side that goes first is given to answer at a pause. Only the pace of the sequence
// depends on it: an answer that is slower is compared all the same.
constexpr milliseconds moment{4};

class player {
  public:
    player(int fd, const sequence& s, policy_kind kind, milliseconds deadline)
        : fd_(fd),
          s_(s),
          kind_(kind),
          deadline_(steady_clock::now() + deadline),
          cuts_(s.split_seed) {}

    replies run(const std::vector<std::size_t>* expected) {
        std::string segment;
        std::size_t pauses = 0;
        for (std::size_t i = 0; i < s_.steps.size() && !got_.closed && !got_.timed_out; ++i) {
            segment += s_.steps[i].bytes;
            if (!s_.steps[i].pause && i + 1 < s_.steps.size()) continue;
            write(segment, expected != nullptr);
            segment.clear();
            if (i + 1 == s_.steps.size()) break;
            if (expected == nullptr)
                read_a_moment();
            else if (pauses < expected->size())
                read_until_count((*expected)[pauses]);
            ++pauses;
            got_.at_pause.push_back(count());
        }
        if (s_.half_closes) ::shutdown(fd_, SHUT_WR);
        read_to_end();
        return std::move(got_);
    }

  private:
    void write(std::string_view bytes, bool cut) {
        while (!bytes.empty() && writable_) {
            std::size_t piece = bytes.size();
            if (cut && s_.split_seed != 0)
                piece = std::min(piece, 1 + cuts_.below(bytes.size() > 20'000 ? 40'000 : 90));
            auto rest = bytes.substr(0, piece);
            bytes.remove_prefix(piece);
            while (!rest.empty() && writable_) {
                const auto n = ::send(fd_, rest.data(), rest.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
                if (n > 0)
                    rest.remove_prefix(static_cast<std::size_t>(n));
                else if (errno == EAGAIN)
                    wait(POLLIN | POLLOUT);
                else if (errno != EINTR)
                    writable_ = false;  // what it said before it went is read below
            }
        }
    }

    void wait(short events) {
        pollfd p{fd_, events, 0};
        const auto left = std::chrono::ceil<milliseconds>(deadline_ - steady_clock::now()).count();
        if (left <= 0 || ::poll(&p, 1, static_cast<int>(left)) == 0) {
            got_.timed_out = true;
            writable_ = false;
            return;
        }
        if ((p.revents & (POLLIN | POLLHUP | POLLERR)) != 0) receive();
    }

    void receive() {
        static thread_local std::array<char, 65536> buffer;
        const auto n = ::recv(fd_, buffer.data(), buffer.size(), MSG_DONTWAIT);
        if (n > 0) {
            bytes_.append(buffer.data(), static_cast<std::size_t>(n));
            take_messages();
        } else if (n == 0 || (errno != EAGAIN && errno != EINTR)) {
            got_.closed = true;
        }
    }

    void take_messages() {
        std::size_t at = 0;
        while (bytes_.size() - at >= 5) {
            const std::size_t length = protocol::load_u32(bytes_.data() + at + 1);
            if (length < 4 || bytes_.size() - at < length + 1) break;
            message m{bytes_[at], bytes_.substr(at + 5, length - 4)};
            at += length + 1;
            if (m.type == 'D' && m.body.find(state_marker) != std::string::npos) marked_ = true;
            ended_ = ended_ || (marked_ && m.type == 'Z');
            answered_ = answered_ || m.type == 'Z' || m.type == 'G' || m.type == 'E';
            readies_ += m.type == 'Z' ? 1 : 0;
            got_.messages.push_back(std::move(m));
        }
        bytes_.erase(0, at);
    }

    void read_a_moment() {
        answered_ = false;
        const auto end = std::min(deadline_, steady_clock::now() + moment);
        while (!answered_ && !got_.closed) {
            const auto left = std::chrono::ceil<milliseconds>(end - steady_clock::now()).count();
            pollfd p{fd_, POLLIN, 0};
            if (left <= 0 || ::poll(&p, 1, static_cast<int>(left)) == 0) return;
            receive();
        }
    }

    [[nodiscard]] std::size_t count() const {
        return kind_ == policy_kind::allow_all ? got_.messages.size() : readies_;
    }

    void read_until_count(std::size_t wanted) {
        while (count() < wanted && !got_.closed && !got_.timed_out)
            wait(POLLIN);
    }

    void read_to_end() {
        while (!got_.closed && !got_.timed_out && (!ended_ || s_.half_closes))
            wait(POLLIN);
    }

    int fd_;
    const sequence& s_;
    policy_kind kind_;
    steady_clock::time_point deadline_;
    random_source cuts_;
    std::string bytes_;
    replies got_;
    std::size_t readies_ = 0;
    bool writable_ = true;
    bool marked_ = false;
    bool ended_ = false;
    bool answered_ = false;
};

}  // namespace

void peer::reconnect() {
    client_.reset();
    client_.emplace(port_);
    client_->login(login_);
}

replies peer::play(const sequence& s, const std::vector<std::size_t>* expected, policy_kind kind,
                   milliseconds deadline) {
    auto got = player(client_->fd(), s, kind, deadline).run(expected);
    if (got.closed || got.timed_out) client_.reset();
    return got;
}

}  // namespace sallyport::tests::differential
