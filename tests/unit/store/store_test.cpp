#include "proxy/store/store.h"

#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <set>

#include <gtest/gtest.h>
#include <sqlite3.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

namespace sallyport::proxy::store {
namespace {

using policy::hold_state;
using policy::instant;
using policy::milliseconds;
using policy::opt_out_state;
using policy::pass_scope;

const instant t0{milliseconds(1'772'357'400'000)};
const instant t1 = t0 + milliseconds(1000);

class store_file : public ::testing::Test {
  protected:
    store_file() {
        std::string name = (std::filesystem::temp_directory_path() / "store_test.XXXXXX").string();
        if (!::mkdtemp(name.data())) std::abort();
        directory = name;
        path = directory + "/sallyport.db";
        s = open_sqlite(path);
    }
    ~store_file() override {
        s.reset();
        std::error_code ignored;
        std::filesystem::remove_all(directory, ignored);
    }
    store_file(const store_file&) = delete;
    store_file& operator=(const store_file&) = delete;

    void reopen() {
        s.reset();
        s = open_sqlite(path);
    }
    /// Runs SQL as somebody with a shell on the file would; "" or the error.
    std::string raw(const std::string& sql) const {
        sqlite3* db = nullptr;
        sqlite3_open(path.c_str(), &db);
        sqlite3_exec(db, "PRAGMA foreign_keys = ON", nullptr, nullptr, nullptr);
        char* error = nullptr;
        sqlite3_exec(db, sql.c_str(), nullptr, nullptr, &error);
        std::string text = error ? error : "";
        sqlite3_free(error);
        sqlite3_close(db);
        return text;
    }

