#include <gmock/gmock.h>

#include "tests/unit/approval/support.h"

/// Break-glass, reviews, flags and locks, scopes and windows: what bounds an exception.
namespace sallyport::proxy::approval::testing {
namespace {

using ::testing::EndsWith;
using ::testing::HasSubstr;

std::shared_ptr<policy::rule_set> strict_rules() {
    auto rules = pii_rules();
    auto& o = *rules->rules[0].opt_out;
    o.max_uses.reset();
    o.review_within = 72h;
    o.overdue_blocks = true;
    o.starts_within = 24h;
    o.cool_down = 2h;
    o.per_month.per_person = 3;
    o.max_extensions = 1;
    o.break_glass.emplace();
    o.break_glass->who.groups = {"oncall"};
    o.break_glass->max_duration = 30min;
    o.break_glass->announce.groups = {"security"};
    return rules;
}

class oversight : public steward_test {
  protected:
    oversight() { restart(strict_rules()); }

    policy::opt_out_request plain(milliseconds lasts = 1h) const {
        return {alice(), "pii", lasts, "incident", "INC-1", "shop"};
    }
    answer ask(policy::opt_out_request r) {
        std::promise<answer> p;
        s->request_opt_out(std::move(r), "api", [&](answer a) { p.set_value(std::move(a)); });
        return p.get_future().get();
    }
    answer break_glass(milliseconds lasts = 20min) {
        auto r = plain(lasts);
        r.kind = policy::opt_out_kind::break_glass;
        return ask(r);
    }
    answer review(policy::opt_out_id id, const policy::principal& who,
                  policy::review_state to = policy::review_state::signed_off,
                  const std::string& note = "looked at") {
        std::promise<answer> p;
        s->review({id, who, to, note, "api", false}, [&](answer a) { p.set_value(std::move(a)); });
        return p.get_future().get();
    }
    answer restrain(policy::flag_kind kind, policy::flag_on on, const std::string& subject,
                    milliseconds lasts = 1h) {
        std::promise<answer> p;
        s->set_flag({kind, on, subject, "odd hours", lasts}, carol(), "api",
                    [&](answer a) { p.set_value(std::move(a)); });
        return p.get_future().get();
    }
    answer lift(policy::flag_id id, const policy::principal& who) {
        std::promise<answer> p;
        s->lift_flag(id, who, "it was nothing", "api",
                     [&](answer a) { p.set_value(std::move(a)); });
        return p.get_future().get();
    }
    std::vector<policy::review> reviews() {
        std::promise<std::vector<policy::review>> p;
        s->list_reviews(std::nullopt, [&](auto all) { p.set_value(std::move(all)); });
        return p.get_future().get();
    }
    /// Used once, and over.
    policy::opt_out_id used_one() {
        const policy::opt_out_id id{ask(plain()).id};
        EXPECT_EQ(vote(id, bob()).what, verdict::done);
        EXPECT_EQ(use({id}).error, "");
        advance(1h);
        return id;
    }
};

TEST_F(oversight, glass_is_broken_alone_and_at_once_and_must_be_reviewed) {
    const auto a = break_glass();
    ASSERT_EQ(a.what, verdict::done) << a.text;
    const policy::opt_out_id id{a.id};
    ASSERT_EQ(s->grants()->opt_outs.size(), 1u);
    EXPECT_EQ(use({id}).error, "");
    EXPECT_THAT(break_glass().text, HasSubstr("not been reviewed"));
    advance(20min);
    EXPECT_TRUE(s->grants()->opt_outs.empty());
    ASSERT_EQ(reviews().size(), 1u);
    EXPECT_EQ(reviews()[0].kind, policy::opt_out_kind::break_glass);
    restart(strict_rules());
    EXPECT_THAT(break_glass().text, HasSubstr("not been reviewed"));

    EXPECT_EQ(review(id, alice()).what, verdict::forbidden);
    EXPECT_EQ(review(id, person("dave", {"dev"})).what, verdict::forbidden);
    EXPECT_EQ(review(id, bob()).what, verdict::done);
    EXPECT_EQ(review(id, carol()).what, verdict::conflict);

    EXPECT_EQ(break_glass().what, verdict::done);
}

/// One incident may need two rules broken; the next one needs the first to have been looked at.
TEST_F(oversight, glass_that_nobody_reviewed_blocks_the_person_on_every_rule_once_it_has_ended) {
    const auto rules = strict_rules();
    rules->rules.push_back(rules->rules[0]);
    rules->rules[1].id = "orders";
    rules->rules.push_back(rules->rules[0]);
    rules->rules[2].id = "lenient";
    rules->rules[2].opt_out->break_glass->unreviewed_blocks = false;
    restart(rules);
    const auto break_of = [&](const char* rule, milliseconds lasts = 20min) {
        auto r = plain(lasts);
        r.kind = policy::opt_out_kind::break_glass;
        r.rule = rule;
        return ask(r);
    };
    const policy::opt_out_id first{break_of("pii").id};
    const policy::opt_out_id second{break_of("orders", 1min).id};
    ASSERT_TRUE(second);
    advance(25min);
    EXPECT_THAT(break_of("orders").text, HasSubstr("not been reviewed"));
    EXPECT_EQ(break_of("lenient", 1min).what, verdict::done);
    advance(1min);
    EXPECT_EQ(review(second, bob()).what, verdict::done);
    EXPECT_THAT(break_of("orders").text, HasSubstr("opt-out " + std::to_string(first.value)));
    EXPECT_EQ(review(first, bob()).what, verdict::done);
    EXPECT_THAT(break_of("orders").text, HasSubstr("not been reviewed"));  // the lenient one
    EXPECT_EQ(review(policy::opt_out_id{second.value + 1}, bob()).what, verdict::done);
    EXPECT_EQ(break_of("orders").what, verdict::done);
}

TEST_F(oversight, glass_has_its_own_bounds) {
    EXPECT_THAT(break_glass(31min).text, HasSubstr("30m at most"));
    auto r = plain(10min);
    r.kind = policy::opt_out_kind::break_glass;
    r.ticket = " ";
    EXPECT_THAT(ask(r).text, HasSubstr("needs a ticket"));
    r = plain(10min);
    r.kind = policy::opt_out_kind::break_glass;
    r.person = person("dave", {"dev"});
    EXPECT_THAT(ask(r).text, HasSubstr("not among those who may break the glass"));
    EXPECT_TRUE(s->grants()->opt_outs.empty());
}

TEST_F(oversight, glass_whose_record_fails_lets_nothing_pass) {
    fault.fail_on("opt_out.activated");
    EXPECT_EQ(break_glass().what, verdict::unavailable);
    fault.clear();
    EXPECT_TRUE(s->grants()->opt_outs.empty());
}

TEST_F(oversight, only_what_was_used_is_reviewed) {
    const policy::opt_out_id id{ask(plain()).id};
    EXPECT_EQ(vote(id, bob()).what, verdict::done);
    advance(1h);
    EXPECT_TRUE(reviews().empty());
}

TEST_F(oversight, overdue_review_alarms_once_and_blocks_the_next_request) {
    const auto id = used_one();
    advance(71h);
    EXPECT_EQ(reviews().at(0).overdue_at, instant{});
    advance(1h);
    EXPECT_EQ(reviews().at(0).overdue_at, time.now());
    restart(strict_rules());
    advance(1h);
    EXPECT_THAT(ask(plain()).text, HasSubstr("overdue"));

    EXPECT_EQ(review(id, bob(), policy::review_state::finding, " ").what, verdict::invalid);
    EXPECT_EQ(review(id, bob(), policy::review_state::finding, "too wide").what, verdict::done);

    EXPECT_EQ(ask(plain()).what, verdict::done);
    EXPECT_EQ(events()["review.overdue"], 1);
}

TEST_F(oversight, pause_and_quota_bound_how_often_one_opts_out) {
    const auto first = used_one();
    EXPECT_THAT(ask(plain()).text, HasSubstr("a pause of 2h"));
    EXPECT_EQ(review(first, bob()).what, verdict::done);
    for (int i = 0; i < 2; ++i) {
        advance(2h);
        EXPECT_EQ(review(used_one(), bob()).what, verdict::done);
    }
    advance(2h);
    EXPECT_THAT(ask(plain()).text, HasSubstr("limited to 3 a month per person"));
    advance(31 * 24h);
    EXPECT_EQ(ask(plain()).what, verdict::done);
}

TEST_F(oversight, what_waits_for_approval_counts_towards_the_quota) {
    for (int i = 0; i < 3; ++i)
        ASSERT_EQ(ask(plain()).what, verdict::done);

    EXPECT_THAT(ask(plain()).text, HasSubstr("limited to 3 a month per person"));
}

TEST_F(oversight, last_vote_is_not_counted_during_the_pause_or_beyond_a_quota_made_smaller) {
    std::vector<policy::opt_out_id> asked;
    for (int i = 0; i < 3; ++i)
        asked.emplace_back(ask(plain()).id);
    ASSERT_EQ(vote(asked[0], bob()).what, verdict::done);
    advance(1h);

    const auto early = vote(asked[1], bob());
    EXPECT_EQ(early.what, verdict::conflict);
    EXPECT_THAT(early.text, HasSubstr("a pause of 2h"));
    advance(2h);
    EXPECT_EQ(vote(asked[1], bob()).what, verdict::done);

    auto narrower = strict_rules();
    narrower->rules[0].opt_out->per_month.per_person = 2;
    narrower->rules[0].opt_out->cool_down.reset();
    s->set_rules(narrower);
    EXPECT_THAT(vote(asked[2], bob()).text, HasSubstr("limited to 2 a month per person"));
}

TEST_F(oversight, request_that_was_never_approved_begins_no_pause) {
    const policy::opt_out_id id{ask(plain()).id};
    ASSERT_EQ(vote(id, bob(), false).what, verdict::done);

    EXPECT_EQ(ask(plain()).what, verdict::done);
}

TEST_F(oversight, window_may_begin_later_but_not_too_late) {
    auto r = plain();
    r.starts_at = time.now() + 25h;
    EXPECT_THAT(ask(r).text, HasSubstr("1d from now"));
    r.starts_at = time.now() + 5h;
    const policy::opt_out_id id{ask(r).id};
    EXPECT_EQ(vote(id, bob()).what, verdict::done);
    EXPECT_NE(use({id}).error, "");
    advance(5h);
    EXPECT_EQ(use({id}).error, "");
    advance(1h);
    EXPECT_NE(use({id}).error, "");
}

TEST_F(oversight, extension_begins_where_the_first_ends_and_is_approved_anew) {
    const policy::opt_out_id id{ask(plain()).id};
    EXPECT_EQ(vote(id, bob()).what, verdict::done);
    auto more = plain();
    more.extends = id;
    const policy::opt_out_id next{ask(more).id};
    ASSERT_TRUE(next);
    EXPECT_EQ(vote(next, alice()).what, verdict::forbidden);
    EXPECT_EQ(vote(next, carol()).what, verdict::done);
    EXPECT_EQ(get(next)->from, get(id)->until);
    EXPECT_EQ(get(next)->until, get(id)->until + 1h);
    EXPECT_THAT(ask(more).text, HasSubstr("1 extension"));
    advance(1h);
    EXPECT_NE(use({id}).error, "");
    EXPECT_EQ(use({next}).error, "");
}

TEST_F(oversight, revoking_says_which_extensions_go_on) {
    const policy::opt_out_id id{ask(plain()).id};
    ASSERT_EQ(vote(id, bob()).what, verdict::done);
    auto more = plain();
    more.extends = id;
    const policy::opt_out_id next{ask(more).id};
    ASSERT_EQ(vote(next, carol()).what, verdict::done);

    EXPECT_THAT(revoke(id, bob()).text, EndsWith("; what extends it was not: opt-out " +
                                                 std::to_string(next.value) + " (active)"));
    EXPECT_EQ(get(next)->state, opt_out_state::active);
    EXPECT_THAT(revoke(next, bob()).text, EndsWith(" is revoked"));
}

TEST_F(oversight, extensions_are_counted_along_their_chain_and_while_they_wait) {
    auto rules = strict_rules();
    rules->rules[0].opt_out->max_extensions = 2;
    rules->rules[0].opt_out->per_month.per_person.reset();
    restart(rules);
    const auto extension_of = [&](std::uint64_t id) {
        auto r = plain();
        r.extends = {id};
        return ask(r);
    };
    const auto first = ask(plain()).id;
    ASSERT_EQ(vote(policy::opt_out_id{first}, bob()).what, verdict::done);
    const auto second = extension_of(first).id;
    ASSERT_EQ(vote(policy::opt_out_id{second}, bob()).what, verdict::done);
    const auto third = extension_of(second).id;
    ASSERT_EQ(vote(policy::opt_out_id{third}, bob()).what, verdict::done);

    EXPECT_THAT(extension_of(third).text, HasSubstr("2 extension(s)"));
}

TEST_F(oversight, glass_is_broken_although_others_have_asked_for_all_of_the_quota) {
    for (int i = 0; i < 3; ++i)
        ASSERT_EQ(ask(plain()).what, verdict::done);

    EXPECT_EQ(break_glass().what, verdict::done);
}

TEST_F(oversight, glass_is_not_broken_twice_while_the_first_is_recorded) {
    auto r = plain(20min);
    r.kind = policy::opt_out_kind::break_glass;
    std::promise<answer> first;
    std::promise<answer> second;
    s->request_opt_out(r, "api", [&](answer a) { first.set_value(std::move(a)); });
    s->request_opt_out(r, "console", [&](answer a) { second.set_value(std::move(a)); });

    EXPECT_EQ(first.get_future().get().what, verdict::done);
    EXPECT_EQ(second.get_future().get().what, verdict::invalid);
}

TEST_F(oversight, approver_of_today_alone_does_not_decide_a_request_of_yesterday) {
    const policy::opt_out_id id{ask(plain()).id};
    auto changed = strict_rules();
    changed->rules[0].opt_out->approved_by.groups = {"security", "friends"};
    s->set_rules(changed);
    EXPECT_EQ(vote(id, person("dave", {"friends"})).what, verdict::forbidden);
    EXPECT_EQ(vote(id, bob()).what, verdict::done);
}

TEST_F(oversight, group_opt_out_lets_its_members_pass_and_none_of_them_vote) {
    auto r = plain();
    r.group = "oncall";
    const policy::opt_out_id id{ask(r).id};
    EXPECT_EQ(vote(id, person("erin", {"oncall", "security"})).what, verdict::forbidden);
    EXPECT_EQ(vote(id, bob()).what, verdict::done);
    std::promise<std::string> p;
    s->use({{id}, bypass_by("erin"), person("erin", {"oncall"})},
           [&](const auto&, std::string error) { p.set_value(std::move(error)); });
    EXPECT_EQ(p.get_future().get(), "");
    EXPECT_NE(use({id}, "dave").error, "");
    r.group = "admins";
    EXPECT_THAT(ask(r).text, HasSubstr("no group of yours"));
}

TEST_F(oversight, vote_is_taken_back_until_it_has_led_to_something) {
    restart(pii_rules(2));
    const policy::opt_out_id id{request().id};
    const auto back = [&](const policy::principal& who) {
        std::promise<answer> p;
        s->withdraw_vote(id, who, "api", [&](answer a) { p.set_value(std::move(a)); });
        return p.get_future().get();
    };
    EXPECT_EQ(vote(id, bob()).what, verdict::counted);
    EXPECT_EQ(back(carol()).what, verdict::conflict);
    EXPECT_EQ(back(bob()).what, verdict::done);
    EXPECT_EQ(vote(id, carol()).what, verdict::counted);
    EXPECT_EQ(vote(id, bob()).what, verdict::done);
    EXPECT_EQ(back(bob()).what, verdict::conflict);
    EXPECT_EQ(events()["opt_out.vote_withdrawn"], 1);
}

TEST_F(oversight, flag_is_in_force_at_once_lifted_by_others_and_ends_by_itself) {
    const auto a = restrain(policy::flag_kind::flag, policy::flag_on::principal, "alice");
    ASSERT_EQ(a.what, verdict::done) << a.text;
    ASSERT_EQ(s->grants()->flags.size(), 1u);
    restart(strict_rules());
    ASSERT_EQ(s->grants()->flags.size(), 1u);
    EXPECT_EQ(lift(policy::flag_id{a.id}, alice()).what, verdict::forbidden);
    EXPECT_EQ(lift(policy::flag_id{a.id}, bob()).what, verdict::done);
    EXPECT_TRUE(s->grants()->flags.empty());

    restrain(policy::flag_kind::flag, policy::flag_on::address, "10.0.0.0/8", 30min);
    advance(30min);
    EXPECT_TRUE(s->grants()->flags.empty());
    EXPECT_EQ(events()["flag.ended"], 1);
}

TEST_F(oversight, approval_under_one_flag_does_not_cover_the_next) {
    const auto rules = pii_rules();
    rules->flagged_hold = rules->rules[0].hold;
    restart(rules);
    const auto passes_of = [&](const std::string& who) {
        auto h = wish(who);
        h.rule = policy::flag_rule_id;
        EXPECT_EQ(vote(open(h).id, bob(), true, pass_scope::session).what, verdict::done);
    };
    passes_of("alice");
    passes_of("erin");
    ASSERT_EQ(s->grants()->passes.size(), 2u);
    using enum policy::flag_on;
    ASSERT_EQ(restrain(policy::flag_kind::flag, principal, "alice").what, verdict::done);
    ASSERT_EQ(s->grants()->passes.size(), 1u);
    EXPECT_EQ(s->grants()->passes[0].person, "erin");
    ASSERT_EQ(restrain(policy::flag_kind::flag, application, "psql").what, verdict::done);
    EXPECT_TRUE(s->grants()->passes.empty());
    EXPECT_EQ(events()["pass.ended"], 2);
}

TEST_F(oversight, flag_restrains_even_when_it_cannot_be_recorded_and_is_not_lifted_then) {
    fault.fail_on("");
    const auto a = restrain(policy::flag_kind::lock, policy::flag_on::principal, "alice");
    EXPECT_EQ(a.what, verdict::done);
    EXPECT_THAT(a.text, HasSubstr("cannot be written"));
    ASSERT_EQ(s->grants()->flags.size(), 1u);
    EXPECT_EQ(lift(policy::flag_id{a.id}, bob()).what, verdict::unavailable);
    EXPECT_EQ(s->grants()->flags.size(), 1u);
    fault.clear();
}

TEST_F(oversight, flag_needs_a_reason_an_end_and_a_subject) {
    for (const auto& [on, subject, lasts] :
         {std::tuple{policy::flag_on::principal, "", milliseconds(1h)},
          std::tuple{policy::flag_on::principal, "alice", milliseconds(0)},
          std::tuple{policy::flag_on::principal, "alice", milliseconds(400 * 24h)},
          std::tuple{policy::flag_on::address, "10.1.2.3/8", milliseconds(1h)},
          std::tuple{policy::flag_on::rule, "pii", milliseconds(1h)}})
        EXPECT_EQ(restrain(policy::flag_kind::flag, on, subject, lasts).what, verdict::invalid)
            << subject;
}

TEST_F(oversight, locked_rule_ends_its_opt_outs) {
    const policy::opt_out_id id{ask(plain()).id};
    EXPECT_EQ(vote(id, bob()).what, verdict::done);
    restrain(policy::flag_kind::lock, policy::flag_on::rule, "pii");
    EXPECT_EQ(get(id)->state, opt_out_state::revoked);
    EXPECT_TRUE(s->grants()->opt_outs.empty());
}

TEST_F(oversight, narrower_policy_ends_what_no_longer_fits) {
    const policy::opt_out_id id{ask(plain(3h)).id};
    EXPECT_EQ(vote(id, bob()).what, verdict::done);
    const auto glass = break_glass();
    ASSERT_EQ(glass.what, verdict::done);
    auto narrow = strict_rules();
    narrow->rules[0].opt_out->max_duration = 2h;
    narrow->rules[0].opt_out->break_glass.reset();
    s->set_rules(narrow);
    settle();
    EXPECT_EQ(get(id)->state, opt_out_state::revoked);
    EXPECT_EQ(get(policy::opt_out_id{glass.id})->state, opt_out_state::revoked);
}

}  // namespace
}  // namespace sallyport::proxy::approval::testing
