#include "policy/time_zone.h"

#include <algorithm>
#include <cctype>
#include <chrono>
#include <fstream>
#include <iterator>

namespace sallyport::policy {

namespace {

constexpr std::size_t zone_file_bytes_max = 1u << 20;
constexpr int offset_s_max = 26 * 3600;  // RFC 8536 bounds utoff to -25h … +26h

/// Big-endian reader over a TZif file; past the end it reads zeros and turns bad.
class reader {
  public:
    explicit reader(std::string_view bytes) : bytes_(bytes) {}
    [[nodiscard]] bool bad() const noexcept { return bad_; }
    std::string_view take(std::size_t n) {
        if (bytes_.size() < n) {
            bad_ = true;
            return {};
        }
        const auto part = bytes_.substr(0, n);
        bytes_.remove_prefix(n);
        return part;
    }
    std::uint64_t number(std::size_t n) {
        std::uint64_t v = 0;
        for (const char c : take(n))
            v = (v << 8U) | static_cast<std::uint8_t>(c);
        return v;
    }
    [[nodiscard]] std::string_view rest() const noexcept { return bytes_; }

  private:
    std::string_view bytes_;
    bool bad_ = false;
};

struct tzif_header {
    char version = 0;
    std::size_t isutcnt = 0, isstdcnt = 0, leapcnt = 0, timecnt = 0, typecnt = 0, charcnt = 0;
    [[nodiscard]] std::size_t body_bytes(std::size_t time_bytes) const noexcept {
        return timecnt * time_bytes + timecnt + typecnt * 6 + charcnt + leapcnt * (time_bytes + 4) +
               isstdcnt + isutcnt;
    }
};

std::optional<tzif_header> read_header(reader& r) {
    if (r.take(4) != "TZif") return {};
    tzif_header h;
    const auto version = r.take(1);
    if (version.empty()) return {};
    h.version = version.front();
    (void)r.take(15);
    for (auto* count : {&h.isutcnt, &h.isstdcnt, &h.leapcnt, &h.timecnt, &h.typecnt, &h.charcnt}) {
        *count = static_cast<std::size_t>(r.number(4));
        if (*count > 100'000) return {};
    }
    if (r.bad()) return {};
    return h;
}

// ---- POSIX TZ footer ----------------------------------------------------------------------------

bool eat(std::string_view& s, char c) {
    if (s.empty() || s.front() != c) return false;
    s.remove_prefix(1);
    return true;
}

bool eat_number(std::string_view& s, int max, int& out) {
    std::size_t n = 0;
    int v = 0;
    while (n < s.size() && n < 4 && s[n] >= '0' && s[n] <= '9')
        v = v * 10 + (s[n++] - '0');
    if (n == 0 || v > max) return false;
    s.remove_prefix(n);
    out = v;
    return true;
}

/// "[+-]hh[:mm[:ss]]", hours up to 167 as RFC 8536 section 3.3.1 allows.
bool eat_time(std::string_view& s, int& seconds) {
    const bool negative = !s.empty() && s.front() == '-';
    if (!eat(s, '-')) (void)eat(s, '+');
    int h = 0;
    int m = 0;
    int sec = 0;
    if (!eat_number(s, 167, h)) return false;
    if (eat(s, ':')) {
        if (!eat_number(s, 59, m)) return false;
        if (eat(s, ':') && !eat_number(s, 59, sec)) return false;
    }
    seconds = (h * 3600 + m * 60 + sec) * (negative ? -1 : 1);
    return true;
}

bool eat_name(std::string_view& s) {
    std::size_t n = 0;
    if (eat(s, '<')) {
        while (n < s.size() && s[n] != '>')
            ++n;
        if (n < 3 || n == s.size()) return false;
        s.remove_prefix(n + 1);
        return true;
    }
    while (n < s.size() && std::isalpha(static_cast<unsigned char>(s[n])) != 0)
        ++n;
    if (n < 3) return false;
    s.remove_prefix(n);
    return true;
}

bool eat_day_rule(std::string_view& s, tz_day_rule& r) {
    if (eat(s, 'M')) {
        r.how = tz_day_rule::form::month_week;
        if (!eat_number(s, 12, r.month) || !eat(s, '.') || !eat_number(s, 5, r.week) ||
            !eat(s, '.') || !eat_number(s, 6, r.day) || r.month < 1 || r.week < 1)
            return false;
    } else if (eat(s, 'J')) {
        r.how = tz_day_rule::form::julian;
        if (!eat_number(s, 365, r.day) || r.day < 1) return false;
    } else {
        r.how = tz_day_rule::form::zero_based;
        if (!eat_number(s, 365, r.day)) return false;
    }
    return !eat(s, '/') || eat_time(s, r.second);
}

/// The local wall-clock second (counted as if it were UTC) at which a rule strikes in a year.
std::int64_t strike(const tz_day_rule& r, std::chrono::year year) {
    using namespace std::chrono;
    const sys_days first = year / January / 1;
    sys_days day = first;
    switch (r.how) {
        case tz_day_rule::form::julian:  // 29 February is never counted
            day = first + days(r.day - 1 + (year.is_leap() && r.day >= 60 ? 1 : 0));
            break;
        case tz_day_rule::form::zero_based:
            day = first + days(r.day);
            break;
        case tz_day_rule::form::month_week: {
            const auto m = year / month(static_cast<unsigned>(r.month));
            const weekday w(static_cast<unsigned>(r.day));
            day = r.week == 5 ? sys_days(m / w[last])
                              : sys_days(m / w[static_cast<unsigned>(r.week)]);
            break;
        }
    }
    return duration_cast<std::chrono::seconds>(day.time_since_epoch()).count() + r.second;
}

int footer_offset_s(const tz_footer& f, std::int64_t utc_s) {
    if (!f.has_daylight) return f.standard_offset_s;
    using namespace std::chrono;
    const auto local_day =
        floor<days>(sys_seconds(std::chrono::seconds(utc_s + f.standard_offset_s)));
    const auto year = year_month_day(local_day).year();
    const auto begins = strike(f.begins, year) - f.standard_offset_s;
    const auto ends = strike(f.ends, year) - f.daylight_offset_s;
    // South of the equator daylight saving time begins late in the year and ends early in it.
    const bool daylight =
        begins < ends ? utc_s >= begins && utc_s < ends : utc_s >= begins || utc_s < ends;
    return daylight ? f.daylight_offset_s : f.standard_offset_s;
}

}  // namespace

std::optional<tz_footer> parse_tz_footer(std::string_view text) {
    tz_footer f;
    int west = 0;
    if (!eat_name(text) || !eat_time(text, west)) return {};
    f.standard_offset_s = -west;  // POSIX counts west of Greenwich
    if (text.empty()) return f;
    if (!eat_name(text)) return {};
    f.has_daylight = true;
    f.daylight_offset_s = f.standard_offset_s + 3600;
    if (!text.empty() && text.front() != ',') {
        if (!eat_time(text, west)) return {};
        f.daylight_offset_s = -west;
    }
    if (!eat(text, ',') || !eat_day_rule(text, f.begins) || !eat(text, ',') ||
        !eat_day_rule(text, f.ends) || !text.empty())
        return {};
    return f;
}

std::optional<time_zone> time_zone::parse(std::string_view bytes) {
    reader r(bytes);
    const auto v1 = read_header(r);
    if (!v1 || v1->version < '2') return {};
    (void)r.take(v1->body_bytes(4));
    const auto h = read_header(r);
    if (!h || h->typecnt == 0 || h->typecnt > 256) return {};

    time_zone z;
    for (std::size_t i = 0; i < h->timecnt; ++i) {
        z.transitions_.push_back(static_cast<std::int64_t>(r.number(8)));
        if (i > 0 && z.transitions_[i] <= z.transitions_[i - 1]) return {};
    }
    const auto indices = r.take(h->timecnt);
    std::vector<int> types;
    for (std::size_t i = 0; i < h->typecnt; ++i) {
        const auto offset = static_cast<std::int32_t>(static_cast<std::uint32_t>(r.number(4)));
        if (offset < -offset_s_max || offset > offset_s_max) return {};
        types.push_back(offset);
        (void)r.take(2);  // is daylight, name
    }
    (void)r.take(h->charcnt + h->leapcnt * 12 + h->isstdcnt + h->isutcnt);
    if (r.bad()) return {};
    for (const char c : indices) {
        const auto i = static_cast<std::uint8_t>(c);
        if (i >= types.size()) return {};
        z.offsets_.push_back(types[i]);
    }
    z.before_s_ = types.front();

    auto footer = r.rest();
    if (!eat(footer, '\n')) return {};
    const auto end = footer.find('\n');
    if (end == std::string_view::npos) return {};
    if (end > 0) {
        z.footer_ = parse_tz_footer(footer.substr(0, end));
        if (!z.footer_) return {};
    }
    return z;
}

int time_zone::offset_s(instant at) const noexcept {
    const auto utc_s = std::chrono::floor<std::chrono::seconds>(at).time_since_epoch().count();
    const auto next = std::upper_bound(transitions_.begin(), transitions_.end(), utc_s);
    if (next == transitions_.end() && footer_) return footer_offset_s(*footer_, utc_s);
    if (next == transitions_.begin()) return before_s_;
    return offsets_[static_cast<std::size_t>(next - transitions_.begin() - 1)];
}

time_zone_ptr load_time_zone(const std::string& name, std::string& why) {
    if (name == "UTC" || name == "Etc/UTC") return std::make_shared<time_zone>(time_zone::utc());
    // Only names: nothing that leaves the folder of the database.
    const bool plain =
        !name.empty() && name.size() <= 64 && name.front() != '/' && name.back() != '/' &&
        std::all_of(name.begin(), name.end(), [](unsigned char c) {
            return std::isalnum(c) != 0 || c == '/' || c == '_' || c == '-' || c == '+';
        });
    const auto shown = name.substr(0, 64);
    if (!plain) {
        why = "'" + shown + "' is no zone name; write an IANA name such as Europe/Berlin or UTC";
        return nullptr;
    }
    std::ifstream in("/usr/share/zoneinfo/" + name, std::ios::binary);
    std::string bytes;
    if (in) {
        bytes.resize(zone_file_bytes_max);
        in.read(bytes.data(), static_cast<std::streamsize>(bytes.size()));
        bytes.resize(static_cast<std::size_t>(std::max<std::streamsize>(in.gcount(), 0)));
    }
    if (bytes.empty()) {
        why = "zone '" + shown + "' is not in /usr/share/zoneinfo; write an IANA name such as " +
              "Europe/Berlin, or install the package tzdata";
        return nullptr;
    }
    auto zone = time_zone::parse(bytes);
    if (!zone) {
        why = "the rules of zone '" + shown + "' in /usr/share/zoneinfo cannot be read; " +
              "reinstall the package tzdata";
        return nullptr;
    }
    return std::make_shared<time_zone>(std::move(*zone));
}

}  // namespace sallyport::policy
