#include <algorithm>

#include <gmock/gmock.h>

#include "tests/unit/approval/support.h"

/// What the steward puts into the outbox, and that it goes with the change or not at all.
namespace sallyport::proxy::approval::testing {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

class told : public steward_test {
  protected:
    told() { route(); }

    void route(std::vector<std::string> channels = {"ops"}) {
        s->set_routes({channels, [channels](const policy::notice&) { return channels; }});
        settle();
    }
    delivery_work exchange(delivery_exchange e) {
        std::promise<delivery_work> p;
        s->exchange(std::move(e), [&](delivery_work w) { p.set_value(std::move(w)); });
        return p.get_future().get();
    }
    /// Takes everything that waits, in the order of its delivery: "hold 1 requested".
    std::vector<std::string> all() {
        std::vector<std::string> out;
        for (;;) {
            const auto w = exchange({{}, {{"ops", 100}}});
            EXPECT_TRUE(w.stored);
            if (w.due.empty()) return out;
            std::vector<store::delivery_outcome> done;
            for (const auto& d : w.due) {
                out.push_back(d.what.subject() + " " + policy::to_string(d.what.event));
                notices.push_back(d.what);
                done.push_back({d.id, "ops", store::delivery_state::delivered, time.now(), {}, {}});
            }
            static_cast<void>(exchange({done, {}}));
        }
    }
    std::vector<policy::notice> notices;
};

TEST_F(told, hold_is_requested_and_then_approved_denied_expired_or_withdrawn) {
    const auto one = open(wish());
    static_cast<void>(vote(one.id, bob()));
    const auto two = open(wish());
    static_cast<void>(vote(two.id, bob(), false));
    static_cast<void>(open(wish(), 1min));
    advance(2min);
    const auto four = open(wish());
    s->withdraw(four.id, "the client left");
    settle();

    auto said = all();
    std::stable_sort(said.begin(), said.end(),
                     [](const auto& a, const auto& b) { return a.substr(0, 6) < b.substr(0, 6); });
    EXPECT_THAT(said, ElementsAre("hold 1 requested", "hold 1 approved", "hold 2 requested",
                                  "hold 2 denied", "hold 3 requested", "hold 3 expired",
                                  "hold 4 requested", "hold 4 withdrawn"));
    const auto& first = notices.front();
    EXPECT_EQ(first.person, "alice");
    EXPECT_EQ(first.rule, "pii");
    EXPECT_EQ(first.asked, "group security");
    EXPECT_EQ(first.statement, "select ssn from customers where id = $1");
}

TEST_F(told, opt_out_tells_its_first_use_and_no_other) {
    const auto id = active_opt_out();
    static_cast<void>(use({id}));
    static_cast<void>(use({id}));
    static_cast<void>(revoke(id, bob()));
    EXPECT_THAT(all(),
                ElementsAre("opt_out 1 requested", "opt_out 1 approved", "opt_out 1 first_use",
                            "opt_out 1 revoked", "opt_out 1 review_due"));
    EXPECT_EQ(notices.at(1).by, "bob");
    EXPECT_EQ(notices.at(3).note, "enough");
}

TEST_F(told, end_comes_near_once) {
    static_cast<void>(active_opt_out(1h));
    static_cast<void>(all());
    advance(56min);
    advance(3min);
    EXPECT_THAT(all(), ElementsAre("opt_out 1 near_end"));
    advance(2min);
    EXPECT_THAT(all(), ElementsAre("opt_out 1 ended"));
}

TEST_F(told, what_the_store_did_not_take_is_not_told) {
    state->broken = true;
    EXPECT_NE(open(wish()).error, "");
    state->broken = false;
    EXPECT_THAT(all(), IsEmpty());
}

TEST_F(told, end_that_the_store_takes_later_is_told_then_and_once) {
    const auto h = open(wish());
    static_cast<void>(all());
    state->broken = true;
    s->withdraw(h.id, "the client left");
    settle();
    state->broken = false;
    std::vector<std::string> said;
    const auto end = std::chrono::steady_clock::now() + 10s;
    while (said.empty() && std::chrono::steady_clock::now() < end)
        said = all();
    EXPECT_THAT(said, ElementsAre("hold 1 withdrawn"));
}

TEST_F(told, outcomes_that_the_store_cannot_take_are_refused) {
    static_cast<void>(open(wish()));
    state->broken = true;
    EXPECT_FALSE(exchange({{}, {{"ops", 10}}}).stored);
    state->broken = false;
    EXPECT_THAT(all(), ElementsAre("hold 1 requested"));
}

TEST_F(told, what_waits_and_what_a_restart_withdraws_is_told_after_it) {
    static_cast<void>(open(wish()));
    restart();
    // Until channels are known nobody is told of more, and what waits for unknown ones is closed.
    route();
    EXPECT_THAT(all(), IsEmpty());
    std::promise<delivery_report> p;
    s->list_deliveries([&](delivery_report r) { p.set_value(std::move(r)); });
    const auto report = p.get_future().get();
    // It was requested, and withdrawn when the proxy stopped.
    ASSERT_EQ(report.troubled.size(), 2u);
    for (const auto& d : report.troubled)
        EXPECT_EQ(d.state, store::delivery_state::given_up);
}

TEST_F(told, channel_that_goes_is_given_up_on_record) {
    static_cast<void>(open(wish()));
    route({"other"});
    EXPECT_EQ(events()["notice.given_up"], 1);
}

TEST_F(told, old_holds_are_trimmed_on_schedule_and_live_ones_stay) {
    s->set_keep(24h);
    const auto old = open(wish());
    static_cast<void>(vote(old.id, bob()));
    static_cast<void>(all());
    const auto live = open(wish("carol"), 24h * 30);
    advance(25h);
    advance(2h);
    EXPECT_FALSE(get(old.id));
    ASSERT_TRUE(get(live.id));
    EXPECT_EQ(get(live.id)->state, hold_state::pending);
    EXPECT_THAT(all(), ElementsAre("hold 2 requested"));
}

TEST_F(told, without_channels_nothing_is_written) {
    s->set_routes({});
    settle();
    const auto h = open(wish());
    static_cast<void>(vote(h.id, bob()));
    route();
    EXPECT_THAT(all(), IsEmpty());
}

}  // namespace sallyport::proxy::approval::testing
