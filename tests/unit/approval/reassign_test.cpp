#include <algorithm>

#include <gmock/gmock.h>

#include "tests/unit/approval/support.h"

/// A hold that becomes one person's task, and holds whose next approvers are asked.
namespace sallyport::proxy::approval::testing {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

class reassigned : public steward_test {
  protected:
    answer reassign(policy::hold_id id, const policy::principal& who, const policy::principal& to,
                    const std::string& why = "she knows it", bool is_admin = false) {
        std::promise<answer> p;
        s->reassign({id, who, to, why, "api", is_admin},
                    [&](answer a) { p.set_value(std::move(a)); });
        return p.get_future().get();
    }
    steward::asked ask(const policy::hold& h) {
        std::promise<steward::asked> p;
        s->ask(h, 1h, false, [&](steward::asked a) { p.set_value(std::move(a)); });
        return p.get_future().get();
    }
    /// What is told from here on.
    void listen() {
        s->set_routes(
            {{"ops"}, [](const policy::notice&) { return std::vector<std::string>{"ops"}; }});
        settle();
    }
    std::vector<policy::notice> told() {
        std::promise<delivery_work> p;
        s->exchange({{}, {{"ops", 100}}}, [&](delivery_work w) { p.set_value(std::move(w)); });
        std::vector<policy::notice> out;
        for (const auto& d : p.get_future().get().due)
            out.push_back(d.what);
        return out;
    }
};

TEST_F(reassigned, hold_is_the_task_of_one_who_may_decide_it_and_the_others_still_may) {
    const auto h = open(wish());
    EXPECT_EQ(reassign(h.id, bob(), carol()).what, verdict::done);

    const auto got = get(h.id);
    EXPECT_EQ(got->assigned.to, "carol");
    EXPECT_EQ(got->assigned.by, "bob");
    EXPECT_EQ(got->assigned.reason, "she knows it");
    EXPECT_EQ(got->assigned.at, time.now());
    EXPECT_EQ(vote(h.id, bob()).what, verdict::done);
    EXPECT_EQ(get(h.id)->assigned.to, "carol");
    EXPECT_EQ(events()["hold.reassigned"], 1);
}

TEST_F(reassigned, never_to_whom_the_rule_does_not_let_decide) {
    const auto h = open(wish());
    const auto refused = [&](const policy::principal& to) {
        const auto a = reassign(h.id, bob(), to);
        EXPECT_EQ(a.what, verdict::invalid) << to.name;
        return a.text;
    };
    EXPECT_THAT(refused(alice()), HasSubstr("own request"));
    EXPECT_THAT(refused(person("dave", {"dev"})), HasSubstr("not among the approvers"));
    EXPECT_THAT(refused({"ci", {"security"}, true}), HasSubstr("program"));
    EXPECT_EQ(get(h.id)->assigned.to, "");
}

TEST_F(reassigned, approvers_of_birth_and_of_now_count_both) {
    const auto h = open(wish());
    auto rules = std::make_shared<policy::rule_set>(*pii_rules());
    rules->rules[0].hold->who.groups = {"leads"};
    s->set_rules(rules);
    settle();

    const auto erin = person("erin", {"leads"});
    const auto both = person("frank", {"leads", "security"});
    EXPECT_EQ(reassign(h.id, person("root"), erin, "why", true).what, verdict::invalid);
    EXPECT_EQ(reassign(h.id, person("root"), carol(), "why", true).what, verdict::invalid);
    EXPECT_EQ(reassign(h.id, bob(), both).what, verdict::forbidden);
    EXPECT_EQ(reassign(h.id, both, both).what, verdict::done);
}

TEST_F(reassigned, only_by_approvers_and_admins_never_by_its_person) {
    const auto h = open(wish());
    EXPECT_EQ(reassign(h.id, alice(), bob()).what, verdict::forbidden);
    EXPECT_EQ(reassign(h.id, alice(), bob(), "why", true).what, verdict::forbidden);
    EXPECT_EQ(reassign(h.id, person("dave", {"dev"}), bob()).what, verdict::forbidden);
    EXPECT_EQ(reassign(h.id, {"", {"security"}, false}, bob(), "why", true).what,
              verdict::forbidden);
    EXPECT_EQ(reassign(h.id, person("root"), bob(), "why", true).what, verdict::done);
}

TEST_F(reassigned, needs_a_reason_and_something_that_waits_and_changes) {
    const auto h = open(wish());
    EXPECT_EQ(reassign(h.id, bob(), carol(), " \n").what, verdict::invalid);
    EXPECT_EQ(reassign(h.id, bob(), carol(), std::string(4097, 'x')).what, verdict::invalid);
    EXPECT_EQ(reassign(h.id, bob(), carol()).what, verdict::done);
    EXPECT_EQ(reassign(h.id, bob(), carol()).what, verdict::conflict);
    EXPECT_EQ(reassign(h.id, carol(), bob()).what, verdict::done);
    EXPECT_EQ(vote(h.id, bob(), false).what, verdict::done);
    EXPECT_EQ(reassign(h.id, bob(), carol()).what, verdict::conflict);
    EXPECT_EQ(reassign({99}, bob(), carol()).what, verdict::not_found);
}

TEST_F(reassigned, stays_so_over_a_restart) {
    auto h = wish();
    h.session = {};
    const auto id = ask(h).id;
    ASSERT_EQ(reassign(id, bob(), carol()).what, verdict::done);
    restart();
    EXPECT_EQ(get(id)->assigned.to, "carol");
    EXPECT_EQ(reassign(id, bob(), carol()).what, verdict::conflict);
}

TEST_F(reassigned, changes_nothing_while_the_store_cannot) {
    const auto h = open(wish());
    state->broken = true;
    EXPECT_EQ(reassign(h.id, bob(), carol()).what, verdict::unavailable);
    state->broken = false;
    EXPECT_EQ(get(h.id)->assigned.to, "");
}

TEST_F(reassigned, the_person_is_told_and_so_are_the_next_approvers) {
    auto w = wish();
    w.escalate = policy::escalation{5min, {{"erin"}, {"leads"}, 1}};
    const auto h = open(w);
    listen();
    ASSERT_EQ(reassign(h.id, bob(), carol()).what, verdict::done);
    advance(6min);

    // What is about one hold is told in order: the second waits for the first.
    const auto first = told();
    ASSERT_EQ(first.size(), 1u);
    EXPECT_EQ(first[0].event, policy::notice_event::reassigned);
    EXPECT_THAT(first[0].to_users, ElementsAre());  // for routes alone, and not kept
    EXPECT_EQ(first[0].asked, "carol");
    EXPECT_EQ(first[0].by, "bob");
    EXPECT_EQ(first[0].note, "she knows it");
    EXPECT_EQ(first[0].statement, "select ssn from customers where id = $1");
}

TEST_F(reassigned, routes_see_in_person_whom_a_notice_is_for) {
    auto w = wish();
    w.escalate = policy::escalation{5min, {{"erin"}, {"leads"}, 1}};
    const auto h = open(w);
    std::vector<std::string> seen;
    s->set_routes({{"ops"}, [&seen](const policy::notice& n) {
                       std::string line = policy::to_string(n.event);
                       for (const auto& u : n.to_users)
                           line += " " + u;
                       for (const auto& g : n.to_groups)
                           line += " @" + g;
                       seen.push_back(line);
                       return std::vector<std::string>{};
                   }});
    settle();
    ASSERT_EQ(reassign(h.id, bob(), carol()).what, verdict::done);
    advance(6min);
    shut();
    seen.resize(std::min<std::size_t>(seen.size(), 2));  // then it is withdrawn
    EXPECT_THAT(seen, ElementsAre("reassigned carol", "escalated erin @security @leads"));
}

/// What an approver chose to grant is not kept over a restart: then the least of all counts.
TEST_F(reassigned, approval_from_before_a_restart_grants_one_statement_at_most) {
    restart(pii_rules(2));
    auto w = wish("alice", 2);
    w.session = {};
    const auto id = ask(w).id;
    ASSERT_EQ(vote(id, bob()).what, verdict::counted);
    restart(pii_rules(2));
    ASSERT_EQ(vote(id, carol(), true, pass_scope::shape, 30min).what, verdict::done);
    EXPECT_EQ(get(id)->granted, pass_scope::statement);
    EXPECT_TRUE(s->grants()->passes.empty());
}

}  // namespace sallyport::proxy::approval::testing
