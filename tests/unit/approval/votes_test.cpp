#include <gmock/gmock.h>

#include "tests/unit/approval/support.h"

/// Votes that were cast before the approvers changed.
namespace sallyport::proxy::approval::testing {
namespace {

using ::testing::HasSubstr;

policy::principal erin() {
    return person("erin", {"contractors"});
}
policy::principal dave() {
    return person("dave", {"dev"});
}

/// Two approvals, of security, contractors and dave.
std::shared_ptr<policy::rule_set> wide_rules() {
    auto rules = pii_rules(2);
    for (auto* who : {&rules->rules[0].hold->who, &rules->rules[0].opt_out->approved_by}) {
        who->groups = {"security", "contractors"};
        who->users = {"dave"};
    }
    return rules;
}

class earlier_votes : public steward_test {
  protected:
    earlier_votes() { restart(wide_rules()); }

    opened_hold open_one(bool ahead = false) {
        auto h = wish();
        h.who = wide_rules()->rules[0].hold->who;
        if (ahead) h.session = {};
        return open(h);
    }
    answer take_back(auto id, const policy::principal& who) {
        std::promise<answer> p;
        s->withdraw_vote(id, who, "api", [&](answer a) { p.set_value(std::move(a)); });
        return p.get_future().get();
    }
};

TEST_F(earlier_votes, on_a_hold_count_only_while_the_voter_is_an_approver) {
    const auto h = open_one();
    ASSERT_EQ(vote(h.id, erin()).what, verdict::counted);
    s->set_rules(pii_rules(2));

    const auto second = vote(h.id, bob());
    EXPECT_EQ(second.what, verdict::counted);
    EXPECT_THAT(second.text, HasSubstr("1 of 2 approvals"));
    EXPECT_EQ(get(h.id)->state, hold_state::pending);

    EXPECT_EQ(vote(h.id, carol()).what, verdict::done);
    EXPECT_EQ(h.outcome->get_future().get().decided_by, "bob, carol");
}

TEST_F(earlier_votes, on_a_hold_count_again_when_the_voter_is_an_approver_again) {
    const auto h = open_one();
    ASSERT_EQ(vote(h.id, erin()).what, verdict::counted);
    s->set_rules(pii_rules(2));
    s->set_rules(wide_rules());
    EXPECT_EQ(vote(h.id, bob()).what, verdict::done);
    EXPECT_EQ(h.outcome->get_future().get().decided_by, "erin, bob");
}

TEST_F(earlier_votes, on_a_hold_count_when_the_rule_is_gone) {
    const auto h = open_one();
    ASSERT_EQ(vote(h.id, erin()).what, verdict::counted);
    s->set_rules(std::make_shared<policy::rule_set>());
    EXPECT_EQ(vote(h.id, bob()).what, verdict::done);
}

TEST_F(earlier_votes, on_a_hold_count_after_a_restart_for_who_is_named_herself) {
    const auto h = open_one(true);
    ASSERT_EQ(vote(h.id, dave()).what, verdict::counted);
    restart(wide_rules());
    EXPECT_EQ(vote(h.id, bob()).what, verdict::done);
}

TEST_F(earlier_votes, on_a_hold_count_after_a_restart_by_the_groups_of_now) {
    const auto h = open_one(true);
    ASSERT_EQ(vote(h.id, bob()).what, verdict::counted);
    restart(wide_rules());
    EXPECT_EQ(vote(h.id, carol()).what, verdict::done);
    EXPECT_EQ(get(h.id)->votes.size(), 2u);
}

/// What is in no file is not known after a restart.
TEST_F(earlier_votes, on_a_hold_by_a_group_of_the_login_service_are_cast_again_after_a_restart) {
    is_now("bob", person("bob"));
    const auto h = open_one(true);
    ASSERT_EQ(vote(h.id, bob()).what, verdict::counted);
    restart(wide_rules());
    const auto second = vote(h.id, carol());
    EXPECT_EQ(second.what, verdict::counted);
    EXPECT_THAT(second.text, HasSubstr("1 of 2 approvals; 1 more no longer counts"));
    ASSERT_EQ(take_back(h.id, bob()).what, verdict::done);
    is_now("bob", bob());
    EXPECT_EQ(vote(h.id, bob()).what, verdict::done);
}

TEST_F(earlier_votes, on_a_hold_do_not_count_when_the_voter_has_left_the_group) {
    const auto h = open_one();
    ASSERT_EQ(vote(h.id, bob()).what, verdict::counted);
    is_now("bob", person("bob", {"dev"}));
    EXPECT_EQ(vote(h.id, carol()).what, verdict::counted);
    EXPECT_EQ(vote(h.id, erin()).what, verdict::done);
    EXPECT_EQ(h.outcome->get_future().get().decided_by, "carol, erin");
    // The store has those that counted, and who voted in vain is on record.
    const auto kept = get(h.id)->votes;
    ASSERT_EQ(kept.size(), 2u);
    EXPECT_EQ(kept[0].person + kept[1].person, "carolerin");
}

TEST_F(earlier_votes, of_somebody_who_is_gone_or_locked_do_not_count) {
    const auto gone = open_one();
    ASSERT_EQ(vote(gone.id, bob()).what, verdict::counted);
    is_now("bob", std::nullopt);
    EXPECT_EQ(vote(gone.id, carol()).what, verdict::counted);

    const policy::opt_out_id locked{request().id};
    ASSERT_EQ(vote(locked, erin()).what, verdict::counted);
    std::promise<answer> p;
    s->set_flag({policy::flag_kind::lock, policy::flag_on::principal, "erin", "laptop stolen", 1h},
                person("root"), "api", [&](answer a) { p.set_value(std::move(a)); });
    ASSERT_EQ(p.get_future().get().what, verdict::done);
    EXPECT_EQ(vote(gone.id, erin()).what, verdict::forbidden);
    EXPECT_EQ(vote(locked, carol()).what, verdict::counted);
    EXPECT_TRUE(s->grants()->opt_outs.empty());
}

TEST_F(earlier_votes, on_an_opt_out_count_only_while_the_voter_is_an_approver) {
    const policy::opt_out_id id{request().id};
    ASSERT_EQ(vote(id, erin()).what, verdict::counted);
    s->set_rules(pii_rules(2));

    const auto second = vote(id, bob());
    EXPECT_EQ(second.what, verdict::counted);
    EXPECT_THAT(second.text, HasSubstr("1 of 2 approvals"));
    EXPECT_TRUE(s->grants()->opt_outs.empty());

    EXPECT_EQ(vote(id, carol()).what, verdict::done);
    EXPECT_EQ(s->grants()->opt_outs.size(), 1u);
}

TEST_F(earlier_votes, on_an_opt_out_count_after_a_restart_by_the_groups_of_now) {
    const policy::opt_out_id id{request().id};
    ASSERT_EQ(vote(id, bob()).what, verdict::counted);
    restart(wide_rules());
    EXPECT_EQ(vote(id, carol()).what, verdict::done);
}

/// For whom an opt-out is, and her groups of now.
class holder_of_an_opt_out : public steward_test {};

TEST_F(holder_of_an_opt_out, who_has_left_the_group_that_may_ask_loses_it_at_the_reload) {
    const auto live = active_opt_out();
    const policy::opt_out_id asked{request().id};
    is_now("alice", person("alice", {"dev"}));
    s->set_rules(pii_rules());
    settle();
    EXPECT_TRUE(s->grants()->opt_outs.empty());
    EXPECT_EQ(get(live)->state, opt_out_state::revoked);
    EXPECT_THAT(get(live)->ended_reason, HasSubstr("no longer among those who may opt out"));
    EXPECT_EQ(get(asked)->state, opt_out_state::withdrawn);
}

TEST_F(holder_of_an_opt_out, who_is_no_longer_a_user_loses_it_at_the_restart) {
    const auto live = active_opt_out();
    is_now("alice", std::nullopt);
    restart();
    EXPECT_TRUE(s->grants()->opt_outs.empty());
    EXPECT_EQ(get(live)->ended_reason, "policy changed: alice is no longer a user");
}

TEST_F(holder_of_an_opt_out, who_stays_in_the_group_keeps_it) {
    active_opt_out();
    is_now("alice", person("alice", {"oncall"}));
    s->set_rules(pii_rules());
    settle();
    EXPECT_EQ(s->grants()->opt_outs.size(), 1u);
}

}  // namespace
}  // namespace sallyport::proxy::approval::testing
