#include "tests/unit/approval/support.h"

namespace sallyport::proxy::approval::testing {
namespace {

class opt_outs : public steward_test {};

TEST_F(opt_outs, requested_approved_and_expired_to_the_millisecond) {
    const auto asked = request(1h);
    ASSERT_EQ(asked.what, verdict::done) << asked.text;
    const policy::opt_out_id id{asked.id};
    advance(10min);
    EXPECT_TRUE(s->grants()->opt_outs.empty());
    EXPECT_EQ(vote(id, bob()).what, verdict::done);
    ASSERT_EQ(s->grants()->opt_outs.size(), 1u);
    const auto& o = s->grants()->opt_outs[0];
    EXPECT_EQ(o.from, time.now());
    EXPECT_EQ(o.until, time.now() + 1h);
    EXPECT_TRUE(o.live_at(time.now()));
    advance(1h - 1ms);
    EXPECT_EQ(s->grants()->opt_outs.size(), 1u);
    advance(1ms);
    EXPECT_TRUE(s->grants()->opt_outs.empty());
    EXPECT_EQ(get(id)->state, opt_out_state::expired);
    ASSERT_EQ(ended_events().size(), 1u);
    EXPECT_EQ(ended_events()[0].at_end, policy::at_end::kill);
    auto e = events();
    EXPECT_EQ(e["opt_out.requested"], 1);
    EXPECT_EQ(e["opt_out.vote"], 1);
    EXPECT_EQ(e["opt_out.activated"], 1);
    EXPECT_EQ(e["opt_out.expired"], 1);
}

TEST_F(opt_outs, outside_the_bounds_nothing_is_stored) {
    EXPECT_EQ(request(5h).what, verdict::invalid);
    EXPECT_EQ(request(1h, bob()).what, verdict::invalid);
    EXPECT_FALSE(get(policy::opt_out_id{1}));
}

TEST_F(opt_outs, the_requester_cannot_approve_her_own) {
    const policy::opt_out_id id{request().id};
    EXPECT_EQ(vote(id, alice()).what, verdict::forbidden);
    EXPECT_EQ(vote(id, person("dave", {"dev"})).what, verdict::forbidden);
    EXPECT_TRUE(s->grants()->opt_outs.empty());
}

TEST_F(opt_outs, two_approvals_need_two_persons) {
    restart(pii_rules(2));
    const policy::opt_out_id id{request().id};
    EXPECT_EQ(vote(id, bob()).what, verdict::counted);
    EXPECT_EQ(vote(id, bob()).what, verdict::conflict);
    EXPECT_TRUE(s->grants()->opt_outs.empty());
    EXPECT_EQ(vote(id, carol()).what, verdict::done);
    EXPECT_EQ(s->grants()->opt_outs.size(), 1u);
}

TEST_F(opt_outs, votes_outlive_a_restart) {
    restart(pii_rules(2));
    const policy::opt_out_id id{request().id};
    EXPECT_EQ(vote(id, bob()).what, verdict::counted);
    restart(pii_rules(2));
    EXPECT_EQ(vote(id, bob()).what, verdict::conflict);
    EXPECT_EQ(vote(id, carol()).what, verdict::done);
}

TEST_F(opt_outs, a_deny_ends_the_request) {
    const policy::opt_out_id id{request().id};
    EXPECT_EQ(vote(id, bob(), false).what, verdict::done);
    EXPECT_EQ(get(id)->state, opt_out_state::denied);
    EXPECT_EQ(vote(id, carol()).what, verdict::conflict);
}

TEST_F(opt_outs, an_undecided_request_lapses_after_a_day) {
    const policy::opt_out_id id{request().id};
    advance(24h - 1ms);
    EXPECT_EQ(get(id)->state, opt_out_state::requested);
    advance(1ms);
    EXPECT_EQ(get(id)->state, opt_out_state::lapsed);
    EXPECT_EQ(vote(id, bob()).what, verdict::conflict);
}

TEST_F(opt_outs, revoking_withdraws_a_request_and_ends_an_active_one) {
    const policy::opt_out_id asked{request().id};
    EXPECT_EQ(revoke(asked, person("dave")).what, verdict::forbidden);
    EXPECT_EQ(revoke(asked, alice()).what, verdict::done);
    EXPECT_EQ(get(asked)->state, opt_out_state::withdrawn);
    const auto live = active_opt_out();
    EXPECT_EQ(revoke(live, person("dave")).what, verdict::forbidden);
    EXPECT_EQ(revoke(live, carol()).what, verdict::done);
    EXPECT_TRUE(s->grants()->opt_outs.empty());
    EXPECT_EQ(get(live)->state, opt_out_state::revoked);
    EXPECT_NE(use({live}).error, "");
    EXPECT_EQ(revoke(live, carol()).what, verdict::conflict);
    const auto by_admin = active_opt_out();
    EXPECT_EQ(revoke(by_admin, person("dave"), true).what, verdict::done);
}

TEST_F(opt_outs, a_use_is_counted_and_recorded_with_who_allowed_it) {
    const auto id = active_opt_out();
    const auto u = use({id});
    EXPECT_GT(u.sequence, 0u) << u.error;
    EXPECT_EQ(get(id)->uses, 1u);
    shut();
    audit::query q;
    q.event = "bypass";
    const auto lines = audit::newest(directory + "/audit", q, 10);
    ASSERT_EQ(lines.size(), 1u);
    EXPECT_EQ(lines[0].sequence, u.sequence);
    EXPECT_EQ(lines[0].field("user"), "alice");
    EXPECT_EQ(lines[0].field("use"), "1");
    EXPECT_EQ(lines[0].field("approved_by"), "bob");
    EXPECT_EQ(lines[0].field("reason"), "incident");
    EXPECT_EQ(lines[0].field("ticket"), "INC-1");
    EXPECT_EQ(lines[0].field("rule"), "pii");
    EXPECT_EQ(lines[0].field("opt_out"), std::to_string(id.value));
}

TEST_F(opt_outs, a_use_by_another_person_or_of_nothing_is_refused) {
    const auto id = active_opt_out();
    EXPECT_NE(use({id}, "dave").error, "");
    EXPECT_NE(use({}).error, "");
    EXPECT_NE(use({policy::opt_out_id{99}}).error, "");
    EXPECT_EQ(get(id)->uses, 0u);
}

TEST_F(opt_outs, several_are_used_all_or_none) {
    const auto a = active_opt_out();
    const auto b = active_opt_out(2h);
    EXPECT_GT(use({a, b}).sequence, 0u);
    advance(1h);  // a ends
    EXPECT_NE(use({a, b}).error, "");
    EXPECT_EQ(get(b)->uses, 1u);
    EXPECT_EQ(events()["bypass"], 2);
}

TEST_F(opt_outs, at_its_end_it_lets_nothing_pass_even_before_the_timer_ran) {
    const auto id = active_opt_out(1h);
    time.advance(1h);
    EXPECT_NE(use({id}).error, "");
}

TEST_F(opt_outs, without_a_record_a_use_may_not_pass) {
    const auto id = active_opt_out();
    fault.fail_on("bypass");
    const auto u = use({id});
    EXPECT_EQ(u.sequence, 0u);
    EXPECT_NE(u.error, "");
    fault.clear();
    EXPECT_GT(use({id}).sequence, 0u);
    state->broken = true;
    EXPECT_NE(use({id}).error, "");
    state->broken = false;
    EXPECT_GT(use({id}).sequence, 0u);
}

TEST_F(opt_outs, a_thousand_parallel_uses_never_exceed_the_bound) {
    const auto id = active_opt_out();
    constexpr int threads = 8;
    constexpr int each = 125;
    std::atomic<int> passed{0};
    std::atomic<int> refused{0};
    std::vector<std::thread> users;
    for (int t = 0; t < threads; ++t)
        users.emplace_back([&] {
            for (int i = 0; i < each; ++i)
                s->use({{id}, bypass_by("alice"), alice()},
                       [&](std::unique_ptr<audit::receipt> r, const std::string&) {
                           ++(r ? passed : refused);
                       });
        });
    for (auto& u : users)
        u.join();
    while (passed + refused < threads * each)
        std::this_thread::yield();
    EXPECT_EQ(passed.load(), 5);
    while (!s->grants()->opt_outs.empty())
        std::this_thread::yield();
    EXPECT_EQ(get(id)->state, opt_out_state::used_up);
    EXPECT_EQ(get(id)->uses, 5u);
    EXPECT_EQ(ended_events().size(), 1u);
    auto e = events();
    EXPECT_EQ(e["bypass"], 5);
    EXPECT_EQ(e["opt_out.used_up"], 1);
}

TEST_F(opt_outs, without_its_records_it_is_not_requested_voted_or_activated) {
    fault.fail_on("opt_out.requested");
    EXPECT_EQ(request().what, verdict::unavailable);
    fault.clear();
    const policy::opt_out_id id{request().id};
    fault.fail_on("opt_out.vote");
    EXPECT_EQ(vote(id, bob()).what, verdict::unavailable);
    EXPECT_EQ(get(id)->state, opt_out_state::requested);
    fault.fail_on("opt_out.activated");
    EXPECT_EQ(vote(id, bob()).what, verdict::unavailable);
    EXPECT_TRUE(s->grants()->opt_outs.empty());
    EXPECT_NE(use({id}).error, "");
    fault.clear();
    EXPECT_EQ(get(id)->state, opt_out_state::revoked);
    restart();
    EXPECT_TRUE(s->grants()->opt_outs.empty());
}

TEST_F(opt_outs, a_live_one_stands_after_a_restart_until_its_end) {
    const auto id = active_opt_out(1h);
    const auto until = s->grants()->opt_outs[0].until;
    EXPECT_GT(use({id}).sequence, 0u);
    restart();
    ASSERT_EQ(s->grants()->opt_outs.size(), 1u);
    EXPECT_EQ(s->grants()->opt_outs[0].until, until);
    EXPECT_EQ(s->grants()->opt_outs[0].uses, 1u);
    EXPECT_GT(use({id}).sequence, 0u);
    advance(1h);
    EXPECT_TRUE(s->grants()->opt_outs.empty());
    EXPECT_EQ(events()["opt_out.resumed"], 1);
}

TEST_F(opt_outs, one_that_ended_while_down_is_expired_with_a_record) {
    const auto id = active_opt_out(1h);
    shut();
    time.advance(2h);
    boot(pii_rules());
    EXPECT_TRUE(s->grants()->opt_outs.empty());
    EXPECT_EQ(get(id)->state, opt_out_state::expired);
    EXPECT_EQ(events()["opt_out.expired"], 1);
}

TEST_F(opt_outs, a_live_one_is_not_published_before_its_record_after_a_restart) {
    const auto id = active_opt_out(1h);
    shut();
    fault.fail_on("opt_out.resumed");
    boot(pii_rules());
    EXPECT_TRUE(s->grants()->opt_outs.empty());
    EXPECT_NE(use({id}).error, "");
    fault.clear();
    while (s->grants()->opt_outs.empty())
        std::this_thread::yield();
    EXPECT_GT(use({id}).sequence, 0u);
}

TEST_F(opt_outs, one_that_waits_for_its_record_can_be_revoked) {
    const auto id = active_opt_out(1h);
    shut();
    fault.fail_on("opt_out.resumed");
    boot(pii_rules());
    EXPECT_EQ(revoke(id, carol()).what, verdict::done);
    EXPECT_EQ(get(id)->state, opt_out_state::revoked);
    fault.clear();
    restart();
    EXPECT_TRUE(s->grants()->opt_outs.empty());
}

TEST_F(opt_outs, a_policy_that_no_longer_allows_it_revokes_it) {
    const auto id = active_opt_out(2h);
    const policy::opt_out_id asked{request().id};
    auto rules = pii_rules();
    rules->rules[0].opt_out->max_duration = 1h;
    s->set_rules(rules);
    settle();
    EXPECT_TRUE(s->grants()->opt_outs.empty());
    EXPECT_EQ(get(id)->state, opt_out_state::revoked);
    EXPECT_NE(get(id)->ended_reason.find("policy changed"), std::string::npos);
    EXPECT_EQ(get(asked)->state, opt_out_state::requested);
    rules = pii_rules();
    rules->rules.clear();
    s->set_rules(rules);
    settle();
    EXPECT_EQ(get(asked)->state, opt_out_state::withdrawn);
}

TEST_F(opt_outs, a_policy_changed_while_down_revokes_it_at_the_start) {
    const auto id = active_opt_out(2h);
    auto rules = pii_rules();
    rules->rules[0].opt_out.reset();
    restart(rules);
    EXPECT_TRUE(s->grants()->opt_outs.empty());
    EXPECT_EQ(get(id)->state, opt_out_state::revoked);
}

TEST_F(opt_outs, a_shorter_bound_of_now_cuts_the_duration_at_the_approval) {
    const policy::opt_out_id id{request(4h).id};
    auto rules = pii_rules();
    rules->rules[0].opt_out->max_duration = 1h;
    s->set_rules(rules);
    EXPECT_EQ(vote(id, bob()).what, verdict::done);
    EXPECT_EQ(s->grants()->opt_outs.at(0).until, time.now() + 1h);
}

TEST_F(opt_outs, an_end_holds_while_the_store_fails_and_is_stored_later) {
    const auto id = active_opt_out(1h);
    state->broken = true;
    advance(1h);
    EXPECT_TRUE(s->grants()->opt_outs.empty());
    EXPECT_EQ(ended_events().size(), 1u);
    state->broken = false;
    while (get(id)->state == opt_out_state::active)
        std::this_thread::yield();
    EXPECT_EQ(get(id)->state, opt_out_state::expired);
}

}  // namespace
}  // namespace sallyport::proxy::approval::testing
