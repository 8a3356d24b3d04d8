#include "tests/support/hostile_client.h"

#include <cerrno>
#include <fstream>
#include <sstream>

#include <poll.h>
#include <sys/socket.h>

#include "tests/support/scram.h"
#include "tests/support/temp_dir.h"

namespace sallyport::tests::hostile {
namespace {

/// Counts messages in a stream without keeping their bodies.
class counter {
  public:
    void take(std::string_view bytes, traffic& into) {
        into.bytes += bytes.size();
        while (!bytes.empty()) {
            if (rest_ != 0) {
                const auto here = std::min<std::uint64_t>(rest_, bytes.size());
                bytes.remove_prefix(here);
                rest_ -= here;
                continue;
            }
            const auto wanted = std::min(5 - header_.size(), bytes.size());
            header_ += bytes.substr(0, wanted);
            bytes.remove_prefix(wanted);
            if (header_.size() < 5) return;
            ++into.types[header_[0]];
            rest_ = wire::int32_at(header_, 1) - 4;
            header_.clear();
        }
    }

  private:
    std::string header_;
    std::uint64_t rest_ = 0;
};

long status_line(int pid, const std::string& name) {
    std::istringstream lines(read_file("/proc/" + std::to_string(pid) + "/status"));
    std::string line;
    while (std::getline(lines, line))
        if (line.rfind(name + ":", 0) == 0) return std::stol(line.substr(name.size() + 1));
    return -1;
}

}  // namespace

void drip(wire_client& c, std::string_view bytes, std::size_t piece) {
    while (!bytes.empty()) {
        const auto here = bytes.substr(0, piece);
        c.send(here);
        bytes.remove_prefix(here.size());
    }
}

void login_dripping(wire_client& c, const login_options& o) {
    parameters p{{"user", o.user}, {"database", o.database}};
    p.insert(p.end(), o.more.begin(), o.more.end());
    drip(c, wire::startup(p));
    scram_client scram(o.password);
    for (;;) {
        const message m = c.read();
        if (m.type == 'E') throw login_refused(fields_of(m));
        if (m.type == 'Z') return;
        if (m.type != 'R') continue;
        const auto what = wire::int32_at(m.body, 0);
        if (what == 10) drip(c, wire::sasl_initial("SCRAM-SHA-256", scram.first()));
        if (what == 11) drip(c, wire::frame('p', scram.final(m.body.substr(4))));
    }
}

traffic pump(wire_client& c, std::string_view bytes, std::uint64_t ready, milliseconds deadline) {
    traffic t;
    counter count;
    std::string buffer(256 * 1024, '\0');
    while (t.written < bytes.size() || t.of('Z') < ready) {
        const short wanted =
            static_cast<short>(t.written < bytes.size() ? POLLIN | POLLOUT : POLLIN);
        pollfd p{c.fd(), wanted, 0};
        if (::poll(&p, 1, static_cast<int>(deadline.count())) == 0)
            throw wire_timeout("neither side moves");
        if ((p.revents & POLLOUT) != 0) {
            const auto n = ::send(c.fd(), bytes.data() + t.written, bytes.size() - t.written,
                                  MSG_DONTWAIT | MSG_NOSIGNAL);
            if (n > 0) t.written += static_cast<std::uint64_t>(n);
        }
        if ((p.revents & (POLLIN | POLLHUP | POLLERR)) == 0) continue;
        const auto n = ::recv(c.fd(), buffer.data(), buffer.size(), MSG_DONTWAIT);
        if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR)) {
            t.closed = true;
            return t;
        }
        if (n > 0) count.take(std::string_view(buffer).substr(0, static_cast<std::size_t>(n)), t);
    }
    return t;
}

std::uint64_t stuff(wire_client& c, std::string_view unit, std::uint64_t bytes_max,
                    milliseconds quiet) {
    std::uint64_t written = 0;
    std::size_t at = 0;
    while (written < bytes_max) {
        pollfd p{c.fd(), POLLOUT, 0};
        if (::poll(&p, 1, static_cast<int>(quiet.count())) == 0) break;
        const auto n =
            ::send(c.fd(), unit.data() + at, unit.size() - at, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (n < 0 && errno != EAGAIN && errno != EINTR) break;
        if (n <= 0) continue;
        written += static_cast<std::uint64_t>(n);
        at = (at + static_cast<std::size_t>(n)) % unit.size();
    }
    return written;
}

long resident_kib(int pid) {
    return status_line(pid, "VmRSS");
}

long resident_peak_kib(int pid) {
    return status_line(pid, "VmHWM");
}

void forget_peak(int pid) {
    std::ofstream("/proc/" + std::to_string(pid) + "/clear_refs") << "5";
}

}  // namespace sallyport::tests::hostile
