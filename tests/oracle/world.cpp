#include "tests/oracle/world.h"

#include <algorithm>
#include <regex>
#include <set>
#include <utility>

#include "tests/oracle/fragments.h"

namespace sallyport::tests::oracle {

namespace {

constexpr int leaf_level = -1;  // tables that nothing hangs on: what hooks of others may read
constexpr int table_level = 0;
constexpr int hook_level = 0;  // hooks use only what is below
const std::string columns = "(id int, k int, x int, secret int)";

bool names_word(const std::string& text, const std::string& word) {
    return std::regex_search(text, std::regex("\\b" + word + "\\b"));
}

}  // namespace

world::world(server_session& session, random_source& random) : random_(random), session_(&session) {
    for (const auto* role : {"oracle_owner", "oracle_app", "oracle_reader"})
        session_->run(std::string{"create role "} + role);
    for (const auto& s : schemas_)
        session_->must("create schema " + s + " authorization oracle_owner");
    session_->must(
        "set role oracle_owner; set client_min_messages = error; "
        "set jit = off; set statement_timeout = 2000");
    tables();
    attachments();
    code();
    rights();
    session_->must("reset role");
}

bool world::make(const std::string& sql) {
    const auto text = plain(sql);
    // A path of its own for each: bodies with bare names are checked under it.
    if (!session_->run(text).fine()) return false;
    script_.push_back(text);
    return true;
}

writer world::at(int level, bool writes) {
    return {names_, random_, {level, writes, true, {}}};
}

const relation_name& world::table(int level_min, bool whole) {
    for (;;) {
        const auto& r = random_.pick(names_.relations);
        const bool table = r.kind == 'r' || r.kind == 'p';
        const bool partition = r.name.find('_') != std::string::npos;
        if (table && r.level >= level_min && !(whole && partition)) return r;
    }
}

void world::tables() {
    const auto add = [&](const std::string& s, const std::string& name, char kind, int level) {
        names_.relations.push_back({s, name, kind, level, level > leaf_level || kind == 'r'});
    };
    for (const auto& s : schemas_) {
        make("create table " + s + ".leaf " + columns);
        make("insert into " + s + ".leaf select i, i, i, i from generate_series(1, 3) i");
        names_.relations.push_back({s, "leaf", 'r', leaf_level, false});
    }
    for (int i = 0; i < 5; ++i)
        for (const auto& s : schemas_) {
            if (random_.percent(25)) continue;
            const auto name = "t" + std::to_string(i);
            const auto t = s + "." + name;
            if (random_.percent(20)) {
                make("create table " + t + columns + " partition by list (k)");
                make("create table " + t + "_a partition of " + t + " for values in (0, 1)");
                make("create table " + schema() + "." + name + "_" + s + " partition of " + t +
                     " default partition by range (id)");
                const auto sub = script_.back();
                const auto deep = sub.substr(13, sub.find(' ', 13) - 13);
                make("create table " + t + "_b partition of " + deep + " default");
                add(s, name, 'p', table_level);
                add(s, name + "_a", 'r', table_level);
                add(s, name + "_b", 'r', table_level);
                add(deep.substr(0, deep.find('.')), deep.substr(deep.find('.') + 1), 'p',
                    table_level);
            } else {
                make("create table " + t + columns);
                add(s, name, 'r', table_level);
                if (random_.percent(20)) {
                    const auto child = schema();
                    make("create table " + child + "." + name + "_" + s + " () inherits (" + t +
                         ")");
                    make("insert into " + child + "." + name + "_" + s + " values (8, 1, 8, 8)");
                    add(child, name + "_" + s, 'r', table_level);
                }
            }
            make("insert into " + t + " select i, i % 3, i, i from generate_series(1, 4) i");
        }
    // Keys with every action.
    make("create table alpha.up (id int primary key, k int unique, x int, secret int)");
    make(
        "create table beta.down (id int, k int references alpha.up on delete cascade on update "
        "cascade, x int, secret int)");
    make(
        "create table gamma.away (id int, k int references alpha.up (k) on delete set null, x "
        "int references alpha.up, secret int)");
    make("insert into alpha.up select i, i, i, i from generate_series(0, 9) i");
    make("insert into beta.down select i, i, i, i from generate_series(0, 5) i");
    for (const auto& [s, name] : std::vector<std::pair<std::string, std::string>>{
             {"alpha", "up"}, {"beta", "down"}, {"gamma", "away"}})
        add(s, name, 'r', table_level);
}

// What runs without being named: policies, defaults, checks, domains, generated columns, indexes.
void world::attachments() {
    const auto leaf = [&] { return schema() + ".leaf"; };
    const auto named = [&](const std::string& name) { return schema() + "." + name; };
    for (int i = 0; i < 3; ++i) {
        const auto s = schema();
        const auto n = "hook" + std::to_string(i);
        if (make("create function " + s + "." + n + "(p int) returns int language " +
                 (random_.percent(50)
                      ? "sql stable as $b$ select p + count(*)::int from " + leaf() + " $b$"
                      : "plpgsql stable as $b$ begin return p + (select count(*) from " + leaf() +
                            "); end $b$")))
            names_.scalars.push_back({s, n, leaf_level, ""});
    }
    const auto hook = [&] { return random_.pick(names_.scalars).qualified(); };
    make(
        "create function alpha.told_immutable(p int) returns int immutable language plpgsql as "
        "$b$ begin return p + (select count(*) from gamma.leaf); end $b$");
    for (const auto& d : {"d0", "d1"}) {
        const auto name = named(d);
        if (make("create domain " + name + " as int check (" + hook() + "(value) is not null)"))
            names_.wrappers.push_back({"(", ")::" + name + "::int"});
    }
    if (make("create type alpha.pair as (a int, b int)") &&
        make("create function beta.of_pair(p alpha.pair) returns int language sql as $b$ select "
             "p.a + count(*)::int from " +
             leaf() + " $b$") &&
        make("create cast (alpha.pair as int) with function beta.of_pair(alpha.pair)"))
        names_.wrappers.push_back({"((", ", 1)::alpha.pair)::int"});
    for (const auto* op : {"+++", "<->"}) {
        const auto f = named("op_" + std::to_string(names_.operators.size()));
        if (make("create function " + f +
                 "(a int, b int) returns int language sql as $b$ select "
                 "a + b + count(*)::int from " +
                 leaf() + " $b$") &&
            make(std::string{"create operator alpha."} + op +
                 " (leftarg = int, rightarg = int, "
                 "function = " +
                 f + ")"))
            names_.operators.emplace_back(op);
    }
    for (int i = 0; i < 9; ++i) {
        const auto t = table(table_level, true).qualified();
        switch (random_.below(9)) {
            case 0:
                make("alter table " + t + " alter secret set default " + hook() + "(1)");
                break;
            case 1:
                make("alter table " + t + " add check (" + hook() + "(x) > -9999999)");
                break;
            case 2:
            case 3:
                make("alter table " + t + " enable row level security");
                make("create policy p" + std::to_string(i) + " on " + t +
                     " using (x > -9999999 "
                     "or exists (select from " +
                     leaf() + " l where l.id = " + t.substr(t.find('.') + 1) + ".secret))");
                if (random_.percent(30))
                    make("create policy q" + std::to_string(i) + " on " + t +
                         " for insert with "
                         "check (" +
                         hook() + "(x) is not null)");
                break;
            case 4:
                make("alter table " + t + " add g" + std::to_string(i) +
                     " int generated always as (alpha.told_immutable(secret)) stored");
                break;
            case 5:
                make("create index on " + t + " (alpha.told_immutable(x))");
                break;
            case 6:
                make("alter table " + t + " alter x type " +
                     (names_.wrappers.empty() ? "int" : schema() + ".d0"));
                break;
            default:
                make("create statistics " + schema() + ".s" + std::to_string(i) +
                     " on (alpha.told_immutable(x)), k from " + t);
        }
    }
}

void world::code() {
    for (int level = 1; level <= 4; ++level) {
        for (const auto& s : schemas_) {
            const auto n = std::to_string(level);
            if (random_.percent(60) && make("create view " + s + ".v" + n +
                                            (random_.percent(50) ? " with "
                                                                   "(security_invoker)"
                                                                 : "") +
                                            " as " + at(level).query(2)))
                names_.relations.push_back({s, "v" + n, 'v', level, false});
            if (random_.percent(15) &&
                make("create materialized view " + s + ".m" + n + " as " + at(level).query(2)))
                names_.relations.push_back({s, "m" + n, 'm', level, false});
            if (random_.percent(25)) {
                // A view that can be written through.
                const auto& t = table(table_level, false);
                if (make("create view " + s + ".u" + n + " as select id, k, x, secret from " +
                         t.qualified()))
                    names_.relations.push_back({s, "u" + n, 'v', level, true});
            }
            const auto f = s + ".f" + n;
            const auto head = "create function " + f + "(p int) returns int ";
            // Bare names in a body mean what they mean to whoever runs it.
            const auto path = random_.percent(40) ? schemas_ : std::vector<std::string>{};
            writer w{names_, random_, {level, false, true, path}};
            std::string body;
            switch (random_.below(4)) {
                case 0:
                    body = "language sql stable as $b$ " + w.column(2) + " $b$";
                    break;
                case 1:
                    body = "language sql return coalesce((" + at(level).column(2) + "), p)";
                    break;
                default:
                    body = "language plpgsql as $b$ " + w.plpgsql(false, "return n;") + " $b$";
                    if (random_.percent(25)) body += " security definer";
                    if (random_.percent(25)) body += " set search_path = gamma, beta, alpha";
            }
            if (make("set check_function_bodies = off; " + head + body))
                names_.scalars.push_back({s, "f" + n, level, ""});
            if (random_.percent(35)) {
                const auto set = s + ".s" + n;
                const auto q = at(level).query(2);
                const std::string head2 = "create function " + set +
                                          "(p int) returns table (id int, k int, x int, secret "
                                          "int) ";
                if (make(head2 + (random_.percent(60)
                                      ? "language sql as $b$ " + q + " $b$"
                                      : "language plpgsql as $b$ #variable_conflict "
                                        "use_column\nbegin return query " +
                                            q + "; end $b$")))
                    names_.sets.push_back({s, "s" + n, level, ""});
            }
            if (random_.percent(30)) {
                const auto& t = table(table_level, false);
                if (make("create function " + s + ".r" + n + "(p " + t.qualified() +
                         ") returns int language sql as $b$ select p.secret + (" +
                         at(level).column(1) + ") $b$"))
                    names_.of_rows.push_back({s, "r" + n, level, t.qualified()});
            }
            if (random_.percent(20) &&
                make("create function " + s + ".step" + n +
                     "(a int, b int) returns int language sql as $b$ select a + coalesce(b, 0) + "
                     "coalesce((" +
                     at(level).column(1) + "), 0) $b$") &&
                make("create aggregate " + s + ".agg" + n + "(int) (sfunc = " + s + ".step" + n +
                     ", stype = int, initcond = '0')"))
                names_.aggregates.push_back({s, "agg" + n, level, ""});
            if (random_.percent(30) && make("create function " + s + ".w" + n +
                                            "(p int) returns int language plpgsql as "
                                            "$b$ " +
                                            at(level, true).plpgsql(true, "return n;") + " $b$"))
                names_.writers.push_back({s, "w" + n, level, ""});
            if (random_.percent(20) &&
                make("create procedure " + s + ".c" + n + "(p int) language plpgsql as $b$ " +
                     at(level, true).plpgsql(true, "return;") + " $b$"))
                names_.procedures.push_back({s, "c" + n, level, ""});
        }
    }
    make(
        "create function alpha.late_trigger() returns trigger language plpgsql as $b$ begin "
        "perform count(*) from beta.leaf; return new; end $b$");
    // Triggers write to the leaves, on which nothing hangs, so that they end.
    for (int i = 0; i < 5; ++i) {
        const auto t = table(table_level, false).qualified();
        const auto f = schema() + ".trigger" + std::to_string(i);
        const auto target = schema() + ".leaf";
        const bool row = random_.percent(60);
        const std::vector<std::string> does{
            "insert into " + target + " values (1, 2, 3, 4);",
            "update " + target + " set x = (" + at(hook_level).column(1) + ");",
            "perform count(*) from " + target + ";"};
        const auto set = random_.percent(25) ? " set search_path = beta" : "";
        make("create function " + f + "() returns trigger language plpgsql" + set +
             " as $b$ "
             "begin " +
             random_.pick(does) + " return " + (row ? "coalesce(new, old)" : "null") + "; end $b$");
        static const std::vector<std::string> events{"insert", "update", "delete",
                                                     "insert or update or delete"};
        make("create trigger trigger" + std::to_string(i) +
             (row ? random_.percent(50) ? " before " : " after " : " after ") +
             random_.pick(events) + " on " + t + " for each " + (row ? "row" : "statement") +
             " execute function " + f + "()");
    }
    for (int i = 0; i < 2; ++i) {
        const auto t = table(table_level, true).qualified();
        static const std::vector<std::string> events{"insert", "update", "delete"};
        make("create rule rule" + std::to_string(i) + " as on " + random_.pick(events) + " to " +
             t + " do also insert into " + schema() + ".leaf values (5, (" +
             at(hook_level).column(1) + "), 5, 5)");
    }
    for (const auto& r : std::vector<relation_name>{names_.relations}) {
        if (r.kind != 'v' || r.writable || !random_.percent(15)) continue;
        const auto f = schema() + ".instead_" + r.name;
        const auto target = schema() + ".leaf";
        if (make("create function " + f +
                 "() returns trigger language plpgsql as $b$ begin "
                 "insert into " +
                 target + " values (6, 6, 6, 6); return new; end $b$") &&
            make("create trigger instead instead of insert or update or delete on " +
                 r.qualified() + " for each row execute function " + f + "()"))
            for (auto& same : names_.relations)
                if (same.qualified() == r.qualified()) same.writable = true;
    }
}

void world::rights() {
    for (const auto& s : schemas_) {
        session_->must("grant all on schema " + s + " to oracle_app, oracle_reader");
        session_->must("grant all on all tables in schema " + s + " to oracle_app");
        session_->must("grant delete, truncate, trigger on all tables in schema " + s +
                       " to oracle_reader");
    }
    for (const auto& r : names_.relations) {
        session_->must("grant select (id, k, x), insert (id, k, x), update (id, k, x) on " +
                       r.qualified() + " to oracle_reader");
        for (int i = 0; i < 9; ++i)
            session_->run("grant select (g" + std::to_string(i) + ") on " + r.qualified() +
                          " to oracle_reader");
    }
}

void world::change(server_session& session) {
    session_ = &session;
    session_->must("set role oracle_owner");
    for (int i = 0; i < 4; ++i) {
        auto& r = names_.relations[random_.below(names_.relations.size())];
        if (r.schema == "pg_temp" || r.level == leaf_level) continue;
        const bool view = r.kind == 'v' || r.kind == 'm';
        const std::string what = r.kind == 'v'   ? "view "
                                 : r.kind == 'm' ? "materialized view "
                                                 : "table ";
        if (random_.percent(50)) {
            const auto name = "n" + std::to_string(random_.below(1'000'000));
            if (make("alter " + what + r.qualified() + " rename to " + name)) r.name = name;
        } else if (random_.percent(60)) {
            const auto to = schema();
            if (make("alter " + what + r.qualified() + " set schema " + to)) r.schema = to;
        } else if (view && r.kind == 'v' && !r.writable) {
            make("create or replace view " + r.qualified() + " as " + at(r.level).query(2));
        }
    }
    session_->must("reset role");
}

std::string world::definitions_behind(const std::string& text) const {
    std::string out;
    std::set<std::size_t> shown;
    std::string known = text;
    for (bool more = true; more;) {
        more = false;
        for (std::size_t i = 0; i < script_.size(); ++i) {
            const auto& sql = script_[i];
            if (sql.starts_with("insert") || shown.contains(i)) continue;
            static const std::regex object(
                std::string(R"((?:create|alter|on|to) (?:\w+ )*?)") +
                R"((?:table|view|function|procedure|aggregate|domain|type|operator|on|to) )" +
                R"(([a-z]+)\.([a-z0-9_]+|[-+<>]+))");
            std::smatch m;
            if (!std::regex_search(sql, m, object)) continue;
            const auto name = m[2].str();
            const bool symbol = name.find_first_of("+-<>") != std::string::npos;
            if (symbol ? known.find(name) == std::string::npos : !names_word(known, name)) continue;
            shown.insert(i);
            known += "\n" + sql;
            out += "  " + sql + ";\n";
            more = true;
        }
    }
    return out;
}

}  // namespace sallyport::tests::oracle
