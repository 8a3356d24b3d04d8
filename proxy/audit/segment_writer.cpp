#include "proxy/audit/segment_writer.h"

#include <array>
#include <cerrno>
#include <stdexcept>

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "proxy/audit/chain.h"
#include "proxy/audit/segments.h"
#include "proxy/audit/verify.h"

namespace sallyport::proxy::audit {

namespace {

std::error_code last_error() {
    return {errno, std::generic_category()};
}

[[noreturn]] void fail(const std::string& path, const std::string& what) {
    throw std::runtime_error("audit log " + path + ": " + what);
}

std::error_code write_all(int fd, std::string_view bytes, std::uint64_t offset) {
    while (!bytes.empty()) {
        const auto n = ::pwrite(fd, bytes.data(), bytes.size(), static_cast<off_t>(offset));
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return last_error();
        if (n == 0) return {ENOSPC, std::generic_category()};
        bytes.remove_prefix(static_cast<std::size_t>(n));
        offset += static_cast<std::uint64_t>(n);
    }
    return {};
}

/// mkdir -p, the new ones 0700.
void make_directories(const std::string& path) {
    for (std::size_t end = path.find('/', 1);; end = path.find('/', end + 1)) {
        const auto part = path.substr(0, end);
        if (::mkdir(part.c_str(), 0700) != 0 && errno != EEXIST)
            fail(path, "cannot be made: " + last_error().message() +
                           "; make it, owned by the proxy's user, mode 0700");
        if (end == std::string::npos) return;
    }
}

/// Offset behind the last newline of the file, and its size.
struct tail_position {
    std::uint64_t lines_end = 0;
    std::uint64_t size = 0;
};
tail_position find_tail(int fd, const std::string& path) {
    struct stat info {};
    if (::fstat(fd, &info) != 0) fail(path, last_error().message());
    tail_position tail;
    tail.size = static_cast<std::uint64_t>(info.st_size);
    std::array<char, 65536> chunk{};
    for (auto end = tail.size; end > 0;) {
        const auto begin = end > chunk.size() ? end - chunk.size() : 0;
        const auto n = ::pread(fd, chunk.data(), static_cast<std::size_t>(end - begin),
                               static_cast<off_t>(begin));
        if (n < 0 || static_cast<std::uint64_t>(n) != end - begin)
            fail(path, "cannot be read: " + last_error().message());
        const auto at = std::string_view(chunk.data(), static_cast<std::size_t>(n)).rfind('\n');
        if (at != std::string_view::npos) {
            tail.lines_end = begin + at + 1;
            break;
        }
        end = begin;
    }
    return tail;
}

struct file_descriptor {
    int fd = -1;
    ~file_descriptor() {
        if (fd >= 0) ::close(fd);
    }
};

}  // namespace

segment_writer::segment_writer(const std::string& directory, const signing_key& key,
                               fault_hook hook)
    : directory_(directory), hook_(std::move(hook)) {
    if (directory_.empty()) throw std::runtime_error("audit log: no directory is configured");
    try {
        lock_directory();
        recover(key);
    } catch (...) {
        for (const int fd : {fd_, lock_fd_, directory_fd_})
            if (fd >= 0) ::close(fd);
        throw;
    }
}

segment_writer::~segment_writer() {
    for (const int fd : {fd_, lock_fd_, directory_fd_})
        if (fd >= 0) ::close(fd);
}

void segment_writer::lock_directory() {
    make_directories(directory_);
    directory_fd_ = ::open(directory_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (directory_fd_ < 0) fail(directory_, "cannot be opened: " + last_error().message());
    struct stat info {};
    if (::fstat(directory_fd_, &info) != 0) fail(directory_, last_error().message());
    if ((info.st_mode & 022) != 0)
        fail(directory_, "can be written by others than its owner; run: chmod 700 " + directory_);
    lock_fd_ = ::openat(directory_fd_, ".lock", O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (lock_fd_ < 0) fail(directory_ + "/.lock", "cannot be opened: " + last_error().message());
    if (::flock(lock_fd_, LOCK_EX | LOCK_NB) != 0)
        fail(directory_,
             "another process writes this log; stop it, or give this one a directory "
             "of its own");
}

void segment_writer::recover(const signing_key& key) {
    auto segments = list_segments(directory_);
    if (segments.empty()) {
        head_ = {0, std::string(genesis_hash)};
        if (const auto e = open_segment(1, O_CREAT | O_EXCL))
            fail(directory_ + "/" + segment_name(1), "cannot be made: " + e.message());
        return;
    }
    const auto newest = segments.back();
    cut_torn_line(newest.name);
    // A crash may have come between the making of a file and its first line.
    if (const auto e = open_segment(newest.number, 0))
        fail(directory_ + "/" + newest.name, "cannot be opened for writing: " + e.message());
    if (offset_ == 0) {
        if (segments.size() == 1) {
            head_ = {0, std::string(genesis_hash)};
            return;
        }
        segments.pop_back();
    }
    const bool first_is_there = segments.size() == 1 && segments.back().number == 1;
    segment_source lines(directory_, {segments.back()}, 0);
    verify_options options;
    options.may_start_later = !first_is_there;
    const auto report = verify_lines(lines, key.public_pem(), options, read_head_file(directory_));
    if (!report.ok())
        fail(directory_ + "/" + report.file,
             "line " + std::to_string(report.line) + " is " + to_string(report.what) + " (" +
                 report.text +
                 "); nothing is written behind damage. Keep the directory as evidence (mv " +
                 directory_ + " " + directory_ + ".damaged) and start again with a new one");
    head_ = {report.head.sequence, report.head.hash};
}

void segment_writer::cut_torn_line(const std::string& name) {
    const auto path = directory_ + "/" + name;
    const file_descriptor file{::openat(directory_fd_, name.c_str(), O_RDWR | O_CLOEXEC)};
    if (file.fd < 0) fail(path, "cannot be opened for writing: " + last_error().message());
    const auto tail = find_tail(file.fd, path);
    if (tail.lines_end == tail.size) return;
    const file_descriptor kept{::openat(directory_fd_, (name + ".torn").c_str(),
                                        O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW,
                                        0600)};
    if (kept.fd < 0)
        fail(path + ".torn",
             "cannot be made, to keep the torn last line: " + last_error().message());
    std::array<char, 65536> chunk{};
    for (auto at = tail.lines_end; at < tail.size;) {
        const auto n = ::pread(file.fd, chunk.data(), chunk.size(), static_cast<off_t>(at));
        if (n <= 0 || ::write(kept.fd, chunk.data(), static_cast<std::size_t>(n)) != n)
            fail(path + ".torn", "the torn last line cannot be kept: " + last_error().message());
        at += static_cast<std::uint64_t>(n);
    }
    if (::fsync(kept.fd) != 0 || ::ftruncate(file.fd, static_cast<off_t>(tail.lines_end)) != 0 ||
        ::fsync(file.fd) != 0 || ::fsync(directory_fd_) != 0)
        fail(path, "its torn last line cannot be cut off: " + last_error().message());
}

std::error_code segment_writer::fault(std::string_view operation, std::string_view bytes) const {
    return hook_ ? hook_(operation, bytes) : std::error_code{};
}

std::error_code segment_writer::open_segment(std::uint64_t number, int flags) {
    if (flags != 0)
        if (const auto e = fault("create", {})) return e;
    const int fd = ::openat(directory_fd_, segment_name(number).c_str(),
                            O_WRONLY | O_CLOEXEC | O_NOFOLLOW | flags, 0600);
    if (fd < 0) return last_error();
    struct stat info {};
    // The name must be durable before lines in the file are.
    if (::fstat(fd, &info) != 0 || ::fsync(directory_fd_) != 0) {
        const auto e = last_error();
        ::close(fd);
        return e;
    }
    if (fd_ >= 0) ::close(fd_);
    fd_ = fd;
    number_ = number;
    offset_ = static_cast<std::uint64_t>(info.st_size);
    return {};
}

std::error_code segment_writer::prepare(std::uint64_t segment_bytes_max) {
    if (dirty_) {
        if (const auto e = fault("truncate", {})) return e;
        if (::ftruncate(fd_, static_cast<off_t>(offset_)) != 0) return last_error();
        if (::fdatasync(fd_) != 0) return last_error();
        dirty_ = false;
    }
    if (offset_ < segment_bytes_max) return {};
    const auto e = open_segment(number_ + 1, O_CREAT | O_EXCL);
    // Made by an earlier attempt that then failed: it is empty and ours, the directory is locked.
    return e == std::errc::file_exists ? open_segment(number_ + 1, 0) : e;
}

std::error_code segment_writer::commit(std::string_view lines, log::head_info new_head) {
    dirty_ = true;
    if (const auto e = fault("write", lines)) return e;
    if (const auto e = write_all(fd_, lines, offset_)) return e;
    if (const auto e = fault("sync", {})) return e;
    if (::fdatasync(fd_) != 0) return last_error();
    dirty_ = false;
    offset_ += lines.size();
    head_ = std::move(new_head);
    return {};
}

void segment_writer::publish_head(std::string_view checkpoint_line) {
    const std::string temporary = std::string(head_file_name) + ".new";
    {
        const file_descriptor file{::openat(directory_fd_, temporary.c_str(),
                                            O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW,
                                            0600)};
        if (file.fd < 0 || write_all(file.fd, std::string(checkpoint_line) + "\n", 0)) return;
    }
    // Renamed without a sync: after a crash an older or empty one is found, which is noted, not
    // trusted.
    if (::renameat(directory_fd_, temporary.c_str(), directory_fd_, head_file_name) != 0)
        ::unlinkat(directory_fd_, temporary.c_str(), 0);
}

}  // namespace sallyport::proxy::audit
