#include <cstdlib>
#include <filesystem>
#include <stdexcept>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sqlite3.h>

#include "proxy/store/store.h"

/// Notices and their deliveries in the store.
namespace sallyport::proxy::store {
namespace {

using policy::instant;
using policy::milliseconds;
using policy::notice_about;
using policy::notice_event;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

const instant t0{milliseconds(1'772'357'400'000)};

class outbox_file : public ::testing::Test {
  protected:
    outbox_file() {
        std::string name = (std::filesystem::temp_directory_path() / "outbox_test.XXXXXX").string();
        if (!::mkdtemp(name.data())) std::abort();
        directory = name;
        s = open_sqlite(directory + "/state.db");
    }
    ~outbox_file() override {
        s.reset();
        std::error_code ignored;
        std::filesystem::remove_all(directory, ignored);
    }
    outbox_file(const outbox_file&) = delete;
    outbox_file& operator=(const outbox_file&) = delete;

    static policy::notice notice(std::uint64_t hold, notice_event e = notice_event::requested) {
        policy::notice n;
        n.event = e;
        n.about = notice_about::hold;
        n.id = hold;
        n.at = t0;
        n.person = "alice";
        n.reason = "\xff not UTF-8";
        n.statement = "select 1";
        return n;
    }
    std::vector<std::string> due(instant at = t0, std::size_t limit = 100) {
        std::vector<std::string> out;
        for (const auto& d : s->due("ops", at, limit))
            out.push_back(d.what.subject() + " " + policy::to_string(d.what.event));
        return out;
    }
    void settle(std::uint64_t id, delivery_state to, instant next = {}) {
        s->settle({{id, "ops", to, t0, next, to == delivery_state::delivered ? "" : "no answer"}});
    }
    std::string raw(const std::string& sql) const {
        sqlite3* db = nullptr;
        sqlite3_open((directory + "/state.db").c_str(), &db);
        char* error = nullptr;
        sqlite3_exec(db, sql.c_str(), nullptr, nullptr, &error);
        std::string text = error ? error : "";
        sqlite3_free(error);
        sqlite3_close(db);
        return text;
    }

