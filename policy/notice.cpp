#include "policy/notice.h"

#include <array>

namespace sallyport::policy {
namespace {

constexpr std::array<const char*, static_cast<std::size_t>(notice_event::count_)> events{
    "requested",      "approved",        "denied",    "expired", "withdrawn", "first_use",
    "break_glass",    "break_glass_use", "near_end",  "ended",   "revoked",   "review_due",
    "overdue",        "signed_off",      "finding",   "flag",    "lock",      "lifted",
    "reload_refused", "escalated",       "reassigned"};
constexpr std::array<const char*, static_cast<std::size_t>(notice_about::count_)> subjects{
    "hold", "opt_out", "review", "flag", "policy"};

template <class E, std::size_t N>
bool parse(const std::array<const char*, N>& names, std::string_view text, E& out) noexcept {
    for (std::size_t i = 0; i < N; ++i) {
        if (text != names[i]) continue;
        out = static_cast<E>(i);
        return true;
    }
    return false;
}

void cut(std::string& text, std::size_t bytes_max) {
    if (text.size() <= bytes_max) return;
    auto end = bytes_max;
    while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0U) == 0x80U)
        --end;
    text.resize(end);
}

}  // namespace

const char* to_string(notice_event e) noexcept {
    const auto i = static_cast<std::size_t>(e);
    return i < events.size() ? events[i] : "unknown";
}

bool parse_notice_event(std::string_view text, notice_event& out) noexcept {
    return parse(events, text, out);
}

std::vector<std::string> notice_event_names() {
    return {events.begin(), events.end()};
}

const char* to_string(notice_about a) noexcept {
    const auto i = static_cast<std::size_t>(a);
    return i < subjects.size() ? subjects[i] : "unknown";
}

bool parse_notice_about(std::string_view text, notice_about& out) noexcept {
    return parse(subjects, text, out);
}

std::string notice::subject() const {
    // A review is of its opt-out: one story, told in order.
    const auto* of =
        about == notice_about::review ? to_string(notice_about::opt_out) : to_string(about);
    return id == 0 ? of : std::string(of) + " " + std::to_string(id);
}

void bound(notice& n) {
    for (auto* text : {&n.person, &n.by, &n.rule, &n.target, &n.reason, &n.ticket, &n.note, &n.kind,
                       &n.what, &n.asked, &n.application, &n.address})
        cut(*text, notice_text_bytes_max);
    if (n.statement_bytes == 0) n.statement_bytes = n.statement.size();
    cut(n.statement, notice_statement_bytes_max);
}

}  // namespace sallyport::policy
