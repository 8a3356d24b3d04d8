#include "proxy/audit/read.h"

#include <algorithm>
#include <deque>

#include "proxy/audit/segments.h"

namespace sallyport::proxy::audit {

namespace {

constexpr std::size_t newest_limit = 10'000;
constexpr std::size_t newest_bytes_max = 64u << 20;

char lower(char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}

bool contains_ignoring_case(std::string_view text, std::string_view part) {
    return std::search(text.begin(), text.end(), part.begin(), part.end(),
                       [](char a, char b) { return lower(a) == lower(b); }) != text.end();
}

bool event_matches(std::string_view wanted, std::string_view event) {
    return wanted.ends_with('.') ? event.starts_with(wanted) : event == wanted;
}

bool field_matches(std::string_view wanted, const parsed_line& line, std::string_view name) {
    return wanted.empty() || line.field(name) == wanted;
}

std::size_t size_of(const parsed_line& line) {
    std::size_t bytes = 256;
    for (const auto& [name, value] : line.fields)
        bytes += 64 + name.size() + value.size();
    return bytes;
}

/// The line `raw`, if it is whole and of the format; counts it in `skipped` if it is whole and not.
std::optional<parsed_line> parse(const source_line& raw, std::uint64_t& skipped) {
    // A last line without its end is one that is being written at this moment.
    if (!raw.complete) return std::nullopt;
    auto line = raw.too_long ? std::nullopt : parse_line(raw.bytes);
    if (!line) ++skipped;
    return line;
}

/// Where the terminal would see a border of words, quotes are put.
void append_value(std::string& out, std::string_view value) {
    const bool plain = !value.empty() && std::all_of(value.begin(), value.end(), [](char c) {
        return static_cast<unsigned char>(c) > 0x20 && c != '"' && c != '\\' && c != '\x7f';
    });
    // The encoder's own escapes keep control characters and direction overrides off the terminal.
    record r;
    r.with("v", std::string(value));
    std::string line;
    encode_line(line, r, 1, genesis_hash);
    const auto begin = line.find(",\"v\":") + 5;
    const auto quoted = line.substr(begin, line.size() - begin - 1);
    if (plain && quoted.size() == value.size() + 2)
        out += value;
    else
        out += quoted;
}

}  // namespace

bool matches(const query& q, const parsed_line& line) {
    if (!q.checkpoints && line.event == checkpoint_event) return false;
    if (!q.event.empty() && !event_matches(q.event, line.event)) return false;
    if (!field_matches(q.user, line, "user") || !field_matches(q.target, line, "target") ||
        !field_matches(q.rule, line, "rule") || !field_matches(q.hold, line, "hold") ||
        !field_matches(q.opt_out, line, "opt_out") || !field_matches(q.session, line, "session"))
        return false;
    if (q.from || q.to) {
        const auto time = parse_time(line.time);
        if (!time || (q.from && *time < *q.from) || (q.to && *time >= *q.to)) return false;
    }
    return q.text.empty() || contains_ignoring_case(line.event, q.text) ||
           std::any_of(line.fields.begin(), line.fields.end(), [&](const auto& field) {
               return contains_ignoring_case(field.second, q.text);
           });
}

std::uint64_t for_each_match(const std::string& directory, const query& q,
                             const std::function<bool(const parsed_line&)>& f) {
    std::uint64_t skipped = 0;
    source_line raw;
    for (const auto& s : list_segments(directory)) {
        line_reader reader(directory, s.name);
        while (reader.next(raw)) {
            const auto line = parse(raw, skipped);
            if (line && matches(q, *line) && !f(*line)) return skipped;
        }
    }
    return skipped;
}

std::vector<parsed_line> newest(const std::string& directory, const query& q, std::size_t limit,
                                std::uint64_t before) {
    limit = std::min(limit, newest_limit);
    std::vector<parsed_line> result;
    if (limit == 0) return result;
    const auto segments = list_segments(directory);
    std::size_t bytes = 0;
    std::uint64_t skipped = 0;
    for (auto s = segments.rbegin(); s != segments.rend(); ++s) {
        // The newest matches of this file: a window that slides to its end.
        std::deque<parsed_line> window;
        std::size_t window_bytes = 0;
        line_reader reader(directory, s->name);
        source_line raw;
        while (reader.next(raw)) {
            auto line = parse(raw, skipped);
            if (!line || !matches(q, *line)) continue;
            if (before != 0 && line->sequence >= before) break;
            window_bytes += size_of(*line);
            window.push_back(std::move(*line));
            while (window.size() > limit - result.size() ||
                   (window_bytes + bytes > newest_bytes_max && window.size() > 1)) {
                window_bytes -= size_of(window.front());
                window.pop_front();
            }
        }
        bytes += window_bytes;
        result.insert(result.end(), std::make_move_iterator(window.rbegin()),
                      std::make_move_iterator(window.rend()));
        if (result.size() >= limit || bytes >= newest_bytes_max) break;
    }
    return result;
}

std::optional<policy::instant> newest_instant(const std::string& directory) {
    std::optional<policy::instant> last;
    for (const auto& line : newest(directory, {}, 64))
        if (const auto at = parse_time(line.time); at && !line.event.starts_with("audit."))
            last = std::max(last.value_or(*at), *at);
    return last;
}

std::string format_entry(const parsed_line& line) {
    std::string out = line.time + "  " + line.event;
    out.append(line.event.size() < 20 ? 20 - line.event.size() : 0, ' ');
    for (const auto& [name, value] : line.fields) {
        out += ' ';
        append_value(out, name);
        out += '=';
        append_value(out, value);
    }
    return out;
}

}  // namespace sallyport::proxy::audit
