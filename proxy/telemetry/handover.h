#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <memory>
#include <new>
#include <utility>
#include <vector>

/// From many threads to one, without a lock.
namespace sallyport::proxy::telemetry {

/// Whoever puts never waits: a push is one compare-and-swap, and beyond the bounds a thing is
/// dropped and counted. One thread takes all there is at once, in the order of the pushes. What was
/// taken counts against the bounds until it is released.
template <class T>
class handover {
  public:
    handover() = default;
    ~handover() { static_cast<void>(take()); }
    handover(const handover&) = delete;
    handover& operator=(const handover&) = delete;

    struct item {
        std::unique_ptr<T> what;
        std::size_t bytes = 0;
    };

    void set_bounds(std::size_t count, std::size_t bytes) noexcept {
        count_max_.store(count, std::memory_order_relaxed);
        bytes_max_.store(bytes, std::memory_order_relaxed);
    }

    /// `bytes`: about what it keeps in memory. False: there was no room.
    bool put(std::unique_ptr<T> what, std::size_t bytes) noexcept {
        const auto count = count_.fetch_add(1, std::memory_order_relaxed);
        const auto held = bytes_.fetch_add(bytes, std::memory_order_relaxed);
        auto* n = count < count_max_.load(std::memory_order_relaxed) &&
                          held + bytes <= bytes_max_.load(std::memory_order_relaxed)
                      ? new (std::nothrow) node
                      : nullptr;
        if (n == nullptr) {
            release(1, bytes);
            count_dropped();
            return false;
        }
        n->held = {std::move(what), bytes};
        n->next = top_.load(std::memory_order_relaxed);
        while (!top_.compare_exchange_weak(n->next, n, std::memory_order_release,
                                           std::memory_order_relaxed)) {
        }
        return true;
    }

    /// Oldest first.
    [[nodiscard]] std::vector<item> take() {
        std::vector<item> out;
        for (auto* n = top_.exchange(nullptr, std::memory_order_acquire); n != nullptr;) {
            const std::unique_ptr<node> mine(n);
            n = mine->next;
            out.push_back(std::move(mine->held));
        }
        return {std::make_move_iterator(out.rbegin()), std::make_move_iterator(out.rend())};
    }
    void release(std::size_t count, std::size_t bytes) noexcept {
        count_.fetch_sub(count, std::memory_order_relaxed);
        bytes_.fetch_sub(bytes, std::memory_order_relaxed);
    }

    void count_dropped() noexcept { dropped_.fetch_add(1, std::memory_order_relaxed); }
    [[nodiscard]] std::size_t queued() const noexcept {
        return count_.load(std::memory_order_relaxed);
    }
    [[nodiscard]] std::uint64_t dropped() const noexcept {
        return dropped_.load(std::memory_order_relaxed);
    }

  private:
    struct node {
        item held;
        node* next = nullptr;
    };
    std::atomic<node*> top_{nullptr};
    std::atomic<std::size_t> count_{0};
    std::atomic<std::size_t> bytes_{0};
    std::atomic<std::uint64_t> dropped_{0};
    std::atomic<std::size_t> count_max_{0};
    std::atomic<std::size_t> bytes_max_{0};
};

}  // namespace sallyport::proxy::telemetry
