#include "proxy/cli/new_file.h"

#include <cerrno>
#include <cstring>

#include <fcntl.h>
#include <unistd.h>

#include "proxy/cli/http_client.h"

namespace sallyport::proxy::cli {
namespace {

class descriptor {
  public:
    explicit descriptor(int fd) : fd_(fd) {}
    ~descriptor() {
        if (fd_ >= 0) ::close(fd_);
    }
    descriptor(const descriptor&) = delete;
    descriptor& operator=(const descriptor&) = delete;
    [[nodiscard]] int get() const noexcept { return fd_; }

  private:
    int fd_;
};

bool write_all(int fd, std::string_view text) {
    while (!text.empty()) {
        const auto n = ::write(fd, text.data(), text.size());
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) return false;
        text.remove_prefix(static_cast<std::size_t>(n));
    }
    return ::fsync(fd) == 0;
}

}  // namespace

void write_new_file(const std::string& path, std::string_view text) {
    const descriptor file(
        ::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600));
    if (file.get() < 0) {
        const bool there = errno == EEXIST;
        throw failure(refused, path + " cannot be written: " + std::strerror(errno),
                      there ? "Name another file with --output." : "Name a file with --output.");
    }
    if (write_all(file.get(), text)) return;
    const std::string why = std::strerror(errno);
    ::unlink(path.c_str());
    throw failure(refused, path + " cannot be written: " + why, "Name a file with --output.");
}

}  // namespace sallyport::proxy::cli
