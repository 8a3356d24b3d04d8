#include <algorithm>
#include <random>
#include <string>
#include <vector>

#include <gtest/gtest.h>
#include <pqxx/pqxx>

#include "policy/sql/analyse.h"
#include "tests/support/postgres_server.h"

/// The columns that the analysis tells, against the server's own column privileges: what it refuses
/// to a role without rights on one column must be told to mention that column.
namespace sallyport::tests {
namespace {

/// Random statements over the tables a and b with the columns id, k, x, secret, all integers. Names
/// are reused on purpose: aliases that hide tables, subqueries that reach outwards.
class generator {
  public:
    explicit generator(std::uint64_t seed) : random_(seed) {}

    std::string statement() {
        scope_.clear();
        rarity_ = 9;
        switch (below(14)) {
            case 10:
            case 11:
            case 12:
            case 13:
                return shadow();
            case 0:
                return with() + insert();
            case 1:
                return with() + update();
            case 2:
                return with() + remove();
            case 3:
                return merge();
            default:
                return with() + select(3, 0);
        }
    }

  private:
    std::size_t below(std::size_t n) {
        return std::uniform_int_distribution<std::size_t>{0, n - 1}(random_);
    }
    bool once_in(std::size_t n) { return below(n) == 0; }
    std::string one_of(const std::vector<std::string>& list) { return list.at(below(list.size())); }

    // Rare, so that many statements stay without it.
    std::string column() { return once_in(rarity_) ? "secret" : one_of({"id", "k", "x"}); }
    std::string alias() { return one_of({"a", "b", "c"}); }
    std::string name_in_scope() { return scope_.empty() || once_in(6) ? alias() : one_of(scope_); }
    std::string table() {
        std::string name = one_of({"a", "a", "b"});
        return once_in(4) ? "public." + name : name;
    }

    std::string value(int depth) {
        switch (depth <= 0 ? below(6) : below(12)) {
            case 0:
                return std::to_string(below(9));
            case 1:
            case 2:
                return column();
            case 3:
            case 4:
            case 5:
                return name_in_scope() + "." + column();
            case 6:
                return "(" + select(depth - 1, 1) + " limit 1)";
            case 7:
                return "coalesce(" + value(depth - 1) + ", " + value(depth - 1) + ")";
            case 8:
                return "(case when " + condition(depth - 1) + " then " + value(depth - 1) +
                       " else 0 end)";
            case 9:
                return once_in(2) ? "length(" + name_in_scope() + "::text)"
                                  : "(" + name_in_scope() + ")." + column();
            case 10:
                return once_in(2) ? "num_nulls(" + name_in_scope() + ")"
                                  : "num_nulls(" + name_in_scope() + ".*)";
            default:
                return "(" + value(depth - 1) + " + " + value(depth - 1) + ")";
        }
    }

    std::string condition(int depth) {
        switch (depth <= 0 ? below(3) : below(7)) {
            case 0:
                return "true";
            case 1:
            case 2:
                return value(depth - 1) + " = " + value(depth - 1);
            case 3:
                return "exists (" + select(depth - 1, 1) + ")";
            case 4:
                return value(depth - 1) + " in (" + select(depth - 1, 1) + ")";
            case 5:
                return name_in_scope() + " is not null";
            default:
                return "not (" + condition(depth - 1) + ")";
        }
    }

    std::string item(int depth) {
        const std::string name = alias();
        switch (depth <= 0 ? below(3) : below(8)) {
            case 0:
            case 1: {
                const std::string of = table();
                scope_.push_back(of.substr(of.size() - 1));
                return of;
            }
            case 2:
                scope_.push_back(name);
                return table() + " " + name;
            case 3: {
                const std::string of = table();
                scope_.push_back(name);
                return of + " as " + name + (once_in(3) ? "(secret, x, k, id)" : "");
            }
            case 4: {
                const std::string q = select(depth - 1, 0);
                scope_.push_back(name);
                return (once_in(2) ? "lateral (" : "(") + q + ") " + name;
            }
            case 5:
                return join(depth - 1);
            case 6: {
                const std::string j = join(depth - 1);
                scope_.push_back(name);
                return "(" + j + ") " + name + (once_in(4) ? "(secret, x, k, id)" : "");
            }
            default: {
                const std::string v = value(0);
                scope_.push_back(name);
                return "generate_series(1, " + v + ") " + name + "(k)";
            }
        }
    }

    std::string join(int depth) {
        const std::string left = item(depth);
        const std::string right = item(depth);
        switch (below(5)) {
            case 0:
                return left + " natural join " + right;
            case 1:
                return left + " join " + right + " using (" + column() + ")";
            case 2:
                return left + " cross join " + right;
            default:
                return left + (once_in(2) ? " left" : "") + " join " + right + " on " +
                       condition(depth - 1);
        }
    }

    std::string from(int depth) {
        std::string out = item(depth);
        while (once_in(3))
            out += ", " + item(depth);
        return out;
    }

    /// `columns` 0: any number of them.
    std::string select(int depth, int columns) {
        const auto outer = scope_;
        const std::string items = once_in(12) ? "" : " from " + from(depth - 1);
        std::string list;
        if (columns == 0 && once_in(6))
            list = once_in(2) || scope_.empty() ? "*" : name_in_scope() + ".*";
        else
            list = value(depth - 1) + " as " + column();
        if (columns == 0 && once_in(2)) list += ", " + value(depth - 1);
        std::string out = "select " + std::string{once_in(9) ? "distinct " : ""} + list + items;
        if (once_in(2)) out += " where " + condition(depth - 1);
        if (once_in(5)) out += " order by " + value(0);
        scope_ = outer;
        if (columns == 1 && once_in(12)) out += " union all " + select(depth - 1, 1);
        return columns == 1 && out.find(" union ") != std::string::npos
                   ? "select * from (" + out + ") u"
                   : out;
    }

