#pragma once

#include <cstddef>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <unordered_map>
#include <variant>

#include "policy/types.h"

/// Caps on connections and on guesses. Shared by all workers.
namespace sallyport::proxy::net {

/// 0 = no cap.
struct connection_caps {
    std::size_t connections = 10'000;
    std::size_t connections_per_address = 0;
    std::size_t unauthenticated = 1'000;
    std::size_t unauthenticated_per_address = 64;
    /// Beyond `connections`: only admins may keep these once they have logged in, and cancel
    /// requests find room here.
    std::size_t reserve = 0;
};

/// Counts connections, in all and per address (IPv6: per /64, which one person usually has whole).
///
///     auto admitted = limiter.admit(address);
///     if (auto* why = std::get_if<refusal>(&admitted)) …send FATAL 53300 with why->text, close…
///
/// Concurrency: thread-safe. Tickets must not outlive the limiter.
class connection_limiter {
  public:
    struct refusal {
        std::string text;  ///< for the client: "too many connections from your address (limit 64)"
    };
    /// One connection's share; giving it back is its destructor's work.
    class ticket {
      public:
        ticket() = default;
        ticket(ticket&& other) noexcept;
        ticket& operator=(ticket&& other) noexcept;
        ~ticket();
        /// The login is complete: no longer counts as unauthenticated. Idempotent.
        void authenticated() noexcept;

      private:
        friend class connection_limiter;
        connection_limiter* owner_ = nullptr;
        std::string key_;
        bool unauthenticated_ = true;
    };

    explicit connection_limiter(connection_caps caps) : caps_(caps) {}
    [[nodiscard]] std::variant<ticket, refusal> admit(std::string_view address);
    /// More connections than `connections`: only an admin may stay.
    [[nodiscard]] bool in_reserve() const;
    /// New caps count for connections from now on; live ones stay.
    void set_caps(connection_caps caps);

    struct counts {
        std::size_t connections = 0;
        std::size_t unauthenticated = 0;
        std::size_t addresses = 0;
    };
    [[nodiscard]] counts now() const;

  private:
    struct share {
        std::size_t connections = 0;
        std::size_t unauthenticated = 0;
    };
    void promote(const std::string& key) noexcept;
    void release(const std::string& key, bool unauthenticated) noexcept;

    mutable std::mutex mutex_;
    connection_caps caps_;
    share total_;
    std::unordered_map<std::string, share>
        by_address_;  // only addresses that have live connections
};

/// Slows down guessing: a token bucket per (address, user) and a larger one per address. Names
/// alone are never locked: that would let anybody lock out anybody. Units:  `burst` failures at
/// once, then one per `refill`. Table: at most `entries_max` buckets, the one
///         used longest ago makes room.
/// Concurrency: thread-safe.
class failure_limiter {
  public:
    struct options {
        double burst_per_user = 10;
        policy::milliseconds refill_per_user{6'000};
        double burst_per_address = 100;
        policy::milliseconds refill_per_address{600};
        std::size_t entries_max = 65'536;
    };
    failure_limiter();
    explicit failure_limiter(options o);
    ~failure_limiter();
    failure_limiter(const failure_limiter&) = delete;
    failure_limiter& operator=(const failure_limiter&) = delete;

    /// How long this pair must wait before the next try; 0 = may try. Check before any
    /// cryptography.
    [[nodiscard]] policy::milliseconds retry_after(std::string_view address, std::string_view user,
                                                   policy::instant now) const;
    void failed(std::string_view address, std::string_view user, policy::instant now);
    /// A good login forgives the pair's failures, not the address's.
    void succeeded(std::string_view address, std::string_view user);
    [[nodiscard]] std::size_t entries() const;

  private:
    struct impl;
    std::unique_ptr<impl> impl_;
};

/// The key under which an address is counted: IPv4 as it is, IPv6 as its /64.
[[nodiscard]] std::string address_key(std::string_view address);

}  // namespace sallyport::proxy::net
