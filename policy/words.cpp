#include <algorithm>
#include <array>
#include <charconv>
#include <cstdlib>
#include <limits>
#include <numeric>

#include "policy/yaml_reader.h"

namespace sallyport::policy {

namespace {

struct unit {
    std::string_view text;
    std::int64_t ms;
};
// Largest first; "ms" stands before "m" when parsing because the longer word is tried first.
constexpr std::array<unit, 5> units{
    {{"d", 86'400'000}, {"h", 3'600'000}, {"m", 60'000}, {"s", 1'000}, {"ms", 1}}};
constexpr std::int64_t duration_ms_max = 3650LL * 86'400'000;

const unit* unit_at(std::string_view text) noexcept {
    if (text.starts_with("ms")) return &units.back();
    for (const auto& u : units)
        if (text.starts_with(u.text)) return &u;
    return nullptr;
}

/// Edit distance in which two letters that changed places count once.
std::size_t distance(std::string_view a, std::string_view b) {
    std::vector<std::size_t> before(b.size() + 1);
    std::vector<std::size_t> last(b.size() + 1);
    std::vector<std::size_t> row(b.size() + 1);
    std::iota(last.begin(), last.end(), 0U);
    for (std::size_t i = 1; i <= a.size(); ++i) {
        row[0] = i;
        for (std::size_t j = 1; j <= b.size(); ++j) {
            const std::size_t cost = a[i - 1] == b[j - 1] ? 0 : 1;
            row[j] = std::min({last[j] + 1, row[j - 1] + 1, last[j - 1] + cost});
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
                row[j] = std::min(row[j], before[j - 2] + 1);
        }
        std::swap(before, last);
        std::swap(last, row);
    }
    return last[b.size()];
}

}  // namespace

std::string nearest(std::string_view word, const std::vector<std::string>& known) {
    if (word.empty() || word.size() > 64) return {};
    // One slip per three letters: "owner" is not a misspelt "user".
    std::size_t best = std::max<std::size_t>(1, word.size() / 3) + 1;
    std::string found;
    for (const auto& k : known) {
        if (k.empty() || k.size() > 64) continue;
        const auto d = distance(word, k);
        if (d < best) {
            best = d;
            found = k;
        }
    }
    return found;
}

std::string did_you_mean(std::string_view word, const std::vector<std::string>& known) {
    const auto near = nearest(word, known);
    return near.empty() ? near : " (did you mean " + near + "?)";
}

std::optional<milliseconds> parse_duration(std::string_view text) {
    std::int64_t total = 0;
    std::int64_t unit_before = std::numeric_limits<std::int64_t>::max();
    if (text.empty() || text.size() > 32) return {};
    while (!text.empty()) {
        if (text.front() < '0' || text.front() > '9') return {};
        std::int64_t n = 0;
        const auto [end, err] = std::from_chars(text.data(), text.data() + text.size(), n);
        if (err != std::errc{}) return {};
        text.remove_prefix(static_cast<std::size_t>(end - text.data()));
        const auto* u = unit_at(text);
        if (u == nullptr || u->ms >= unit_before || n > duration_ms_max / u->ms) return {};
        text.remove_prefix(u->text.size());
        unit_before = u->ms;
        total += n * u->ms;
    }
    if (total <= 0 || total > duration_ms_max) return {};
    return milliseconds(total);
}

std::string format_duration(milliseconds d) {
    if (d.count() == 0) return "0s";
    std::string out = d.count() < 0 ? "-" : "";
    // Unsigned, because the least std::int64_t has no positive counterpart.
    auto left = d.count() < 0 ? std::uint64_t{0} - static_cast<std::uint64_t>(d.count())
                              : static_cast<std::uint64_t>(d.count());
    for (const auto& u : units) {
        const auto per = static_cast<std::uint64_t>(u.ms);
        if (left < per) continue;
        out += std::to_string(left / per) + std::string(u.text);
        left %= per;
    }
    return out;
}

}  // namespace sallyport::policy
