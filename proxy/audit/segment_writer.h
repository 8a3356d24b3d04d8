#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <system_error>

#include "proxy/audit/keys.h"
#include "proxy/audit/log.h"

/// The files of the log, for the one thread that writes them.
namespace sallyport::proxy::audit {

/// Appends whole lines durably, or not at all. Owned by log; one thread.
///
/// INVARIANT: what stands in the newest file up to `durable bytes` is the chain up to head(); what
/// a failed write left behind it is cut off before anything else is written.
class segment_writer {
  public:
    using fault_hook = std::function<std::error_code(std::string_view, std::string_view)>;

    /// Locks the directory, repairs a torn last line, verifies the newest file, continues the
    /// chain. Errors: std::runtime_error, one line: which path and what to do.
    segment_writer(const std::string& directory, const signing_key& key, fault_hook hook);
    ~segment_writer();
    segment_writer(const segment_writer&) = delete;
    segment_writer& operator=(const segment_writer&) = delete;

    [[nodiscard]] const log::head_info& head() const noexcept { return head_; }
    /// Bytes in the newest file; 0: its first line must be a checkpoint.
    [[nodiscard]] std::uint64_t segment_bytes() const noexcept { return offset_; }

    /// Makes the file ready for a write: cuts off what an earlier failure left, begins a new file
    /// if this one has `segment_bytes_max`.
    [[nodiscard]] std::error_code prepare(std::uint64_t segment_bytes_max);
    /// Writes `lines` (each ended by '\n') and syncs; `new_head` is the last of them. On an error
    /// nothing of it counts.
    [[nodiscard]] std::error_code commit(std::string_view lines, log::head_info new_head);
    /// Replaces audit.head by this checkpoint line. Best effort: the log itself is the truth.
    void publish_head(std::string_view checkpoint_line);

  private:
    void lock_directory();
    void recover(const signing_key& key);
    void cut_torn_line(const std::string& name);
    [[nodiscard]] std::error_code open_segment(std::uint64_t number, int flags);
    [[nodiscard]] std::error_code fault(std::string_view operation, std::string_view bytes) const;

    std::string directory_;
    fault_hook hook_;
    int directory_fd_ = -1;
    int lock_fd_ = -1;
    int fd_ = -1;
    std::uint64_t number_ = 0;
    std::uint64_t offset_ = 0;
    bool dirty_ = false;  // bytes may stand behind offset_
    log::head_info head_;
};

}  // namespace sallyport::proxy::audit
