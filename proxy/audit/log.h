#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <system_error>

#include "policy/types.h"
#include "proxy/audit/record.h"
#include "proxy/numbers.h"

/// The append-only, tamper-evident log: one writer thread, group commit, receipts.
namespace sallyport::proxy::audit {

/// Proof that a record is on disk. Only the log makes one; it cannot be copied or made by hand.
class receipt {
  public:
    receipt(receipt&&) noexcept = default;
    receipt& operator=(receipt&&) noexcept = default;
    receipt(const receipt&) = delete;
    receipt& operator=(const receipt&) = delete;
    [[nodiscard]] std::uint64_t sequence() const noexcept { return sequence_; }

  private:
    friend class log;
    friend class fake_receipts;  // tests/support only
    explicit receipt(std::uint64_t sequence) noexcept : sequence_(sequence) {}
    std::uint64_t sequence_;
};

struct log_options {
    std::string directory;    ///< created 0700 if missing
    std::string signing_key;  ///< Ed25519 PEM; created 0600 (and PATH.pub beside it) if missing
    std::uint64_t segment_bytes_max = 64u << 20;
    std::uint64_t checkpoint_records = 1000;  ///< a signed checkpoint after this many records …
    policy::milliseconds checkpoint_interval{
        60'000};  ///< … or this much time, when there was a record
    std::size_t queue_bytes_max = 16u << 20;
    /// For tests of disk faults: asked before each operation ("write" with the bytes, "sync",
    /// "create", "truncate"); an error returned is taken as the operation's own. Called on the
    /// writer thread.
    std::function<std::error_code(std::string_view operation, std::string_view bytes)> fault_hook;
    /// Told of each record that is durable, checkpoints apart, in their order. Called on the writer
    /// thread: must not block and must not throw.
    std::function<void(const record&, std::uint64_t sequence)> on_written;
};

class log {
  public:
    /// Called once, on the writer thread: with a receipt when the record is durable, or nullptr and
    /// the cause. Must not block and must not throw: post elsewhere.
    using on_durable = std::function<void(std::unique_ptr<receipt>, std::error_code)>;

    /// Opens (recovering a torn last line, continuing the chain) and starts the writer.
    /// Errors: throws std::runtime_error with one line that says which path and what to do.
    explicit log(log_options options);
    ~log();  ///< writes what is queued, a last checkpoint, joins the writer
    log(const log&) = delete;
    log& operator=(const log&) = delete;

    /// Queues one record. Thread-safe, never blocks on disk. `done` may be empty (record without a
    /// waiter). When the queue is full or the disk fails, `done` gets the error; the log keeps
    /// trying to recover with the next records (a full disk that has room again needs no restart).
    /// A record without a waiter is durable within 200 ms; while the disk fails it is kept and
    /// tried again, and if the queue overflows, the number lost is in the `audit.recovered` record.
    void append(record r, on_durable done);

    /// False while the last write failed: no bypass and no release can be recorded.
    [[nodiscard]] bool healthy() const noexcept;
    /// Sequence number and hex hash of the newest durable line: a head to keep elsewhere, for
    /// verify_options::expected_head.
    struct head_info {
        std::uint64_t sequence = 0;
        std::string hash;
    };
    [[nodiscard]] head_info head() const;

    /// What verifies this log.
    [[nodiscard]] std::string public_pem() const;

    /// For metrics; any thread.
    struct numbers {
        std::uint64_t records = 0;   ///< durable since the start
        std::uint64_t failures = 0;  ///< batches that the disk did not take
        std::uint64_t lost = 0;      ///< records without a waiter for which there was no room
        std::size_t queued = 0;      ///< records that are not durable yet
        /// How long the oldest of these has been waiting.
        std::chrono::steady_clock::duration lag{};
        own_histogram::reading commit_time;
    };
    [[nodiscard]] numbers counts() const;

  private:
    struct impl;
    std::unique_ptr<impl> impl_;
};

}  // namespace sallyport::proxy::audit
