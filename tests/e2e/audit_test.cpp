#include <algorithm>
#include <csignal>
#include <filesystem>

#include <gtest/gtest.h>
#include <sys/mount.h>
#include <unistd.h>

#include "tests/e2e/fixture.h"

/// The log as evidence: whole, or found out; and nothing passes that it cannot take.
namespace sallyport::tests {
namespace {

class audit : public e2e {
  protected:
    /// A log with a few records in it, its writer stopped.
    void write_some_and_stop() {
        start();
        static_cast<void>(active_opt_out());
        auto c = client_as("alice");
        for (int i = 0; i < 3; ++i)
            ASSERT_EQ(c.ask(held_sql).types(), "TDCZ");
        c.close();
        proxy->stop();
        ASSERT_EQ(verify_audit().exit_code, 0) << verify_audit().out << verify_audit().err;
    }
    [[nodiscard]] std::string log_file() const {
        std::vector<std::string> found;
        for (const auto& e : std::filesystem::directory_iterator(proxy->audit_directory()))
            if (e.path().extension() == ".jsonl") found.push_back(e.path());
        std::sort(found.begin(), found.end());
        return found.at(0);
    }
    [[nodiscard]] std::vector<std::string> lines() const {
        std::vector<std::string> all;
        std::string text = read_file(log_file());
        for (std::size_t at = 0; at < text.size();) {
            const auto end = text.find('\n', at);
            all.push_back(text.substr(at, end - at));
            at = end + 1;
        }
        return all;
    }
    void write_lines(const std::vector<std::string>& all) const {
        std::string text;
        for (const auto& l : all)
            text += l + "\n";
        write_file(log_file(), text);
    }
    /// Index of the first bypass.
    static std::size_t first_bypass(const std::vector<std::string>& all) {
        for (std::size_t i = 0; i < all.size(); ++i)
            if (all[i].find("\"event\":\"bypass\"") != std::string::npos) return i;
        ADD_FAILURE() << "no bypass in the log";
        return 0;
    }
    /// verify must fail and name line `index` (from 0) or the one behind it.
    void expect_damage_at(std::size_t index) const {
        const auto r = verify_audit();
        EXPECT_EQ(r.exit_code, 1);
        const std::string said = r.out + r.err;
        const bool named = said.find(":" + std::to_string(index + 1)) != std::string::npos ||
                           said.find(":" + std::to_string(index + 2)) != std::string::npos ||
                           said.find("line " + std::to_string(index + 1)) != std::string::npos ||
                           said.find("line " + std::to_string(index + 2)) != std::string::npos;
        EXPECT_TRUE(named) << "line " << index + 1 << " was damaged, and verify said: " << said;
    }
};

TEST_F(audit, whole_log_verifies_also_while_it_is_written) {
    start();
    static_cast<void>(client_as("alice"));
    ASSERT_TRUE(eventually([&] { return audit_records("login.accepted").size() == 1; }));

    const auto r = verify_audit();

    EXPECT_EQ(r.exit_code, 0) << r.out << r.err;
}

TEST_F(audit, edited_record_is_found) {
    write_some_and_stop();
    auto all = lines();
    const auto at = first_bypass(all);
    const auto user = all[at].find("alice");
    ASSERT_NE(user, std::string::npos);
    all[at].replace(user, 5, "mallo");
    write_lines(all);

    expect_damage_at(at);
}

TEST_F(audit, deleted_record_is_found) {
    write_some_and_stop();
    auto all = lines();
    const auto at = first_bypass(all);
    all.erase(all.begin() + static_cast<std::ptrdiff_t>(at));
    write_lines(all);

    expect_damage_at(at);
}

TEST_F(audit, swapped_records_are_found) {
    write_some_and_stop();
    auto all = lines();
    const auto at = first_bypass(all);
    std::swap(all.at(at), all.at(at + 1));
    write_lines(all);

    expect_damage_at(at);
}

TEST_F(audit, inserted_record_is_found) {
    write_some_and_stop();
    auto all = lines();
    const auto at = first_bypass(all);
    all.insert(all.begin() + static_cast<std::ptrdiff_t>(at), all[at]);
    write_lines(all);

    expect_damage_at(at + 1);
}

TEST_F(audit, cut_tail_is_found_against_the_checkpoint) {
    write_some_and_stop();
    auto all = lines();
    all.resize(first_bypass(all));
    write_lines(all);

    EXPECT_EQ(verify_audit().exit_code, 1);
}

TEST_F(audit, log_goes_on_after_kill_9_and_verifies) {
    start();
    static_cast<void>(client_as("alice"));
    ASSERT_TRUE(eventually([&] { return audit_records("login.accepted").size() == 1; }));
    proxy->kill();
    proxy->start();
    static_cast<void>(client_as("bob"));
    proxy->stop();

    EXPECT_EQ(verify_audit().exit_code, 0) << verify_audit().out << verify_audit().err;
    EXPECT_EQ(audit_records("login.accepted").size(), 2u);
}

TEST_F(audit, torn_last_line_is_recovered_at_the_start) {
    start();
    static_cast<void>(client_as("alice"));
    proxy->kill();
    write_file(log_file(), read_file(log_file()) + "{\"seq\":99,\"pre");
    proxy->start();
    static_cast<void>(client_as("bob"));
    proxy->stop();

    EXPECT_EQ(verify_audit().exit_code, 0) << verify_audit().out << verify_audit().err;
}

TEST_F(audit, search_finds_bypasses_for_a_person) {
    start();
    static_cast<void>(active_opt_out());
    ASSERT_EQ(client_as("alice").ask(held_sql).types(), "TDCZ");

    const auto found =
        proxy->run_tool({"audit", "search", proxy->audit_directory(), "--event", "bypass"});

    EXPECT_EQ(found.exit_code, 0) << found.err;
    EXPECT_NE(found.out.find("alice"), std::string::npos) << found.out;
}

/// A disk of one megabyte for the log, or the reason why there cannot be one here.
class audit_on_small_disk : public audit {
  protected:
    void SetUp() override {
        if (::geteuid() != 0) GTEST_SKIP() << "mounting a small disk needs root";
        std::filesystem::create_directory(disk.file("mounted"));
        if (::mount("tmpfs", disk.file("mounted").c_str(), "tmpfs", 0, "size=256k") != 0)
            GTEST_SKIP() << "this machine does not let us mount a tmpfs";
        mounted = true;
        options.audit_directory = disk.file("mounted") + "/audit";
        start();
    }
    ~audit_on_small_disk() override {
        proxy.reset();
        if (mounted) ::umount(disk.file("mounted").c_str());
    }
    void fill() const {
        std::string ballast(4096, 'x');
        FILE* f = std::fopen(disk.file("mounted/ballast").c_str(), "wb");
        while (std::fwrite(ballast.data(), 1, ballast.size(), f) == ballast.size() &&
               std::fflush(f) == 0) {
        }
        std::fclose(f);
    }
    /// Uses up what room is left in the last page of the log itself, too: logins are on record.
    void fill_the_log_too() const {
        fill();
        for (int i = 0; i < 20; ++i)
            EXPECT_EQ(client_as("erin").ask("SELECT 1").types(), "TDCZ");
    }
    void make_room() const { std::filesystem::remove(disk.file("mounted/ballast")); }

