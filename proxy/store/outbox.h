#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "policy/notice.h"
#include "policy/types.h"

/// Notices that wait for their delivery: they survive the process as everything else in the state.
namespace sallyport::proxy::store {

/// waiting → delivered | given_up; the schema refuses anything else.
enum class delivery_state : std::uint8_t { waiting, delivered, given_up };
[[nodiscard]] const char* to_string(delivery_state s) noexcept;

/// One notice on its way to one channel.
struct delivery {
    std::uint64_t id = 0;
    std::string key;  ///< 32 hex digits; the same in every attempt, for receivers to know it again
    std::string channel;
    policy::notice what;
    delivery_state state = delivery_state::waiting;
    std::uint64_t attempts = 0;  ///< so far
    policy::instant next_at{};   ///< of the next attempt; later ones of a subject wait behind it
    policy::instant ended_at{};  ///< delivered or given up
    std::string error{};         ///< of the newest attempt that failed
};

/// What came of one attempt.
struct delivery_outcome {
    std::uint64_t id = 0;
    std::string channel{};
    delivery_state to = delivery_state::waiting;
    policy::instant at{};       ///< now
    policy::instant next_at{};  ///< waiting: when it is tried again
    std::string error{};        ///< "" = none
};

/// What waits for one channel, and what was given up.
struct channel_backlog {
    std::string channel;
    std::uint64_t waiting = 0;
    std::uint64_t given_up = 0;
    policy::instant oldest{};  ///< the notice that waits longest; zero: none waits
};

/// The part of the store that holds them. As everywhere in the store: one thread, each call one
/// durable transaction (or part of store::atomically()), throws store_error.
class outbox {
  public:
    virtual ~outbox() = default;

    /// One delivery for each channel.
    virtual void add_notice(const policy::notice& n, const std::vector<std::string>& channels) = 0;
    /// Those of a channel that may be tried now, longest due first. Never two of one subject: the
    /// later ones wait until the first is settled.
    virtual std::vector<delivery> due(const std::string& channel, policy::instant now,
                                      std::size_t limit) = 0;
    /// When the next one of the channel may be tried; zero: none waits.
    virtual policy::instant next_due(const std::string& channel) = 0;
    virtual void settle(const std::vector<delivery_outcome>& outcomes) = 0;
    /// What waits for channels that are not among these is given up; returns those.
    virtual std::vector<delivery> close_channels(const std::vector<std::string>& but,
                                                 const std::string& why, policy::instant at) = 0;
    virtual std::vector<channel_backlog> backlog() = 0;
    /// Those that wait after a failure and those given up, newest first.
    virtual std::vector<delivery> troubled(std::size_t limit) = 0;
};

}  // namespace sallyport::proxy::store
