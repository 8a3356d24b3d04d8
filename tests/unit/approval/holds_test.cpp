#include "tests/unit/approval/support.h"

namespace sallyport::proxy::approval::testing {
namespace {

class holds : public steward_test {};

TEST_F(holds, an_approval_releases_with_a_pass_for_the_statement) {
    const auto h = open(wish());
    ASSERT_TRUE(h.id) << h.error;
    EXPECT_EQ(vote(h.id, bob()).what, verdict::done);
    const auto o = h.outcome->get_future().get();
    EXPECT_EQ(o.state, hold_state::approved);
    EXPECT_EQ(o.decided_by, "bob");
    ASSERT_TRUE(o.pass);
    EXPECT_EQ(o.pass->scope, pass_scope::statement);
    EXPECT_EQ(o.pass->until, time.now() + 60s);
    EXPECT_TRUE(s->grants()->passes.empty());  // it is for that session alone
    auto e = events();
    EXPECT_EQ(e["hold.opened"], 1);
    EXPECT_EQ(e["hold.vote"], 1);
    EXPECT_EQ(e["hold.approved"], 1);
}

TEST_F(holds, a_deny_ends_it_and_later_votes_hear_how_it_ended) {
    const auto h = open(wish("alice", 2));
    EXPECT_EQ(vote(h.id, bob(), false).what, verdict::done);
    const auto o = h.outcome->get_future().get();
    EXPECT_EQ(o.state, hold_state::denied);
    EXPECT_EQ(o.reason, "because");
    EXPECT_EQ(o.decided_by, "bob");
    const auto late = vote(h.id, carol());
    EXPECT_EQ(late.what, verdict::conflict);
    EXPECT_NE(late.text.find("denied"), std::string::npos);
    EXPECT_EQ(vote(policy::hold_id{99}, bob()).what, verdict::not_found);
}

TEST_F(holds, the_requester_a_service_and_a_stranger_cannot_vote) {
    const auto h = open(wish());
    EXPECT_EQ(vote(h.id, alice()).what, verdict::forbidden);
    EXPECT_EQ(vote(h.id, alice(), false).what, verdict::forbidden);
    auto service = bob();
    service.service = true;
    EXPECT_EQ(vote(h.id, service).what, verdict::forbidden);
    EXPECT_EQ(vote(h.id, person("dave", {"dev"})).what, verdict::forbidden);
    EXPECT_EQ(vote(h.id, person("", {"security"})).what, verdict::forbidden);
    EXPECT_EQ(get(h.id)->state, hold_state::pending);
}

TEST_F(holds, two_approvals_need_two_persons) {
    const auto h = open(wish("alice", 2));
    EXPECT_EQ(vote(h.id, bob()).what, verdict::counted);
    EXPECT_EQ(vote(h.id, bob()).what, verdict::conflict);
    EXPECT_EQ(get(h.id)->state, hold_state::pending);
    EXPECT_EQ(vote(h.id, carol()).what, verdict::done);
    EXPECT_EQ(h.outcome->get_future().get().decided_by, "bob, carol");
}

TEST_F(holds, the_pass_is_what_all_approvers_agreed_on) {
    const auto h = open(wish("alice", 2));
    EXPECT_EQ(vote(h.id, bob(), true, pass_scope::transaction, 5min).what, verdict::counted);
    EXPECT_EQ(vote(h.id, carol(), true, pass_scope::session, 1h).what, verdict::done);
    const auto o = h.outcome->get_future().get();
    EXPECT_EQ(o.pass->scope, pass_scope::transaction);
    EXPECT_EQ(o.pass->until, time.now() + 5min);
    const auto other = open(wish("alice", 2));
    vote(other.id, bob(), true, pass_scope::shape);
    vote(other.id, carol(), true, pass_scope::session);
    EXPECT_EQ(other.outcome->get_future().get().pass->scope, pass_scope::statement);
}

TEST_F(holds, a_pass_outside_the_bounds_is_invalid_and_the_bound_is_named) {
    const auto h = open(wish());
    const auto too_long = vote(h.id, bob(), true, pass_scope::shape, 31min);
    EXPECT_EQ(too_long.what, verdict::invalid);
    EXPECT_NE(too_long.text.find("shape up to 30m"), std::string::npos) << too_long.text;
    EXPECT_EQ(vote(h.id, bob(), true, pass_scope::session, 0ms).what, verdict::invalid);
    EXPECT_EQ(vote(h.id, bob(), true, pass_scope::statement, 5min).what, verdict::invalid);
    auto without = wish();
    without.shape.clear();
    without.pass.session.reset();
    const auto w = open(without);
    EXPECT_EQ(vote(w.id, bob(), true, pass_scope::shape).what, verdict::invalid);
    EXPECT_EQ(vote(w.id, bob(), true, pass_scope::session).what, verdict::invalid);
    EXPECT_EQ(vote(w.id, bob()).what, verdict::done);
}

TEST_F(holds, a_session_pass_is_in_the_grants_until_its_end) {
    const auto version = s->grants_version();
    const auto h = open(wish());
    vote(h.id, bob(), true, pass_scope::session, 10min);
    ASSERT_EQ(s->grants()->passes.size(), 1u);
    EXPECT_GT(s->grants_version(), version);
    advance(10min - 1ms);
    EXPECT_EQ(s->grants()->passes.size(), 1u);
    advance(1ms);
    EXPECT_TRUE(s->grants()->passes.empty());
    ASSERT_EQ(ended_events().size(), 1u);
    EXPECT_EQ(ended_events()[0].person, "alice");
}

TEST_F(holds, passes_end_with_their_transaction_and_their_session) {
    const auto a = open(wish());
    vote(a.id, bob(), true, pass_scope::transaction);
    const auto b = open(wish());
    vote(b.id, bob(), true, pass_scope::session);
    const auto c = open(wish());
    vote(c.id, bob(), true, pass_scope::shape);
    EXPECT_EQ(s->grants()->passes.size(), 3u);
    s->end_transaction_passes(policy::session_id{42});
    settle();
    EXPECT_EQ(s->grants()->passes.size(), 2u);
    s->session_ended(policy::session_id{42});
    settle();
    ASSERT_EQ(s->grants()->passes.size(), 1u);
    EXPECT_EQ(s->grants()->passes[0].scope, pass_scope::shape);
}

TEST_F(holds, the_deadline_expires_it_to_the_millisecond) {
    const auto h = open(wish(), 15min);
    auto outcome = h.outcome->get_future();
    advance(15min - 1ms);
    EXPECT_FALSE(ended_already(outcome));
    advance(1ms);
    EXPECT_EQ(outcome.get().state, hold_state::expired);
    EXPECT_EQ(vote(h.id, bob()).what, verdict::conflict);
    EXPECT_EQ(events()["hold.expired"], 1);
}

TEST_F(holds, a_vote_after_the_deadline_loses_even_before_the_timer_ran) {
    const auto h = open(wish(), 1min);
    time.advance(1min);  // nobody told the steward
    EXPECT_EQ(vote(h.id, bob()).what, verdict::conflict);
    EXPECT_EQ(h.outcome->get_future().get().state, hold_state::expired);
}

TEST_F(holds, a_client_that_leaves_withdraws) {
    const auto h = open(wish());
    s->withdraw(h.id, "the client left");
    s->withdraw(h.id, "again");
    EXPECT_EQ(h.outcome->get_future().get().state, hold_state::withdrawn);
    EXPECT_EQ(vote(h.id, bob()).what, verdict::conflict);
    EXPECT_EQ(events()["hold.withdrawn"], 1);
}

TEST_F(holds, stopping_withdraws_what_waits) {
    const auto h = open(wish());
    auto outcome = h.outcome->get_future();
    shut();
    EXPECT_EQ(outcome.get().reason, "the proxy is stopping");
}

TEST_F(holds, rules_of_now_narrow_who_may_approve) {
    const auto h = open(wish());
    auto rules = pii_rules();
    rules->rules[0].hold->who.groups.clear();
    rules->rules[0].hold->who.users = {"carol"};
    rules->rules[0].hold->pass.session.reset();
    s->set_rules(rules);
    EXPECT_EQ(vote(h.id, bob()).what, verdict::forbidden);
    EXPECT_EQ(vote(h.id, carol(), true, pass_scope::session).what, verdict::invalid);
    // Gone altogether: those of its birth decide.
    s->set_rules(std::make_shared<policy::rule_set>());
    EXPECT_EQ(vote(h.id, bob()).what, verdict::done);
}

TEST_F(holds, rules_of_now_can_ask_for_more_approvals) {
    const auto h = open(wish());
    s->set_rules(pii_rules(2));
    EXPECT_EQ(vote(h.id, bob()).what, verdict::counted);
    EXPECT_EQ(vote(h.id, carol()).what, verdict::done);
}

TEST_F(holds, without_a_record_of_its_opening_there_is_no_hold) {
    fault.fail_on("hold.opened");
    const auto h = open(wish());
    EXPECT_FALSE(h.id);
    EXPECT_NE(h.error, "");
    EXPECT_FALSE(s->healthy());
    fault.clear();
    EXPECT_TRUE(open(wish()).id);
    EXPECT_TRUE(s->healthy());
    EXPECT_EQ(get(policy::hold_id{1})->state, hold_state::withdrawn);
}

TEST_F(holds, without_a_record_of_the_vote_it_does_not_count) {
    const auto h = open(wish());
    fault.fail_on("hold.vote");
    EXPECT_EQ(vote(h.id, bob()).what, verdict::unavailable);
    EXPECT_EQ(get(h.id)->state, hold_state::pending);
    fault.clear();
    EXPECT_EQ(vote(h.id, bob()).what, verdict::done);
}

TEST_F(holds, without_a_record_of_the_approval_nothing_is_released) {
    const auto h = open(wish());
    fault.fail_on("hold.approved");
    EXPECT_EQ(vote(h.id, bob(), true, pass_scope::session).what, verdict::unavailable);
    const auto o = h.outcome->get_future().get();
    EXPECT_EQ(o.state, hold_state::withdrawn);
    EXPECT_EQ(o.reason, "audit not writable");
    EXPECT_FALSE(o.pass);
    EXPECT_TRUE(s->grants()->passes.empty());
    fault.clear();
    restart();
    EXPECT_TRUE(s->grants()->passes.empty());
}

TEST_F(holds, a_deny_holds_even_when_the_audit_log_cannot_write) {
    const auto h = open(wish());
    fault.fail_on("");
    EXPECT_EQ(vote(h.id, bob(), false).what, verdict::done);
    EXPECT_EQ(h.outcome->get_future().get().state, hold_state::denied);
    fault.clear();
    EXPECT_EQ(get(h.id)->state, hold_state::denied);
}

TEST_F(holds, a_failing_store_releases_nothing_and_recovers) {
    const auto h = open(wish());
    state->broken = true;
    EXPECT_FALSE(open(wish("erin")).id);
    EXPECT_FALSE(s->healthy());
    EXPECT_NE(s->trouble().find("disk is full"), std::string::npos);
    EXPECT_EQ(vote(h.id, bob()).what, verdict::unavailable);
    EXPECT_EQ(vote(h.id, bob(), false).what, verdict::unavailable);
    state->broken = false;
    EXPECT_EQ(vote(h.id, bob()).what, verdict::done);
    EXPECT_TRUE(s->healthy());
}

TEST_F(holds, a_deadline_holds_while_the_store_fails_and_is_stored_later) {
    const auto h = open(wish(), 1min);
    state->broken = true;
    advance(1min);
    EXPECT_EQ(h.outcome->get_future().get().state, hold_state::expired);
    state->broken = false;
    while (get(h.id)->state == hold_state::pending)
        std::this_thread::yield();
    EXPECT_EQ(get(h.id)->state, hold_state::expired);
    EXPECT_TRUE(s->healthy());
}

TEST_F(holds, orphans_of_a_crash_are_withdrawn_with_a_record) {
    // What a killed process leaves: a pending row and nobody who waits.
    shut();
    {
        const auto db = store::open_sqlite(directory + "/state.db");
        auto h = wish();
        h.opened_at = time.now();
        h.expires_at = time.now() + 1h;
        (void)db->add_hold(h);
    }
    boot(pii_rules());
    EXPECT_EQ(get(policy::hold_id{1})->state, hold_state::withdrawn);
    EXPECT_EQ(vote(policy::hold_id{1}, bob()).what, verdict::conflict);
    EXPECT_EQ(events()["hold.withdrawn"], 1);
}

TEST_F(holds, only_shape_passes_outlive_a_restart_and_are_recorded_again) {
    const auto a = open(wish());
    vote(a.id, bob(), true, pass_scope::session);
    const auto b = open(wish());
    vote(b.id, bob(), true, pass_scope::shape);
    restart();
    ASSERT_EQ(s->grants()->passes.size(), 1u);
    EXPECT_EQ(s->grants()->passes[0].scope, pass_scope::shape);
    EXPECT_EQ(events()["pass.resumed"], 1);
}

/// Passes that alice's sessions have; `narrow` is what becomes of the rule.
class narrowed : public holds {
  protected:
    void grant(pass_scope scope, milliseconds lasts) {
        const auto h = open(wish());
        ASSERT_EQ(vote(h.id, bob(), true, scope, lasts).what, verdict::done);
        h.outcome->get_future().get();
    }
    std::vector<pass_scope> scopes() {
        settle();
        std::vector<pass_scope> all;
        for (const auto& p : s->grants()->passes)
            all.push_back(p.scope);
        return all;
    }
    std::shared_ptr<policy::rule_set> rules = pii_rules();
    policy::pass_bounds& bounds = rules->rules[0].hold->pass;
};

TEST_F(narrowed, rule_that_offers_a_scope_no_longer_ends_its_passes) {
    for (const auto scope : {pass_scope::shape, pass_scope::transaction, pass_scope::session})
        grant(scope, 5min);
    bounds.session.reset();
    s->set_rules(rules);
    EXPECT_EQ(scopes(), (std::vector{pass_scope::shape, pass_scope::transaction}));
    EXPECT_EQ(ended_events().size(), 1u);
    restart(rules);
    EXPECT_EQ(scopes(), std::vector{pass_scope::shape});

    int seen = 0;
    shut();
    audit::for_each_match(directory + "/audit", {}, [&](const audit::parsed_line& line) {
        if (line.event != "pass.ended") return true;
        ++seen;
        EXPECT_EQ(line.field("scope"), "session");
        EXPECT_EQ(line.field("ended_reason"),
                  "policy changed: rule pii offers no pass for the session");
        return true;
    });
    EXPECT_EQ(seen, 1);
}

TEST_F(narrowed, pass_ends_when_more_is_left_than_the_rule_allows_now) {
    grant(pass_scope::shape, 30min);
    advance(10min);
    bounds.shape = 20min;
    s->set_rules(std::make_shared<policy::rule_set>(*rules));
    EXPECT_EQ(scopes().size(), 1u);
    bounds.shape = 20min - 1ms;
    s->set_rules(rules);
    EXPECT_TRUE(scopes().empty());
    // Ended is ended, also when what would be left fits again.
    advance(1min);
    restart();
    EXPECT_TRUE(scopes().empty());
}

TEST_F(narrowed, passes_end_with_their_rule) {
    grant(pass_scope::session, 5min);
    rules->rules.clear();
    s->set_rules(rules);
    EXPECT_TRUE(scopes().empty());
}

TEST_F(narrowed, pass_by_a_flag_is_judged_by_what_flagged_says) {
    auto h = wish();
    h.rule = policy::flag_rule_id;
    rules->flagged_hold = rules->rules[0].hold;
    rules->rules.clear();
    s->set_rules(std::make_shared<policy::rule_set>(*rules));
    ASSERT_EQ(vote(open(h).id, bob(), true, pass_scope::session).what, verdict::done);
    s->set_rules(std::make_shared<policy::rule_set>(*rules));
    EXPECT_EQ(scopes().size(), 1u);
    rules->flagged_hold->pass.session = 59min;
    s->set_rules(rules);
    EXPECT_TRUE(scopes().empty());
}

TEST_F(narrowed, passes_are_judged_at_the_start_as_well) {
    grant(pass_scope::shape, 30min);
    bounds.shape = 29min;
    restart(rules);
    EXPECT_TRUE(scopes().empty());
    auto e = events();
    EXPECT_EQ(e["pass.ended"], 1);
    EXPECT_EQ(e["pass.resumed"], 0);
}

TEST_F(narrowed, pass_ends_whatever_the_disk_says_and_does_not_come_back) {
    grant(pass_scope::shape, 30min);
    bounds.shape.reset();
    state->broken = true;
    fault.fail_on("");
    s->set_rules(rules);
    EXPECT_TRUE(scopes().empty());
    fault.clear();
    state->broken = false;
    while (!s->healthy())
        std::this_thread::yield();
    restart();
    EXPECT_TRUE(scopes().empty());
}

TEST_F(holds, a_person_cannot_fill_the_queue) {
    std::string error;
    for (int i = 0; i < 300 && error.empty(); ++i)
        error = open(wish()).error;
    EXPECT_NE(error.find("too many holds of alice"), std::string::npos);
    EXPECT_TRUE(open(wish("dave")).id);
}

/// Approve, deny, withdraw and expiry at once: each hold ends exactly once (a second outcome
/// throws).
TEST_F(holds, a_race_of_all_ends_ends_each_hold_once) {
    constexpr int rounds = 40;
    std::map<hold_state, int> seen;
    for (int i = 0; i < rounds; ++i) {
        const auto h = open(wish(), 1min);
        std::atomic<int> done{0};
        std::thread approve([&] { done += vote(h.id, bob()).what == verdict::done; });
        std::thread deny([&] { done += vote(h.id, carol(), false).what == verdict::done; });
        std::thread leave([&] { s->withdraw(h.id, "left"); });
        std::thread clock_hand([&] {
            if (i % 4 == 0) advance(1min);
        });
        for (auto* t : {&approve, &deny, &leave, &clock_hand})
            t->join();
        settle();
        const auto o = h.outcome->get_future().get();
        ++seen[o.state];
        EXPECT_EQ(get(h.id)->state, o.state);
        EXPECT_LE(done.load(), 1);
        const bool by_vote = o.state == hold_state::approved || o.state == hold_state::denied;
        EXPECT_EQ(done.load() == 1, by_vote);
    }
    auto e = events();
    EXPECT_EQ(e["hold.approved"] + e["hold.denied"] + e["hold.withdrawn"] + e["hold.expired"],
              rounds);
}

class same_request : public holds {
  protected:
    opened_hold open_for(std::uint64_t session, const std::string& statement = "",
                         const std::string& who = "alice") {
        auto h = wish(who);
        h.session.value = session;
        if (!statement.empty()) h.statement = statement;
        return open(h);
    }
};

TEST_F(same_request, is_one_hold_and_one_approval_releases_all) {
    std::vector<opened_hold> waiting;
    for (std::uint64_t i = 1; i <= 200; ++i)
        waiting.push_back(open_for(i));
    for (const auto& w : waiting)
        EXPECT_EQ(w.id, waiting[0].id) << w.error;
    EXPECT_EQ(get(waiting[0].id)->waiters, 200u);
    EXPECT_EQ(vote(waiting[0].id, bob()).what, verdict::done);
    for (auto& w : waiting) {
        const auto o = w.outcome->get_future().get();
        EXPECT_EQ(o.state, hold_state::approved);
        EXPECT_EQ(o.pass->scope, pass_scope::statement);
    }
    EXPECT_EQ(events()["hold.joined"], 199);
}

TEST_F(same_request, shows_the_other_texts_and_none_twice) {
    const auto a = open_for(1);
    open_for(2, "select ssn from customers where id = 8");
    open_for(3, "select ssn from customers where id = 8");
    open_for(4);
    const auto h = get(a.id);
    EXPECT_EQ(h->waiters, 4u);
    ASSERT_EQ(h->variants.size(), 1u);
    EXPECT_EQ(h->variants[0].statement, "select ssn from customers where id = 8");
}

TEST_F(same_request, is_none_of_another_person_application_rule_or_shape) {
    const auto a = open_for(1);
    EXPECT_NE(open_for(2, "", "erin").id, a.id);
    auto h = wish();
    h.application = "batch";
    EXPECT_NE(open(h).id, a.id);
    h = wish();
    h.shape = "beef";
    EXPECT_NE(open(h).id, a.id);
    h = wish();
    h.target = "hr";
    EXPECT_NE(open(h).id, a.id);
}

TEST_F(same_request, without_a_shape_only_the_very_statement_is_the_same) {
    auto h = wish();
    h.shape.clear();
    h.statement_sha256 = "01";
    h.parameters = {"7"};
    const auto a = open(h);
    EXPECT_EQ(open(h).id, a.id);
    h.parameters = {"8"};
    EXPECT_NE(open(h).id, a.id);
    h.statement_sha256 = "02";
    EXPECT_NE(open(h).id, a.id);
}

TEST_F(same_request, ends_with_the_last_who_waits) {
    auto a = open_for(1);
    auto b = open_for(2);
    s->withdraw(a.id, "left", {1});
    EXPECT_EQ(a.outcome->get_future().get().state, hold_state::withdrawn);
    EXPECT_EQ(get(a.id)->state, hold_state::pending);
    s->session_ended({2});
    EXPECT_EQ(b.outcome->get_future().get().state, hold_state::withdrawn);
    EXPECT_EQ(get(a.id)->state, hold_state::withdrawn);
    EXPECT_NE(open_for(3).id, a.id);
}

TEST_F(same_request, pass_for_a_session_is_for_one_of_them) {
    auto a = open_for(1);
    auto b = open_for(2);
    EXPECT_EQ(vote(a.id, bob(), true, pass_scope::session).what, verdict::done);
    EXPECT_EQ(a.outcome->get_future().get().pass->scope, pass_scope::session);
    const auto other = b.outcome->get_future().get();
    EXPECT_EQ(other.pass->scope, pass_scope::statement);
    ASSERT_EQ(s->grants()->passes.size(), 1u);
    EXPECT_EQ(s->grants()->passes[0].session.value, 1u);
}

TEST_F(same_request, is_not_joined_when_little_time_is_left) {
    const auto a = open_for(1);
    advance(8min);
    EXPECT_NE(open_for(2).id, a.id);
}

TEST_F(same_request, waiter_whose_record_fails_is_told_and_the_others_wait_on) {
    const auto a = open_for(1);
    fault.fail_on("hold.joined");
    const auto b = open_for(2);
    fault.clear();
    EXPECT_FALSE(b.id);
    EXPECT_EQ(get(a.id)->waiters, 1u);
}

}  // namespace
}  // namespace sallyport::proxy::approval::testing
