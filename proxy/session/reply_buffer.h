#pragma once

#include <cstddef>
#include <string>
#include <utility>

#include "protocol/cursor.h"

namespace sallyport::proxy::session {

/// Stands in for the server's own output buffer where the gate empties that one early.
///
/// PostgreSQL keeps the replies of the extended protocol until a Sync or Flush, or until it has 8
/// KiB of them; what is kept is lost if the client then leaves. The gate sends a Flush of its own
/// where it has to know what became of a message: what only that one brought is kept here until the
/// client asks for it, so that a client gets through Sallyport what it would have got directly.
class reply_buffer {
  public:
    static constexpr std::size_t flush_bytes = 8192;

    /// A message whose reply the server keeps went upstream.
    void sent() noexcept { ++unasked_; }
    /// The gate's own Flush went upstream.
    void emptied_early() noexcept { early_ = unasked_ != 0; }
    /// The reply to come, the first of `owed`, is one that the client has not asked for.
    [[nodiscard]] bool unasked(std::size_t owed) const noexcept {
        return unasked_ != 0 && owed <= unasked_;
    }

    [[nodiscard]] bool empty() const noexcept { return kept_.empty(); }

    /// Takes bytes of such replies. Gives back in `before` and as the return value what goes to the
    /// client now, in this order.
    [[nodiscard]] protocol::bytes pass(protocol::bytes data, std::string& before) {
        const auto from = bytes_ - kept_.size();  // of what has not gone
        bytes_ += data.size();
        if (!early_) return data;
        const auto full = bytes_ / flush_bytes * flush_bytes;
        if (full <= from) {
            kept_.append(data);
            return {};
        }
        // INVARIANT: kept_ lies within one block, so that a full block ends in `data`.
        const auto goes = full - from - kept_.size();
        before = std::move(kept_);
        kept_.assign(data.substr(goes));
        return data.substr(0, goes);
    }
    /// The server empties its buffer by itself here: after an error or notice, when it waits for
    /// COPY data, with ReadyForQuery. Returns what goes to the client first.
    [[nodiscard]] std::string flush() noexcept {
        bytes_ = 0;
        return std::exchange(kept_, {});
    }
    /// The client's own Sync or Flush, or what answers with ReadyForQuery, goes upstream.
    [[nodiscard]] std::string asked() noexcept {
        unasked_ = 0;
        early_ = false;
        return flush();
    }

  private:
    std::size_t unasked_ = 0;  ///< messages since the client asked for replies
    std::size_t bytes_ = 0;    ///< of their replies, since the server emptied its buffer
    bool early_ = false;
    std::string kept_;  ///< shorter than flush_bytes
};

}  // namespace sallyport::proxy::session
