#include "proxy/cli/table.h"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <numeric>
#include <optional>

#include "proxy/visible.h"

namespace sallyport::proxy::cli {
namespace {

constexpr std::size_t gap = 2;
constexpr std::size_t column_min = 4;
constexpr std::size_t beneath_indent = 4;

std::size_t width_of(char32_t c) noexcept {
    if (c >= 0x300 && c <= 0x36F) return 0;
    const bool wide = (c >= 0x1100 && c <= 0x115F) || (c >= 0x2E80 && c <= 0xA4CF) ||
                      (c >= 0xAC00 && c <= 0xD7A3) || (c >= 0xF900 && c <= 0xFAFF) ||
                      (c >= 0xFE30 && c <= 0xFE6F) || (c >= 0xFF00 && c <= 0xFF60) ||
                      (c >= 0xFFE0 && c <= 0xFFE6) || (c >= 0x1F300 && c <= 0x1FAFF) ||
                      (c >= 0x20000 && c <= 0x3FFFD);
    return wide ? 2 : 1;
}

/// How many bytes of one line fit into `width` columns.
std::size_t bytes_that_fit(std::string_view line, std::size_t width) {
    std::size_t used = 0;
    std::size_t at = 0;
    while (at < line.size()) {
        const auto c = decode_utf8(line, at);
        used += width_of(c.value);
        if (used > width && at > 0) break;
        at += c.bytes;
    }
    return at;
}

void wrap_line(std::string_view line, std::size_t width, std::vector<std::string>& out) {
    do {
        auto take = bytes_that_fit(line, width);
        auto skip = take;
        if (take < line.size()) {
            const auto space = line.substr(0, take + 1).rfind(' ');
            if (space != std::string_view::npos && space > 0 && space >= take / 2) {
                take = space;
                skip = space + 1;
            }
        }
        out.emplace_back(line.substr(0, take));
        line.remove_prefix(skip);
    } while (!line.empty());
}

std::string padded(const std::string& text, std::size_t width) {
    const auto used = display_width(text);
    return used < width ? text + std::string(width - used, ' ') : text;
}

std::string trimmed(std::string line) {
    const auto end = line.find_last_not_of(' ');
    line.erase(end == std::string::npos ? 0 : end + 1);
    return line;
}

void print_cells(const std::vector<std::string>& cells, const std::vector<std::size_t>& widths,
                 std::string& out) {
    std::vector<std::vector<std::string>> lines;
    std::size_t height = 1;
    for (std::size_t i = 0; i < cells.size(); ++i) {
        lines.push_back(wrap(cells[i], widths[i]));
        height = std::max(height, lines.back().size());
    }
    for (std::size_t y = 0; y < height; ++y) {
        std::string line;
        for (std::size_t i = 0; i < lines.size(); ++i) {
            line += padded(y < lines[i].size() ? lines[i][y] : "", widths[i]);
            line += std::string(gap, ' ');
        }
        out += trimmed(std::move(line)) + "\n";
    }
}

/// Milliseconds since the epoch of "2026-11-21T21:38:10.123Z".
std::optional<long long> parse_time(const std::string& iso) {
    int year = 0;
    unsigned month = 0;
    unsigned day = 0;
    int hour = 0;
    int minute = 0;
    int second = 0;
    int milli = 0;
    char z = '\0';
    if (iso.size() != 24 ||
        std::sscanf(iso.c_str(), "%4d-%2u-%2uT%2d:%2d:%2d.%3d%c", &year, &month, &day, &hour,
                    &minute, &second, &milli, &z) != 8 ||
        z != 'Z')
        return std::nullopt;
    const std::chrono::year_month_day date{std::chrono::year(year), std::chrono::month(month),
                                           std::chrono::day(day)};
    if (!date.ok()) return std::nullopt;
    const long long days = std::chrono::sys_days(date).time_since_epoch().count();
    return ((days * 24 + hour) * 60 + minute) * 60'000LL + second * 1'000LL + milli;
}

}  // namespace

std::size_t display_width(std::string_view text) noexcept {
    std::size_t out = 0;
    for (std::size_t at = 0; at < text.size();) {
        const auto c = decode_utf8(text, at);
        out += width_of(c.value);
        at += c.bytes;
    }
    return out;
}

std::vector<std::string> wrap(std::string_view text, std::size_t width) {
    std::vector<std::string> out;
    width = std::max<std::size_t>(width, 1);
    while (true) {
        const auto end = text.find('\n');
        wrap_line(text.substr(0, end), width, out);
        if (end == std::string_view::npos) return out;
        text.remove_prefix(end + 1);
    }
}

void table::add(std::vector<std::string> cells, std::string beneath) {
    cells.resize(headings_.size());
    rows_.push_back({std::move(cells), std::move(beneath)});
}

std::vector<std::size_t> table::widths(std::size_t width) const {
    std::vector<std::size_t> out;
    for (const auto& h : headings_)
        out.push_back(display_width(h));
    for (const auto& r : rows_)
        for (std::size_t i = 0; i < r.cells.size(); ++i)
            for (const auto& line : wrap(r.cells[i], static_cast<std::size_t>(-1) / 2))
                out[i] = std::max(out[i], display_width(line));
    const auto gaps = gap * (out.empty() ? 0 : out.size() - 1);
    // The widest gives way first, one column at a time, so that short ones stay whole.
    while (std::accumulate(out.begin(), out.end(), gaps) > width) {
        const auto widest = std::max_element(out.begin(), out.end());
        if (widest == out.end() || *widest <= column_min) break;
        --*widest;
    }
    return out;
}

std::string table::print(std::size_t width, std::size_t beneath_lines_max,
                         const std::string& more) const {
    const auto columns = widths(width);
    std::string out;
    print_cells(headings_, columns, out);
    for (const auto& r : rows_) {
        print_cells(r.cells, columns, out);
        if (r.beneath.empty()) continue;
        const auto lines =
            wrap(r.beneath, width > beneath_indent + 20 ? width - beneath_indent : 20);
        const bool all = beneath_lines_max == 0 || lines.size() <= beneath_lines_max;
        const auto shown = all ? lines.size() : beneath_lines_max;
        const std::string indent(beneath_indent, ' ');
        for (std::size_t i = 0; i < shown; ++i)
            out += trimmed(indent + lines[i]) + "\n";
        if (!all)
            out += indent + "(" + std::to_string(lines.size() - shown) + " more lines: " + more +
                   r.cells.front() + ")\n";
    }
    return out;
}

std::string span(long long ms) {
    const auto seconds = ms / 1000;
    const auto two = [](long long a, const char* x, long long b, const char* y) {
        return std::to_string(a) + x + (b == 0 ? "" : " " + std::to_string(b) + y);
    };
    if (seconds < 60) return std::to_string(seconds) + "s";
    if (seconds < 3600) return std::to_string(seconds / 60) + "m";
    if (seconds < 86'400) return two(seconds / 3600, "h", seconds / 60 % 60, "m");
    return two(seconds / 86'400, "d", seconds / 3600 % 24, "h");
}

std::string when(const std::string& iso, long long now_ms) {
    const auto at = parse_time(iso);
    if (!at) return iso;
    const auto relative = *at > now_ms ? "in " + span(*at - now_ms) : span(now_ms - *at) + " ago";
    return relative + " (" + iso.substr(0, 10) + " " + iso.substr(11, 8) + "Z)";
}

}  // namespace sallyport::proxy::cli
