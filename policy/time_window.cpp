#include <algorithm>
#include <array>
#include <cctype>
#include <chrono>

#include "policy/rule.h"
#include "policy/time_zone.h"

namespace sallyport::policy {

namespace {

constexpr std::array<std::string_view, 7> day_names{"mon", "tue", "wed", "thu",
                                                    "fri", "sat", "sun"};

std::string_view trimmed(std::string_view s) {
    while (!s.empty() && s.front() == ' ')
        s.remove_prefix(1);
    while (!s.empty() && s.back() == ' ')
        s.remove_suffix(1);
    return s;
}

std::optional<std::size_t> parse_day(std::string_view text) {
    if (text.size() != 3) return {};
    std::string lower(text);
    for (auto& c : lower)
        c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    const auto it = std::find(day_names.begin(), day_names.end(), lower);
    if (it == day_names.end()) return {};
    return static_cast<std::size_t>(it - day_names.begin());
}

bool parse_days(std::string_view text, std::array<bool, 7>& days, std::string& why) {
    while (true) {
        const auto comma = text.find(',');
        const auto part = trimmed(text.substr(0, comma));
        const auto dash = part.find('-');
        const auto from = parse_day(part.substr(0, dash));
        const auto to = dash == std::string_view::npos ? from : parse_day(part.substr(dash + 1));
        if (!from || !to) {
            why = "'" + std::string(part) +
                  "' is no day; write Mon, Tue, Wed, Thu, Fri, Sat, Sun "
                  "or a range such as Mon-Fri";
            return false;
        }
        for (auto d = *from;; d = (d + 1) % 7) {
            days[d] = true;
            if (d == *to) break;
        }
        if (comma == std::string_view::npos) return true;
        text.remove_prefix(comma + 1);
    }
}

std::optional<int> parse_clock(std::string_view t) {
    const auto digit = [&](std::size_t i) { return t[i] >= '0' && t[i] <= '9'; };
    if (t.size() != 5 || t[2] != ':' || !digit(0) || !digit(1) || !digit(3) || !digit(4)) return {};
    const int minutes = ((t[0] - '0') * 10 + (t[1] - '0')) * 60 + (t[3] - '0') * 10 + (t[4] - '0');
    if (t[3] > '5' || minutes > 1440) return {};
    return minutes;
}

bool parse_hours(std::string_view text, time_window& w, std::string& why) {
    const auto dash = text.find('-');
    const auto from = parse_clock(trimmed(text.substr(0, dash)));
    const auto to = dash == std::string_view::npos ? std::optional<int>{}
                                                   : parse_clock(trimmed(text.substr(dash + 1)));
    if (!from || !to || *from == 1440 || *to == 0) {
        why = "'" + std::string(text) +
              "' are no hours; write 08:00-18:00, at most 00:00-24:00, "
              "or 22:00-06:00 for a night";
        return false;
    }
    if (*from == *to) {
        why =
            "'" + std::string(text) + "' begins and ends at once; write 00:00-24:00 for whole days";
        return false;
    }
    w.from_minute = *from;
    w.to_minute = *to;
    return true;
}

}  // namespace

bool parse_time_window(std::string_view text, time_window& out, std::string& why) {
    out.text = std::string(text);
    out.days.fill(false);
    out.from_minute = 0;
    out.to_minute = 1440;
    const auto all = trimmed(text);
    if (all.empty() || all.size() > 100) {
        why = "hours are written as in \"Mon-Fri 08:00-18:00\"";
        return false;
    }
    // Hours begin at the first digit; what stands before is days.
    const auto digit = all.find_first_of("0123456789");
    const auto days = trimmed(all.substr(0, digit));
    if (days.empty()) {
        out.days.fill(true);
    } else if (!parse_days(days, out.days, why)) {
        return false;
    }
    return digit == std::string_view::npos || parse_hours(all.substr(digit), out, why);
}

truth is_inside(const time_window& w, instant at) noexcept {
    if (!w.rules) return truth::unknown;
    using namespace std::chrono;
    const auto local = floor<minutes>(at + std::chrono::seconds(w.rules->offset_s(at)));
    const auto day = floor<days>(local);
    const auto minute = static_cast<int>((local - day).count());
    const auto today = static_cast<std::size_t>(weekday(day).iso_encoding() - 1);
    bool inside = false;
    if (w.from_minute < w.to_minute) {
        inside = w.days[today] && minute >= w.from_minute && minute < w.to_minute;
    } else {  // the window of yesterday may still be open
        const auto yesterday = (today + 6) % 7;
        inside = (w.days[today] && minute >= w.from_minute) ||
                 (w.days[yesterday] && minute < w.to_minute);
    }
    return inside ? truth::yes : truth::no;
}

}  // namespace sallyport::policy
