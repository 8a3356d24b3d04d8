#include "proxy/catalog/locks.h"

#include <algorithm>
#include <future>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/catalog/world.h"
#include "tests/support/eventually.h"
#include "tests/support/hostile_server.h"

/// The locks of a transaction, read from the server beside it.
namespace sallyport::tests {
namespace {

using namespace std::chrono_literals;
using proxy::lock_report;
using proxy::catalog::lock_reader;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class catalog_locks : public catalog_world {
  protected:
    [[nodiscard]] proxy::catalog::target shop() const { return {"shop", address(), 5s}; }

    static std::uint32_t pid_of(psql_session& s) {
        return static_cast<std::uint32_t>(std::stoul(s.ask("SELECT pg_backend_pid()").text));
    }

    static lock_report ask(lock_reader& from, std::uint32_t pid,
                           const std::string& target = "shop") {
        std::promise<lock_report> answer;
        from.ask(target, pid, [&](lock_report r) { answer.set_value(std::move(r)); });
        return answer.get_future().get();
    }

    static bool has(const lock_report& r, const std::string& mode, const std::string& on) {
        return std::any_of(r.locks.begin(), r.locks.end(), [&](const auto& l) {
            return l.mode == mode && l.on == on && l.granted;
        });
    }
};

TEST_F(catalog_locks, relations_that_a_transaction_holds_are_named_the_strongest_first) {
    lock_reader reader;
    reader.set_targets({shop()});
    const auto busy = hold("BEGIN; SELECT * FROM customers; LOCK TABLE orders IN EXCLUSIVE MODE");

    const auto r = ask(reader, pid_of(*busy));

    EXPECT_THAT(r.unknown_because, IsEmpty());
    ASSERT_FALSE(r.locks.empty());
    EXPECT_EQ(r.locks.front().mode, "ExclusiveLock");
    EXPECT_EQ(r.locks.front().on, "public.orders");
    EXPECT_TRUE(has(r, "AccessShareLock", "public.customers"));
    EXPECT_EQ(r.blocked, 0U);
    EXPECT_FALSE(r.cut);
}

TEST_F(catalog_locks, who_waits_for_the_transaction_is_counted) {
    lock_reader reader;
    reader.set_targets({shop()});
    const auto busy = hold("BEGIN; LOCK TABLE orders");
    const auto pid = pid_of(*busy);
    const auto other = hold("SELECT 1");

    other->send("SELECT count(*) FROM orders");

    EXPECT_TRUE(eventually([&] { return ask(reader, pid).blocked == 1; }));
    (void)busy->ask("ROLLBACK");
    EXPECT_EQ(other->finish().sqlstate, "00000");
}

TEST_F(catalog_locks, more_than_anybody_reads_is_cut) {
    lock_reader reader;
    reader.set_targets({shop()});
    const auto busy = hold(
        "BEGIN; DO $$ BEGIN FOR i IN 1..150 LOOP PERFORM pg_advisory_xact_lock(i, 7); END LOOP; "
        "END $$");

    const auto r = ask(reader, pid_of(*busy));

    EXPECT_EQ(r.locks.size(), 100U);
    EXPECT_TRUE(r.cut);
}

TEST_F(catalog_locks, what_cannot_be_known_is_said_plainly) {
    lock_reader reader;
    EXPECT_THAT(ask(reader, 1).unknown_because, HasSubstr("no `catalog:` login"));
    reader.set_targets({shop()});

    EXPECT_THAT(ask(reader, 0).unknown_because, HasSubstr("the number of the session's process"));
    EXPECT_THAT(ask(reader, 4'000'000).unknown_because, HasSubstr("no transaction"));
    EXPECT_THAT(ask(reader, 1, "hr").unknown_because, HasSubstr("target hr"));
    reader.stop();
    EXPECT_THAT(ask(reader, 1).unknown_because, HasSubstr("stopping"));
}

TEST_F(catalog_locks, server_that_never_answers_is_given_up_and_keeps_nobody) {
    hostile_server silent([](hostile_connection& c) { (void)c.read_startup(); });
    auto where = shop();
    where.where.port = silent.port();
    lock_reader reader;
    reader.set_targets({where});
    const auto from = std::chrono::steady_clock::now();

    const auto r = ask(reader, 7);

    EXPECT_THAT(r.unknown_because, HasSubstr("could not be asked"));
    EXPECT_LT(std::chrono::steady_clock::now() - from, 2 * lock_reader::patience + 1s);
}

}  // namespace
}  // namespace sallyport::tests
