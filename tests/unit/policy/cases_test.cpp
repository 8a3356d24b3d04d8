#include <algorithm>
#include <map>
#include <optional>
#include <sstream>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "policy/commands.h"
#include "policy/decide.h"
#include "policy/load.h"
#include "policy/loader.h"
#include "policy/sql/analyse.h"
#include "tests/unit/policy/files.h"

/// Tables of cases beside their policies: tests/data/policy/NAME.yaml and NAME.cases.
namespace sallyport::policy {
namespace {

const instant monday_noon = *parse_instant("2026-03-02T12:00:00Z");

std::vector<std::string> words(const std::string& text, char separator) {
    std::vector<std::string> out;
    std::istringstream in(text);
    for (std::string w; std::getline(in, w, separator);)
        if (!w.empty()) out.push_back(w);
    return out;
}

std::string trimmed(std::string s) {
    while (!s.empty() && s.back() == ' ')
        s.pop_back();
    s.erase(0, std::min(s.find_first_not_of(' '), s.size()));
    return s;
}

/// Reads one table and says of each line whether decide() agrees.
class case_table {
  public:
    explicit case_table(const rule_set& p) : p_(p) {}

    void line(const std::string& text) {
        std::istringstream in(text);
        std::string first;
        if (!(in >> first) || first.front() == '#') return;
        std::string second;
        in >> second;
        std::string rest;
        std::getline(in, rest);
        if (first == "person") {
            groups_[second] = words(trimmed(rest), ',');
        } else if (first == "target") {
            who_.target = second;
        } else if (first == "path") {
            who_.search_path_schemas = words(second, ',');
        } else {
            judge(first, second, trimmed(rest));
        }
    }
    [[nodiscard]] int cases() const { return cases_; }

  private:
    void judge(const std::string& expectation, const std::string& rule, const std::string& rest) {
        ++cases_;
        const auto blank = rest.find(' ');
        auto sql = trimmed(rest.substr(std::min(blank, rest.size())));
        auto now = monday_noon;
        if (const auto at = sql.rfind(" @"); at != std::string::npos) {
            const auto when = parse_instant(trimmed(sql.substr(at + 2)));
            ASSERT_TRUE(when) << rest;
            now = *when;
            sql = trimmed(sql.substr(0, at));
        }
        who_.principal.name = rest.substr(0, blank);
        ASSERT_TRUE(groups_.contains(who_.principal.name)) << rest;
        who_.principal.groups = groups_[who_.principal.name];

        facts_ptr f;
        if (sql != "(session)") f = sql::analyse(sql, {});
        decide_options o;
        o.explain = true;
        const auto d = decide(p_, who_, f.get(), {}, now, o);

        const auto wanted = rule == "-" ? std::string(default_rule_id) : rule;
        std::string why;
        for (const auto& r : d.reasons)
            why += "\n    " + r;
        EXPECT_TRUE(to_string(d.effect) == expectation && d.rule_id == wanted)
            << expectation << "  " << rule << "  " << rest << "\n  gets " << to_string(d.effect)
            << " by " << d.rule_id << why;
    }