    /// A subquery whose names may be those of the query around it.
    std::string shadow() {
        rarity_ = 4;
        scope_ = {alias()};
        const std::string outer = scope_.front();
        const std::string inner = alias();
        const std::string hidden = "(" + table() + " " + alias() + " cross join b " + alias() + ")";
        const std::string joined = "b d join b e on " + alias() + "." + column() + " = 1";
        std::string items = once_in(2) ? hidden + " j" : joined + ", " + table() + " " + inner;
        if (once_in(3)) items += ", (select " + alias() + "." + column() + ") f";
        return "select (select " + alias() + "." + column() + " from " + items +
               " limit 1) from a " + outer;
    }

    std::string with() {
        return once_in(5) ? "with " + alias() + " as (" + select(2, 0) + ") " : "";
    }

    std::string returning() {
        if (!once_in(3)) return "";
        return " returning " + (once_in(5) ? "*" : value(1));
    }

    std::string insert() {
        const std::string of = one_of({"a", "a", "b"});
        std::string out = "insert into " + of;
        const bool named = once_in(4);
        if (named) out += " as t";
        const std::string target = column();
        if (!once_in(8)) out += " (" + target + ")";
        out += " " + (once_in(2) ? "values (" + value(2) + ")" : select(2, 1));
        scope_ = {named ? "t" : of, "excluded"};
        if (once_in(2)) {
            out += once_in(2) ? " on conflict do nothing"
                              : " on conflict (id) do update set " + column() + " = " + value(2) +
                                    (once_in(2) ? " where " + condition(1) : "");
        }
        return out + returning();
    }

    std::string update() {
        const std::string of = one_of({"a", "a", "b"});
        scope_ = {of};
        std::string items = once_in(2) ? " from " + from(1) : "";
        std::string out = "update " + of + " set ";
        out += once_in(4) ? "(k, " + one_of({"x", "id", "secret"}) + ") = (" + select(2, 1) + ")"
                          : column() + " = " + value(2);
        out += items;
        if (once_in(2)) out += " where " + condition(2);
        return out + returning();
    }

    std::string remove() {
        scope_ = {"a"};
        std::string out = "delete from a" + (once_in(2) ? " using " + from(1) : "");
        if (!once_in(4)) out += " where " + condition(2);
        return out + returning();
    }

    std::string merge() {
        scope_ = {"t"};
        std::string out = "merge into a t using " + item(1) + " on " + condition(1);
        if (once_in(2))
            out += " when matched and " + condition(1) + " then update set " + column() + " = " +
                   value(1);
        if (once_in(3)) out += " when not matched then insert (id, k) values (1, " + value(1) + ")";
        return out + " when matched then do nothing";
    }

    std::mt19937_64 random_;
    std::size_t rarity_ = 9;
    std::vector<std::string> scope_;
};

enum class answer { runs, refused, invalid };

answer ask(pqxx::connection& connection, const std::string& sql) {
    pqxx::nontransaction t{connection};
    try {
        t.exec("explain " + sql);  // plans and checks rights, runs nothing
        return answer::runs;
    } catch (const pqxx::insufficient_privilege&) {
        return answer::refused;
    } catch (const pqxx::sql_error&) {
        return answer::invalid;
    }
}

/// Would a rule on the column a.secret match?
bool mentions_secret(const std::string& sql) {
    const auto f = policy::sql::analyse(sql, {});
    for (const auto& s : f->statements) {
        if (s.has(policy::kind::opaque)) return true;
        for (const auto& r : s.relations)
            if (r.name == "a" &&
                (r.columns.empty() || std::ranges::find(r.columns, "secret") != r.columns.end()))
                return true;
    }
    return false;
}

TEST(columns, of_random_statements_are_at_least_those_that_the_server_wants_rights_for) {
    auto& server = postgres_server::shared();
    const std::string database = server.create_shop();
    server.query(database,
                 "create table public.a (id int primary key, k int, x int, secret int);"
                 "create table public.b (id int primary key, k int, x int, secret int);"
                 "create role column_reader;"
                 "grant select (id, k, x), insert (id, k, x), update (id, k, x), delete on a "
                 "to column_reader; grant all on b to column_reader");
    const std::uint64_t seed = std::random_device{}();
    SCOPED_TRACE("seed " + std::to_string(seed));
    generator statements{seed};
    std::size_t runs = 0, refused = 0, free_of_it = 0;
    {
        pqxx::connection app{server.connection_string(database)};
        pqxx::nontransaction{app}.exec("set role column_reader");
        for (int i = 0; i < 20'000; ++i) {
            const std::string sql = statements.statement();
            const answer a = ask(app, sql);
            if (a == answer::invalid) continue;
            const bool mentioned = mentions_secret(sql);
            runs += a == answer::runs;
            refused += a == answer::refused;
            free_of_it += a == answer::runs && !mentioned;
            EXPECT_TRUE(a == answer::runs || mentioned) << sql;
        }
    }
    server.drop_database(database);
    server.query("postgres", "drop role column_reader");

    // The test is about something, and the analysis does not just say "all columns".
    EXPECT_GT(refused, 300u);
    EXPECT_GT(free_of_it, runs / 2);
    RecordProperty("runs", static_cast<int>(runs));
    RecordProperty("refused", static_cast<int>(refused));
    RecordProperty("free", static_cast<int>(free_of_it));
}

}  // namespace
}  // namespace sallyport::tests
