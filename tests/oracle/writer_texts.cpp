#include "tests/oracle/fragments.h"
#include "tests/oracle/writer.h"

// Whole texts: statements of every kind, and bodies of functions.
namespace sallyport::tests::oracle {

std::string writer::step(bool writes, int depth) {
    switch (random_.below(writes ? 9 : 6)) {
        case 0:
            return "n := " + value(depth) + ";";
        case 1:
            return "select " + value(depth) + " into n;";
        case 2:
            return "for r in " + query(depth) + " loop n := n + coalesce(r.x, 0); end loop;";
        case 3: {
            const auto& t = readable();
            return "n := count(*) from " + name(t) + ";";
        }
        case 4:
            return "if " + condition(depth) + " then n := 1; else n := 2; end if;";
        case 5:
            if (percent(10)) return "execute 'select 1' into n;";
            return "perform " + value(depth) + ";";
        default:
            return change(depth) + ";";
    }
}

std::string writer::plpgsql(bool writes, const std::string& result) {
    std::string out = "declare n int := 0; r record; ";
    if (percent(15)) out += "c cursor for " + query(1) + "; ";
    const bool cursor = out.find("cursor") != std::string::npos;
    if (percent(15)) {
        for (int i = 0; i < 20; ++i) {
            const auto& t = readable();
            if (t.kind != 'r' || t.schema == "pg_temp") continue;
            out += "t " + name(t) + "%rowtype; ";
            break;
        }
    }
    out += "begin ";
    if (cursor) out += "open c; fetch c into r; close c; ";
    const auto steps = 1 + random_.below(3);
    for (std::size_t i = 0; i < steps; ++i)
        out += step(writes, 1) + " ";
    if (percent(10))
        out += "begin " + step(writes, 1) + " exception when others then n := 9; end; ";
    return out + result + " end";
}

std::string writer::definition() {
    const relation_name* t = nullptr;
    for (int i = 0; i < 50 && t == nullptr; ++i) {
        const auto& r = random_.pick(world_.relations);
        if (r.schema != "pg_temp" && (r.kind == 'r' || r.kind == 'p')) t = &r;
    }
    if (t == nullptr) return "select 1";
    const auto n = name(*t);
    const auto id = std::to_string(random_.below(1'000'000));
    scope_.clear();
    const auto f = [&]() -> std::string {
        const auto* s = one_of(world_.scalars);
        return s == nullptr ? "abs" : name(*s);
    };
    switch (random_.below(24)) {
        case 0:
            return "create table alpha.made" + id + " as " + query(2);
        case 1:
            return "create temp table made" + id + " as " + query(2);
        case 2: {
            const auto v = "made" + id;
            return "create temp view " + v + " as " + query(2) + "; select * from " + v;
        }
        case 3: {
            const auto v = "alpha.made" + id;
            return "create function " + v + "(p int) returns int language sql as $b$ " + column(2) +
                   " $b$; select " + v + "(1)";
        }
        case 4: {
            const auto v = "alpha.made" + id;
            return "create function " + v + "(p int) returns int language plpgsql as $b$ " +
                   plpgsql(true, "return n;") + " $b$; select " + v + "(1)";
        }
        case 5:
            return "alter table " + n + " add column made int default " + f() + "(1)";
        case 6:
            return "alter table " + n + " alter column x type bigint using " + f() + "(x)";
        case 7:
            return "alter table " + n + " add check (" + f() + "(x) is not null)";
        case 8:
            return "truncate " + std::string{percent(50) ? "only " : ""} + n + " cascade";
        case 9:
            return "drop table " + n + " cascade";
        case 10:
            return "lock table " + n + " in share mode";
        case 11:
            return "analyze " + n;
        case 12:
            return "create table alpha.made" + id + " (like " + n +
                   " including all); insert into alpha.made" + id + " (id, k, x) values (1, 1, 1)";
        case 13:
            return "create table alpha.made" + id + " () inherits (" + n + "); select * from " +
                   "alpha.made" + id;
        case 14:
            return "alter table " + n + " rename to made" + id + "; select * from " + t->schema +
                   ".made" + id;
        case 15:
            return "create materialized view alpha.made" + id + " as " + query(2) +
                   "; refresh materialized view alpha.made" + id;
        case 16:
            for (const auto& r : world_.relations)
                if (r.kind == 'm' && percent(40)) return "refresh materialized view " + name(r);
            return "refresh materialized view alpha.none";
        case 17:
            return "create trigger made before insert or update on " + n +
                   " for each row execute function alpha.late_trigger(); insert into " + n +
                   " (id, k, x) values (" + id + ", 1, 1)";
        case 18:
            return "create rule made as on insert to " + n + " do also " + change(1) +
                   "; insert into " + n + " (id, k, x) values (" + id + ", 1, 1)";
        case 19:
            return "set local search_path = gamma, beta, alpha; " + query(1);
        case 20:
            return "reindex table " + n;
        case 21:
            return "create statistics alpha.made" + id + " on (x + 1), (k + 1) from " + n +
                   "; analyze " + n;
        case 22:
            return "alter table " + n + " set schema gamma; " + query(1);
        default:
            return "create index on " + n + " ((alpha.told_immutable(x)))";
    }
}

std::string writer::text() {
    aliases_ = 0;
    scope_.clear();
    ctes_.clear();
    const int depth = 1 + static_cast<int>(random_.below(3));
    const auto id = std::to_string(random_.below(1'000'000));
    switch (random_.below(22)) {
        case 0:
        case 1:
        case 2:
        case 3:
        case 4:
            return query(depth);
        case 5:
        case 6:
        case 7:
        case 8:
            return change(depth);
        case 9:
            return "with m as (" + change(depth - 1) + ") " + query(depth);
        case 10:
            return "explain (analyze, costs off) " + (percent(60) ? query(depth) : change(depth));
        case 11:
            return "prepare p as " + (percent(50) ? query(depth) : change(depth)) + "; execute p";
        case 12:
            return "declare c cursor for " + query(depth) + "; fetch all c";
        case 13:
            return "do $b$ " + plpgsql(true, "return;") + " $b$";
        case 14:
            if (const auto* p = one_of(world_.procedures)) return "call " + name(*p) + "(1)";
            return query(depth);
        case 15:
            return "copy (" + query(depth) + ") to stdout";
        case 16: {
            const auto& r = readable();
            const bool from = percent(50) && r.writable;
            if (!from && (r.kind != 'r' || r.schema == "pg_temp"))
                return "table " + mark(part::item, name(r));
            return "copy " + name(r) + "(id, k, x) " + (from ? "from stdin" : "to stdout");
        }
        case 17: {
            const auto& r = readable();
            return "select w.x from " + name(r) + " w where w.id < 3 for update of w";
        }
        case 18:
            return query(depth - 1) + "; " + change(depth - 1);
        default:
            return definition();
    }
}

}  // namespace sallyport::tests::oracle
