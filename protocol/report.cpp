#include <algorithm>

#include "protocol/backend.h"
#include "protocol/limits.h"
#include "protocol/sqlstate.h"

namespace sallyport::protocol::backend {

namespace {

/// One character of UTF-8: its code point and size; size 0 if it is not one.
struct utf8_char {
    char32_t code = 0;
    std::size_t bytes_size = 0;
};

utf8_char first_char(std::string_view text) noexcept {
    const auto at = [&](std::size_t i) {
        return i < text.size() ? static_cast<unsigned char>(text[i]) : 0U;
    };
    const unsigned lead = at(0);
    if (lead < 0x80) return {lead, 1};
    const std::size_t size = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : 2;
    if (lead < 0xc2 || lead > 0xf4) return {};
    char32_t code = lead & (0xffU >> (size + 1));
    for (std::size_t i = 1; i < size; ++i) {
        if ((at(i) & 0xc0U) != 0x80U) return {};
        code = code << 6U | (at(i) & 0x3fU);
    }
    // Overlong forms, surrogates, and what lies beyond Unicode are not UTF-8.
    if ((size == 3 && code < 0x800) || (size == 4 && code < 0x10000)) return {};
    if ((code >= 0xd800 && code <= 0xdfff) || code > 0x10ffff) return {};
    return {code, size};
}

bool is_blank(char32_t c) noexcept {
    return c == '\t' || c == '\n' || c == '\r' || c == 0x2028;
}

/// Characters that act on a terminal, or make a text look like another one.
bool is_unsafe(char32_t c) noexcept {
    const bool control = c < 0x20 || (c >= 0x7f && c <= 0x9f);
    const bool direction = c == 0x061c || c == 0x200e || c == 0x200f ||
                           (c >= 0x202a && c <= 0x202e) || (c >= 0x2066 && c <= 0x2069);
    return control || direction || c == 0xfeff;
}

/// What stands for the first character of `text` in a report.
std::string_view shown(std::string_view text, utf8_char first) noexcept {
    if (first.bytes_size == 0) return "?";
    if (is_blank(first.code)) return " ";
    if (is_unsafe(first.code)) return "?";
    return text.substr(0, first.bytes_size);
}

bool is_sqlstate(std::string_view code) noexcept {
    return code.size() == 5 && std::all_of(code.begin(), code.end(), [](char c) {
               return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z');
           });
}

}  // namespace

std::string sanitize_text(std::string_view text, std::size_t bytes_max) {
    constexpr std::string_view ellipsis = "...";
    std::string out;
    std::size_t cut_at = 0;  // the last border that leaves room for the ellipsis
    while (!text.empty()) {
        const auto c = first_char(text);
        if (out.size() + ellipsis.size() <= bytes_max) cut_at = out.size();
        out.append(shown(text, c));
        text.remove_prefix(std::max<std::size_t>(c.bytes_size, 1));
        if (out.size() > bytes_max) {
            out.resize(cut_at);
            out.append(ellipsis.substr(0, bytes_max - cut_at));
            return out;
        }
    }
    return out;
}

std::string_view to_string(severity s) noexcept {
    switch (s) {
        case severity::fatal:
            return "FATAL";
        case severity::error:
            return "ERROR";
        case severity::warning:
            return "WARNING";
        case severity::notice:
            return "NOTICE";
        case severity::info:
            return "INFO";
    }
    return "ERROR";
}

template <char Tag>
result<report<Tag>> report<Tag>::decode(bytes body) {
    reader in(body);
    report m;
    for (auto code = in.u8(); in.ok() && code != 0; code = in.u8())
        m.fields.push_back({static_cast<char>(code), in.cstring()});
    if (const auto e = in.finish(); e != errc::ok) return e;
    return m;
}

template <char Tag>
void report<Tag>::encode(std::string& out) const {
    writer w(out);
    w.begin_message(Tag);
    for (const auto& f : fields) {
        if (f.code == '\0') continue;  // would end the list early
        w.u8(static_cast<std::uint8_t>(f.code));
        w.cstring(f.value);
    }
    w.u8(0);
    w.end_message();
}

template struct report<'E'>;
template struct report<'N'>;

void append_report(std::string& out, const report_text& text) {
    const auto level = to_string(text.level);
    const auto message = sanitize_text(text.message, limits::report_field_bytes_max);
    const auto detail = sanitize_text(text.detail, limits::report_field_bytes_max);
    const auto hint = sanitize_text(text.hint, limits::report_field_bytes_max);
    std::vector<report_field> fields = {
        {'S', level},
        {'V', level},
        {'C', is_sqlstate(text.sqlstate) ? text.sqlstate : sqlstate::internal_error},
        {'M', message},
    };
    if (!detail.empty()) fields.push_back({'D', detail});
    if (!hint.empty()) fields.push_back({'H', hint});
    if (text.level == severity::fatal || text.level == severity::error)
        error_response{std::move(fields)}.encode(out);
    else
        notice_response{std::move(fields)}.encode(out);
}

}  // namespace sallyport::protocol::backend
