#include <chrono>
#include <functional>
#include <string>

#include <gtest/gtest.h>
#include <pthread.h>
#include <sys/mman.h>

#include "policy/sql/analyse.h"
#include "policy/sql/complexity.h"

/// Texts that are hard on the parser, on threads with exactly the stack that analyse.h promises to
/// need.
namespace sallyport::policy::sql {
namespace {

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SALLYPORT_SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SALLYPORT_SANITIZED 1
#endif
#endif

// The whole size, and a bound in seconds that means something, are for builds as they are shipped.
#if defined(__OPTIMIZE__) && !defined(SALLYPORT_SANITIZED)
constexpr std::size_t largest_bytes = 4u << 20;
constexpr double seconds_max = 30;
#else
constexpr std::size_t largest_bytes = 200'000;
constexpr double seconds_max = 60;
#endif

std::string repeated(std::string_view s, std::size_t n) {
    std::string out;
    out.reserve(s.size() * n);
    for (std::size_t i = 0; i < n; ++i)
        out += s;
    return out;
}

void* call(void* f) {
    (*static_cast<std::function<void()>*>(f))();
    return nullptr;
}

/// Runs `f` on a thread of its own with a stack of this size, of which only what is used is real.
void on_stack(std::size_t bytes, std::function<void()> f) {
    void* stack = mmap(nullptr, bytes, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK, -1, 0);
    ASSERT_NE(stack, MAP_FAILED);
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    ASSERT_EQ(pthread_attr_setstack(&attributes, stack, bytes), 0);
    pthread_t thread{};
    ASSERT_EQ(pthread_create(&thread, &attributes, call, &f), 0);
    pthread_join(thread, nullptr);
    pthread_attr_destroy(&attributes);
    munmap(stack, bytes);
}

facts_ptr analyse_as_promised(const std::string& sql) {
    facts_ptr out;
    on_stack(fits_inline(sql) ? inline_stack_bytes : big_stack_bytes,
             [&] { out = analyse(sql, {}); });
    return out;
}

struct hard_text {
    const char* what;
    std::string head;
    std::string piece;
    std::string middle;
    std::string tail;  // repeated as often as the piece
};

std::vector<hard_text> hard_texts() {
    return {
        {"additions", "SELECT 1", "+1", "", ""},
        {"parentheses", "SELECT ", "(", "1", ")"},
        {"NOT", "SELECT ", "NOT ", "true", ""},
        {"NOT BETWEEN", "SELECT ", "NOT a BETWEEN 1 AND ", "1", ""},
        {"minus signs", "SELECT ", "- ", "1", ""},
        {"glued minus signs", "SELECT ", "+-", "1", ""},
        {"unions", "SELECT 1", " UNION SELECT 1", "", ""},
        {"right unions", "SELECT 1", " UNION (SELECT 1", "", ")"},
        {"joins", "SELECT * FROM t", " JOIN t x ON a = b AND c = d", "", ""},
        {"nested joins", "SELECT * FROM ", "(t JOIN ", "t", " ON a = b)"},
        {"cases", "SELECT ", "CASE WHEN a.end THEN ", "1", " END"},
        {"names", "SELECT a", ".a", "", ""},
        {"subscripts", "SELECT a", "[1]", "", ""},
        {"nested subscripts", "SELECT a", "[a", "", "]"},
        {"casts", "SELECT a", "::int", "", ""},
        {"array bounds", "SELECT a::int", "[]", "", ""},
        {"arrays", "SELECT ARRAY", "[", "1", "]"},
        {"calls", "SELECT ", "f(", "1", ")"},
        {"subqueries", "SELECT ", "(SELECT ", "1", ")"},
        {"subqueries in FROM", "SELECT * FROM ", "(SELECT * FROM ", "t", " a)"},
        {"WITH in WITH", "", "WITH a AS (", "SELECT 1", ") SELECT 1"},
        {"WITH lists", "WITH a AS (SELECT 1)", ",a AS (SELECT * FROM a)", " SELECT 1", ""},
        {"COLLATE", "SELECT a", " COLLATE b", "", ""},
        {"AT TIME ZONE", "SELECT a", " AT TIME ZONE b", "", ""},
        {"comments", "", "/**/", "SELECT 1", ""},
        {"nested comments", "", "/*", "", "*/"},
        {"operator characters", "SELECT 1 ", "+", " 1", ""},
        {"AND", "SELECT a", " AND a", "", ""},
        {"OR of ANDs", "SELECT a", " OR a AND a = 1", "", ""},
        {"commas", "SELECT 1", ",1", "", ""},
        {"statements", "", "SELECT 1;", "", ""},
        {"dollars", "SELECT ", "$a", "", ""},
        {"string continuations", "SELECT 'a'", "\n'a'", "", ""},
        {"dropped tables", "DROP TABLE a", ",a.b", "", ""},
        {"query texts", "SELECT 1", ",ts_stat('select 1')", "", ""},
    };
}

std::string build(const hard_text& h, std::size_t bytes) {
    const std::size_t room = bytes - h.head.size() - h.middle.size();
    const std::size_t n = room / (h.piece.size() + h.tail.size());
    return h.head + repeated(h.piece, n) + h.middle + repeated(h.tail, n);
}

TEST(sql_limits, hard_texts_of_every_size_end_in_time_and_without_a_crash) {
    for (const auto& h : hard_texts())
        for (const std::size_t bytes : {inline_bytes, std::size_t{60'000}, largest_bytes}) {
            const std::string sql = build(h, bytes);
            const auto start = std::chrono::steady_clock::now();
            const auto f = analyse_as_promised(sql);
            const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
            ASSERT_NE(f, nullptr);
            EXPECT_LT(took.count(), seconds_max) << h.what << " " << bytes;
            if (took.count() > 1.5)
                std::printf("%s, %zu bytes: %.1f s\n", h.what, bytes, took.count());
        }
}

/// The deepest text that the scan still lets through must stand on the stack of its size.
TEST(sql_limits, texts_at_the_depth_limit_stand_on_the_promised_stack) {
    for (const auto& h : hard_texts()) {
        std::size_t low = 64, high = inline_bytes;
        while (low + 1 < high) {
            const std::size_t mid = (low + high) / 2;
            (too_complex(measure(build(h, mid))) == nullptr ? low : high) = mid;
        }
        EXPECT_NE(analyse_as_promised(build(h, low)), nullptr) << h.what << " " << low;
    }
}

TEST(sql_limits, long_but_flat_statements_are_analysed) {
    std::string in = "SELECT a FROM t WHERE a IN (0";
    for (int i = 1; i < 100'000; ++i)
        in += ',' + std::to_string(i * 37);
    std::string insert = "INSERT INTO t (a, b, c) VALUES (0, 'x', NULL)";
    for (int i = 1; i < 50'000; ++i)
        insert += ",(" + std::to_string(i) + ", 'some text', now())";
    for (const auto& sql : {in + ")", insert}) {
        const auto f = analyse_as_promised(sql);
        ASSERT_EQ(f->statements.size(), 1u);
        EXPECT_FALSE(f->statements[0].has(kind::opaque))
            << (f->statements[0].opaque_reasons.empty() ? "" : f->statements[0].opaque_reasons[0]);
        EXPECT_EQ(f->statements[0].relations.at(0).name, "t");
    }
}

TEST(sql_limits, what_is_too_deep_says_so) {
    const auto f =
        analyse_as_promised("SELECT " + repeated("(", 4'000) + "1" + repeated(")", 4'000));
    EXPECT_EQ(f->statements.at(0).opaque_reasons.at(0), "nested too deeply");
    EXPECT_TRUE(f->literal_sensitive);
}

TEST(sql_limits, query_text_in_query_text_ends) {
    std::string sql = "delete from t";
    for (int i = 0; i < 6; ++i) {
        std::string quoted;
        for (const char c : sql)
            quoted += c == '\'' ? "''" : std::string(1, c);
        sql = "select * from ts_stat('" + quoted + "')";
    }
    EXPECT_TRUE(analyse_as_promised(sql)->statements.at(0).has(kind::opaque));
}

}  // namespace
}  // namespace sallyport::policy::sql
