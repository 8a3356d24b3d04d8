#include "proxy/catalog/service.h"

#include <algorithm>
#include <future>
#include <mutex>
#include <thread>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "proxy/catalog/names_file.h"
#include "tests/catalog/world.h"
#include "tests/support/eventually.h"
#include "tests/support/hostile_server.h"
#include "tests/support/temp_dir.h"

/// The threads that keep catalogs current.
namespace sallyport::tests {
namespace {

using namespace std::chrono_literals;
using policy::catalog::snapshot_ptr;
using proxy::catalog::service;
using proxy::catalog::severity;
using proxy::catalog::status;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class catalog_service : public catalog_world {
  protected:
    [[nodiscard]] proxy::catalog::target target(const std::string& name = "shop") const {
        return {.name = name, .where = address(), .interval = 1h};
    }
    void start(proxy::catalog::target t) {
        s = std::make_unique<service>([this](severity level, const std::string& line) {
            const std::lock_guard lock(mutex);
            lines.push_back((level == severity::warning ? "warning " : "") + line);
        });
        s->set_targets({std::move(t)});
    }
    [[nodiscard]] std::future<snapshot_ptr> ask(
        const std::string& name = "shop",
        proxy::catalog::patience how = proxy::catalog::patience::none) const {
        auto p = std::make_shared<std::promise<snapshot_ptr>>();
        auto answer = p->get_future();
        s->refresh(
            name, [p](snapshot_ptr got) { p->set_value(std::move(got)); }, how);
        return answer;
    }
    [[nodiscard]] snapshot_ptr refresh() const {
        auto answer = ask();
        if (answer.wait_for(patience) != std::future_status::ready)
            throw std::runtime_error("refresh() was not answered");
        return answer.get();
    }
    [[nodiscard]] status state() const { return s->statuses().at(0); }
    [[nodiscard]] std::vector<std::string> log() {
        const std::lock_guard lock(mutex);
        return lines;
    }
    [[nodiscard]] bool logs(const std::string& words) {
        return eventually([&] {
            const auto all = log();
            return std::any_of(all.begin(), all.end(),
                               [&](const auto& l) { return l.find(words) != std::string::npos; });
        });
    }
    static bool has(const snapshot_ptr& snapshot, const std::string& relation) {
        const auto& all = snapshot->source().relations;
        return std::any_of(all.begin(), all.end(),
                           [&](const auto& r) { return r.name == relation; });
    }

    std::mutex mutex;
    std::vector<std::string> lines;
    std::unique_ptr<service> s;
};

TEST_F(catalog_service, what_was_renamed_while_nothing_ran_is_still_what_it_was) {
    const temp_dir folder;
    auto t = target();
    t.names_file = proxy::catalog::names_file(folder.file("state.db"), t.name);
    const auto former = [](const snapshot_ptr& shot, const std::string& relation) {
        std::vector<std::string> out;
        for (const auto& r : shot->past().relations)
            if (r.last.name == relation)
                for (const auto& f : r.former)
                    out.push_back(f.schema + "." + f.name);
        return out;
    };
    start(t);
    ASSERT_TRUE(refresh());
    s.reset();
    sql("ALTER TABLE pii.customers RENAME TO clients");
    start(t);
    EXPECT_THAT(former(refresh(), "clients"), ElementsAre("pii.customers"));
    s.reset();
    sql("CREATE SCHEMA apart; ALTER TABLE pii.clients SET SCHEMA apart");
    start(t);
    EXPECT_THAT(former(refresh(), "clients"), ElementsAre("pii.customers", "pii.clients"));

    s.reset();
    sql("ALTER TABLE apart.clients RENAME COLUMN birthday TO note");
    start(t);
    const auto renamed = refresh();
    for (const auto& r : renamed->past().relations)
        if (r.last.name == "clients") {
            const auto note =
                std::ranges::find(r.columns, "note", &policy::catalog::past_column::last);
            ASSERT_NE(note, r.columns.end());
            EXPECT_THAT(note->former, ElementsAre("birthday"));
        }

    // A file of another cluster says nothing of this one's numbers.
    s.reset();
    auto names = proxy::catalog::load_names(t.names_file);
    names.identity = "7000000000000000001/5";
    proxy::catalog::save_names(t.names_file, names);
    start(t);
    EXPECT_THAT(former(refresh(), "clients"), IsEmpty());
    EXPECT_TRUE(logs("warning catalog of shop: this is another database than before"));

    // A damaged one is said, and does not stop anything.
    s.reset();
    write_file(t.names_file, "{\"version\":1,");
    start(t);
    EXPECT_TRUE(refresh());
    EXPECT_TRUE(logs("is damaged"));
    s.reset();
    EXPECT_NO_THROW(static_cast<void>(proxy::catalog::load_names(t.names_file)));
}

TEST_F(catalog_service, refresh_gives_what_was_there_when_it_was_asked_for) {
    start(target());
    const auto before = std::chrono::steady_clock::now();
    const auto first = refresh();
    ASSERT_TRUE(first);
    EXPECT_TRUE(has(first, "orders"));
    EXPECT_GE(s->checked_at("shop"), before);
    EXPECT_EQ(s->current("shop"), first);
    EXPECT_TRUE(s->configured("shop"));
    EXPECT_EQ(state().reads, 1U);
    EXPECT_GT(state().relations, 5U);
    EXPECT_FALSE(state().down);
    EXPECT_THAT(log(), ElementsAre(HasSubstr("catalog of shop: ")));
    for (const char* name : {"one", "two", "three"}) {
        sql(std::string("CREATE VIEW ") + name + " AS TABLE orders");
        // Once only its first step may have been made: no budget.
        EXPECT_TRUE(eventually([&] { return has(refresh(), name); })) << name;
    }
    EXPECT_EQ(state().changes_outside, 0U);
}

TEST_F(catalog_service, what_does_not_change_the_catalog_is_not_read_again) {
    start(target());
    const auto first = refresh();
    for (int i = 0; i < 5; ++i) {
        sql("INSERT INTO ledger VALUES (" + std::to_string(i) + ", 'x')");
        EXPECT_EQ(refresh(), first);
    }
    sql("CREATE TEMP TABLE passing (a int)");
    EXPECT_EQ(refresh(), first);
    EXPECT_EQ(state().reads, 1U);
}

TEST_F(catalog_service, unwritten_database_costs_one_look) {
    start(target());
    (void)refresh();
    // Other tests of this server may write: by then one of the checks finds nothing new.
    EXPECT_TRUE(eventually([&] {
        const auto before = state();
        (void)refresh();
        const auto after = state();
        return after.checks == before.checks + 1 && after.fingerprints == before.fingerprints;
    }));
}

TEST_F(catalog_service, change_that_nobody_asked_about_is_found_and_said) {
    auto t = target();
    t.interval = 100ms;
    start(t);
    ASSERT_TRUE(refresh());
    sql("CREATE VIEW sneaky AS TABLE pii.cards");
    EXPECT_TRUE(eventually([&] { return has(s->current("shop"), "sneaky"); }));
    EXPECT_TRUE(logs("warning catalog of shop changed outside of what passed here"));
    EXPECT_EQ(state().changes_outside, 1U);
}

TEST_F(catalog_service, definition_that_was_locked_is_read_when_the_lock_is_gone) {
    sql("CREATE TABLE locked (a int); CREATE VIEW over AS TABLE locked");
    const auto holder = hold("BEGIN; LOCK TABLE locked IN ACCESS EXCLUSIVE MODE");
    auto t = target();
    t.interval = 100ms;
    start(t);
    ASSERT_TRUE(refresh());
    EXPECT_EQ(state().unreadable, 1U);
    EXPECT_TRUE(logs("1 definitions could not be read and count as opaque"));
    (void)holder->ask("ROLLBACK");
    EXPECT_TRUE(eventually([&] { return state().unreadable == 0; }));
    EXPECT_EQ(state().changes_outside, 0U);
}

TEST_F(catalog_service, writes_without_end_use_up_the_budget_and_a_change_is_still_found) {
    start(target());
    ASSERT_TRUE(refresh());
    const auto writer = hold("SELECT 1");
    EXPECT_TRUE(eventually([&] {
        (void)writer->ask("INSERT INTO ledger SELECT count(*), 'x' FROM ledger");
        (void)refresh();
        return state().checks_cut_short > 0;
    }));
    sql("CREATE VIEW late AS TABLE orders");
    (void)refresh();
    EXPECT_TRUE(eventually([&] { return has(s->current("shop"), "late"); }))
        << "where there was no budget, the fingerprint follows by itself";
    EXPECT_EQ(state().changes_outside, 0U);
}

TEST_F(catalog_service, changes_one_after_the_other_are_each_seen_at_once) {
    start(target());
    ASSERT_TRUE(refresh());
    for (int i = 0; i < 40; ++i) {
        const auto name = "new_" + std::to_string(i);
        sql("CREATE VIEW " + name + " AS TABLE orders");
        ASSERT_TRUE(has(refresh(), name)) << name;
        for (int k = 0; k < 3; ++k) {
            sql("INSERT INTO ledger SELECT count(*), 'x' FROM ledger");
            (void)refresh();
        }
    }
    EXPECT_EQ(state().checks_cut_short, 0U);
}

TEST_F(catalog_service, login_that_is_refused_gives_null_and_is_said_once) {
    auto t = target();
    t.where.password.emplace("wrong");
    start(t);
    EXPECT_FALSE(refresh());
    EXPECT_TRUE(logs("warning catalog of shop cannot be read"));
    EXPECT_TRUE(state().down);
    EXPECT_FALSE(state().has_snapshot);
    EXPECT_THAT(state().error, HasSubstr("password authentication failed"));
    EXPECT_FALSE(refresh());
    EXPECT_TRUE(eventually([&] { return state().checks >= 3; })) << "it goes on trying";
    EXPECT_EQ(log().size(), 1U);
    for (const auto& line : log())
        EXPECT_EQ(line.find("wrong"), std::string::npos) << line;
}

TEST_F(catalog_service, database_that_is_there_again_is_read_for_whoever_asks_next) {
    const auto name = database + "_later";
    sql("CREATE DATABASE " + name);
    sql("ALTER DATABASE " + name + " ALLOW_CONNECTIONS false");
    auto t = target();
    t.where.dbname = name;
    start(t);
    ASSERT_FALSE(refresh());
    sql("ALTER DATABASE " + name + " ALLOW_CONNECTIONS true");
    EXPECT_TRUE(refresh()) << "not before another try";
    s.reset();
    sql("DROP DATABASE " + name);
}

TEST_F(catalog_service, target_that_has_been_down_for_long_costs_those_with_patience_a_try) {
    auto t = target();
    t.where.password.emplace("wrong");
    start(t);
    ASSERT_FALSE(refresh());
    std::this_thread::sleep_for(5s);
    const auto failed = state().checks;
    ASSERT_FALSE(refresh());
    auto answer = ask();
    EXPECT_EQ(answer.wait_for(0s), std::future_status::ready) << "known to be down: at once";
    EXPECT_FALSE(answer.get());
    const auto tries = state().checks;
    EXPECT_GT(tries, failed);
    EXPECT_FALSE(ask("shop", proxy::catalog::patience::one_try).get());
    EXPECT_GT(state().checks, tries);
}

TEST_F(catalog_service, unknown_targets_have_nothing) {
    start(target());
    EXPECT_FALSE(s->configured("hr"));
    EXPECT_FALSE(s->current("hr"));
    EXPECT_EQ(s->checked_at("hr"), std::chrono::steady_clock::time_point::min());
    EXPECT_FALSE(ask("hr").get());
}

TEST_F(catalog_service, targets_that_stay_keep_their_snapshot_and_others_end) {
    start(target());
    const auto first = refresh();
    auto other = target("hr");
    other.where.user = "app";
    other.where.password.emplace("app-password");
    s->set_targets({target(), other});
    EXPECT_EQ(s->current("shop"), first);
    EXPECT_EQ(state().target, "hr");
    EXPECT_TRUE(ask("hr").get());
    other.where.password.emplace("wrong");
    s->set_targets({target(), other});
    EXPECT_EQ(s->current("shop"), first);
    EXPECT_FALSE(ask("hr").get()) << "another password is another target";
    s->set_targets({target()});
    EXPECT_FALSE(s->configured("hr"));
    EXPECT_EQ(s->current("shop"), first);
}

TEST_F(catalog_service, silent_server_keeps_nobody_from_stopping) {
    hostile_server silent([](hostile_connection& c) { c.drain(); });
    auto t = target();
    t.where.port = silent.port();
    t.where.connect_timeout = 1h;
    start(t);
    auto answer = ask();
    s.reset();
    EXPECT_FALSE(answer.get());
}

TEST_F(catalog_service, silent_server_is_given_up_in_time) {
    hostile_server silent([](hostile_connection& c) { c.drain(); });
    auto t = target();
    t.where.port = silent.port();
    t.where.connect_timeout = 50ms;
    start(t);
    EXPECT_FALSE(refresh());
    EXPECT_THAT(state().error, HasSubstr("did not answer in time"));
}

TEST(catalog_service_restart, server_that_comes_back_is_read_anew) {
    postgres_server server;
    const auto database = server.create_shop();
    std::mutex mutex;
    std::vector<std::string> lines;
    service s([&](severity, const std::string& line) {
        const std::lock_guard lock(mutex);
        lines.push_back(line);
    });
    proxy::catalog::target t{.name = "shop", .where = {}, .interval = 1h};
    t.where.host = "127.0.0.1";
    t.where.port = server.port();
    t.where.dbname = database;
    t.where.user = "sallyport_catalog";
    t.where.password.emplace("sallyport_catalog-password");
    t.where.tls.mode = proxy::net::client_tls_mode::disable;
    s.set_targets({t});
    const auto refresh = [&] {
        std::promise<snapshot_ptr> p;
        s.refresh("shop", [&](snapshot_ptr got) { p.set_value(std::move(got)); });
        return p.get_future().get();
    };
    const auto first = refresh();
    ASSERT_TRUE(first);
    server.stop();
    EXPECT_FALSE(refresh());
    EXPECT_EQ(s.current("shop"), first) << "what was known is still there, and known to be old";
    EXPECT_TRUE(s.statuses().at(0).down);
    server.start();
    snapshot_ptr again;
    EXPECT_TRUE(eventually([&] { return (again = refresh()) != nullptr; }));
    EXPECT_NE(again, first) << "another run of the server";
    EXPECT_FALSE(s.statuses().at(0).down);
    const std::lock_guard lock(mutex);
    EXPECT_THAT(lines, Contains(HasSubstr("its map is from before")));
    EXPECT_THAT(lines, Contains(HasSubstr("can be read again")));
}

}  // namespace
}  // namespace sallyport::tests
