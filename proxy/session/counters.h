#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <utility>

#include "proxy/numbers.h"

/// What one worker counts. Its own thread writes, without locks; a scrape reads.
namespace sallyport::proxy::session {

/// Statements by what became of them and the rule that decided.
class statement_counts {
  public:
    enum class outcome : std::uint8_t {
        allow,   ///< by a rule or the default
        pass,    ///< held by a rule; an approval stands behind it
        bypass,  ///< held by a rule; an opt-out stands behind it
        hold,    ///< waits for a person; counted once more when it is let go
        refuse,  ///< would be held, and cannot wait or has nobody to wait for
        deny
    };
    static constexpr std::size_t outcomes = 6;
    using slot = std::uint16_t;
    static constexpr slot none = 0xffff;
    static constexpr std::string_view other = "(other)";

    /// Where this is counted: no allocation but at the first of a rule. After `rules_max` different
    /// ones (reloads bring new names) the rest is counted together. The worker's thread.
    [[nodiscard]] slot find(outcome o, std::string_view rule) {
        if (last_ != none && rows_[last_].what == o && rows_[last_].rule == rule) return last_;
        if (const auto at = known_.find({o, rule}); at != known_.end()) return last_ = at->second;
        const auto used = used_.load(std::memory_order_relaxed);
        const bool full = used >= rules_max;
        if (full)
            if (const auto at = known_.find({o, other}); at != known_.end())
                return last_ = at->second;
        auto& fresh = rows_[used];
        fresh.what = o;
        fresh.rule = full ? other : rule;
        last_ = static_cast<slot>(used);
        known_.emplace(key{o, fresh.rule}, last_);
        used_.store(used + 1, std::memory_order_release);
        return last_;
    }
    void add(slot s) noexcept {
        if (s != none) rows_[s].count.add();
    }
    void add(outcome o, std::string_view rule) { add(find(o, rule)); }
    /// What is counted there. The worker's thread.
    [[nodiscard]] std::pair<outcome, std::string_view> at(slot s) const {
        return {rows_.at(s).what, rows_.at(s).rule};
    }

    /// Any thread: f(outcome, rule, count).
    template <class F>
    void each(F f) const {
        const auto used = used_.load(std::memory_order_acquire);
        for (std::size_t i = 0; i < used; ++i)
            f(rows_[i].what, std::string_view(rows_[i].rule), rows_[i].count.get());
    }

  private:
    static constexpr std::size_t rules_max = 250;
    using key = std::pair<outcome, std::string_view>;
    struct row {
        outcome what = outcome::allow;
        std::string rule;
        own_counter count;
    };
    std::array<row, rules_max + outcomes> rows_;
    std::atomic<std::size_t> used_{0};
    slot last_ = none;
    std::map<key, slot> known_;  // names in rows_, which stay where they are
};
[[nodiscard]] constexpr const char* to_string(statement_counts::outcome o) noexcept {
    constexpr const char* names[] = {"allow", "pass", "bypass", "hold", "refuse", "deny"};
    return names[static_cast<std::size_t>(o)];
}

struct worker_counters {
    statement_counts statements;
    own_counter bytes_from_clients;
    own_counter bytes_to_clients;
    own_counter bytes_from_servers;
    own_counter bytes_to_servers;
    own_counter facts_hits;    ///< texts whose facts were remembered
    own_counter facts_misses;  ///< that were parsed
    own_counter logins_accepted;
    own_counter logins_refused;
    own_counter sessions_begun;  ///< that reached their server
    std::atomic<std::size_t> sessions{0};
};

}  // namespace sallyport::proxy::session
