// What finding the borders of messages costs, on the path that every forwarded byte takes: one look
// at each header, bodies skipped by length. items = messages, bytes = of the stream.

#include <string>
#include <string_view>

#include <benchmark/benchmark.h>

#include "protocol/backend.h"
#include "protocol/frame.h"
#include "protocol/frontend.h"

namespace {

using namespace sallyport::protocol;

constexpr std::size_t buffer_bytes = 64 * 1024;

/// One worker's buffer full of copies of `message`, the last one cut.
std::string full_of(const std::string& message) {
    std::string out;
    while (out.size() < buffer_bytes)
        out += message;
    out.resize(buffer_bytes);
    return out;
}

std::string data_row(std::size_t value_bytes) {
    const std::string value(value_bytes, 'v');
    std::string out;
    backend::data_row{{bytes(value), bytes("42"), std::nullopt}}.encode(out);
    return out;
}

std::string small_query() {
    std::string out;
    frontend::query{"select 1"}.encode(out);
    return out;
}

void count(benchmark::State& state, std::size_t messages) {
    const auto rounds = static_cast<std::int64_t>(state.iterations());
    state.SetItemsProcessed(rounds * static_cast<std::int64_t>(messages));
    state.SetBytesProcessed(rounds * static_cast<std::int64_t>(buffer_bytes));
}

/// Every message is handed to the caller: queries, which the gate looks at.
void split(benchmark::State& state, const std::string& message, const frame_limits& limits) {
    const auto buffer = full_of(message);
    std::size_t messages = 0;
    for (auto _ : state) {
        frame_splitter splitter(limits);
        bytes input = buffer;
        benchmark::DoNotOptimize(input);
        messages = 0;
        for (auto scan = splitter.next(input); scan.error == errc::ok;
             scan = splitter.next(input)) {
            benchmark::DoNotOptimize(scan.value.data.data());
            ++messages;
        }
    }
    count(state, messages);
}

/// Messages that nobody looks at go by in one run: rows and copies.
void run(benchmark::State& state, const std::string& message, const frame_limits& limits) {
    constexpr tag_set stop("CEZIGHWSKNA123tTnsVR");
    const auto buffer = full_of(message);
    for (auto _ : state) {
        frame_splitter splitter(limits);
        bytes input = buffer;
        benchmark::DoNotOptimize(input);
        benchmark::DoNotOptimize(splitter.take_run(input, stop).data());
    }
    count(state, buffer_bytes / message.size());
}

void split_queries(benchmark::State& state) {
    split(state, small_query(), frontend_limits);
}
void split_rows(benchmark::State& state) {
    split(state, data_row(static_cast<std::size_t>(state.range(0))), backend_limits);
}
void run_of_rows(benchmark::State& state) {
    run(state, data_row(static_cast<std::size_t>(state.range(0))), backend_limits);
}

BENCHMARK(split_queries);
BENCHMARK(split_rows)->Arg(8)->Arg(100)->Arg(1000);
BENCHMARK(run_of_rows)->Arg(8)->Arg(100)->Arg(1000);

}  // namespace

BENCHMARK_MAIN();
