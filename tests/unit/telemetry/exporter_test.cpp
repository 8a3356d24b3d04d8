#include "proxy/telemetry/exporter.h"

#include <mutex>
#include <set>
#include <thread>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "proxy/telemetry/handover.h"
#include "tests/support/eventually.h"
#include "tests/support/webhook_receiver.h"

// What an exporter does with a collector that works, fails, refuses and hangs.
namespace sallyport::proxy::telemetry {
namespace {

using std::chrono::milliseconds;
using ::testing::HasSubstr;
using tests::eventually;
using tests::hook_answer;
using tests::received_hook;
using tests::webhook_receiver;

class exporting : public ::testing::Test {
  protected:
    exporting() {
        exporter::world w;
        w.version = "test";
        w.log = [this](exporter::severity, const std::string& line) {
            const std::lock_guard lock(mutex_);
            lines_.push_back(line);
        };
        out = std::make_unique<exporter>(std::move(w));
        s.enabled = true;
        s.otlp.endpoint = collector.url("");
        s.otlp.shown = s.otlp.endpoint;
        s.otlp.headers.emplace_back("Authorization", secret("Bearer of-tests"));
        s.otlp.schedule_delay = milliseconds(50);
        s.otlp.timeout = milliseconds(2000);
    }
    void start() {
        out->set(std::make_shared<const settings>(s));
        out->start();
    }
    void tell(std::uint64_t sequence) const {
        audit::record r;
        r.event = "hold.opened";
        r.with("hold", std::to_string(sequence));
        out->event(r, sequence);
    }
    void span() const {
        auto x = std::make_unique<statement_span>();
        x->ids = make_span_ids({});
        out->put(std::move(x));
    }
    /// Sequence numbers of the log records in these requests, in order.
    static std::vector<std::string> sequences(const std::vector<received_hook>& requests) {
        std::vector<std::string> all;
        for (const auto& r : requests) {
            if (r.path != "/v1/logs") continue;
            const auto payload = r.json();
            const auto& records =
                payload.at("resourceLogs").at(0).at("scopeLogs").at(0).at("logRecords");
            for (const auto& one : records)
                all.push_back(one.at("attributes").at(0).at("value").at("intValue"));
        }
        return all;
    }
    [[nodiscard]] std::vector<std::string> lines() const {
        const std::lock_guard lock(mutex_);
        return lines_;
    }

    webhook_receiver collector;
    settings s;
    std::unique_ptr<exporter> out;

