#include <string>

#include <benchmark/benchmark.h>

#include "policy/redact.h"
#include "policy/sql/analyse.h"
#include "policy/sql/cache.h"
#include "policy/sql/template.h"

namespace {

using namespace sallyport::policy;

const std::string statement = "SELECT abalance FROM pgbench_accounts WHERE aid = 48211;";
const std::string exact = "SELECT set_config('app.user', 'alice', false)";

void analyse_pgbench_select(benchmark::State& state) {
    for (auto _ : state)
        benchmark::DoNotOptimize(sql::analyse(statement, {}));
}
BENCHMARK(analyse_pgbench_select);

void redact_pgbench_select(benchmark::State& state) {
    for (auto _ : state)
        benchmark::DoNotOptimize(redact_and_shape(statement));
}
BENCHMARK(redact_pgbench_select);

void template_of_pgbench_select(benchmark::State& state) {
    std::string out;
    for (auto _ : state) {
        benchmark::DoNotOptimize(sql::make_template(statement, out));
        benchmark::ClobberMemory();
    }
}
BENCHMARK(template_of_pgbench_select);

void cache_hit(benchmark::State& state, const std::string& text) {
    sql::facts_cache cache;
    for (int i = 0; i < 1000; ++i) {
        const std::string other = "SELECT c" + std::to_string(i) + "x FROM t";
        cache.insert(other, true, sql::analyse(other, {}));
    }
    cache.insert(text, true, sql::analyse(text, {}));
    for (auto _ : state)
        benchmark::DoNotOptimize(cache.lookup(text, true));
}
BENCHMARK_CAPTURE(cache_hit, by_template, statement);
BENCHMARK_CAPTURE(cache_hit, by_exact_text, exact);

}  // namespace
