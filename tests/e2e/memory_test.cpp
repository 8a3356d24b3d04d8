#include <algorithm>
#include <atomic>
#include <future>

#include <gtest/gtest.h>
#include <poll.h>

#include "tests/e2e/direct.h"
#include "tests/support/hostile_client.h"
#include "tests/support/server_phases.h"

/// Messages of any size pass in bounded memory, and a side that does not read stops the other.
namespace sallyport::tests {
namespace {

constexpr std::uint32_t large_bytes = 192u << 20;
constexpr long growth_max_kib =
    96 * 1024;  // half of it; a sanitizer keeps freed memory for a while

class memory : public e2e {
  protected:
    memory() {
        // A sanitizer that keeps what was freed would be measured instead.
        options.env["ASAN_OPTIONS"] = environment("ASAN_OPTIONS") + ":quarantine_size_mb=8";
    }
    void to(server_phases phases) {
        hostile = std::make_unique<hostile_server>(play(std::move(phases)));
        options.targets["shop"] = {.port = hostile->port(), .dbname = "shop"};
        start();
    }
    void measure() {
        hostile::forget_peak(proxy->pid());
        before_kib = hostile::resident_kib(proxy->pid());
    }
    void expect_flat() const {
        const long peak = hostile::resident_peak_kib(proxy->pid());
        ASSERT_GT(before_kib, 0);
        EXPECT_LT(peak - before_kib, growth_max_kib) << before_kib << " KiB before";
    }
    static void send_body(hostile_connection& c, std::uint32_t bytes) {
        const std::string piece(1u << 20, 'x');
        for (std::uint32_t sent = 0; sent < bytes; sent += static_cast<std::uint32_t>(piece.size()))
            c.send(std::string_view(piece).substr(
                0, std::min<std::size_t>(piece.size(), bytes - sent)));
    }
    std::unique_ptr<hostile_server> hostile;
    long before_kib = 0;
};

TEST_F(memory, one_row_of_192_mb_streams_through) {
    to({.on_message = [](hostile_connection& c, char type, const std::string&) {
        if (type != 'Q') return false;
        c.send(server_wire::row_description() + server_wire::header('D', large_bytes + 6) +
               wire::int16(1) + wire::int32(large_bytes));
        send_body(c, large_bytes);
        c.send(server_wire::complete("SELECT 1") + server_wire::ready());
        return true;
    }});
    auto c = client_as("alice");
    measure();

    const auto t = hostile::pump(c, wire::query("SELECT 1"), 1);

    EXPECT_GT(t.bytes, large_bytes);
    EXPECT_EQ(t.of('D'), 1u);
    expect_flat();
}

TEST_F(memory, one_copy_data_message_of_192_mb_streams_through) {
    std::atomic<std::uint64_t> arrived{0};
    to({.on_message = [&arrived](hostile_connection& c, char type, const std::string&) {
        if (type == 'Q') {
            c.send(wire::frame('G', std::string(3, '\0')));
            arrived = c.skip_message().second;
            return true;
        }
        if (type != 'c') return false;
        c.send(server_wire::complete("COPY 1") + server_wire::ready());
        return true;
    }});
    const stopped_first stopped{hostile};
    auto c = client_as("alice");
    c.send(wire::query("COPY ledger FROM STDIN"));
    ASSERT_EQ(c.read().type, 'G');
    measure();

    const std::string piece(1u << 20, 'x');
    c.send(server_wire::header('d', large_bytes));
    for (std::uint32_t sent = 0; sent < large_bytes; sent += 1u << 20)
        c.send(piece);
    c.send(wire::frame('c', ""));

    EXPECT_EQ(c.read_exchange().tags.at(0), "COPY 1");
    EXPECT_EQ(arrived.load(), large_bytes);
    expect_flat();
}

TEST_F(memory, client_that_stops_reading_stops_the_server_not_the_proxy) {
    std::atomic<std::uint64_t> sent{0};
    to({.on_message = [&sent](hostile_connection& c, char type, const std::string&) {
        if (type != 'Q') return false;
        const std::string rows = [] {
            std::string many;
            while (many.size() < (1u << 20))
                many += server_wire::row(std::string(1000, 'x'));
            return many;
        }();
        c.send(server_wire::row_description());
        for (int i = 0; i < 192; ++i) {
            c.send(rows);
            sent += rows.size();
        }
        c.send(server_wire::complete("SELECT 1") + server_wire::ready());
        return true;
    }});
    const stopped_first stopped{hostile};
    auto c = client_as("alice");
    measure();
    c.send(wire::query("SELECT 1"));
    std::uint64_t last = 1;
    ASSERT_TRUE(eventually([&] {  // nothing more goes into the stream
        const auto now = sent.load();
        const bool still = now == last && now != 0;
        last = now;
        ::poll(nullptr, 0, 200);
        return still;
    }));
    expect_flat();
    EXPECT_LT(last, large_bytes / 2) << "the sockets hold the rest back";

    const auto t = hostile::pump(c, "", 1);
    EXPECT_GT(t.bytes, std::uint64_t{192} << 20) << "all of it comes when it is read";
    expect_flat();
}

TEST_F(memory, server_that_stops_reading_stops_the_client_not_the_proxy) {
    std::promise<void> enough;
    auto released = enough.get_future().share();
    to({.on_message = [released](hostile_connection& c, char type, const std::string&) {
        if (type != 'Q') return false;
        c.send(wire::frame('G', std::string(3, '\0')));
        released.wait();
        throw wire_closed("the test has seen enough");
    }});
    auto c = client_as("alice");
    c.send(wire::query("COPY ledger FROM STDIN"));
    ASSERT_EQ(c.read().type, 'G');
    measure();

    const auto taken = hostile::stuff(c, wire::frame('d', std::string(100'000, 'x')), large_bytes,
                                      milliseconds(1'000));

    expect_flat();
    EXPECT_LT(taken, large_bytes);
    enough.set_value();
}

TEST_F(memory, statement_larger_than_is_inspected_is_not_kept_whole_by_a_session_that_refuses) {
    options.limits = "{ inspect_bytes: 64KiB }";
    start();
    auto c = client_as("alice");
    ASSERT_EQ(c.ask("SELECT 1").types(), "TDCZ");
    measure();

    const std::string piece(1u << 20, 'x');
    c.send(server_wire::header('Q', large_bytes));
    c.send("SELECT '");
    for (std::uint32_t sent = 8; sent < large_bytes;) {
        const auto here = std::min<std::uint32_t>(large_bytes - sent, 1u << 20);
        c.send(std::string_view(piece).substr(0, here));
        sent += here;
    }

    EXPECT_EQ(c.read_exchange().sqlstate(), "54000");
    expect_flat();
    EXPECT_EQ(c.ask("SELECT 1").types(), "TDCZ");
}

}  // namespace
}  // namespace sallyport::tests