    std::string directory;
    std::unique_ptr<store> s;
};

TEST_F(outbox_file, later_notices_of_a_subject_wait_for_the_first_and_others_do_not) {
    s->add_notice(notice(1), {"ops"});
    s->add_notice(notice(1, notice_event::approved), {"ops"});
    s->add_notice(notice(2), {"ops"});

    EXPECT_THAT(due(), ElementsAre("hold 1 requested", "hold 2 requested"));
    settle(1, delivery_state::waiting, t0 + milliseconds(1000));
    EXPECT_THAT(due(), ElementsAre("hold 2 requested"));
    EXPECT_EQ(s->next_due("ops"), t0);
    settle(3, delivery_state::delivered);
    EXPECT_EQ(s->next_due("ops"), t0 + milliseconds(1000));
    EXPECT_THAT(due(t0 + milliseconds(1000)), ElementsAre("hold 1 requested"));
    settle(1, delivery_state::delivered);
    EXPECT_THAT(due(), ElementsAre("hold 1 approved"));
}

TEST_F(outbox_file, subject_goes_on_behind_one_that_was_given_up) {
    s->add_notice(notice(1), {"ops"});
    s->add_notice(notice(1, notice_event::denied), {"ops"});
    settle(1, delivery_state::given_up);
    EXPECT_THAT(due(), ElementsAre("hold 1 denied"));
    const auto troubled = s->troubled(10);
    ASSERT_EQ(troubled.size(), 1u);
    EXPECT_EQ(troubled[0].state, delivery_state::given_up);
    EXPECT_EQ(troubled[0].attempts, 1u);
    EXPECT_EQ(troubled[0].error, "no answer");
}

TEST_F(outbox_file, channels_have_rows_of_their_own_and_keys_that_differ) {
    s->add_notice(notice(1), {"ops", "audit"});
    const auto ops = s->due("ops", t0, 10);
    const auto other = s->due("audit", t0, 10);
    ASSERT_EQ(ops.size(), 1u);
    ASSERT_EQ(other.size(), 1u);
    EXPECT_EQ(ops[0].key.size(), 32u);
    EXPECT_NE(ops[0].key, other[0].key);
    EXPECT_EQ(ops[0].what.person, "alice");
    EXPECT_EQ(ops[0].what.statement, "select 1");
    EXPECT_NE(ops[0].what.reason.find(" not UTF-8"), std::string::npos);
}

TEST_F(outbox_file, notice_goes_with_the_change_it_tells_or_not_at_all) {
    EXPECT_THROW(s->atomically([&] {
        s->add_notice(notice(1), {"ops"});
        throw std::runtime_error("the change failed");
    }),
                 std::runtime_error);
    EXPECT_THAT(due(), IsEmpty());
    s->atomically([&] {
        s->add_notice(notice(2), {"ops"});
        s->probe();
    });
    EXPECT_THAT(due(), ElementsAre("hold 2 requested"));
}

TEST_F(outbox_file, what_waits_survives_a_restart) {
    s->add_notice(notice(1), {"ops"});
    const auto key = s->due("ops", t0, 1).at(0).key;
    s.reset();
    s = open_sqlite(directory + "/state.db");
    EXPECT_EQ(s->due("ops", t0, 1).at(0).key, key);
}

TEST_F(outbox_file, channel_that_is_gone_is_given_up) {
    s->add_notice(notice(1), {"ops", "old"});
    const auto closed = s->close_channels({"ops"}, "gone", t0);
    ASSERT_EQ(closed.size(), 1u);
    EXPECT_EQ(closed[0].channel, "old");
    EXPECT_EQ(s->due("ops", t0, 10).size(), 1u);
    EXPECT_TRUE(s->due("old", t0, 10).empty());
    const auto backlog = s->backlog();
    ASSERT_EQ(backlog.size(), 2u);
    EXPECT_EQ(backlog[0].channel, "old");
    EXPECT_EQ(backlog[0].given_up, 1u);
    EXPECT_EQ(backlog[1].waiting, 1u);
    EXPECT_EQ(backlog[1].oldest, t0);
}

TEST_F(outbox_file, trim_takes_what_ended_and_never_what_waits) {
    s->add_notice(notice(1), {"ops"});
    s->add_notice(notice(2), {"ops"});
    settle(1, delivery_state::delivered);
    EXPECT_EQ(s->trim(t0), 0u);
    EXPECT_EQ(s->trim(t0 + milliseconds(1)), 2u);
    EXPECT_THAT(due(), ElementsAre("hold 2 requested"));
}

TEST_F(outbox_file, schema_refuses_what_the_code_never_does) {
    s->add_notice(notice(1), {"ops"});
    s->add_notice(notice(1, notice_event::denied), {"ops"});
    EXPECT_NE(raw("DELETE FROM deliveries"), "");
    EXPECT_NE(raw("UPDATE deliveries SET channel = 'x'"), "");
    EXPECT_NE(raw("UPDATE deliveries SET state = 'delivered', ended_at = 1 WHERE id = 2"), "");
    EXPECT_EQ(raw("UPDATE deliveries SET state = 'delivered', ended_at = 1 WHERE id = 1"), "");
    EXPECT_NE(raw("UPDATE deliveries SET state = 'waiting', ended_at = 0 WHERE id = 1"), "");
    EXPECT_NE(raw("UPDATE notices SET details = '{}'"), "");
    EXPECT_NE(raw("INSERT INTO delivery_transition VALUES ('delivered', 'waiting')"), "");
}

TEST_F(outbox_file, long_texts_are_cut_at_a_character) {
    auto n = notice(1);
    n.reason = std::string(policy::notice_text_bytes_max - 1, 'a') + "\xC3\xA9";
    n.statement = std::string(100'000, 's');
    s->add_notice(n, {"ops"});
    const auto d = s->due("ops", t0, 1).at(0);
    EXPECT_EQ(d.what.reason.size(), policy::notice_text_bytes_max - 1);
    EXPECT_EQ(d.what.statement.size(), policy::notice_statement_bytes_max);
    EXPECT_EQ(d.what.statement_bytes, 100'000u);
}

}  // namespace
}  // namespace sallyport::proxy::store
