#include "proxy/admin/text.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <chrono>
#include <cstdio>
#include <limits>

#include "policy/yaml_reader.h"
#include "proxy/visible.h"

namespace sallyport::proxy::admin {
namespace {

struct calendar {
    int year = 0;
    unsigned month = 0, day = 0;
    long long hour = 0, minute = 0, second = 0, millisecond = 0;
};

calendar split(policy::instant t) {
    const auto day = std::chrono::floor<std::chrono::days>(t);
    const std::chrono::year_month_day date(day);
    const std::chrono::hh_mm_ss time(t - day);
    return {.year = static_cast<int>(date.year()),
            .month = static_cast<unsigned>(date.month()),
            .day = static_cast<unsigned>(date.day()),
            .hour = time.hours().count(),
            .minute = time.minutes().count(),
            .second = time.seconds().count(),
            .millisecond = time.subseconds().count()};
}

std::string format(policy::instant t, char between, const char* zone) {
    const auto c = split(t);
    std::array<char, 64> out{};
    std::snprintf(out.data(), out.size(), "%04d-%02u-%02u%c%02lld:%02lld:%02lld.%03lld%s", c.year,
                  c.month, c.day, between, c.hour, c.minute, c.second, c.millisecond, zone);
    return out.data();
}

/// Takes `digits` decimal digits and then `after` off the front; -1 when they are not there.
int take(std::string_view& text, std::size_t digits, char after) {
    int value = 0;
    if (text.size() < digits) return -1;
    for (std::size_t i = 0; i < digits; ++i) {
        if (text[i] < '0' || text[i] > '9') return -1;
        value = value * 10 + (text[i] - '0');
    }
    text.remove_prefix(digits);
    if (after != '\0') {
        if (text.empty() || text.front() != after) return -1;
        text.remove_prefix(1);
    }
    return value;
}

}  // namespace

bool valid_utf8(std::string_view text) noexcept {
    for (std::size_t at = 0; at < text.size();) {
        const auto c = decode_utf8(text, at);
        if (!c.valid) return false;
        at += c.bytes;
    }
    return true;
}

std::string iso_time(policy::instant t) {
    return t == policy::instant{} ? std::string{} : format(t, 'T', "Z");
}

std::optional<std::string> sql_time(policy::instant t) {
    if (t == policy::instant{}) return std::nullopt;
    return format(t, ' ', "+00");
}

std::optional<policy::instant> parse_iso_time(std::string_view text) {
    const int year = take(text, 4, '-');
    const int month = year < 0 ? -1 : take(text, 2, '-');
    const int day = month < 0 ? -1 : take(text, 2, 'T');
    const int hour = day < 0 ? -1 : take(text, 2, ':');
    const int minute = hour < 0 ? -1 : take(text, 2, ':');
    const int second = minute < 0 ? -1 : take(text, 2, '\0');
    if (second < 0 || hour > 23 || minute > 59 || second > 59) return std::nullopt;
    int milli = 0;
    if (!text.empty() && text.front() == '.') {
        text.remove_prefix(1);
        milli = take(text, 3, '\0');
        if (milli < 0) return std::nullopt;
    }
    if (text != "Z") return std::nullopt;
    const std::chrono::year_month_day date(std::chrono::year(year),
                                           std::chrono::month(static_cast<unsigned>(month)),
                                           std::chrono::day(static_cast<unsigned>(day)));
    if (!date.ok()) return std::nullopt;
    return policy::instant(std::chrono::sys_days(date)) + std::chrono::hours(hour) +
           std::chrono::minutes(minute) + std::chrono::seconds(second) +
           std::chrono::milliseconds(milli);
}

std::optional<policy::milliseconds> parse_duration(std::string_view text) {
    return policy::parse_duration(text);
}

std::string format_duration(policy::milliseconds d) {
    return policy::format_duration(d);
}

std::string nearest(std::string_view word, const std::vector<std::string>& known) {
    return policy::nearest(word, known);
}

std::optional<std::uint64_t> parse_id(std::string_view text) noexcept {
    std::uint64_t value = 0;
    const auto* const end = text.data() + text.size();
    const auto [at, error] = std::from_chars(text.data(), end, value);
    if (text.empty() || error != std::errc{} || at != end || value == 0) return std::nullopt;
    if (value > static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max()))
        return std::nullopt;
    return value;
}

std::string check_text(std::string_view what, std::string_view text, std::size_t bytes_max) {
    if (text.size() > bytes_max)
        return "The " + std::string(what) + " has " + std::to_string(text.size()) +
               " bytes; at most " + std::to_string(bytes_max) + " are kept.";
    if (!valid_utf8(text)) return "The " + std::string(what) + " is not valid UTF-8.";
    const auto control = std::any_of(text.begin(), text.end(), [](char c) {
        const auto u = static_cast<unsigned char>(c);
        return (u < 0x20 && c != '\n' && c != '\t' && c != '\r') || u == 0x7F;
    });
    if (control) return "The " + std::string(what) + " contains control characters.";
    return {};
}

bool blank(std::string_view text) noexcept {
    return policy::is_blank(text);
}

std::string lower(std::string_view text) {
    std::string out(text);
    std::transform(out.begin(), out.end(), out.begin(), [](char c) {
        return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
    });
    return out;
}

std::string base64(std::string_view bytes) {
    static constexpr std::string_view letters =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    std::string out;
    out.reserve((bytes.size() + 2) / 3 * 4);
    for (std::size_t at = 0; at < bytes.size(); at += 3) {
        const auto byte = [&](std::size_t i) -> unsigned {
            return at + i < bytes.size() ? static_cast<unsigned char>(bytes[at + i]) : 0U;
        };
        const unsigned group = (byte(0) << 16U) | (byte(1) << 8U) | byte(2);
        for (unsigned i = 0; i < 4; ++i)
            out += at + i > bytes.size() ? '=' : letters[(group >> (18U - 6U * i)) & 63U];
    }
    return out;
}

}  // namespace sallyport::proxy::admin
