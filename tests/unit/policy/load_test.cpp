#include "policy/load.h"

#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "policy/sha256.h"
#include "tests/unit/policy/files.h"

namespace sallyport::policy {
namespace {

using namespace std::chrono_literals;
using testing::AllOf;
using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

std::vector<std::string> warnings_of(const std::string& rules, const known_names& known = {}) {
    const bool says_opaque = rules.find("opaque:") != std::string::npos;
    const std::string head =
        "version: 1\ndefault: allow\n"
        "tests: [{as: a, on: shop, expect: allow}]\n";
    const auto l =
        load_policy_text(head + (says_opaque ? "" : "opaque: deny\n") + rules, "p.yaml", known);
    EXPECT_TRUE(l.rules) << (l.faults.empty() ? "" : to_string(l.faults[0]));
    std::vector<std::string> out;
    for (const auto& w : l.warnings)
        out.push_back(w.what);
    return out;
}

TEST(loaded_policy, example_of_the_design_becomes_typed_values) {
    const auto p = tests::load_sound(tests::read_text(tests::source_path("config/policy.yaml")));
    const auto* r = p->find_rule("pii-needs-approval");

    ASSERT_NE(r, nullptr);
    EXPECT_EQ(r->tier, 20);
    EXPECT_FALSE(r->connect_scope);
    EXPECT_EQ(r->hold->wait, 15min);
    EXPECT_EQ(r->hold->pass.shape, 30min);
    EXPECT_EQ(r->hold->pass.transaction, std::nullopt);
    EXPECT_EQ(r->opt_out->max_duration, 4h);
    EXPECT_EQ(r->opt_out->max_uses, 200U);
    EXPECT_EQ(r->opt_out->review_within, 72h);
    EXPECT_TRUE(p->find_rule("payroll-sessions")->connect_scope);
    EXPECT_EQ(p->opaque_effect, effect::hold);
    EXPECT_EQ(p->hash, sha256_hex(tests::read_text(tests::source_path("config/policy.yaml"))));
}

TEST(loaded_policy, rules_are_sorted_by_tier_and_keep_their_order_within) {
    const auto p = tests::load_sound(R"({version: 1, default: allow, rules: [
        {id: c, tier: 2, effect: allow}, {id: a, tier: 1, effect: allow},
        {id: d, tier: 2, effect: allow}, {id: b, effect: allow}]})");

    std::vector<std::string> ids;
    for (const auto& r : p->rules)
        ids.push_back(r.id);
    EXPECT_THAT(ids, ElementsAre("b", "a", "c", "d"));
}

TEST(loaded_policy, json_is_accepted) {
    EXPECT_TRUE(
        load_policy_text(R"({"version": 1, "default": "deny", "rules": []})", "p.json", {}).rules);
}

TEST(loaded_policy, kinds_commands_and_any_are_told_apart) {
    const auto p = tests::load_sound(
        "{version: 1, default: allow, rules: [{id: a, effect: deny, do: [copy-program, create "
        "table]},"
        "{id: b, effect: deny, do: any}]}");

    EXPECT_THAT(p->rules[0].kinds, ElementsAre(kind::copy_program));
    EXPECT_THAT(p->rules[0].commands, ElementsAre("create table"));
    EXPECT_EQ(p->rules[1].kinds.size(), kind_count - 1);
    EXPECT_FALSE(p->rules[1].connect_scope);
}

TEST(lint, rule_behind_a_wider_one_is_reported) {
    EXPECT_THAT(
        warnings_of("rules: [{id: wide, tier: 1, effect: deny, do: [ddl, grant]},"
                    "{id: narrow, tier: 2, effect: allow, who: {groups: [dba]}, do: [ddl]}]"),
        ElementsAre(AllOf(HasSubstr("'narrow' never decides"), HasSubstr("'wide'"))));
}

TEST(lint, weaker_rule_of_the_same_tier_is_reported) {
    EXPECT_THAT(
        warnings_of(
            "rules: [{id: weak, effect: allow, do: [ddl]}, {id: strong, effect: deny, do: [ddl]}]"),
        ElementsAre(HasSubstr("'weak' never decides")));
}

TEST(lint, rule_that_still_has_something_to_decide_is_not_reported) {
    for (const char* first : {"when: {hours: \"08:00-18:00\"}", "who: {groups: [dev]}",
                              "who: {not: {users: [bob]}}", "do: [grant]"})
        EXPECT_THAT(warnings_of("rules: [{id: a, tier: 1, effect: deny, " + std::string(first) +
                                "}, {id: b, tier: 2, effect: deny, do: [ddl]}]"),
                    IsEmpty())
            << first;
}

TEST(lint, whole_schema_does_not_shadow_a_table_that_may_be_named_without_it) {
    const char* text = R"(
resources:
  schema: { target: shop, relations: ["pii.*"] }
  table: { target: shop, relations: ["pii.cards"] }
rules:
  - { id: a, tier: 1, on: [schema], effect: deny }
  - { id: b, tier: 2, on: [table], effect: deny }
)";
    EXPECT_THAT(warnings_of(text), IsEmpty());
}

