#pragma once

#include <cstdint>
#include <memory>

#include "policy/catalog/rows.h"

namespace sallyport::policy::catalog {

/// One database's catalog, understood: immutable, shared between threads.
class snapshot {
  public:
    explicit snapshot(rows r);
    ~snapshot();
    snapshot(const snapshot&) = delete;
    snapshot& operator=(const snapshot&) = delete;

    [[nodiscard]] const rows& source() const noexcept { return rows_; }

  private:
    rows rows_;
};
using snapshot_ptr = std::shared_ptr<const snapshot>;

/// Computes what naming each object reaches. Parses the bodies of views and functions: call it on a
/// thread whose stack PostgreSQL's grammar cannot exhaust (sql::big_stack_bytes). Never throws for
/// content: what cannot be understood is opaque, with its reason.
[[nodiscard]] snapshot_ptr build(rows r);

}  // namespace sallyport::policy::catalog
