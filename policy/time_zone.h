#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "policy/truth.h"
#include "policy/types.h"

/// Local time without the C library's TZ variable, which no thread may change while others decide.
namespace sallyport::policy {

/// A day rule of a POSIX TZ string: when daylight saving time begins or ends in a year.
struct tz_day_rule {
    enum class form : std::uint8_t { julian, zero_based, month_week };  ///< Jn, n, Mm.w.d
    form how = form::month_week;
    int day = 0;        ///< Jn: 1-365, n: 0-365, M: weekday 0-6, Sunday 0
    int week = 0;       ///< M: 1-5, 5 = last
    int month = 0;      ///< M: 1-12
    int second = 7200;  ///< local seconds since midnight, may be negative or beyond a day
};

/// The footer of a TZif file: what holds after its last transition.
struct tz_footer {
    int standard_offset_s = 0;  ///< east of UTC
    int daylight_offset_s = 0;
    bool has_daylight = false;
    tz_day_rule begins;
    tz_day_rule ends;
};

/// Parses "CET-1CEST,M3.5.0,M10.5.0/3". nullopt if malformed.
[[nodiscard]] std::optional<tz_footer> parse_tz_footer(std::string_view text);

/// One zone's offsets from UTC, read once and immutable. Any thread.
/// Source: RFC 8536 (TZif), POSIX.1-2017 chapter 8 (TZ).
class time_zone {
  public:
    /// Parses the bytes of a TZif file of version 2 or later. nullopt if malformed.
    [[nodiscard]] static std::optional<time_zone> parse(std::string_view bytes);
    /// UTC, which needs no file.
    [[nodiscard]] static time_zone utc() { return {}; }

    /// Seconds east of UTC at an instant.
    [[nodiscard]] int offset_s(instant at) const noexcept;

  private:
    std::vector<std::int64_t> transitions_;  // UTC seconds, ascending
    std::vector<int> offsets_;               // from the transition of the same index on
    int before_s_ = 0;                       // before the first transition
    std::optional<tz_footer> footer_;
};
using time_zone_ptr = std::shared_ptr<const time_zone>;

/// Loads an IANA zone ("Europe/Berlin") from the system's zone database. Blocks on the disk: load
/// time only. Errors: null, with `why` one sentence that names the zone and the next step.
[[nodiscard]] time_zone_ptr load_time_zone(const std::string& name, std::string& why);

struct time_window;

/// Reads "Mon-Fri 08:00-18:00": days ("Mon", "Mon-Fri", "Sat,Sun", "Fri-Mon"; none = every day),
/// then hours ("08:00-18:00", "22:00-06:00" wraps, "00:00-24:00"; none = the whole day). Only days,
/// hours and text are set. False, with `why`, if malformed.
[[nodiscard]] bool parse_time_window(std::string_view text, time_window& out, std::string& why);

/// Whether an instant is inside; unknown without the zone's rules.
[[nodiscard]] truth is_inside(const time_window& w, instant at) noexcept;

}  // namespace sallyport::policy
