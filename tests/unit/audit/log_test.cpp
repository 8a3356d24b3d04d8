#include "proxy/audit/log.h"

#include <atomic>
#include <csignal>
#include <thread>

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "proxy/audit/chain.h"
#include "proxy/audit/read.h"
#include "proxy/audit/segments.h"
#include "proxy/audit/verify.h"
#include "tests/unit/audit/support.h"

namespace sallyport::proxy::audit {
namespace {

using namespace testing;

verify_report verified(const temporary_directory& d) {
    return verify_directory(d.log(), read_text(d.key() + ".pub"));
}

std::string error_of_opening(const temporary_directory& d) {
    try {
        const log l(options_for(d));
    } catch (const std::runtime_error& e) {
        return e.what();
    }
    return "";
}

mode_t mode_of(const std::string& path) {
    struct stat info {};
    return ::stat(path.c_str(), &info) == 0 ? info.st_mode & 0777 : 0;
}

/// An error that the log's file operations return until it is cleared.
struct fault_switch {
    std::atomic<int> code{0};
    [[nodiscard]] auto hook() {
        return [this](std::string_view, std::string_view) {
            return std::error_code(code.load(), std::generic_category());
        };
    }
};

TEST(log, receipts_carry_the_sequence_and_files_are_private) {
    temporary_directory d;
    {
        log l(options_for(d));
        EXPECT_EQ(append_and_wait(l, numbered(1)).sequence, 2u);  // 1 is the checkpoint
        EXPECT_EQ(append_and_wait(l, numbered(2)).sequence, 3u);
        EXPECT_EQ(l.head().sequence, 3u);
        EXPECT_TRUE(l.healthy());
    }
    EXPECT_TRUE(verified(d).ok());
    EXPECT_EQ(mode_of(d.log()), 0700u);
    EXPECT_EQ(mode_of(d.log() + "/" + segment_name(1)), 0600u);
    EXPECT_EQ(mode_of(d.key()), 0600u);
}

TEST(log, a_receipt_means_the_line_is_in_the_file) {
    temporary_directory d;
    log l(options_for(d));
    for (int i = 0; i < 20; ++i) {
        const auto got = append_and_wait(l, numbered(i));
        ASSERT_FALSE(got.error);
        const auto lines = lines_of(read_text(d.log() + "/" + segment_name(1)));
        ASSERT_GE(lines.size(), got.sequence);
        EXPECT_NE(lines[got.sequence - 1].find("\"n\":\"" + std::to_string(i) + "\""),
                  std::string::npos);
    }
}

TEST(log, a_record_without_a_waiter_is_written_soon) {
    temporary_directory d;
    log l(options_for(d));
    const auto begin = std::chrono::steady_clock::now();
    l.append(numbered(1), {});
    while (l.head().sequence < 2)
        std::this_thread::yield();
    EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(5));
}

TEST(log, the_chain_goes_on_after_a_restart) {
    temporary_directory d;
    for (int run = 0; run < 3; ++run) {
        log l(options_for(d));
        ASSERT_FALSE(append_and_wait(l, numbered(run)).error);
    }
    const auto r = verified(d);
    EXPECT_TRUE(r.ok()) << r.text;
    EXPECT_EQ(r.records, 1u + 3u * 2u);
}

TEST(log, two_processes_cannot_write_the_same_log) {
    temporary_directory d;
    const log first(options_for(d));
    EXPECT_NE(error_of_opening(d).find("another process writes this log"), std::string::npos);
}

TEST(log, a_torn_last_line_is_cut_off_and_kept_aside) {
    temporary_directory d;
    make_log(d, 3);
    const auto file = d.log() + "/" + segment_name(1);
    write_text(file, read_text(file) + "{\"seq\":6,\"prev\":");
    make_log(d, 1);
    EXPECT_TRUE(verified(d).ok()) << verified(d).text;
    EXPECT_EQ(read_text(file + ".torn"), "{\"seq\":6,\"prev\":");
}

TEST(log, it_does_not_write_behind_damage) {
    temporary_directory d;
    make_log(d, 3);
    const auto file = d.log() + "/" + segment_name(1);
    auto text = read_text(file);
    text.replace(text.find("alice"), 5, "carol");
    write_text(file, text);
    const auto error = error_of_opening(d);
    EXPECT_NE(error.find(file), std::string::npos) << error;
    EXPECT_NE(error.find("line 2"), std::string::npos) << error;
    EXPECT_NE(error.find("mv "), std::string::npos) << error;
}

TEST(log, it_does_not_write_behind_a_cut_tail) {
    temporary_directory d;
    make_log(d, 3);
    const auto file = d.log() + "/" + segment_name(1);
    auto lines = lines_of(read_text(file));
    lines.pop_back();
    write_text(file, joined(lines));
    EXPECT_NE(error_of_opening(d).find("cut_tail"), std::string::npos);
}

TEST(log, a_crash_between_a_new_file_and_its_first_line_is_no_damage) {
    temporary_directory d;
    make_log(d, 3);
    write_text(d.log() + "/" + segment_name(2), "");
    make_log(d, 3);
    EXPECT_TRUE(verified(d).ok()) << verified(d).text;
    EXPECT_EQ(lines_of(read_text(d.log() + "/" + segment_name(2))).size(), 5u);
}

TEST(log, a_key_that_others_can_read_is_refused) {
    temporary_directory d;
    make_log(d, 1);
    ::chmod(d.key().c_str(), 0640);
    EXPECT_NE(error_of_opening(d).find("chmod 600"), std::string::npos);
}

TEST(log, a_key_that_is_none_is_refused) {
    temporary_directory d;
    write_text(d.key(), "hello");
    ::chmod(d.key().c_str(), 0600);
    EXPECT_NE(error_of_opening(d).find("Ed25519"), std::string::npos);
}

TEST(log, checkpoints_come_after_so_many_records) {
    temporary_directory d;
    auto o = options_for(d);
    o.checkpoint_records = 5;
    {
        log l(o);
        for (int i = 0; i < 20; ++i)
            ASSERT_FALSE(append_and_wait(l, numbered(i)).error);
    }
    EXPECT_EQ(verified(d).checkpoints, 5u);  // the first line, and after 5, 10, 15 and 20
}

TEST(log, a_checkpoint_comes_after_some_time_without_further_records) {
    temporary_directory d;
    auto o = options_for(d);
    o.checkpoint_interval = std::chrono::milliseconds(50);
    log l(o);
    ASSERT_FALSE(append_and_wait(l, numbered(1)).error);
    while (l.head().sequence < 3)
        std::this_thread::yield();
    EXPECT_TRUE(verified(d).ok());
}

TEST(log, a_failing_disk_fails_the_waiters_and_recovers_without_restart) {
    for (const int code : {ENOSPC, EIO, EROFS}) {
        temporary_directory d;
        fault_switch fault;
        auto o = options_for(d);
        o.fault_hook = fault.hook();
        {
            log l(o);
            ASSERT_FALSE(append_and_wait(l, numbered(1)).error);
            fault.code = code;
            EXPECT_EQ(append_and_wait(l, numbered(2)).error.value(), code);
            EXPECT_FALSE(l.healthy());
            l.append(numbered(3), {});  // nobody waits: kept
            EXPECT_EQ(append_and_wait(l, numbered(4)).error.value(), code);
            fault.code = 0;
            EXPECT_FALSE(append_and_wait(l, numbered(5)).error);
            EXPECT_TRUE(l.healthy());
        }
        const auto r = verified(d);
        EXPECT_TRUE(r.ok()) << r.text;
        std::string numbers;
        for_each_match(d.log(), {}, [&](const parsed_line& line) {
            numbers += line.event == "audit.recovered" ? "r" : std::string(line.field("n"));
            return true;
        });
        EXPECT_EQ(numbers, "1r35");
    }
}

TEST(log, it_becomes_healthy_again_by_itself) {
    temporary_directory d;
    fault_switch fault;
    auto o = options_for(d);
    o.fault_hook = fault.hook();
    log l(o);
    fault.code = ENOSPC;
    EXPECT_TRUE(append_and_wait(l, numbered(1)).error);
    fault.code = 0;
    const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(20);
    while (!l.healthy() && std::chrono::steady_clock::now() < end)
        std::this_thread::yield();
    EXPECT_TRUE(l.healthy());
}

TEST(log, a_full_queue_refuses_the_waiter_and_counts_what_nobody_waits_for) {
    temporary_directory d;
    auto o = options_for(d);
    o.queue_bytes_max = 2000;
    log l(o);
    auto large = numbered(1);
    large.with("statement", std::string(4000, 'x'));
    EXPECT_EQ(append_and_wait(l, large).error, std::errc::no_buffer_space);
    EXPECT_FALSE(append_and_wait(l, numbered(2)).error);
}

/// A file system that is full in the middle of a line: a real write(2) that comes up short.
TEST(log, a_short_write_leaves_no_trace) {
    temporary_directory d;
    std::signal(SIGXFSZ, SIG_IGN);
    rlimit old{};
    ASSERT_EQ(::getrlimit(RLIMIT_FSIZE, &old), 0);
    {
        log l(options_for(d));
        ASSERT_FALSE(append_and_wait(l, numbered(1)).error);
        const auto size = std::filesystem::file_size(d.log() + "/" + segment_name(1));
        rlimit small{size + 100, old.rlim_max};
        ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &small), 0);
        const auto failed = append_and_wait(l, numbered(2));
        ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &old), 0);
        EXPECT_EQ(failed.error, std::errc::file_too_large);
        EXPECT_FALSE(append_and_wait(l, numbered(3)).error);
    }
    EXPECT_TRUE(verified(d).ok()) << verified(d).text;
    EXPECT_EQ(newest(d.log(), {}, 10).size(), 3u);  // 1, audit.recovered, 3
}

