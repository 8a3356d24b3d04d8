#pragma once

#include <functional>
#include <memory>
#include <string>

#include "policy/facts.h"

/// A thread with a stack that PostgreSQL's grammar cannot exhaust, for texts too long for a worker.
namespace sallyport::proxy::session {

class analyst {
  public:
    analyst();
    ~analyst();  ///< what is queued is dropped; joins
    analyst(const analyst&) = delete;
    analyst& operator=(const analyst&) = delete;

    /// Queues one text; `done` is called on the analyst's thread and must only post.
    /// Errors: a queue that is full (by bytes) answers at once with opaque facts.
    void analyse(std::string sql, std::size_t bytes_max, bool standard_conforming_strings,
                 std::function<void(policy::facts_ptr)> done);

  private:
    struct impl;
    std::unique_ptr<impl> impl_;
};

}  // namespace sallyport::proxy::session
