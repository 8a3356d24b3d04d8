#pragma once

#include <cerrno>
#include <string_view>

#include <unistd.h>

namespace sallyport::proxy {

/// A file descriptor that closes itself; below 0: none.
class descriptor {
  public:
    descriptor() = default;
    explicit descriptor(int fd) noexcept : fd_(fd) {}
    ~descriptor() { close(); }
    descriptor(const descriptor&) = delete;
    descriptor& operator=(const descriptor&) = delete;
    void set(int fd) noexcept {
        close();
        fd_ = fd;
    }
    void close() noexcept {
        if (fd_ >= 0) ::close(fd_);
        fd_ = -1;
    }
    [[nodiscard]] int get() const noexcept { return fd_; }

  private:
    int fd_ = -1;
};

/// The whole text, and on disk. False: errno says why; some of it may be there.
[[nodiscard]] inline bool write_durably(int fd, std::string_view text) noexcept {
    while (!text.empty()) {
        const auto n = ::write(fd, text.data(), text.size());
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) return false;
        text.remove_prefix(static_cast<std::size_t>(n));
    }
    return ::fsync(fd) == 0;
}

}  // namespace sallyport::proxy