    std::string directory;
    std::string path;
    std::unique_ptr<store> s;
};

policy::hold sample_hold() {
    policy::hold h;
    h.person = "alice";
    h.person_groups = {"dev", "oncall"};
    h.target = "shop";
    h.rule = "pii-needs-approval";
    h.statement = std::string("select ssn from customers\0where 1 \xE9", 36);
    h.redacted = "select ssn from customers";
    h.statement_sha256 = "ab";
    h.parameters = {"1", "", "x'y"};
    h.shape = "cd";
    h.touches = {"read public.customers (from)"};
    h.reason = "ticket 7";
    h.address = "127.0.0.1";
    h.application = "psql";
    h.session.value = 0xFFFF'FFFF'0000'0001;
    h.in_transaction = true;
    h.who.users = {"bob"};
    h.who.groups = {"security"};
    h.who.approvals = 1;
    h.pass.shape = milliseconds(1000);
    h.pass.session = milliseconds(2000);
    h.opened_at = t0;
    h.expires_at = t0 + milliseconds(60'000);
    h.policy_hash = "ef";
    return h;
}

policy::opt_out sample_opt_out() {
    policy::opt_out o;
    o.rule = "pii-needs-approval";
    o.person = "alice";
    o.requested_by = "alice";
    o.reason = "incident";
    o.ticket = "INC-1";
    o.target = "shop";
    o.duration = milliseconds(10'000);
    o.requested_at = t0;
    o.request_expires_at = t0 + milliseconds(86'400'000);
    o.max_uses = 3;
    o.policy_hash = "ef";
    o.role = "incident_writer";
    return o;
}

policy::vote vote_of(const std::string& person, bool approve = true) {
    return {person, approve, "looked at it", t1, "api"};
}

policy::pass pass_for(const policy::hold& h, policy::hold_id id, pass_scope scope) {
    policy::pass p;
    p.from_hold = id;
    p.scope = scope;
    p.rule = h.rule;
    p.person = h.person;
    p.target = h.target;
    p.shape = scope == pass_scope::shape ? h.shape : "";
    p.session = h.session;
    p.until = t1 + milliseconds(5000);
    p.approved_by = "bob";
    return p;
}

store::opt_out_change activation(const policy::vote& v) {
    return {
        opt_out_state::requested, opt_out_state::active, "", t1, t1, t1 + milliseconds(10'000), &v};
}

class store_of_holds : public store_file {};

TEST_F(store_of_holds, a_hold_comes_back_as_it_was_after_a_restart) {
    const auto h = sample_hold();
    const auto id = s->add_hold(h);
    reopen();
    const auto got = s->get_hold(id);
    ASSERT_TRUE(got);
    EXPECT_EQ(got->state, hold_state::pending);
    EXPECT_EQ(got->person, h.person);
    EXPECT_EQ(got->person_groups, h.person_groups);
    EXPECT_EQ(got->statement, h.statement);
    EXPECT_EQ(got->redacted, h.redacted);
    EXPECT_EQ(got->parameters, h.parameters);
    EXPECT_EQ(got->touches, h.touches);
    EXPECT_EQ(got->session, h.session);
    EXPECT_EQ(got->who.groups, h.who.groups);
    EXPECT_EQ(got->pass.shape, h.pass.shape);
    EXPECT_EQ(got->pass.transaction, std::nullopt);
    EXPECT_EQ(got->expires_at, h.expires_at);
    EXPECT_TRUE(got->in_transaction);
    EXPECT_FALSE(s->get_hold(policy::hold_id{99}));
}

TEST_F(store_of_holds, an_approval_stores_vote_state_and_pass_together) {
    const auto h = sample_hold();
    const auto id = s->add_hold(h);
    const auto v = vote_of("bob");
    auto p = pass_for(h, id, pass_scope::session);
    EXPECT_TRUE(s->move_hold(id, hold_state::pending, hold_state::approved, "", t1, &v, &p));
    EXPECT_TRUE(p.id);
    const auto got = s->get_hold(id);
    EXPECT_EQ(got->state, hold_state::approved);
    EXPECT_EQ(got->ended_at, t1);
    EXPECT_EQ(got->granted, pass_scope::session);
    EXPECT_EQ(got->granted_for, milliseconds(5000));
    ASSERT_EQ(got->votes.size(), 1u);
    EXPECT_EQ(got->votes[0].person, "bob");
    ASSERT_EQ(s->list_passes(t1).size(), 1u);
    EXPECT_EQ(s->list_passes(t1)[0].session, h.session);
    EXPECT_TRUE(s->list_passes(p.until).empty());
}

TEST_F(store_of_holds, the_second_move_loses) {
    const auto id = s->add_hold(sample_hold());
    EXPECT_TRUE(
        s->move_hold(id, hold_state::pending, hold_state::expired, "", t1, nullptr, nullptr));
    const auto v = vote_of("bob");
    EXPECT_FALSE(s->move_hold(id, hold_state::pending, hold_state::denied, "", t1, &v, nullptr));
    EXPECT_TRUE(s->get_hold(id)->votes.empty());
}

TEST_F(store_of_holds, a_second_vote_of_a_person_and_one_of_the_requester_are_refused) {
    auto h = sample_hold();
    h.who.approvals = 2;
    const auto id = s->add_hold(h);
    s->add_hold_vote(id, vote_of("bob"));
    EXPECT_THROW(s->add_hold_vote(id, vote_of("bob")), store_error);
    EXPECT_THROW(s->add_hold_vote(id, vote_of("alice")), store_error);
    EXPECT_EQ(s->get_hold(id)->votes.size(), 1u);
}

TEST_F(store_of_holds, an_approval_with_too_few_votes_or_a_deny_is_refused) {
    auto h = sample_hold();
    h.who.approvals = 2;
    const auto id = s->add_hold(h);
    const auto v = vote_of("bob");
    EXPECT_THROW(s->move_hold(id, hold_state::pending, hold_state::approved, "", t1, &v, nullptr),
                 store_error);
    EXPECT_EQ(s->get_hold(id)->state, hold_state::pending);
    s->add_hold_vote(id, vote_of("bob", false));
    s->add_hold_vote(id, vote_of("dave"));
    const auto c = vote_of("carol");
    EXPECT_THROW(s->move_hold(id, hold_state::pending, hold_state::approved, "", t1, &c, nullptr),
                 store_error);
}

TEST_F(store_of_holds, orphans_are_withdrawn_and_listed) {
    const auto first = s->add_hold(sample_hold());
    const auto second = s->add_hold(sample_hold());
    s->move_hold(first, hold_state::pending, hold_state::expired, "", t1, nullptr, nullptr);
    reopen();
    const auto orphans = s->withdraw_orphans(t1, "proxy restarted");
    ASSERT_EQ(orphans.size(), 1u);
    EXPECT_EQ(orphans[0].id, second);
    EXPECT_EQ(s->get_hold(second)->state, hold_state::withdrawn);
    EXPECT_EQ(s->get_hold(second)->ended_reason, "proxy restarted");
}

TEST_F(store_of_holds, lists_are_newest_first_and_bounded) {
    for (int i = 0; i < 5; ++i)
        s->add_hold(sample_hold());
    const auto two = s->list_holds(hold_state::pending, 2);
    ASSERT_EQ(two.size(), 2u);
    EXPECT_EQ(two[0].id.value, 5u);
    EXPECT_EQ(s->list_holds(std::nullopt, 100).size(), 5u);
    EXPECT_TRUE(s->list_holds(hold_state::denied, 100).empty());
}

TEST_F(store_of_holds, every_transition_not_in_policy_is_refused_by_raw_sql_too) {
    constexpr std::array states{hold_state::pending, hold_state::approved, hold_state::denied,
                                hold_state::expired, hold_state::withdrawn};
    for (const auto from : states)
        for (const auto to : states) {
            const auto id = s->add_hold(sample_hold());
            if (from == hold_state::approved) s->add_hold_vote(id, vote_of("bob"));
            if (from != hold_state::pending) {
                ASSERT_TRUE(s->move_hold(id, hold_state::pending, from, "", t1, nullptr, nullptr));
            } else if (to == hold_state::approved) {
                s->add_hold_vote(id, vote_of("bob"));
            }
            const auto error = raw("UPDATE holds SET state = '" + std::string(to_string(to)) +
                                   "', ended_at = 5 WHERE id = " + std::to_string(id.value));
            EXPECT_EQ(error.empty(), policy::is_legal(from, to))
                << to_string(from) << " to " << to_string(to) << ": " << error;
        }
}

TEST_F(store_of_holds, raw_sql_cannot_forge_an_approval) {
    const auto id = std::to_string(s->add_hold(sample_hold()).value);
    const auto vote = [&](const std::string& person) {
        return raw("INSERT INTO hold_votes VALUES (" + id + ", '" + person +
                   "', 1, '', 1, 'shell')");
    };
    EXPECT_NE(raw("UPDATE holds SET state = 'approved', ended_at = 5 WHERE id = " + id), "");
    EXPECT_NE(raw("UPDATE holds SET person = 'zoe' WHERE id = " + id), "");
    EXPECT_NE(raw("UPDATE holds SET approvals_needed = 0 WHERE id = " + id), "");
    EXPECT_NE(raw("UPDATE holds SET statement = 'select 1' WHERE id = " + id), "");
    EXPECT_NE(raw("UPDATE hold_transition SET from_state = 'denied'"), "");
    EXPECT_NE(raw("INSERT INTO hold_transition VALUES ('denied', 'approved')"), "");
    EXPECT_NE(raw("INSERT INTO passes VALUES (NULL, " + id +
                  ", 'session', 'pii-needs-approval', 'alice', 'shop', '', 1, 9999, 'bob')"),
              "");
    EXPECT_NE(vote("alice"), "");
    EXPECT_EQ(vote("bob"), "");
    EXPECT_NE(vote("bob"), "");
    EXPECT_NE(raw("UPDATE hold_votes SET person = 'carol'"), "");
    EXPECT_NE(raw("DELETE FROM hold_votes"), "");
    EXPECT_NE(raw("DELETE FROM holds"), "");
    EXPECT_NE(raw("INSERT INTO holds (kind, state, person, target, rule, session_id, opened_at, "
                  "expires_at, ended_at, approvals_needed, statement, shape, details) VALUES "
                  "('session','approved','zoe','shop','r',1,1,2,2,1,'','','{}')"),
              "");
}

class store_of_passes : public store_file {
  protected:
    policy::pass granted(pass_scope scope) {
        const auto h = sample_hold();
        const auto id = s->add_hold(h);
        const auto v = vote_of("bob");
        auto p = pass_for(h, id, scope);
        s->move_hold(id, hold_state::pending, hold_state::approved, "", t1, &v, &p);
        return p;
    }
    std::set<std::uint64_t> live(instant now) {
        std::set<std::uint64_t> ids;
        for (const auto& p : s->list_passes(now))
            ids.insert(p.id.value);
        return ids;
    }
};

TEST_F(store_of_passes, ends_reach_the_right_scopes) {
    const auto shape = granted(pass_scope::shape).id.value;
    const auto session = granted(pass_scope::session).id.value;
    const auto transaction = granted(pass_scope::transaction).id.value;
    const auto id = sample_hold().session;
    s->end_transaction_passes(id, t1);
    EXPECT_EQ(live(t1), (std::set{shape, session}));
    s->end_session_passes(id, t1);
    EXPECT_EQ(live(t1), (std::set{shape}));
    s->end_pass(policy::pass_id{shape}, t1);
    EXPECT_TRUE(live(t1).empty());
    (void)transaction;
}

TEST_F(store_of_passes, only_shapes_outlive_a_restart) {
    const auto shape = granted(pass_scope::shape).id.value;
    granted(pass_scope::session);
    granted(pass_scope::statement);
    s->end_bound_passes(t1);
    EXPECT_EQ(live(t1), (std::set{shape}));
}

TEST_F(store_of_passes, raw_sql_cannot_make_a_pass_longer) {
    granted(pass_scope::session);
    EXPECT_NE(raw("UPDATE passes SET until = until + 1"), "");
    EXPECT_NE(raw("UPDATE passes SET person = 'zoe'"), "");
    EXPECT_EQ(raw("UPDATE passes SET until = until - 1"), "");
}

TEST_F(store_of_passes, trim_deletes_what_ended_long_ago) {
    granted(pass_scope::session);
    s->add_hold(sample_hold());
    EXPECT_EQ(s->trim(t0), 0u);
    EXPECT_EQ(s->trim(t1 + milliseconds(100'000)), 2u);
    EXPECT_EQ(s->list_holds(std::nullopt, 10).size(), 1u);
}

class store_of_opt_outs : public store_file {
  protected:
    policy::opt_out_id active(std::uint64_t max_uses = 3) {
        auto o = sample_opt_out();
        o.max_uses = max_uses;
        const auto id = s->add_opt_out(o);
        const auto v = vote_of("bob");
        EXPECT_TRUE(s->move_opt_out(id, activation(v)));
        return id;
    }
};

TEST_F(store_of_opt_outs, an_opt_out_comes_back_as_it_was_after_a_restart) {
    const auto o = sample_opt_out();
    const auto id = s->add_opt_out(o);
    const auto v = vote_of("bob");
    ASSERT_TRUE(s->move_opt_out(id, activation(v)));
    reopen();
    const auto got = s->get_opt_out(id);
    ASSERT_TRUE(got);
    EXPECT_EQ(got->state, opt_out_state::active);
    EXPECT_EQ(got->from, t1);
    EXPECT_EQ(got->until, t1 + milliseconds(10'000));
    EXPECT_EQ(got->reason, o.reason);
    EXPECT_EQ(got->ticket, o.ticket);
    EXPECT_EQ(got->role, o.role);
    EXPECT_EQ(got->max_uses, 3u);
    ASSERT_EQ(got->votes.size(), 1u);
    EXPECT_EQ(s->list_opt_outs(opt_out_state::active, 10).size(), 1u);
}

TEST_F(store_of_opt_outs, uses_are_counted_up_to_the_bound_and_inside_the_window) {
    const auto id = active();
    EXPECT_FALSE(s->use_opt_out(id, t0));
    EXPECT_FALSE(s->use_opt_out(id, t1 + milliseconds(10'000)));
    EXPECT_EQ(s->use_opt_out(id, t1), 1u);
    EXPECT_EQ(s->use_opt_out(id, t1), 2u);
    EXPECT_EQ(s->use_opt_out(id, t1), 3u);
    EXPECT_FALSE(s->use_opt_out(id, t1));
    EXPECT_EQ(s->get_opt_out(id)->uses, 3u);
}

TEST_F(store_of_opt_outs, a_request_for_several_counts_all_or_none) {
    const auto a = active(5);
    const auto b = active(1);
    const auto r = s->use_opt_outs({{a, b}, {a, b}, {a}, {b}, {a, a}}, t1);
    ASSERT_EQ(r.size(), 5u);
    EXPECT_EQ(r[0], (std::vector<std::uint64_t>{1, 1}));
    EXPECT_FALSE(r[1]);
    EXPECT_EQ(r[2], (std::vector<std::uint64_t>{2}));
    EXPECT_FALSE(r[3]);
    EXPECT_EQ(r[4], (std::vector<std::uint64_t>{3, 4}));
    EXPECT_EQ(s->get_opt_out(a)->uses, 4u);
}

TEST_F(store_of_opt_outs, an_active_one_without_an_end_or_longer_than_asked_is_refused) {
    const auto id = s->add_opt_out(sample_opt_out());
    const auto v = vote_of("bob");
    auto c = activation(v);
    c.live_until = instant{};
    EXPECT_THROW(s->move_opt_out(id, c), store_error);
    c.live_until = t1 + milliseconds(10'001);
    EXPECT_THROW(s->move_opt_out(id, c), store_error);
    EXPECT_EQ(s->get_opt_out(id)->state, opt_out_state::requested);
    EXPECT_TRUE(s->get_opt_out(id)->votes.empty());
}

TEST_F(store_of_opt_outs, every_transition_not_in_policy_is_refused_by_raw_sql_too) {
    using o = opt_out_state;
    constexpr std::array states{o::requested, o::active,  o::denied,  o::withdrawn,
                                o::lapsed,    o::expired, o::revoked, o::used_up};
    for (const auto from : states)
        for (const auto to : states) {
            policy::opt_out_id id;
            if (policy::is_legal(o::active, from)) {
                id = active();
                ASSERT_TRUE(s->move_opt_out(id, {o::active, from, "", t1}));
            } else if (from == o::active) {
                id = active();
            } else {
                id = s->add_opt_out(sample_opt_out());
                if (from != o::requested) {
                    ASSERT_TRUE(s->move_opt_out(id, {o::requested, from, "", t1}));
                } else {
                    s->add_opt_out_vote(id, vote_of("bob"));
                }
            }
            const std::string window =
                from == o::requested && to == o::active ? ", live_from = 5, live_until = 6" : "";
            const auto error = raw("UPDATE opt_outs SET state = '" + std::string(to_string(to)) +
                                   "'" + window + " WHERE id = " + std::to_string(id.value));
            EXPECT_EQ(error.empty(), policy::is_legal(from, to))
                << to_string(from) << " to " << to_string(to) << ": " << error;
        }
}

TEST_F(store_of_opt_outs, raw_sql_cannot_stretch_or_forge_one) {
    const auto requested = std::to_string(s->add_opt_out(sample_opt_out()).value);
    const auto live = std::to_string(active().value);
    EXPECT_NE(
        raw("UPDATE opt_outs SET state='active', live_from=1, live_until=2 WHERE id=" + requested),
        "");
    EXPECT_NE(raw("INSERT INTO opt_out_votes VALUES (" + requested + ",'alice',1,'',1,'shell')"),
              "");
    EXPECT_NE(raw("UPDATE opt_outs SET live_until = live_until + 1 WHERE id = " + live), "");
    EXPECT_NE(raw("UPDATE opt_outs SET live_until = 0 WHERE id = " + live), "");
    EXPECT_NE(raw("UPDATE opt_outs SET duration = duration * 2 WHERE id = " + live), "");
    EXPECT_NE(raw("UPDATE opt_outs SET max_uses = 0 WHERE id = " + live), "");
    EXPECT_NE(raw("UPDATE opt_outs SET uses = 4 WHERE id = " + live), "");
    for (int i = 0; i < 3; ++i)
        EXPECT_EQ(raw("UPDATE opt_outs SET uses = uses + 1 WHERE id = " + live), "");
    EXPECT_NE(raw("UPDATE opt_outs SET uses = uses + 1 WHERE id = " + live), "");
    EXPECT_NE(raw("UPDATE opt_outs SET uses = 0 WHERE id = " + live), "");
    EXPECT_NE(raw("DELETE FROM opt_outs"), "");
    EXPECT_NE(raw("INSERT INTO opt_out_transition VALUES ('expired', 'active')"), "");
}

class store_upkeep : public store_file {
  protected:
    std::string error_of_opening() {
        s.reset();
        try {
            s = open_sqlite(path);
        } catch (const store_error& e) {
            return e.what();
        }
        return "";
    }
};

TEST_F(store_upkeep, boot_numbers_grow_and_the_secret_stays) {
    const auto first = s->next_boot_number();
    const auto secret = s->mock_secret();
    EXPECT_EQ(secret.size(), 32u);
    reopen();
    EXPECT_GT(s->next_boot_number(), first);
    EXPECT_EQ(s->mock_secret(), secret);
}

TEST_F(store_upkeep, files_are_private) {
    s->add_hold(sample_hold());
    for (const auto& entry : std::filesystem::directory_iterator(directory)) {
        struct stat info {};
        ASSERT_EQ(::stat(entry.path().c_str(), &info), 0);
        EXPECT_EQ(info.st_mode & 0777u, 0600u) << entry.path();
    }
}

TEST_F(store_upkeep, ids_are_not_used_again_after_a_trim) {
    const auto id = s->add_hold(sample_hold());
    s->move_hold(id, hold_state::pending, hold_state::expired, "", t1, nullptr, nullptr);
    s->trim(t1 + milliseconds(1));
    reopen();
    EXPECT_GT(s->add_hold(sample_hold()).value, id.value);
}

TEST_F(store_upkeep, a_newer_file_is_refused) {
    s.reset();
    ASSERT_EQ(raw("PRAGMA user_version = 99"), "");
    EXPECT_NE(error_of_opening().find("newer sallyport"), std::string::npos);
}

TEST_F(store_upkeep, a_second_proxy_is_refused) {
    try {
        (void)open_sqlite(path);
        FAIL();
    } catch (const store_error& e) {
        EXPECT_NE(std::string(e.what()).find("another proxy"), std::string::npos);
    }
}

TEST_F(store_upkeep, a_file_that_is_no_database_is_refused_with_the_path) {
    s.reset();
    std::ofstream(path) << std::string(5000, 'x');
    const auto error = error_of_opening();
    EXPECT_NE(error.find(path), std::string::npos) << error;
    EXPECT_NE(error.find("move the file away"), std::string::npos) << error;
}

TEST_F(store_upkeep, a_full_disk_is_an_error_and_later_calls_recover) {
    const auto id = s->add_hold(sample_hold());
    std::signal(SIGXFSZ, SIG_IGN);
    rlimit old{};
    ASSERT_EQ(::getrlimit(RLIMIT_FSIZE, &old), 0);
    auto large = sample_hold();
    large.statement = std::string(1u << 20, 'x');
    rlimit small{4096, old.rlim_max};
    ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &small), 0);
    std::string error;
    try {
        s->add_hold(large);
    } catch (const store_error& e) {
        error = e.what();
    }
    EXPECT_THROW(s->probe(), store_error);
    ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &old), 0);
    EXPECT_NE(error.find(path), std::string::npos) << error;
    EXPECT_NO_THROW(s->probe());
    EXPECT_EQ(s->list_holds(std::nullopt, 10).size(), 1u);
    EXPECT_GT(s->add_hold(large).value, id.value);
}

TEST_F(store_upkeep, a_locked_file_is_an_error_and_later_calls_recover) {
    sqlite3* other = nullptr;
    sqlite3_open(path.c_str(), &other);
    ASSERT_EQ(sqlite3_exec(other, "BEGIN IMMEDIATE", nullptr, nullptr, nullptr), SQLITE_OK);
    EXPECT_THROW(s->probe(), store_error);
    sqlite3_exec(other, "ROLLBACK", nullptr, nullptr, nullptr);
    sqlite3_close(other);
    EXPECT_NO_THROW(s->probe());
}

/// What the child reports once a call has returned.
struct done_report {
    std::uint64_t hold;
    std::uint64_t opt_out;
    std::uint64_t uses;
};

[[noreturn]] void write_until_killed(const std::string& path, int pipe_fd) {
    auto child = open_sqlite(path);
    auto o = sample_opt_out();
    o.max_uses = 0;
    const auto opt_out = child->add_opt_out(o);
    const auto v = vote_of("bob");
    child->move_opt_out(opt_out, activation(v));
    while (true) {
        const auto hold = child->add_hold(sample_hold());
        child->move_hold(hold, hold_state::pending, hold_state::approved, "", t1, &v, nullptr);
        const auto uses = child->use_opt_out(opt_out, t1);
        const done_report r{hold.value, opt_out.value, uses.value_or(0)};
        if (::write(pipe_fd, &r, sizeof r) != sizeof r) ::_exit(1);
    }
}

TEST_F(store_upkeep, after_kill_9_everything_that_returned_is_there) {
    s.reset();
    for (int round = 0; round < 6; ++round) {
        int fds[2];
        ASSERT_EQ(::pipe(fds), 0);
        const auto child = ::fork();
        ASSERT_GE(child, 0);
        if (child == 0) write_until_killed(path, fds[1]);
        ::close(fds[1]);
        done_report r{};
        done_report last{};
        for (int i = 0; i < 5 + 7 * round; ++i) {
            if (::read(fds[0], &r, sizeof r) != sizeof r) break;
            last = r;
        }
        ::kill(child, SIGKILL);
        ::waitpid(child, nullptr, 0);
        while (::read(fds[0], &r, sizeof r) == sizeof r)
            last = r;
        ::close(fds[0]);
        ASSERT_NE(last.uses, 0u);
        s = open_sqlite(path);
        EXPECT_EQ(s->get_hold(policy::hold_id{last.hold})->state, hold_state::approved);
        EXPECT_GE(s->get_opt_out(policy::opt_out_id{last.opt_out})->uses, last.uses);
        s.reset();
    }
}

}  // namespace
}  // namespace sallyport::proxy::store
