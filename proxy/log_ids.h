#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

/// What a log line is about, for whoever reads logs by program.
namespace sallyport::proxy {

/// Names → values that the lines of this thread carry while it lives: "session", "hold",
/// "audit_sequence", "trace_id", "span_id". Values are digits or hexadecimal; nothing is escaped.
/// Scopes nest; each stays on its thread (never across a co_await).
class log_ids {
  public:
    using list = std::vector<std::pair<std::string_view, std::string>>;
    explicit log_ids(list ids) : ids_(std::move(ids)), outer_(current_) { current_ = this; }
    explicit log_ids(std::uint64_t session) : log_ids({{"session", std::to_string(session)}}) {}
    ~log_ids() { current_ = outer_; }
    log_ids(const log_ids&) = delete;
    log_ids& operator=(const log_ids&) = delete;

    /// f(name, value) for each, from the outermost scope of this thread to the innermost.
    template <class F>
    static void each(F f) {
        if (current_ != nullptr) current_->tell(f);
    }

  private:
    template <class F>
    void tell(F& f) const {
        if (outer_ != nullptr) outer_->tell(f);
        for (const auto& [name, value] : ids_)
            f(name, value);
    }
    list ids_;
    const log_ids* outer_;
    static inline thread_local const log_ids* current_ = nullptr;
};

}  // namespace sallyport::proxy