TEST(log, records_from_many_threads_are_all_there_once) {
    temporary_directory d;
    constexpr int threads = 8;
    constexpr int each = 200;
    std::atomic<int> receipts{0};
    {
        auto o = options_for(d);
        o.segment_bytes_max = 50'000;
        log l(o);
        std::vector<std::thread> writers;
        for (int t = 0; t < threads; ++t)
            writers.emplace_back([&, t] {
                for (int i = 0; i < each; ++i) {
                    if (i % 3 == 0)
                        l.append(numbered(t * each + i), {});
                    else
                        l.append(numbered(t * each + i),
                                 [&](std::unique_ptr<receipt> r, std::error_code) {
                                     if (r) ++receipts;
                                 });
                    (void)l.head();
                    (void)l.healthy();
                }
            });
        for (auto& w : writers)
            w.join();
    }
    EXPECT_TRUE(verified(d).ok()) << verified(d).text;
    std::vector<int> seen(threads * each);
    for_each_match(d.log(), {}, [&](const parsed_line& line) {
        ++seen[static_cast<std::size_t>(std::stoi(std::string(line.field("n"))))];
        return true;
    });
    for (const int n : seen)
        ASSERT_EQ(n, 1);
    EXPECT_EQ(receipts.load(), threads * (each - 67));
}