  private:
    mutable std::mutex mutex_;
    std::vector<std::string> lines_;
};

TEST_F(exporting, both_signals_arrive_at_their_paths_with_the_headers) {
    start();
    tell(1);
    span();
    ASSERT_TRUE(
        eventually([&] { return out->logs().exported == 1 && out->traces().exported == 1; }));
    std::set<std::string> paths;
    for (const auto& r : collector.received()) {
        paths.insert(r.path);
        EXPECT_EQ(r.headers.at("content-type"), "application/json");
        EXPECT_EQ(r.headers.at("authorization"), "Bearer of-tests");
        EXPECT_THAT(r.body, HasSubstr("\"service.name\""));
    }
    EXPECT_EQ(paths, (std::set<std::string>{"/v1/logs", "/v1/traces"}));
    EXPECT_FALSE(out->logs().failing());
    EXPECT_EQ(out->logs().queued, 0u);
}

TEST_F(exporting, batches_are_bounded_and_keep_their_order) {
    s.otlp.batch_size = 10;
    start();
    for (std::uint64_t i = 1; i <= 25; ++i)
        tell(i);
    ASSERT_TRUE(eventually([&] { return out->logs().exported == 25; }));
    std::vector<std::string> wanted;
    for (int i = 1; i <= 25; ++i)
        wanted.push_back(std::to_string(i));
    EXPECT_EQ(sequences(collector.accepted()), wanted);
    EXPECT_GE(collector.accepted().size(), 3u);
}

TEST_F(exporting, a_collector_that_fails_for_a_while_loses_nothing) {
    std::atomic<int> left{2};
    collector.answer_with([&](const received_hook&) {
        return left.fetch_sub(1) > 0 ? hook_answer{.status = 503} : hook_answer{};
    });
    start();
    tell(1);
    tell(2);
    ASSERT_TRUE(eventually([&] { return out->logs().exported == 2; }));
    EXPECT_EQ(sequences(collector.accepted()), (std::vector<std::string>{"1", "2"}));
    EXPECT_EQ(out->logs().failed, 0u);
    ASSERT_EQ(lines().size(), 2u) << "one line when it begins to fail, one when it works again";
    EXPECT_THAT(lines()[0], HasSubstr("does not take log records: it answered 503"));
    EXPECT_THAT(lines()[1], HasSubstr("again"));
}

TEST_F(exporting, what_a_collector_refuses_is_not_sent_again) {
    collector.answer_with([](const received_hook&) { return hook_answer{.status = 400}; });
    start();
    tell(1);
    ASSERT_TRUE(eventually([&] { return out->logs().failed == 1; }));
    EXPECT_TRUE(out->logs().failing());
    EXPECT_EQ(out->logs().queued, 0u);
    tell(2);
    ASSERT_TRUE(eventually([&] { return out->logs().failed == 2; }));
    EXPECT_EQ(collector.received().size(), 2u);
}

TEST_F(exporting, what_a_collector_takes_in_part_is_counted_so) {
    collector.answer_with([](const received_hook&) {
        return hook_answer{
            .status = 200,
            .headers = {},
            .body = R"({"partialSuccess":{"rejectedLogRecords":"1","errorMessage":"too old"}})"};
    });
    start();
    tell(1);
    tell(2);
    tell(3);
    ASSERT_TRUE(eventually([&] { return out->logs().exported + out->logs().failed == 3; }));
    EXPECT_GE(out->logs().failed, 1u);
    EXPECT_EQ(out->logs().error, "too old");
    EXPECT_EQ(collector.received().size(), out->logs().failed);
}

TEST_F(exporting, a_collector_that_never_answers_costs_the_queue_and_no_more) {
    collector.answer_with([](const received_hook&) { return hook_answer{.hang = true}; });
    s.otlp.queue_size = 100;
    s.otlp.batch_size = 10;
    start();
    const auto began = std::chrono::steady_clock::now();
    for (std::uint64_t i = 1; i <= 100'000; ++i)
        span();
    const auto took = std::chrono::steady_clock::now() - began;
    EXPECT_LT(took, std::chrono::seconds(5)) << "100,000 spans are handed over at once";
    const auto t = out->traces();
    EXPECT_LE(t.queued, 100u);
    EXPECT_GE(t.dropped, 99'000u);
    EXPECT_EQ(t.exported, 0u);
    const auto leaving = std::chrono::steady_clock::now();
    out->stop();
    EXPECT_LT(std::chrono::steady_clock::now() - leaving, std::chrono::seconds(5));
}

TEST_F(exporting, nobody_there_is_a_failure_and_its_end_is_noticed) {
    s.otlp.endpoint = "http://127.0.0.1:9";
    start();
    tell(1);
    ASSERT_TRUE(eventually([&] { return out->logs().failing(); }));
    EXPECT_EQ(out->logs().queued, 1u) << "kept, to be tried again";
    s.otlp.endpoint = collector.url("");
    out->set(std::make_shared<const settings>(s));
    ASSERT_TRUE(eventually([&] { return out->logs().exported == 1; }));
    EXPECT_FALSE(out->logs().failing());
}

TEST_F(exporting, what_is_told_last_goes_out_before_the_end) {
    s.otlp.schedule_delay = std::chrono::minutes(1);
    start();
    tell(1);
    out->stop();
    EXPECT_EQ(sequences(collector.accepted()), std::vector<std::string>{"1"});
}

TEST_F(exporting, nothing_is_taken_while_it_is_off) {
    s.enabled = false;
    start();
    EXPECT_FALSE(out->watches());
    tell(1);
    span();
    EXPECT_EQ(out->logs().queued, 0u);
    EXPECT_EQ(out->traces().queued, 0u);
}

TEST_F(exporting, the_ratio_is_for_traces_that_begin_here) {
    s.otlp.sampling_ratio = 0;
    start();
    EXPECT_TRUE(out->watches());
    EXPECT_FALSE(out->samples(make_span_ids({}).trace));
}

TEST_F(exporting, examination_says_what_is_wrong) {
    EXPECT_TRUE(examine(s.otlp).empty());
    collector.answer_with([](const received_hook& r) {
        return hook_answer{.status = r.path == "/v1/traces" ? 404 : 200};
    });
    const auto found = examine(s.otlp);
    ASSERT_EQ(found.size(), 1u);
    EXPECT_THAT(found[0], HasSubstr("/v1/traces does not take what is sent: it answered 404"));
}

TEST(handover, keeps_the_order_of_each_thread_and_its_bounds) {
    handover<int> h;
    h.set_bounds(4'000, 1u << 20);
    std::vector<std::thread> threads;
    for (int t = 0; t < 4; ++t)
        threads.emplace_back([&h, t] {
            for (int i = 0; i < 2'000; ++i)
                h.put(std::make_unique<int>(t * 10'000 + i), 1);
        });
    for (auto& t : threads)
        t.join();
    EXPECT_LE(h.queued(), 4'000u);
    EXPECT_EQ(h.queued() + h.dropped(), 8'000u);
    auto all = h.take();
    EXPECT_EQ(all.size(), h.queued()) << "what was taken counts until it is released";
    std::array<int, 4> last{-1, -1, -1, -1};
    for (const auto& i : all) {
        auto& seen = last[static_cast<std::size_t>(*i.what / 10'000)];
        EXPECT_GT(*i.what % 10'000, seen);
        seen = *i.what % 10'000;
    }
    h.release(all.size(), all.size());
    EXPECT_EQ(h.queued(), 0u);
    EXPECT_TRUE(h.put(std::make_unique<int>(1), 1));
    EXPECT_FALSE(h.put(std::make_unique<int>(1), 2u << 20)) << "too many bytes";
}

}  // namespace
}  // namespace sallyport::proxy::telemetry
