#include "policy/catalog/snapshot.h"

#include <utility>

namespace sallyport::policy::catalog {

snapshot::snapshot(rows r) : rows_(std::move(r)) {}
snapshot::~snapshot() = default;

snapshot_ptr build(rows r) {
    return std::make_shared<const snapshot>(std::move(r));
}

}  // namespace sallyport::policy::catalog