/// The child writes and reports each receipt over a pipe until it is killed.
[[noreturn]] void write_until_killed(const temporary_directory& d, int pipe_fd) {
    auto o = options_for(d);
    o.segment_bytes_max = 20'000;
    o.checkpoint_records = 7;
    log l(o);
    for (int i = 0;; ++i)
        l.append(numbered(i), [pipe_fd](std::unique_ptr<receipt> r, std::error_code) {
            const auto sequence = r ? r->sequence() : 0;
            if (::write(pipe_fd, &sequence, sizeof sequence) != sizeof sequence) ::_exit(1);
        });
}

TEST(log, after_kill_9_everything_with_a_receipt_is_there_and_verifies) {
    temporary_directory d;
    for (int round = 0; round < 6; ++round) {
        int fds[2];
        ASSERT_EQ(::pipe2(fds, O_CLOEXEC), 0);
        const auto child = ::fork();
        ASSERT_GE(child, 0);
        if (child == 0) write_until_killed(d, fds[1]);
        ::close(fds[1]);
        std::uint64_t last = 0;
        std::uint64_t got = 0;
        for (int i = 0; i < 50 + 97 * round; ++i) {
            if (::read(fds[0], &got, sizeof got) != sizeof got) break;
            last = std::max(last, got);
        }
        ::kill(child, SIGKILL);
        ::waitpid(child, nullptr, 0);
        while (::read(fds[0], &got, sizeof got) == sizeof got)
            last = std::max(last, got);
        ::close(fds[0]);
        ASSERT_GT(last, 0u);
        { const log repaired(options_for(d)); }
        const auto r = verified(d);
        ASSERT_TRUE(r.ok()) << r.file << ":" << r.line << " " << r.text;
        ASSERT_GE(r.head.sequence, last);
    }
}

}  // namespace
}  // namespace sallyport::proxy::audit