TEST(lint, unused_resource_is_reported) {
    EXPECT_THAT(warnings_of("resources: {r: {target: shop}}\nrules: []"),
                Contains(HasSubstr("'r' is used by no rule")));
}

TEST(lint, kinds_that_concern_no_relation_never_match_a_resource_of_relations) {
    EXPECT_THAT(warnings_of("resources: {r: {target: shop, relations: [t]}}\n"
                            "rules: [{id: a, effect: deny, on: [r], do: [connect, show]}]"),
                Contains(HasSubstr("can never match")));
}

TEST(lint, policy_that_lets_nobody_connect_is_reported) {
    const auto l = load_policy_text(
        "{version: 1, default: deny, rules: [{id: a, do: [read], effect: allow}]}", "p", {});
    ASSERT_FALSE(l.warnings.empty());
    EXPECT_THAT(to_string(l.warnings[0]), HasSubstr("nobody can connect"));
}

TEST(lint, opaque_that_nobody_can_approve_is_reported) {
    EXPECT_THAT(warnings_of("opaque: hold\nrules: []"),
                Contains(HasSubstr("nobody can approve it")));
    EXPECT_THAT(warnings_of("opaque: allow\nrules: []"), Contains(HasSubstr("pass")));
}

TEST(lint, command_that_others_can_carry_is_reported) {
    EXPECT_THAT(warnings_of("rules: [{id: a, do: [delete], effect: deny}]"),
                ElementsAre(HasSubstr("another command can carry")));
    EXPECT_THAT(warnings_of("rules: [{id: a, do: [delete, write], effect: deny}]"), IsEmpty());
    EXPECT_THAT(warnings_of("rules: [{id: a, do: [truncate], effect: deny}]"), IsEmpty());
}

TEST(lint, application_name_is_nothing_to_trust) {
    EXPECT_THAT(
        warnings_of("rules: [{id: a, do: [ddl], who: {applications: [flyway]}, effect: allow}]"),
        ElementsAre(HasSubstr("application_name")));
}

TEST(lint, approvers_of_whom_one_is_missing_are_reported) {
    auto known = tests::known_people();
    const auto with = [&](const std::string& approvers) {
        return warnings_of(
            "rules: [{id: a, do: [ddl], effect: hold, hold: {approvers: {" + approvers + "}}}]",
            known);
    };

    EXPECT_THAT(with("groups: [security]"), IsEmpty());
    EXPECT_THAT(with("groups: [security], approvals: 2"),
                ElementsAre(HasSubstr("can never be approved")));
    EXPECT_THAT(with("groups: [oncall]"), ElementsAre(HasSubstr("can never be approved")));
    EXPECT_THAT(with("groups: [security, securty]"),
                ElementsAre(HasSubstr("did you mean security?")));
    EXPECT_THAT(with("groups: [security], users: [bop]"),
                ElementsAre(HasSubstr("did you mean bob?")));
}

TEST(load, programs_vote_where_they_are_named_as_programs_and_review_nowhere) {
    const auto faults_of = [&](const std::string& approvers, const std::string& review = "") {
        std::string all;
        for (const auto& f :
             load_policy_text("version: 1\ndefault: allow\nopaque: deny\nrules: [{id: a, do: "
                              "[ddl], effect: hold, "
                              "hold: {approvers: {" +
                                  approvers +
                                  "}}, opt_out: {approvers: {users: [bob]}, max_duration: 1h" +
                                  review + "}}]",
                              "p.yaml", tests::known_people())
                 .faults)
            all += to_string(f) + "\n";
        return all;
    };

    EXPECT_EQ(faults_of("services: [ci]"), "");
    EXPECT_EQ(faults_of("users: [bob], services: [ci], approvals: 2"), "");
    EXPECT_THAT(faults_of("services: [ci], approvals: 2"), HasSubstr("only 1 user(s) are named"));
    EXPECT_THAT(faults_of("services: [ic]"), HasSubstr("did you mean ci?"));
    EXPECT_THAT(faults_of("services: [bob]"), HasSubstr("a person is named in 'users'"));
    EXPECT_THAT(faults_of("users: [ci]"), HasSubstr("unstaffed"));
    EXPECT_THAT(faults_of("users: [bob]", ", review: {within: 1h, approvers: {services: [ci]}}"),
                HasSubstr("reviewed by persons"));
}

TEST(lint, unknown_persons_of_a_rule_are_reported) {
    EXPECT_THAT(warnings_of("rules: [{id: a, do: [ddl], who: {groups: [devs]}, effect: deny}]",
                            tests::known_people()),
                ElementsAre(HasSubstr("did you mean dev?")));
}

TEST(schemas, editors_know_every_kind_that_the_loader_knows) {
    const auto schema = tests::read_text(tests::source_path("config/policy.schema.json"));

    for (std::size_t i = 0; i < kind_count; ++i)
        EXPECT_THAT(schema, HasSubstr("\"" + std::string(to_string(static_cast<kind>(i))) + "\""));
}

}  // namespace
}  // namespace sallyport::policy
