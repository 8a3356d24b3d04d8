#include "proxy/explain.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "policy/load.h"
#include "proxy/explain_parts.h"

namespace sallyport::proxy {
namespace {

using admin::explained;
using nlohmann::json;
using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

using state = admin::explained_catalog::state;

constexpr const char* policy_text = R"(
version: 1
default: allow
opaque: deny
resources:
  pii: { target: shop, relations: ["pii.*"] }
  payroll: { target: hr }
rules:
  - { id: no-ddl, tier: 10, do: [ddl], effect: deny }
  - { id: dba-may, tier: 15, who: { groups: [dba] }, on: [pii], do: [read], effect: allow,
      reason: tested, review_by: 2126-12-31 }
  - { id: hold-pii, tier: 20, on: [pii], do: [read], effect: hold,
      hold: { approvers: { groups: [security] } } }
  - { id: allow-pii, tier: 20, on: [pii], do: [read], effect: allow,
      reason: tested, review_by: 2126-12-31 }
  - { id: late, tier: 30, on: [pii], do: [read], effect: deny }
  - { id: nights, tier: 30, on: [pii], effect: deny, when: { hours: "Mon-Fri 01:00-02:00" } }
  - { id: hr, tier: 30, on: [payroll], do: [read], effect: deny }
)";

/// A shop with pii.customers, and public.ids, a view of it.
struct world {
    settings config;
    auth::user_directory users;
    policy::rule_set_ptr rules;
    explain_catalog catalog;

