// Opens connections, says "ready", and keeps them idle until its standard input ends.
//   idle_connections COUNT CONNECTION-STRING
// With a statement, each runs it first; and instead of reading its standard input the program says
// when the server closed the first and the last of them, in seconds since 1970:
//   idle_connections COUNT CONNECTION-STRING STATEMENT            all have run it
//   idle_connections COUNT CONNECTION-STRING STATEMENT running    it is still running in each

#include <array>
#include <charconv>
#include <chrono>
#include <cstddef>
#include <cstdio>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include <libpq-fe.h>
#include <sys/epoll.h>

namespace {

using clock = std::chrono::system_clock;

struct finish {
    void operator()(PGconn* c) const noexcept { PQfinish(c); }
};
using connection = std::unique_ptr<PGconn, finish>;

constexpr std::size_t connections_max = 100'000;

bool run(PGconn* c, const char* sql, bool leave) {
    if (leave) return PQsendQuery(c, sql) == 1 && PQflush(c) == 0;
    const std::unique_ptr<PGresult, decltype(&PQclear)> r(PQexec(c, sql), &PQclear);
    return PQresultStatus(r.get()) == PGRES_TUPLES_OK;
}

double seconds(clock::time_point t) {
    return std::chrono::duration<double>(t.time_since_epoch()).count();
}

// A notice is no end: only what closes the connection is.
int watch_ends(std::vector<connection>& connections) {
    const int waits = epoll_create1(EPOLL_CLOEXEC);
    if (waits < 0) return 1;
    for (const auto& c : connections) {
        epoll_event e{};
        e.events = EPOLLIN;
        e.data.ptr = c.get();
        if (epoll_ctl(waits, EPOLL_CTL_ADD, PQsocket(c.get()), &e) != 0) return 1;
    }
    auto left = connections.size();
    clock::time_point first{};
    clock::time_point last{};
    std::array<epoll_event, 64> ready{};
    while (left > 0) {
        const int n = epoll_wait(waits, ready.data(), static_cast<int>(ready.size()), -1);
        if (n < 0) return 1;
        for (const auto& e : std::span(ready).first(static_cast<std::size_t>(n))) {
            auto* c = static_cast<PGconn*>(e.data.ptr);
            const int socket = PQsocket(c);
            if (PQconsumeInput(c) == 1 && PQstatus(c) == CONNECTION_OK) continue;
            last = clock::now();
            if (left-- == connections.size()) first = last;
            epoll_ctl(waits, EPOLL_CTL_DEL, socket, nullptr);
        }
    }
    std::printf("closed %zu first %.3f last %.3f\n", connections.size(), seconds(first),
                seconds(last));
    return 0;
}

}  // namespace

int main(int argc, char** argv) {
    std::size_t count = 0;
    const std::string_view number = argc >= 3 && argc <= 5 ? argv[1] : "";
    const auto end = number.data() + number.size();
    const bool running = argc == 5 && std::string_view(argv[4]) == "running";
    if (std::from_chars(number.data(), end, count).ptr != end || count == 0 ||
        count > connections_max || (argc == 5 && !running)) {
        std::fputs("usage: idle_connections COUNT CONNECTION-STRING [STATEMENT [running]]\n",
                   stderr);
        return 2;
    }
    std::vector<connection> connections;
    for (std::size_t i = 0; i < count; ++i) {
        connections.emplace_back(PQconnectdb(argv[2]));
        auto* c = connections.back().get();
        if (PQstatus(c) != CONNECTION_OK || (argc > 3 && !run(c, argv[3], running))) {
            std::fprintf(stderr, "connection %zu of %zu: %s", i + 1, count, PQerrorMessage(c));
            return 1;
        }
    }
    std::puts("ready");
    std::fflush(stdout);
    if (argc > 3) return watch_ends(connections);
    while (std::getchar() != EOF) {
    }
    return 0;
}
