#include <string>
#include <utility>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "policy/load.h"
#include "proxy/policy_replay.h"

/// Recorded decisions under a candidate policy.
namespace sallyport::proxy {
namespace {

using fields = std::vector<std::pair<std::string, std::string>>;
using testing::ElementsAre;
using testing::HasSubstr;

const std::string head = R"yaml(
version: 1
default: allow
resources:
  pii: { target: shop, relations: ["pii.*"] }
rules:
)yaml";
const std::string held =
    "  - { id: pii, on: [pii], effect: hold, hold: { approvers: { groups: [security] } } }\n";
const std::string denied = "  - { id: no-pii, on: [pii], effect: deny }\n";

policy::rule_set_ptr load(const std::string& rules) {
    auto l = policy::load_policy_text(head + rules, "p.yaml", {});
    for (const auto& f : l.faults)
        ADD_FAILURE() << policy::to_string(f);
    return l.rules;
}

audit::parsed_line record(const std::string& event, const std::string& statement,
                          fields more = {}) {
    static std::uint64_t number = 0;
    audit::parsed_line line;
    line.sequence = ++number;
    line.time = "2026-03-02T12:00:00." + std::to_string(100 + number % 900) + "Z";
    line.event = event;
    line.fields = {{"user", "alice"},        {"groups", "dev, oncall"},
                   {"address", "10.0.0.1"},  {"application", "psql"},
                   {"session", "7"},         {"target", "shop"},
                   {"statement", statement}, {"statement_sha256", statement}};
    line.fields.insert(line.fields.end(), more.begin(), more.end());
    return line;
}

replay_report replayed(const std::string& rules, const std::vector<audit::parsed_line>& lines,
                       const policy::rule_set* in_force = nullptr) {
    const auto candidate = load(rules);
    replayer r({*candidate, in_force, nullptr});
    for (const auto& line : lines)
        r.take(line);
    return r.finish();
}

const auto pii = "select ssn from pii.customers where id = ?";

TEST(replay, tells_what_becomes_stricter_looser_and_stays) {
    const auto r = replayed(
        denied,
        {record("hold.opened", pii, {{"rule", "pii"}}),
         record("decision.denied", "drop table ?", {{"rule", "no-ddl"}, {"effect", "deny"}}),
         record("decision.denied", "drop table t", {{"rule", "no-ddl"}, {"effect", "deny"}}),
         record("decision.allowed", "select ?", {{"rule", "x"}})});

    EXPECT_EQ(r.records, 4U);
    EXPECT_EQ(r.counts.at(replay_verdict::stricter), 1U);
    EXPECT_EQ(r.counts.at(replay_verdict::looser), 1U);
    EXPECT_EQ(r.counts.at(replay_verdict::same), 1U);
    EXPECT_EQ(r.counts.at(replay_verdict::unknown), 1U);
    ASSERT_EQ(r.rows.size(), 3U);
    EXPECT_EQ(r.rows[0].what, replay_verdict::looser);
    EXPECT_EQ(r.rows[0].person, "alice");
    EXPECT_EQ(r.rows[1].before, (policy::outcome{policy::effect::hold, "pii"}));
    EXPECT_EQ(r.rows[1].after, (policy::outcome{policy::effect::deny, "no-pii"}));
    EXPECT_THAT(r.rows[1].examples, ElementsAre(HasSubstr(std::string("on shop: ") + pii)));
}

TEST(replay, counts_a_hold_and_its_release_once) {
    const auto r = replayed(denied, {record("hold.opened", pii, {{"rule", "pii"}, {"hold", "3"}}),
                                     record("hold.released", pii, {{"rule", "pii"}, {"hold", "3"}}),
                                     record("hold.released", pii, {{"rule", "pii"}, {"hold", "3"}}),
                                     record("hold.vote", pii, {{"hold", "3"}})});

    EXPECT_EQ(r.counts.at(replay_verdict::stricter), 2U);  // the second release is of a later use
}

TEST(replay, counts_what_was_observed_by_what_was_decided) {
    const auto r = replayed(
        held, {record("decision.observed", pii,
                      {{"rule", "watch"}, {"decided", "allow"}, {"decided_by", "default"}}),
               record("decision.observed", pii,
                      {{"rule", "watch"}, {"decided", "allow"}, {"granted", "opt_out"}}),
               record("decision.observed", pii, {{"rule", "watch"}, {"decided", "hold"}})});

    EXPECT_EQ(r.counts.at(replay_verdict::stricter), 1U);
    EXPECT_EQ(r.rows.at(0).before.rule, "default");
}

TEST(replay, bypass_was_a_hold) {
    const auto r = replayed(held, {record("bypass", pii, {{"rule", "pii"}})});

    EXPECT_EQ(r.counts.at(replay_verdict::same), 1U);
}

TEST(replay, groups_are_those_of_the_record) {
    const auto r =
        replayed("  - { id: oncall, who: { groups: [oncall] }, on: [pii], effect: deny }",
                 {record("decision.allowed", pii)});

    EXPECT_EQ(r.counts.at(replay_verdict::stricter), 1U);
}

TEST(replay, without_groups_it_is_unknown) {
    auto line = record("decision.allowed", pii);
    std::erase_if(line.fields, [](const auto& f) { return f.first == "groups"; });

    const auto r = replayed(denied, {line});

    EXPECT_EQ(r.counts.at(replay_verdict::unknown), 1U);
    EXPECT_THAT(r.rows.at(0).why, HasSubstr("does not say the groups"));
}

TEST(replay, opening_a_session_has_no_statement) {
    auto line = record("decision.denied", "", {{"rule", "shut"}, {"effect", "deny"}});
    std::erase_if(line.fields, [](const auto& f) { return f.first == "statement"; });

    const auto r = replayed(held, {line});

    EXPECT_EQ(r.counts.at(replay_verdict::looser), 1U);
    EXPECT_THAT(r.rows.at(0).examples, ElementsAre(HasSubstr("opening a session")));
}

TEST(replay, what_the_text_alone_does_not_explain_is_unknown) {
    const auto in_force = load(held);
    const auto by_view = record("hold.opened", "select * from public.directory",
                                {{"rule", "pii"}, {"policy", in_force->hash}});

    const auto r = replayed(denied, {by_view}, in_force.get());

    EXPECT_EQ(r.counts.at(replay_verdict::unknown), 1U);
    EXPECT_THAT(r.rows.at(0).why, HasSubstr("the catalog or the session counted"));
}

TEST(redacted_facts, are_those_of_the_text_where_literals_do_not_count) {
    const auto f = facts_of_redacted("select * from pii.t where a = ? and b in (?, ?) limit ?");

    ASSERT_NE(f, nullptr);
    ASSERT_EQ(f->statements.size(), 1U);
    ASSERT_EQ(f->statements[0].relations.size(), 1U);
    EXPECT_EQ(f->statements[0].relations[0].name, "t");
}

TEST(redacted_facts, are_none_where_they_cannot_be_known) {
    EXPECT_EQ(facts_of_redacted("<FunctionCall>"), nullptr);
    EXPECT_EQ(facts_of_redacted("<unparsable, 12 bytes>"), nullptr);
    EXPECT_EQ(facts_of_redacted("set search_path = ?"), nullptr);
    EXPECT_EQ(facts_of_redacted("do ?"), nullptr);
    EXPECT_EQ(facts_of_redacted("execute p"), nullptr);
}

}  // namespace
}  // namespace sallyport::proxy