    world() {
        const auto loaded = policy::load_policy_text(policy_text, "policy.yaml", {});
        for (const auto& f : loaded.faults)
            ADD_FAILURE() << policy::to_string(f);
        rules = loaded.rules;
        target_settings t;
        t.name = "shop";
        t.dbname = "shop";
        t.login.user = "app";
        t.catalog.emplace();
        config.targets.emplace("shop", t);
        policy::catalog::rows r;
        r.database = "shop";
        r.server_version = 150004;
        r.schemas = {{11, "pg_catalog"}, {2200, "public"}, {16'400, "pii"}};
        r.relations.resize(2);
        r.relations[0].id = 17'000;
        r.relations[0].schema = 16'400;
        r.relations[0].name = "customers";
        r.relations[0].columns = {{"id", 23, false}, {"ssn", 25, false}};
        r.relations[1].id = 17'001;
        r.relations[1].schema = 2200;
        r.relations[1].name = "ids";
        r.relations[1].kind = 'v';
        r.relations[1].definition = "SELECT id FROM pii.customers";
        catalog.about.how = state::followed;
        catalog.about.server = "127.0.0.1:5432";
        catalog.newest = policy::catalog::build(std::move(r));
    }
    [[nodiscard]] explained ask(const std::string& sql,
                                const std::vector<std::string>& groups = {"dev"}) const {
        admin::explain_question q;
        q.user = "alice";
        q.groups = groups;
        q.target = "shop";
        q.sql = sql;
        q.sees_all = true;
        return explain({config, users, *rules, policy::instant(std::chrono::hours(10))}, catalog,
                       q);
    }
};

std::string state_of(const explained& e, const std::string& rule) {
    for (const auto& r : e.rules)
        if (r.id == rule) return r.state;
    return "";
}
std::vector<std::string> why_of(const explained& e, const std::string& rule) {
    for (const auto& r : e.rules)
        if (r.id == rule) return r.why;
    return {};
}

TEST(Explain, EveryRuleSaysHowItStandsAndWhy) {
    const world w;
    const auto e = w.ask("select id from ids");

    EXPECT_EQ(e.effect, policy::effect::hold);
    EXPECT_EQ(e.rule, "hold-pii");
    EXPECT_EQ(state_of(e, "hold-pii"), "decides");
    EXPECT_THAT(why_of(e, "hold-pii"), ElementsAre("read of pii.customers"));
    EXPECT_EQ(state_of(e, "allow-pii"), "yields");
    EXPECT_EQ(state_of(e, "late"), "late");
    EXPECT_THAT(why_of(e, "no-ddl"), ElementsAre("do: only ddl"));
    EXPECT_THAT(why_of(e, "dba-may"), ElementsAre("who: in none of the groups dba"));
    EXPECT_THAT(why_of(e, "nights"), ElementsAre(HasSubstr("when: only in Mon-Fri 01:00-02:00")));
    EXPECT_THAT(why_of(e, "hr"), ElementsAre("on: nothing of this target (payroll)"));
}

TEST(Explain, EarlierTierLeavesTheOthersLate) {
    const world w;
    const auto e = w.ask("select id from ids", {"dba"});

    EXPECT_EQ(e.effect, policy::effect::allow);
    EXPECT_EQ(state_of(e, "dba-may"), "decides");
    EXPECT_EQ(state_of(e, "hold-pii"), "late");
    EXPECT_TRUE(e.statements.at(0).relations.at(0).rules.empty());
}

TEST(Explain, WhatTheTextNamesAndWhatItReachesAreToldApart) {
    const world w;
    const auto e = w.ask("select id from ids");

    ASSERT_EQ(e.statements.size(), 1U);
    const auto& r = e.statements[0].relations;
    ASSERT_EQ(r.size(), 2U);
    EXPECT_EQ(r[0].name, "customers");
    EXPECT_EQ(r[0].road, "view public.ids");
    EXPECT_FALSE(r[0].named);
    EXPECT_THAT(r[0].rules, ElementsAre("hold-pii"));
    EXPECT_EQ(r[1].name, "ids");
    EXPECT_EQ(r[1].place, "from");
    EXPECT_TRUE(r[1].named);
    EXPECT_TRUE(r[1].road.empty());
}

TEST(Explain, TokensComeFirstAndTellNoLiteral) {
    const world w;
    const auto e = w.ask("SELECT /* 4711 */ \"Id\" FROM ids WHERE id = 4711 AND x <> 'secret'");
    EXPECT_EQ(e.token_count, 13U);
    ASSERT_EQ(e.tokens.size(), 13U);
    EXPECT_STREQ(e.tokens[1].kind, "comment");
    EXPECT_EQ(e.tokens[2].text, "\"Id\"");
    EXPECT_STREQ(e.tokens[8].kind, "integer");
    EXPECT_EQ(e.tokens[8].at, 43U);
    EXPECT_STREQ(e.tokens[12].kind, "string");
    const auto text = format_explained(e);
    EXPECT_THAT(text, HasSubstr("SELECT <comment> \"Id\" FROM ids WHERE id = <integer>"));
    for (const auto* literal : {"4711", "secret"}) {
        EXPECT_THAT(text, Not(HasSubstr(literal)));
        EXPECT_THAT(admin::explained_json(e), Not(HasSubstr(literal)));
    }
    const auto many = w.ask("SELECT 1" + std::string(3'000, '+') + "1");
    EXPECT_LE(many.tokens.size(), 500U);
    EXPECT_EQ(w.ask("SELECT 'open").tokens.size(), 2U);
}

TEST(Explain, WhatASessionMadeIsNotKnown) {
    const world w;
    for (const char* sql : {"execute p", "fetch c", "commit prepared 't'"}) {
        const auto e = w.ask(sql);
        EXPECT_EQ(e.rule, "opaque") << sql;
        EXPECT_THAT(e.notes, testing::Contains(HasSubstr("a session that has just begun"))) << sql;
    }
    const auto e = w.ask("prepare p as select id from ids; execute p");
    EXPECT_EQ(e.rule, "hold-pii");
}

TEST(Explain, WhatThePolicyAnswersForIsNotOpaque) {
    world w;
    policy::catalog::rows r;
    r.database = "shop";
    r.schemas = {{11, "pg_catalog"}, {2200, "public"}};
    r.functions.resize(1);
    r.functions[0].id = 17'000;
    r.functions[0].schema = 2200;
    r.functions[0].name = "f";
    r.functions[0].language = "plperl";
    w.catalog.newest = policy::catalog::build(std::move(r));
    EXPECT_EQ(w.ask("select f()").rule, "opaque");

    const auto rules = policy::load_policy_text(
        "version: 1\ndefault: allow\nopaque: hold\nharmless: { languages: [plperl] }\nrules: []\n",
        "policy.yaml", {});
    ASSERT_TRUE(rules.rules) << policy::to_string(rules.faults.at(0));
    w.rules = rules.rules;

    EXPECT_EQ(w.ask("select f()").effect, policy::effect::allow);
}

TEST(Explain, RoleWithoutApprovalIsSaid) {
    world w;
    w.config.targets.at("shop").unapproved_role = "app_min";
    EXPECT_THAT(w.ask("select 1").notes, testing::Contains(HasSubstr("runs as the role app_min")));
}

TEST(Explain, PathComesFromTheNearestSetting) {
    policy::catalog::rows r;
    r.database = "shop";
    r.schemas = {{11, "pg_catalog"}, {2200, "public"}, {1, "app"}, {2, "crm"}, {3, "pii"}};
    const auto from = [&](std::optional<std::string> given = {}) {
        return path_of_session(r, {"app", "app"}, given);
    };

    EXPECT_THAT(from().schemas, ElementsAre("pg_catalog", "app", "public"));
    r.settings.push_back({"", false, "search_path", "crm"});
    EXPECT_THAT(from().schemas, ElementsAre("pg_catalog", "crm"));
    r.settings.push_back({"", true, "search_path", "pii"});
    EXPECT_EQ(from().from, "the setting of database shop");
    r.settings.push_back({"other", true, "search_path", "public"});
    EXPECT_THAT(from().schemas, ElementsAre("pg_catalog", "pii"));
    r.settings.push_back({"app", false, "search_path", "crm, pg_catalog, \"$user\""});
    EXPECT_THAT(from().schemas, ElementsAre("crm", "pg_catalog", "app"));
    r.settings.push_back({"app", true, "search_path", "\"PII\", pii"});
    EXPECT_THAT(from().schemas, ElementsAre("pg_catalog", "pii"));
    EXPECT_EQ(from().from, "the setting of role app in database shop");
    EXPECT_THAT(from("public").schemas, ElementsAre("pg_catalog", "public"));
    EXPECT_THAT(path_of_session(r, {"app", "crm"}, "\"$user\"").schemas,
                ElementsAre("pg_catalog", "crm"));
}

TEST(Explain, LinesKeepToEightyColumns) {
    const world w;
    for (const char* sql : {"select id from ids", "select * from nowhere",
                            "create table x (a int); do $$ begin end $$", "execute p", "selct"}) {
        const auto text = format_explained(w.ask(sql));
        std::size_t begin = 0;
        while (begin < text.size()) {
            const auto end = text.find('\n', begin);
            const auto line = text.substr(begin, end - begin);
            std::size_t characters = 0;
            for (const char c : line)
                characters += (static_cast<unsigned char>(c) & 0xC0U) == 0x80U ? 0 : 1;
            EXPECT_LE(characters, 80U) << line;
            begin = end + 1;
        }
    }
}

TEST(Explain, JsonHasTheDocumentedMembers) {
    const world w;
    const auto a = json::parse(admin::explained_json(w.ask("select id from ids")));

    for (const char* key : {"effect", "rule", "reasons", "facts", "policy", "as", "on", "at",
                            "text", "catalog", "search_path", "statements", "rules", "default",
                            "opaque", "message", "hold", "notes", "cut"})
        EXPECT_TRUE(a.contains(key)) << key;
    EXPECT_EQ(a.size(), 19U);
    EXPECT_EQ(a.at("hold").at("approvers").at("groups"), json::array({"security"}));
    EXPECT_EQ(a.at("catalog").at("server_version"), 150004);
    EXPECT_EQ(a.at("at"), "1970-01-01T10:00:00.000Z");
    const auto session = json::parse(admin::explained_json(w.ask("")));
    EXPECT_TRUE(session.at("text").is_null());
    EXPECT_EQ(session.at("statements"), json::array());
}

TEST(Explain, HostileNamesAreWrittenOutAndBounded) {
    const world w;
    std::string sql = "select * from \"a\x1b[31m\xE2\x80\xAE\"";
    for (int i = 0; i < 5'000; ++i)
        sql += ", \"t\xC2\x9B" + std::to_string(i) + "\"";
    const auto e = w.ask(sql);

    const auto text = format_explained(e);
    EXPECT_LT(text.size(), 40'000U);
    EXPECT_THAT(text, Not(HasSubstr("\x1b")));
    EXPECT_THAT(text, Not(HasSubstr("\xE2\x80\xAE")));
    EXPECT_THAT(text, Not(HasSubstr("\xC2\x9B")));
    EXPECT_THAT(text, HasSubstr("\\x1b[31m\\u{202e}"));
    const auto j = admin::explained_json(e);
    EXPECT_LT(j.size(), 1U << 20U);
    EXPECT_THAT(j, Each(testing::AllOf(testing::Ge(' '), testing::Le('~'))));
    EXPECT_TRUE(json::parse(j).at("cut"));
}

TEST(Explain, WhatARuleGuardsIsShownHoweverLongTheListIs) {
    const world w;
    std::string sql = "select 1 from pg_class";
    for (int i = 0; i < 2'000; ++i)
        sql += ", t" + std::to_string(i);
    const auto e = w.ask(sql + ", pii.customers");

    EXPECT_THAT(format_explained(e), HasSubstr("read    pii.customers"));
    EXPECT_THAT(admin::explained_json(e), HasSubstr(R"("name":"customers")"));
}

TEST(Explain, BytesThatAreNoTextAreAnswered) {
    const world w;
    for (const auto& sql :
         {std::string("\xff\xfe"), std::string("select '\0'", 10), std::string(5U << 20U, 'x')}) {
        const auto e = w.ask(sql);
        EXPECT_EQ(e.effect, policy::effect::deny);
        EXPECT_EQ(e.rule, "opaque");
        EXPECT_TRUE(json::accept(admin::explained_json(e)));
        EXPECT_LT(format_explained(e).size(), 10'000U);
    }
}

TEST(Explain, CatalogThatIsOnlyTheReadersIsNotToldToWhoMayNotComeIn) {
    world w;
    const auto rules = policy::load_policy_text(
        "version: 1\ndefault: allow\nopaque: hold\nrules:\n  - { id: out, tier: 1, do: [connect], "
        "effect: deny }\n",
        "policy.yaml", {});
    ASSERT_TRUE(rules.rules);
    w.rules = rules.rules;
    admin::explain_question q;
    q.user = "alice";
    q.groups = {"dev"};
    q.target = "shop";
    q.sql = "select id from ids";
    const auto e = explain({w.config, w.users, *w.rules, policy::instant(std::chrono::hours(10))},
                           w.catalog, q);

    EXPECT_EQ(e.catalog.how, state::off);
    EXPECT_THAT(admin::explained_json(e), Not(HasSubstr("customers")));
}

}  // namespace
}  // namespace sallyport::proxy
