#pragma once

#include <cassert>
#include <memory>
#include <utility>

#include "policy/decide.h"
#include "proxy/audit/log.h"

/// The proof that an inspected message may go upstream.
namespace sallyport::proxy::session {

/// Made from a plain allow, or from the receipts of what got round a holding rule; consumed by
/// forwarding. There is no other way to forward an inspected message (gate.cpp takes one).
/// Shape: move-only; a moved-from permit is void.
class permit {
  public:
    /// A decision that no rule minds. Precondition: effect allow without any grant.
    [[nodiscard]] static permit plain(const policy::decision& d) noexcept {
        const bool plainly =
            d.effect == policy::effect::allow && d.grant == policy::granted_by::nothing;
        assert(plainly);
        return permit(plainly);
    }
    /// The record of the bypass or release is durable; the receipt is used up.
    [[nodiscard]] static permit recorded(std::unique_ptr<audit::receipt> proof) noexcept {
        return permit(proof != nullptr);
    }
    /// Goes on with an execution whose record is durable already (fetching the rest of a portal).
    [[nodiscard]] static permit continued() noexcept { return permit(true); }
    /// No permit (yet).
    [[nodiscard]] static permit none() noexcept { return permit(false); }
    /// Runs nothing by itself (Sync, Flush, Describe, Close, COPY data), or cannot run (the
    /// transaction has failed and the server will say so).
    [[nodiscard]] static permit harmless() noexcept { return permit(true); }

    permit(permit&& other) noexcept : valid_(std::exchange(other.valid_, false)) {}
    permit& operator=(permit&& other) noexcept {
        valid_ = std::exchange(other.valid_, false);
        return *this;
    }
    permit(const permit&) = delete;
    permit& operator=(const permit&) = delete;

    [[nodiscard]] explicit operator bool() const noexcept { return valid_; }

  private:
    explicit permit(bool valid) noexcept : valid_(valid) {}
    bool valid_;
};

}  // namespace sallyport::proxy::session
