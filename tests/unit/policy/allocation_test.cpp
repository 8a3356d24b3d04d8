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

TEST(decide_cost, plain_allow_allocates_nothing) {
    const auto rules =
        tests::load_sound(tests::read_text(tests::source_path("tests/data/policy/shop.yaml")));
    const subject s{
        {"alice", {"dev"}, false}, "shop", "10.0.0.7", "psql", session_id{7}, {"public"}};
    const grants none;
    facts f;
    f.statements.emplace_back();
    f.statements[0].command = "select";
    f.statements[0].kinds = {kind::read};
    f.statements[0].relations.push_back({"public", "orders", access::read, {"item"}, "from"});
    ASSERT_EQ(decide(*rules, s, &f, none, instant()).effect, effect::allow);

    const auto before = allocations.load();
    auto allowed = 0;
    for (int i = 0; i < 1000; ++i)
        if (decide(*rules, s, &f, none, instant()).effect == effect::allow) ++allowed;
    const auto made = allocations.load() - before;

    EXPECT_EQ(allowed, 1000);
    EXPECT_EQ(made, 0U);
}

}  // namespace
}  // namespace sallyport::policy

#endif
