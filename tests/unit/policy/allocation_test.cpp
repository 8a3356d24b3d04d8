#include <atomic>
#include <cstdlib>
#include <new>
#include <string>

#include <gtest/gtest.h>

#include "policy/decide.h"
#include "tests/unit/policy/files.h"

/// The path that every statement takes must not allocate; this file counts every operator new.
/// Sanitizers bring an operator new of their own, with checks that are worth more than this count.
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)

namespace {

std::atomic<std::size_t> allocations{0};

void* counted(std::size_t bytes) {
    allocations.fetch_add(1, std::memory_order_relaxed);
    if (void* p = std::malloc(bytes == 0 ? 1 : bytes)) return p;
    throw std::bad_alloc();
}

}  // namespace

void* operator new(std::size_t bytes) {
    return counted(bytes);
}
void* operator new[](std::size_t bytes) {
    return counted(bytes);
}
void operator delete(void* p) noexcept {
    std::free(p);
}
void operator delete[](void* p) noexcept {
    std::free(p);
}
void operator delete(void* p, std::size_t) noexcept {
    std::free(p);
}
void operator delete[](void* p, std::size_t) noexcept {
    std::free(p);
}

namespace sallyport::policy {
namespace {

/// Allocations of a thousand decisions on a read of public.orders, which must be allowed.
std::size_t cost_of(const rule_set& rules) {
    const subject s{
        {"alice", {"dev"}, false}, "shop", "10.0.0.7", "psql", session_id{7}, {"public"}};
    const grants none;
    facts f;
    f.statements.emplace_back();
    f.statements[0].command = "select";
    f.statements[0].kinds = {kind::read};
    f.statements[0].relations.push_back({"public", "orders", access::read, {"item"}, "from"});
    EXPECT_EQ(decide(rules, s, &f, none, instant()).effect, effect::allow);

    const auto before = allocations.load();
    auto allowed = 0;
    for (int i = 0; i < 1000; ++i)
        if (decide(rules, s, &f, none, instant()).effect == effect::allow) ++allowed;
    const auto made = allocations.load() - before;

    EXPECT_EQ(allowed, 1000);
    return made;
}

TEST(decide_cost, plain_allow_allocates_nothing) {
    const auto rules =
        tests::load_sound(tests::read_text(tests::source_path("tests/data/policy/shop.yaml")));

    EXPECT_EQ(cost_of(*rules), 0U);
}

TEST(decide_cost, rules_that_observe_other_things_and_exceptions_not_needed_cost_nothing) {
    const auto rules = tests::load_sound(R"yaml(
version: 1
default: allow
resources:
  pii: { target: shop, relations: ["pii.*"] }
rules:
  - { id: watch, tier: 10, on: [pii], effect: deny, observe: true }
  - { id: watch-writes, tier: 10, do: [write], effect: deny, observe: true }
  - { id: alice-reads-what-she-likes-until-then, tier: 15, who: { users: [alice] }, do: [read],
      effect: allow, reason: tested, review_by: 2126-12-31 }
  - { id: held, tier: 20, on: [pii], effect: hold, hold: { approvers: { groups: [security] } } }
)yaml");

    EXPECT_EQ(cost_of(*rules), 0U);
}

}  // namespace
}  // namespace sallyport::policy

#endif