    temp_dir disk;
    bool mounted = false;
};

TEST_F(audit_on_small_disk, full_disk_stops_bypasses_and_plain_allows_go_on) {
    static_cast<void>(active_opt_out());
    auto c = client_as("alice");
    ASSERT_EQ(c.ask(held_sql).types(), "TDCZ");

    fill_the_log_too();
    const auto x = c.ask(held_sql);

    EXPECT_EQ(x.sqlstate(), "58030");
    EXPECT_EQ(c.ask("SELECT 1").types(), "TDCZ");
}

TEST_F(audit_on_small_disk, full_disk_stops_releases) {
    auto c = client_as("alice");
    c.send(wire::query("UPDATE customers SET ssn = 'gone' WHERE id = 1"));
    const auto id = pending_hold_of("alice");
    auto& bob = api("bob");

    fill_the_log_too();
    const auto r =
        bob.post("/api/v1/holds/" + std::to_string(id) + "/approve", R"({"reason":"x"})");

    EXPECT_NE(r.status, 200) << r.body;
    EXPECT_EQ(direct("SELECT ssn FROM customers WHERE id = 1"), held_value);
}

TEST_F(audit_on_small_disk, readiness_says_that_nothing_can_be_recorded) {
    auto c = client_as("alice");
    fill_the_log_too();

    EXPECT_TRUE(eventually(
        [&] { return http_request(proxy->admin_port(), "GET", "/readyz").status == 503; }));
}

TEST_F(audit_on_small_disk, room_brings_bypasses_back_without_a_restart_and_the_log_verifies) {
    static_cast<void>(active_opt_out());
    auto c = client_as("alice");
    fill_the_log_too();
    ASSERT_EQ(c.ask(held_sql).sqlstate(), "58030");

    make_room();

    EXPECT_TRUE(eventually([&] { return c.ask(held_sql).types() == "TDCZ"; }));
    proxy->stop();
    EXPECT_EQ(verify_audit().exit_code, 0) << verify_audit().out << verify_audit().err;
}

}  // namespace
}  // namespace sallyport::tests
