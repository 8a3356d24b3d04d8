#include <atomic>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <thread>

#include <benchmark/benchmark.h>

#include "proxy/audit/chain.h"
#include "proxy/audit/log.h"

/// What a record costs: to encode and chain, and to make durable alone or in company.
namespace sallyport::proxy::audit {
namespace {

record bypass() {
    record r;
    r.event = "bypass";
    r.at = policy::instant(std::chrono::milliseconds(1'772'357'400'123));
    r.with("user", "alice").with("address", "127.0.0.1").with("target", "shop");
    r.with("rule", "pii-needs-approval").with("opt_out", "7").with("use", "12");
    r.with("approved_by", "bob").with("reason", "incident with the payment provider");
    r.with("statement", "select email, ssn from customers where id = $1 and created_at > $2");
    r.with("statement_sha256", std::string(64, 'a'));
    return r;
}

void encode_and_hash(benchmark::State& state) {
    const auto r = bypass();
    std::string prev(genesis_hash);
    std::string line;
    std::uint64_t sequence = 0;
    for (auto _ : state) {
        line.clear();
        encode_line(line, r, ++sequence, prev);
        prev = hash_line(line);
    }
    state.SetItemsProcessed(state.iterations());
    state.SetBytesProcessed(state.iterations() * static_cast<std::int64_t>(line.size()));
}
BENCHMARK(encode_and_hash);

/// range(0) records are under way at once; each waits for its receipt.
void append_and_wait(benchmark::State& state) {
    std::string directory =
        (std::filesystem::temp_directory_path() / "audit_bench.XXXXXX").string();
    if (!::mkdtemp(directory.data())) std::abort();
    {
        log_options o;
        o.directory = directory + "/audit";
        o.signing_key = directory + "/audit.key";
        log l(o);
        const auto r = bypass();
        const auto batch = state.range(0);
        for (auto _ : state) {
            std::atomic<std::int64_t> left{batch};
            for (std::int64_t i = 0; i < batch; ++i)
                l.append(r, [&left](std::unique_ptr<receipt>, std::error_code) {
                    if (left.fetch_sub(1) == 1) left.notify_one();
                });
            for (auto now = left.load(); now != 0; now = left.load())
                left.wait(now);
        }
        state.SetItemsProcessed(state.iterations() * batch);
    }
    std::filesystem::remove_all(directory);
}
BENCHMARK(append_and_wait)->Arg(1)->Arg(16)->Arg(256)->Arg(4096)->UseRealTime();

}  // namespace
}  // namespace sallyport::proxy::audit
