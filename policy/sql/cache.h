#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>

#include "policy/facts.h"

/// Facts of texts seen before.
namespace sallyport::policy::sql {

struct facts_cache_options {
    std::size_t bytes_max = 16u << 20;       ///< keys and facts together, estimated
    std::size_t text_bytes_max = 64u << 10;  ///< longer texts are neither looked up nor kept
    std::uint64_t seed = 0;                  ///< of the hash; give each process a random one
};

/// SQL text → facts, bounded, one per worker thread.
///
/// Facts that no literal can change are kept under the text's template (policy/sql/template.h), so
/// one entry serves every text of that form; literal-sensitive facts and texts without a certain
/// template are kept under the exact text. An entry holds for one setting of
/// standard_conforming_strings only. INVARIANT: a template that ever had literal-sensitive facts is
/// served by exact text only. Eviction: clock; an entry that was hit since the hand last passed
/// stays. Concurrency: not thread-safe; each worker owns one. Use: `auto f = cache.lookup(sql,
/// scs); if (!f) cache.insert(sql, scs, f = analyse(sql, …));`
class facts_cache {
  public:
    explicit facts_cache(facts_cache_options options = {});
    ~facts_cache();
    facts_cache(facts_cache&&) noexcept;
    facts_cache& operator=(facts_cache&&) noexcept;

    /// Null when unknown. A hit does not allocate.
    [[nodiscard]] facts_ptr lookup(std::string_view sql, bool standard_conforming_strings);
    /// Keeps `f` for `sql`; no effect for null or texts over the limit.
    void insert(std::string_view sql, bool standard_conforming_strings, facts_ptr f);
    void clear() noexcept;

    [[nodiscard]] std::size_t entries() const noexcept;
    [[nodiscard]] std::size_t bytes() const noexcept;
    [[nodiscard]] std::uint64_t hits() const noexcept;
    [[nodiscard]] std::uint64_t misses() const noexcept;

  private:
    struct impl;
    std::unique_ptr<impl> impl_;
};

/// Estimated memory of a facts value.
[[nodiscard]] std::size_t memory_bytes(const facts& f) noexcept;

}  // namespace sallyport::policy::sql
