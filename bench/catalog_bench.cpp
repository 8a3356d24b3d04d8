#include <stdexcept>
#include <string>

#include <benchmark/benchmark.h>

#include "policy/catalog/resolve.h"
#include "policy/catalog/snapshot.h"
#include "policy/decide.h"
#include "policy/load.h"
#include "policy/sql/analyse.h"
#include "proxy/big_stack.h"
#include "proxy/config.h"
#include "proxy/session/worker_impl.h"

/// What following a statement through the catalog costs: on the path of every statement, for one
/// that was never seen, and when a catalog has changed.
namespace sallyport::proxy::session {
namespace {

using namespace policy::catalog;

const std::string pgbench_select = "SELECT abalance FROM pgbench_accounts WHERE aid = 48211;";
const std::string long_select = [] {
    std::string text =
        "WITH recent AS (SELECT o.id, o.c1, o.c2 FROM app.t1 o WHERE o.c3 > 17) SELECT ";
    for (int i = 0; i < 60; ++i)
        text += "a.c" + std::to_string(i % 8) + " + b.c" + std::to_string(i % 5) + " AS x" +
                std::to_string(i) + ", ";
    text += "count(*) FROM recent r";
    for (const auto* join : {"app.t2 a", "app.t3 b", "app.v9 c", "app.v19 d", "app.t40 e"})
        text += std::string{" JOIN "} + join + " ON true";
    text += " WHERE lower(a.c1) IN (";
    for (int i = 0; i < 100; ++i)
        text += "'name " + std::to_string(i) + "', ";
    return text + "'') GROUP BY r.id ORDER BY 1 LIMIT 100";
}();

/// A database with so many relations, as they come: of ten, seven tables with keys between them, an
/// index, and two views; a function for every twenty, a trigger for every fifty; now and then
/// partitions. And pgbench's tables. `one_chain`: the keys connect all tables, so that TRUNCATE …
/// CASCADE of the first reaches every other.
enum class keys : std::int64_t { in_groups, one_chain };
rows database(std::size_t relations, keys k = keys::in_groups) {
    constexpr oid app = 2'300;
    rows r;
    r.database = "shop";
    r.schemas = {{11, "pg_catalog"}, {2'200, "public"}, {app, "app"}};
    r.builtin_functions = {"count", "lower", "max", "now", "sum"};
    oid next = 20'000;
    const auto add = [&](oid schema, const std::string& name, char kind) -> relation_row& {
        auto& t = r.relations.emplace_back();
        t.id = next++;
        t.row_type = next++;
        t.schema = schema;
        t.name = name;
        t.kind = kind;
        if (kind != 'i')
            for (int c = 0; c < 8; ++c)
                t.columns.push_back({"c" + std::to_string(c), 25, false});
        return t;
    };
    for (const auto* name : {"accounts", "branches", "tellers", "history"}) {
        auto& t = add(2'200, std::string{"pgbench_"} + name, 'r');
        t.columns = {{"aid", 23, false}, {"bid", 23, false}, {"abalance", 23, false}};
    }
    oid table = 0;
    oid parent = 0;
    std::string table_name;
    for (std::size_t i = 0; i < relations; ++i) {
        const auto n = std::to_string(i);
        if (i % 10 == 8) {
            add(app, "i" + n, 'i').table = table;
        } else if (i % 10 >= 9 || i % 10 == 4) {
            auto& v = add(app, "v" + n, 'v');
            v.definition = " SELECT t.c1 AS c0, t.c2 AS c1, u.c3 AS c2 FROM app." + table_name +
                           " t JOIN public.pgbench_branches u ON u.bid = t.c4 WHERE lower(t.c5) = "
                           "'x'::text";
            r.view_columns.push_back({v.id, table, "c1"});
        } else {
            const auto id = add(app, "t" + n, 'r').id;
            if (i % 10 == 0) parent = id;
            if (i % 100 < 30 && id != parent) r.inheritance.push_back({id, parent});
            const oid referenced = k == keys::one_chain ? table : parent;
            if (referenced != 0 && referenced != id)
                r.foreign_keys.push_back({id, referenced, {"c0"}, false, i % 30 == 0});
            table = id;
            table_name = "t" + n;
        }
        if (i % 20 == 5) {
            auto& f = r.functions.emplace_back();
            f.id = next++;
            f.schema = app;
            f.name = "f" + n;
            f.trigger = i % 60 == 5;
            f.language = i % 40 == 5 ? "plpgsql" : "sql";
            f.source = f.language == "sql"
                           ? "SELECT max(c1) FROM app." + table_name + " WHERE c2 = $1"
                           : "DECLARE n int; BEGIN SELECT count(*) INTO n FROM " + table_name +
                                 " WHERE c1 = 'x'; IF n > 0 THEN UPDATE app." + table_name +
                                 " SET c2 = now(); END IF; RETURN NEW; END";
            f.argument_types = {25};
            f.return_type = 25;
            if (f.trigger) {
                auto& t = r.triggers.emplace_back();
                t.name = "audit";
                t.relation = table;
                t.function = f.id;
                t.on_insert = t.on_update = true;
            }
        }
    }
    return r;
}

snapshot_ptr snapshot_of(std::size_t relations) {
    snapshot_ptr made;
    run_on_big_stack([&] { made = policy::catalog::build(database(relations)); });
    return made;
}

policy::rule_set_ptr rules(std::size_t count) {
    std::string text = "version: 1\ndefault: allow\nopaque: deny\nresources:\n";
    for (std::size_t i = 0; i < count; ++i)
        text += " r" + std::to_string(i) + ": {target: shop,relations: [pii.t" + std::to_string(i) +
                "]}\n";
    text += "rules:\n";
    for (std::size_t i = 0; i < count; ++i)
        text += "- {id: a" + std::to_string(i) + ",tier: " + std::to_string(i % 90 + 10) +
                ",on: [r" + std::to_string(i) + "],effect: deny}\n";
    auto loaded = policy::load_policy_text(text, "bench.yaml", {});
    if (!loaded.rules) throw std::runtime_error(to_string(loaded.faults.at(0)));
    return loaded.rules;
}

const policy::subject alice{{"alice", {"dev"}, false}, "shop", "10.0.0.7", "psql",
                            policy::session_id{7},     {}};
const std::vector<std::string> path{"pg_catalog", "public"};

session_names names(const own_objects& own) {
    session_names n;
    n.path = &path;
    n.own = &own;
    return n;
}

/// The caches as a worker has them, with other statements in them, and a service that is asked for
/// its snapshot. The service finds no server behind its address, so the snapshot is our own.
struct one_worker {
    worker_counters counters;
    worker_facts facts{counters};
    worker_catalog catalog;
    proxy::catalog::service service{[](auto, const auto&) {}};
    own_objects own;
    snapshot_ptr known = snapshot_of(2'000);

    one_worker() {
        proxy::catalog::target t;
        t.name = "shop";
        t.where.host = "127.0.0.1";
        t.where.port = 1;
        service.set_targets({t});
        auto config = std::make_shared<settings>();
        config->targets["shop"].catalog.emplace();
        catalog.use(&service, config);
        for (int i = 0; i < 1'000; ++i) {
            auto f = facts.find("SELECT c1 FROM app.t" + std::to_string(i) + " WHERE c2 = 1", true);
            static_cast<void>(catalog.resolve(f, known, names(own)));
        }
    }
};

/// Everything between a Query's text and the decision, when the worker has seen its like.
void cache_hit(benchmark::State& state, std::size_t rule_count) {
    one_worker w;
    const auto policy = rules(rule_count);
    const policy::grants none;
    static_cast<void>(w.catalog.resolve(w.facts.find(pgbench_select, true), w.known, names(w.own)));
    for (auto _ : state) {
        const auto found = w.facts.find(pgbench_select, true);
        benchmark::DoNotOptimize(w.catalog.look("shop"));
        const auto all = w.catalog.resolve(found, w.known, names(w.own));
        benchmark::DoNotOptimize(decide(*policy, alice, all.facts.get(), none, policy::instant()));
    }
}
BENCHMARK_CAPTURE(cache_hit, of_10_rules, 10);
BENCHMARK_CAPTURE(cache_hit, of_10000_rules, 10'000);

void cache_miss(benchmark::State& state, const std::string& text) {
    const auto known = snapshot_of(2'000);
    const auto policy = rules(10);
    const policy::grants none;
    const own_objects own;
    for (auto _ : state) {
        const auto found = policy::sql::analyse(text, {});
        const auto all = policy::catalog::resolve(*found, *known, names(own));
        benchmark::DoNotOptimize(decide(*policy, alice, all.facts.get(), none, policy::instant()));
    }
    state.SetLabel(std::to_string(text.size()) + " bytes");
}
BENCHMARK_CAPTURE(cache_miss, of_a_short_text, pgbench_select);
BENCHMARK_CAPTURE(cache_miss, of_a_long_text, long_select);

void resolve_text(benchmark::State& state, const std::string& text) {
    const auto known = snapshot_of(2'000);
    const own_objects own;
    const auto found = policy::sql::analyse(text, {});
    for (auto _ : state)
        benchmark::DoNotOptimize(policy::catalog::resolve(*found, *known, names(own)));
}
BENCHMARK_CAPTURE(resolve_text, short_one, pgbench_select);
BENCHMARK_CAPTURE(resolve_text, long_one, long_select);

void build_snapshot(benchmark::State& state) {
    const auto relations = static_cast<std::size_t>(state.range(0));
    for (auto _ : state) {
        state.PauseTiming();
        auto r = database(relations, static_cast<keys>(state.range(1)));
        state.ResumeTiming();
        snapshot_ptr made;
        run_on_big_stack([&] { made = policy::catalog::build(std::move(r)); });
        benchmark::DoNotOptimize(made);
    }
}
BENCHMARK(build_snapshot)
    ->ArgNames({"relations", "one_chain"})
    ->Args({2'000, 0})
    ->Args({20'000, 0})
    ->Args({500, 1})
    ->Args({1'000, 1})
    ->Args({2'000, 1})
    ->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace sallyport::proxy::session
