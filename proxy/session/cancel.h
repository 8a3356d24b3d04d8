#pragma once

#include <cstdint>
#include <functional>
#include <mutex>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "policy/types.h"

/// From the key that a client holds to the session it may cancel.
namespace sallyport::proxy::session {

/// Keys are ours: the number is the server's process id (clients compare it), the secret is not the
/// server's. Numbers of different targets can collide; a key is the pair.
/// Concurrency: thread-safe.
class cancel_registry {
  public:
    /// Delivers a cancel to the session's worker; `done` is called when the server has been told.
    using deliver = std::function<void(std::function<void()> done)>;

    /// Makes a key for `number`, with a fresh secret of `secret_bytes`: 4 in protocol 3.0.
    [[nodiscard]] std::string add(std::uint32_t number, policy::session_id session,
                                  std::size_t secret_bytes, deliver to);
    void remove(policy::session_id session, std::uint32_t number);
    /// True if the key is somebody's; then `done` is called once, on any thread. Compares in
    /// constant time among the keys of one number.
    bool cancel(std::uint32_t number, std::string_view secret, std::function<void()> done);

  private:
    struct entry {
        policy::session_id session;
        std::string secret;
        deliver to;
    };
    std::mutex mutex_;
    std::unordered_map<std::uint32_t, std::vector<entry>> keys_;
};

}  // namespace sallyport::proxy::session
