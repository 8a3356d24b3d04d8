// Opens connections, says "ready", and keeps them idle until its standard input ends.
//   idle_connections COUNT CONNECTION-STRING

#include <charconv>
#include <cstddef>
#include <cstdio>
#include <memory>
#include <string_view>
#include <vector>

#include <libpq-fe.h>

namespace {

struct finish {
    void operator()(PGconn* c) const noexcept { PQfinish(c); }
};

constexpr std::size_t connections_max = 100'000;

}  // namespace

int main(int argc, char** argv) {
    std::size_t count = 0;
    const std::string_view number = argc == 3 ? argv[1] : "";
    const auto end = number.data() + number.size();
    if (std::from_chars(number.data(), end, count).ptr != end || count == 0 ||
        count > connections_max) {
        std::fputs("usage: idle_connections COUNT CONNECTION-STRING\n", stderr);
        return 2;
    }
    std::vector<std::unique_ptr<PGconn, finish>> connections;
    for (std::size_t i = 0; i < count; ++i) {
        connections.emplace_back(PQconnectdb(argv[2]));
        if (PQstatus(connections.back().get()) != CONNECTION_OK) {
            std::fprintf(stderr, "connection %zu of %zu: %s", i + 1, count,
                         PQerrorMessage(connections.back().get()));
            return 1;
        }
    }
    std::puts("ready");
    std::fflush(stdout);
    while (std::getchar() != EOF) {
    }
    return 0;
}