    const rule_set& p_;
    subject who_;
    std::map<std::string, std::vector<std::string>> groups_;
    int cases_ = 0;
};

TEST(policy_cases, every_line_of_every_table_is_decided_as_it_says) {
    const auto tables = tests::data_files("policy", ".cases");
    ASSERT_GE(tables.size(), 2U);

    for (const auto& path : tables) {
        auto policy = path;
        policy.replace_extension(".yaml");
        const auto loaded = load_policy(policy, {});
        ASSERT_TRUE(loaded.rules) << policy << ": "
                                  << (loaded.faults.empty() ? "" : to_string(loaded.faults[0]));

        case_table table(*loaded.rules);
        std::istringstream in(tests::read_text(path));
        int number = 0;
        for (std::string line; std::getline(in, line);) {
            SCOPED_TRACE(path.filename().string() + ":" + std::to_string(++number));
            table.line(line);
        }
        EXPECT_GE(table.cases(), 10) << path;
    }
}

TEST(example_policy, loads_without_a_fault_and_passes_its_own_tests) {
    known_names known;
    known.targets = {"shop", "hr"};
    known.users = {"alice", "bob", "carol", "dave", "dba"};
    known.groups = {"dev", "oncall", "security", "hr-owners", "dba"};
    known.members = {{"dev", {"alice", "bob", "carol"}},
                     {"oncall", {"alice"}},
                     {"security", {"bob", "carol"}},
                     {"hr-owners", {"carol", "dave"}},
                     {"dba", {"dba"}}};

    const auto loaded = load_policy(tests::source_path("config/policy.yaml"), known);

    for (const auto& f : loaded.faults)
        ADD_FAILURE() << to_string(f);
    ASSERT_TRUE(loaded.rules);
    EXPECT_GE(loaded.rules->tests.size(), 10U);
    for (const auto& f : run_policy_tests(*loaded.rules, monday_noon))
        ADD_FAILURE() << to_string(f);
}

TEST(policy_tests, failing_test_is_reported_at_its_place_with_what_happened) {
    const auto p = tests::load_sound(
        "version: 1\ndefault: allow\nrules: [{id: a, do: [ddl], effect: deny}]\ntests:\n"
        "  - { as: alice, on: shop, sql: 'drop table t', expect: allow }\n"
        "  - { as: alice, on: shop, sql: 'drop table t', expect: deny, rule: default }\n"
        "  - { as: alice, on: shop, sql: 'drop table t', expect: deny, rule: a }\n");

    const auto faults = run_policy_tests(*p, monday_noon);

    ASSERT_EQ(faults.size(), 2U);
    EXPECT_EQ(faults[0].line, 5);
    EXPECT_EQ(faults[0].column, 5);
    EXPECT_NE(faults[0].what.find("expects allow but gets deny by a"), std::string::npos)
        << faults[0].what;
    EXPECT_NE(faults[1].what.find("expects deny by default but gets deny by a"), std::string::npos);
}

TEST(command_words, every_command_of_the_analysis_is_one_that_rules_can_name) {
    const std::vector<std::pair<std::string, std::string>> statements{
        {"select", "select 1"},
        {"insert", "insert into t values (1)"},
        {"update", "update t set a = 1"},
        {"delete", "delete from t"},
        {"truncate", "truncate t"},
        {"copy", "copy t to stdout"},
        {"merge", "merge into t using u on true when matched then delete"},
        {"explain", "explain select 1"},
        {"create table as", "create table t as select 1"},
        {"select into", "select 1 into t"},
        {"create table", "create table t (a int)"},
        {"alter table", "alter table t add b int"},
        {"alter table", "alter table t rename to u"},
        {"alter view", "alter view v set schema s"},
        {"alter index", "alter index i owner to bob"},
        {"drop table", "drop table t"},
        {"drop view", "drop view v"},
        {"create view", "create view v as select 1"},
        {"create function", "create function f() returns int language sql as 'select 1'"},
        {"create procedure", "create procedure f() language sql as 'select 1'"},
        {"create aggregate", "create aggregate a(int) (sfunc = f, stype = int)"},
        {"grant", "grant select on t to bob"},
        {"revoke", "revoke select on t from bob"},
        {"grant", "grant a to b"},
        {"revoke", "revoke a from b"},
        {"create user", "create user bob"},
        {"drop role", "drop role bob"},
        {"begin", "start transaction"},
        {"end", "end"},
        {"abort", "abort"},
        {"rollback to", "rollback to s"},
        {"set", "set a.b = 1"},
        {"reset", "reset a.b"},
        {"discard", "discard all"},
        {"declare", "declare c cursor for select 1"},
        {"fetch", "fetch c"},
        {"move", "move c"},
        {"close", "close c"},
        {"prepare", "prepare p as select 1"},
        {"execute", "execute p"},
        {"deallocate", "deallocate p"},
        {"listen", "listen a"},
        {"notify", "notify a"},
        {"lock", "lock table t"},
        {"show", "show a.b"},
        {"vacuum", "vacuum t"},
        {"analyze", "analyze t"},
        {"reindex", "reindex table t"},
        {"do", "do 'x'"},
        {"call", "call p()"},
        {"comment", "comment on table t is 'x'"},
        {"alter system", "alter system set a = 1"},
        {"refresh materialized view", "refresh materialized view v"},
        {"alter role", "alter role bob superuser"},
        {"load", "load 'x'"},
        {"alter user", "alter user bob set a.b = 1"}};

    for (const auto& [word, sql] : statements) {
        const auto* w = find_command(word);
        ASSERT_NE(w, nullptr) << word;
        const auto f = sql::analyse(sql, {});
        ASSERT_EQ(f->statements.size(), 1U) << sql;

        EXPECT_NE(speaks_of(*w, f->statements[0].command), truth::no)
            << word << " and " << f->statements[0].command << " (" << sql << ")";
    }
}

TEST(command_words, each_speaks_of_its_own_command_and_of_what_can_do_the_same) {
    struct expectation {
        std::string word;
        std::string sql;
        truth is;
    };
    const std::vector<expectation> rows{
        {"drop table", "drop table t", truth::yes},
        {"drop table", "drop view t", truth::no},
        {"drop", "drop view t", truth::yes},
        {"drop domain", "drop type t", truth::unknown},
        {"drop function", "drop routine f", truth::unknown},
        {"drop trigger", "drop trigger x on t", truth::yes},
        {"alter table", "alter table t rename to u", truth::yes},
        {"alter table", "alter table t rename column a to b", truth::yes},
        {"alter table", "alter table t rename constraint a to b", truth::yes},
        {"alter table", "alter table t set schema s", truth::yes},
        {"alter table", "alter table t owner to bob", truth::yes},
        {"alter table", "alter table all in tablespace a set tablespace b", truth::yes},
        {"alter table", "alter view v rename to u", truth::no},
        {"alter table", "alter index t rename to u", truth::unknown},
        {"alter view", "alter view v rename column a to b", truth::yes},
        {"alter view", "alter table v rename to u", truth::unknown},
        {"alter type", "alter type t rename attribute a to b", truth::yes},
        {"alter domain", "alter domain d rename constraint a to b", truth::yes},
        {"alter function", "alter function f() depends on extension e", truth::yes},
        {"alter procedure", "alter procedure f() security definer", truth::yes},
        {"create function", "create procedure f() language sql as ''", truth::no},
        {"create aggregate", "create aggregate a(int) (sfunc = f, stype = int)", truth::yes},
        {"create operator", "create operator + (function = f)", truth::yes},
        {"grant", "revoke select on t from bob", truth::no},
        {"revoke", "revoke a from b", truth::yes},
        {"create user", "create role bob", truth::yes},
        {"end", "commit", truth::yes},
        {"lock", "lock t", truth::yes},
    };

    for (const auto& row : rows) {
        const auto* w = find_command(row.word);
        ASSERT_NE(w, nullptr) << row.word;
        const auto f = sql::analyse(row.sql, {});
        ASSERT_EQ(f->statements.size(), 1U) << row.sql;

        EXPECT_EQ(speaks_of(*w, f->statements[0].command), row.is)
            << row.word << " and " << f->statements[0].command << " (" << row.sql << ")";
    }
}

}  // namespace
}  // namespace sallyport::policy
