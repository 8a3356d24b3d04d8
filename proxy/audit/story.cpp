#include "proxy/audit/story.h"

#include <algorithm>
#include <stdexcept>

#include "proxy/audit/segments.h"

namespace sallyport::proxy::audit {
namespace {

/// Whether a list of numbers as records write it ("3, 14") has this one.
bool lists(std::string_view list, std::string_view number) {
    while (!list.empty()) {
        const auto comma = list.find(',');
        auto one = list.substr(0, comma);
        while (one.starts_with(' '))
            one.remove_prefix(1);
        if (one == number) return true;
        if (comma == std::string_view::npos) return false;
        list.remove_prefix(comma + 1);
    }
    return false;
}

std::size_t size_of(const parsed_line& line) {
    std::size_t bytes = 256;
    for (const auto& [name, value] : line.fields)
        bytes += 64 + name.size() + value.size();
    return bytes;
}

}  // namespace

std::string to_string(const story_subject& s) {
    return (s.what == story_subject::kind::hold ? "hold " : "opt_out ") + std::to_string(s.id);
}

story_filter::story_filter(story_subject s) : subject_(s), id_(std::to_string(s.id)) {}

bool story_filter::names(const parsed_line& line) const {
    const bool hold = subject_.what == story_subject::kind::hold;
    if (line.event == "admin.action") {
        const auto action = line.field("action");
        const bool about = hold ? action.starts_with("hold.")
                                : action.starts_with("opt_out.") || action.starts_with("review.");
        return about && line.field("id") == id_;
    }
    if (hold) return line.field("hold") == id_;
    return lists(line.field("opt_out"), id_) || line.field("extends") == id_;
}

bool story_filter::takes(const parsed_line& line) {
    if (line.event == checkpoint_event) return false;
    if (names(line)) {
        // Only the hold itself says what pass it granted; a use names passes of others beside it.
        if (subject_.what == story_subject::kind::hold && line.event == "hold.approved")
            if (const auto pass = line.field("pass"); !pass.empty()) passes_.emplace(pass);
        return true;
    }
    const auto used = line.field("pass");
    return !used.empty() && std::any_of(passes_.begin(), passes_.end(),
                                        [&](const auto& p) { return lists(used, p); });
}

story read_story(const std::string& directory, const story_subject& s,
                 std::chrono::steady_clock::time_point give_up_at) {
    story out;
    story_filter filter(s);
    std::size_t bytes = 0;
    std::uint64_t seen = 0;
    source_line raw;
    for (const auto& segment : list_segments(directory)) {
        line_reader reader(directory, segment.name);
        while (reader.next(raw)) {
            if (++seen % 1024 == 0 && std::chrono::steady_clock::now() >= give_up_at)
                throw std::runtime_error("the log is too long to be read through in time");
            if (!raw.complete || raw.too_long) continue;
            auto line = parse_line(raw.bytes);
            if (!line || !filter.takes(*line)) continue;
            bytes += size_of(*line);
            if (out.records.size() >= story_records_max || bytes > story_bytes_max) {
                out.cut = true;
                return out;
            }
            out.records.push_back(std::move(*line));
        }
    }
    return out;
}

}  // namespace sallyport::proxy::audit
