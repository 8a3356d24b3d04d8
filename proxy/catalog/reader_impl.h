#pragma once

#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

#include "proxy/catalog/reader.h"

/// The parts of reading a catalog; private to proxy/catalog.
namespace sallyport::proxy::catalog {

[[nodiscard]] std::string read_fingerprint(connection& c, std::uint64_t seed,
                                           const read_limits& limits);

// The schemas of sessions' temporary objects.
#define TEMPORARY_SCHEMAS \
    "(SELECT t.oid FROM pg_catalog.pg_namespace t WHERE t.nspname ~ '^pg_(toast_)?temp_')"

/// A condition on the id of a relation: not the server's own, not temporary.
[[nodiscard]] std::string ours(const std::string& relation);
/// Joins that give e.extname, the extension that the object belongs to.
[[nodiscard]] std::string with_extension(const std::string& catalog, const std::string& id);
/// "1,2,3" as ids; those that are 0 are none.
[[nodiscard]] std::vector<policy::catalog::oid> parse_ids(std::string_view text);

/// Rows sorted by id, once each.
template <class T>
void sort_by_id(std::vector<T>& v) {
    std::sort(v.begin(), v.end(), [](const T& a, const T& b) { return a.id < b.id; });
    v.erase(std::unique(v.begin(), v.end(), [](const T& a, const T& b) { return a.id == b.id; }),
            v.end());
}

template <class T>
T* find_by_id(std::vector<T>& v, policy::catalog::oid id) {
    const auto it = std::lower_bound(v.begin(), v.end(), id,
                                     [](const T& a, policy::catalog::oid b) { return a.id < b; });
    return it != v.end() && it->id == id ? &*it : nullptr;
}

/// Reads one snapshot of rows inside a transaction that stands already.
class reader {
  public:
    reader(connection& c, const read_limits& limits)
        : connection_(c),
          limits_(limits),
          until_(std::chrono::steady_clock::now() + limits.total_timeout) {}
    [[nodiscard]] policy::catalog::rows run();

  private:
    using oid = policy::catalog::oid;

    /// Every row of an answer, counted.
    void each(const std::string& sql, int columns, const std::function<void(const row&)>& on_row);

    /// Texts that PostgreSQL writes out. `select` gives an id and a text and ends where " BETWEEN a
    /// AND b" completes its condition on the id; `ids` ascend. One query if nothing fails; what
    /// fails is narrowed down by halves, behind savepoints.
    struct texts {
        std::string select;
        std::vector<oid> ids;
        std::function<void(std::size_t index, std::string text)> put;
        std::function<void(std::size_t index, const std::string& why)> miss;
    };
    void deparse(const texts& t);
    void deparse_range(const texts& t, std::size_t first, std::size_t count);
    [[nodiscard]] bool still_tries() const;

    void read_identity();
    void read_relations();
    void read_views();
    void read_expressions();
    void read_functions();
    void read_aggregates();
    void read_types();
    void read_domains();
    void read_triggers();
    void read_links();
    void read_settings();
    void read_foreign_tables();
    void read_supports();

    connection& connection_;
    const read_limits& limits_;
    std::chrono::steady_clock::time_point until_;
    policy::catalog::rows out_;
    std::size_t bytes_ = 0;
    std::size_t rows_ = 0;
    std::size_t failures_ = 0;
    std::chrono::steady_clock::time_point first_failure_{};
};

}  // namespace sallyport::proxy::catalog
