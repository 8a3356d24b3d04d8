#include "proxy/audit/segments.h"

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <filesystem>
#include <stdexcept>
#include <system_error>

#include <fcntl.h>
#include <unistd.h>

#include "proxy/audit/chain.h"

namespace sallyport::proxy::audit {

namespace {

constexpr std::size_t read_bytes = 256u << 10;
constexpr std::string_view name_front = "audit-";
constexpr std::string_view name_back = ".jsonl";

/// The number in a segment's name, 0 if it is not one.
std::uint64_t number_of(std::string_view name) {
    if (!name.starts_with(name_front) || !name.ends_with(name_back) || name.size() > 40) return 0;
    const auto digits =
        name.substr(name_front.size(), name.size() - name_front.size() - name_back.size());
    std::uint64_t number = 0;
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), number);
    if (error != std::errc{} || end != digits.data() + digits.size()) return 0;
    return segment_name(number) == name ? number : 0;
}

}  // namespace

std::string segment_name(std::uint64_t number) {
    auto digits = std::to_string(number);
    if (digits.size() < 6) digits.insert(0, 6 - digits.size(), '0');
    return std::string(name_front) + digits + std::string(name_back);
}

std::vector<segment> list_segments(const std::string& directory) {
    std::vector<segment> result;
    try {
        for (const auto& entry : std::filesystem::directory_iterator(directory)) {
            auto name = entry.path().filename().string();
            if (const auto number = number_of(name); number != 0)
                result.push_back({number, std::move(name)});
        }
    } catch (const std::filesystem::filesystem_error& e) {
        throw std::runtime_error("audit log " + directory +
                                 ": cannot be read: " + e.code().message());
    }
    std::sort(result.begin(), result.end(),
              [](const segment& a, const segment& b) { return a.number < b.number; });
    return result;
}

line_reader::line_reader(const std::string& directory, std::string name) : name_(std::move(name)) {
    fd_ = ::open((directory + "/" + name_).c_str(), O_RDONLY | O_CLOEXEC);
    if (fd_ < 0)
        throw std::runtime_error(name_ +
                                 ": cannot be opened: " + std::generic_category().message(errno));
}

line_reader::~line_reader() {
    ::close(fd_);
}

bool line_reader::fill() {
    buffer_.erase(0, at_);
    at_ = 0;
    const auto had = buffer_.size();
    buffer_.resize(had + read_bytes);
    ssize_t n = 0;
    do {
        n = ::read(fd_, buffer_.data() + had, read_bytes);
    } while (n < 0 && errno == EINTR);
    buffer_.resize(had + static_cast<std::size_t>(std::max<ssize_t>(n, 0)));
    if (n < 0)
        throw std::runtime_error(name_ +
                                 ": cannot be read: " + std::generic_category().message(errno));
    return n > 0;
}

bool line_reader::next(source_line& out) {
    std::size_t searched = 0;
    while (true) {
        const auto end = buffer_.find('\n', at_ + searched);
        const auto length = (end == std::string::npos ? buffer_.size() : end) - at_;
        const bool too_long = length > line_bytes_max;
        if (end != std::string::npos || too_long) {
            out = source_line{};
            out.file = name_;
            out.number = ++number_;
            out.too_long = too_long;
            out.bytes = buffer_.substr(at_, too_long ? 256 : length);
            // What follows in an endless line is not a line: the reader is at its end after one.
            at_ = end == std::string::npos ? buffer_.size() : end + 1;
            return true;
        }
        searched = length;
        if (fill()) continue;
        if (buffer_.empty()) return false;
        out = source_line{};
        out.file = name_;
        out.number = ++number_;
        out.complete = false;
        out.bytes = std::move(buffer_);
        buffer_.clear();
        at_ = 0;
        return true;
    }
}

segment_source::segment_source(std::string directory, std::vector<segment> segments,
                               std::uint64_t first_number)
    : directory_(std::move(directory)),
      segments_(std::move(segments)),
      expected_number_(first_number) {}

segment_source::~segment_source() = default;

std::optional<source_line> segment_source::next() {
    try {
        source_line line;
        while (!ended_) {
            if (reader_) {
                if (reader_->next(line)) return line;
                reader_.reset();
            }
            if (next_segment_ == segments_.size()) break;
            const auto& s = segments_[next_segment_];
            if (expected_number_ != 0 && s.number != expected_number_) {
                line.file = segment_name(expected_number_);
                line.missing = line.file + " is missing; the next file there is " + s.name;
                ended_ = true;
                return line;
            }
            expected_number_ = s.number + 1;
            ++next_segment_;
            reader_ = std::make_unique<line_reader>(directory_, s.name);
        }
        return std::nullopt;
    } catch (const std::runtime_error& e) {
        source_line line;
        line.file = next_segment_ > 0 ? segments_[next_segment_ - 1].name : "";
        line.missing = e.what();
        line.unreadable = true;
        ended_ = true;
        return line;
    }
}

std::string read_head_file(const std::string& directory) {
    try {
        line_reader reader(directory, head_file_name);
        source_line line;
        if (reader.next(line) && line.complete && !line.too_long) return line.bytes;
    } catch (const std::runtime_error&) {
        // Absent or unreadable is the same here: the verifier notes that it had no such head.
    }
    return {};
}

}  // namespace sallyport::proxy::audit
