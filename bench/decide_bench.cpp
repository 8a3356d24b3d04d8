#include <stdexcept>
#include <string>

#include <benchmark/benchmark.h>

#include "policy/decide.h"
#include "policy/load.h"

/// What a decision costs on the path of every statement.
namespace sallyport::policy {
namespace {

rule_set_ptr ten_rules() {
    std::string text =
        "version: 1\ndefault: allow\nopaque: deny\nresources:\n"
        "  customer-pii: { target: shop, relations: ['pii.*', 'public.customers(email, ssn)'] }\n"
        "  payroll: { target: hr }\n";
    for (int i = 0; i < 6; ++i)
        text += "  r" + std::to_string(i) + ": { target: shop, relations: [public.table_" +
                std::to_string(i) + "] }\n";
    text +=
        "rules:\n"
        "  - { id: ddl, tier: 10, who: { not: { groups: [dba] } }, do: [ddl, grant], effect: deny "
        "}\n"
        "  - { id: files, tier: 10, do: [copy-program, server-file], effect: deny }\n"
        "  - { id: pii, tier: 20, on: [customer-pii], do: [read, write], effect: hold,\n"
        "      hold: { approvers: { groups: [security] } } }\n"
        "  - { id: payroll, tier: 20, on: [payroll], effect: hold,\n"
        "      hold: { approvers: { groups: [owners] } } }\n";
    for (int i = 0; i < 6; ++i)
        text += "  - { id: rule-" + std::to_string(i) + ", tier: " + std::to_string(30 + i) +
                ", on: [r" + std::to_string(i) + "], do: [write], effect: deny }\n";
    auto loaded = load_policy_text(text, "bench.yaml", {});
    if (!loaded.rules) throw std::runtime_error(to_string(loaded.faults.at(0)));
    return loaded.rules;
}

facts one_table(const std::string& schema, const std::string& table) {
    facts f;
    f.statements.emplace_back();
    f.statements[0].command = "select";
    f.statements[0].kinds = {kind::read};
    f.statements[0].relations.push_back({schema, table, access::read, {"item"}, "from"});
    return f;
}

const subject alice{
    {"alice", {"dev", "oncall"}, false}, "shop", "10.0.0.7", "psql", session_id{7}, {}};

void plain_allow_of_one_table(benchmark::State& state) {
    const auto rules = ten_rules();
    const auto f = one_table("public", "orders");
    const grants none;
    for (auto _ : state)
        benchmark::DoNotOptimize(decide(*rules, alice, &f, none, instant()));
}
BENCHMARK(plain_allow_of_one_table);

void hold_with_its_reasons(benchmark::State& state) {
    const auto rules = ten_rules();
    const auto f = one_table("pii", "cards");
    const grants none;
    for (auto _ : state)
        benchmark::DoNotOptimize(decide(*rules, alice, &f, none, instant()));
}
BENCHMARK(hold_with_its_reasons);

void plain_allow_of_many_tables(benchmark::State& state) {
    const auto rules = ten_rules();
    auto f = one_table("public", "orders");
    for (int i = 1; i < 100; ++i)
        f.statements[0].relations.push_back(
            {"public", "other_" + std::to_string(i), access::read, {}, "from"});
    const grants none;
    for (auto _ : state)
        benchmark::DoNotOptimize(decide(*rules, alice, &f, none, instant()));
}
BENCHMARK(plain_allow_of_many_tables);

}  // namespace
}  // namespace sallyport::policy
