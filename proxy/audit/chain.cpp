#include "proxy/audit/chain.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <memory>
#include <stdexcept>

#include <openssl/evp.h>

namespace sallyport::proxy::audit {

namespace {

constexpr std::string_view line_domain = "sallyport audit line 1\n";
constexpr std::string_view hex_digits = "0123456789abcdef";

/// Length of the well-formed UTF-8 sequence at the front of `s`, 0 if there is none, and its code
/// point.
std::size_t utf8_sequence(std::string_view s, std::uint32_t& code) {
    const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(s[i]); };
    const unsigned lead = byte(0);
    std::size_t length = 0;
    std::uint32_t least = 0;
    if (lead < 0x80) {
        code = lead;
        return 1;
    }
    if (lead >= 0xC2 && lead <= 0xDF) {
        length = 2, least = 0x80, code = lead & 0x1Fu;
    } else if (lead >= 0xE0 && lead <= 0xEF) {
        length = 3, least = 0x800, code = lead & 0x0Fu;
    } else if (lead >= 0xF0 && lead <= 0xF4) {
        length = 4, least = 0x10000, code = lead & 0x07u;
    } else {
        return 0;
    }
    if (s.size() < length) return 0;
    for (std::size_t i = 1; i < length; ++i) {
        if ((byte(i) & 0xC0u) != 0x80u) return 0;
        code = (code << 6) | (byte(i) & 0x3Fu);
    }
    if (code < least || code > 0x10FFFF || (code >= 0xD800 && code <= 0xDFFF)) return 0;
    return length;
}

/// Code points that are valid but change how a terminal or an editor shows what stands around them.
bool is_treacherous(std::uint32_t code) {
    return code < 0x20 || (code >= 0x7F && code <= 0x9F) || code == 0x061C || code == 0x200E ||
           code == 0x200F || (code >= 0x2028 && code <= 0x202E) ||
           (code >= 0x2066 && code <= 0x2069) || code == 0xFEFF;
}

void append_escape(std::string& out, std::uint32_t code) {
    switch (code) {
        case '"':
            out += "\\\"";
            return;
        case '\\':
            out += "\\\\";
            return;
        case '\n':
            out += "\\n";
            return;
        case '\r':
            out += "\\r";
            return;
        case '\t':
            out += "\\t";
            return;
        default:
            break;
    }
    out += "\\u";
    for (int shift = 12; shift >= 0; shift -= 4)
        out += hex_digits[(code >> shift) & 0xFu];
}

bool is_plain(char c) {
    const auto u = static_cast<unsigned char>(c);
    return u >= 0x20 && u < 0x7F && c != '"' && c != '\\';
}

void append_text(std::string& out, std::string_view text) {
    std::size_t at = 0;
    while (at < text.size()) {
        std::size_t plain = at;
        while (plain < text.size() && is_plain(text[plain]))
            ++plain;
        out.append(text.substr(at, plain - at));
        at = plain;
        if (at == text.size()) break;
        std::uint32_t code = 0;
        const auto length = utf8_sequence(text.substr(at), code);
        if (length == 0) {
            out += "\xEF\xBF\xBD";
            ++at;
            continue;
        }
        if (code == '"' || code == '\\' || is_treacherous(code))
            append_escape(out, code);
        else
            out.append(text.substr(at, length));
        at += length;
    }
}

void append_number(std::string& out, std::uint64_t n) {
    std::array<char, 20> digits{};
    const auto end = std::to_chars(digits.data(), digits.data() + digits.size(), n).ptr;
    out.append(digits.data(), end);
}

void append_padded(std::string& out, std::int64_t value, int width) {
    std::array<char, 20> digits{};
    for (int i = width - 1; i >= 0; --i) {
        digits[static_cast<std::size_t>(i)] = static_cast<char>('0' + value % 10);
        value /= 10;
    }
    out.append(digits.data(), static_cast<std::size_t>(width));
}

void append_time(std::string& out, policy::instant t) {
    using namespace std::chrono;
    constexpr std::int64_t last = 253402300799999;  // 9999-12-31T23:59:59.999Z
    const auto ms = std::clamp<std::int64_t>(t.time_since_epoch().count(), 0, last);
    const policy::instant clamped{milliseconds(ms)};
    const auto day = floor<days>(clamped);
    const year_month_day date{day};
    const auto in_day = (clamped - day).count();
    append_padded(out, static_cast<int>(date.year()), 4);
    out += '-';
    append_padded(out, static_cast<unsigned>(date.month()), 2);
    out += '-';
    append_padded(out, static_cast<unsigned>(date.day()), 2);
    out += 'T';
    append_padded(out, in_day / 3'600'000, 2);
    out += ':';
    append_padded(out, in_day / 60'000 % 60, 2);
    out += ':';
    append_padded(out, in_day / 1000 % 60, 2);
    out += '.';
    append_padded(out, in_day % 1000, 3);
    out += 'Z';
}

bool is_reserved(std::string_view name) {
    return name == "seq" || name == "prev" || name == "time" || name == "event";
}

/// Cuts at a border of code points, so that the cut itself does not make a U+FFFD.
std::string_view cut_text(std::string_view text, std::size_t bytes_max) {
    if (text.size() <= bytes_max) return text;
    std::size_t end = bytes_max;
    for (int back = 0; back < 3 && end > 0; ++back, --end)
        if ((static_cast<unsigned char>(text[end]) & 0xC0u) != 0x80u) break;
    return text.substr(0, end);
}

void append_field(std::string& out, std::string_view name, std::string_view value) {
    out += ",\"";
    // A field may not pass for one of the chain's own.
    if (is_reserved(name)) out += "field_";
    append_text(out, name);
    out += "\":\"";
    append_text(out, value);
    out += '"';
}

/// The pure inverse of the writer above, over one line. Every function returns false at the first
/// byte that the writer would not have written there.
class line_parser {
  public:
    explicit line_parser(std::string_view text) : text_(text) {}

    bool literal(std::string_view expected) {
        if (!text_.starts_with(expected)) return false;
        text_.remove_prefix(expected.size());
        return true;
    }

    bool number(std::uint64_t& out) {
        if (text_.empty() || text_.front() == '0') return false;
        const auto [end, error] = std::from_chars(text_.data(), text_.data() + text_.size(), out);
        if (error != std::errc{}) return false;
        text_.remove_prefix(static_cast<std::size_t>(end - text_.data()));
        return true;
    }

    bool string(std::string& out) {
        if (!literal("\"")) return false;
        while (true) {
            std::size_t plain = 0;
            while (plain < text_.size() && text_[plain] != '"' && text_[plain] != '\\' &&
                   static_cast<unsigned char>(text_[plain]) >= 0x20)
                ++plain;
            out.append(text_.substr(0, plain));
            text_.remove_prefix(plain);
            if (text_.empty()) return false;
            if (literal("\"")) return true;
            if (!escape(out)) return false;
        }
    }

    [[nodiscard]] bool at_end() const { return text_.empty(); }

  private:
    bool escape(std::string& out) {
        if (!literal("\\") || text_.empty()) return false;
        const char c = text_.front();
        text_.remove_prefix(1);
        switch (c) {
            case '"':
                out += '"';
                return true;
            case '\\':
                out += '\\';
                return true;
            case 'n':
                out += '\n';
                return true;
            case 'r':
                out += '\r';
                return true;
            case 't':
                out += '\t';
                return true;
            case 'u':
                return unicode(out);
            default:
                return false;
        }
    }

    bool unicode(std::string& out) {
        if (text_.size() < 4) return false;
        std::uint32_t code = 0;
        const auto [end, error] = std::from_chars(text_.data(), text_.data() + 4, code, 16);
        if (error != std::errc{} || end != text_.data() + 4) return false;
        text_.remove_prefix(4);
        if (code < 0x80) {
            out += static_cast<char>(code);
        } else if (code < 0x800) {
            out += static_cast<char>(0xC0u | (code >> 6));
            out += static_cast<char>(0x80u | (code & 0x3Fu));
        } else {
            out += static_cast<char>(0xE0u | (code >> 12));
            out += static_cast<char>(0x80u | ((code >> 6) & 0x3Fu));
            out += static_cast<char>(0x80u | (code & 0x3Fu));
        }
        return true;
    }

    std::string_view text_;
};

bool is_hash(std::string_view text) {
    return text.size() == 64 &&
           text.find_first_not_of("0123456789abcdef") == std::string_view::npos;
}

/// `width` digits as a number, -1 if they are not all digits.
int fixed_digits(std::string_view text, std::size_t at, std::size_t width) {
    int value = 0;
    for (std::size_t i = at; i < at + width; ++i) {
        if (text[i] < '0' || text[i] > '9') return -1;
        value = value * 10 + (text[i] - '0');
    }
    return value;
}

}  // namespace

void encode_line(std::string& out, const record& r, std::uint64_t sequence, std::string_view prev) {
    out += "{\"seq\":";
    append_number(out, sequence);
    out += ",\"prev\":\"";
    out += prev;
    out += "\",\"time\":\"";
    append_time(out, r.at);
    out += "\",\"event\":\"";
    append_text(out, cut_text(r.event, 128));
    out += '"';
    std::size_t room = record_bytes_max;
    std::size_t written = 0;
    for (const auto& [name, value] : r.fields) {
        if (written == record_fields_max || room < name.size() || name.size() > 128) {
            append_field(out, "fields_dropped", std::to_string(r.fields.size() - written));
            break;
        }
        const auto shown = cut_text(value, room - name.size());
        append_field(out, name, shown);
        if (shown.size() != value.size()) {
            append_field(out, name + "_bytes", std::to_string(value.size()));
        }
        room -= name.size() + shown.size();
        ++written;
    }
    out += '}';
}

std::string hash_line(std::string_view line) {
    // Fetched once, and one context per thread: both cost as much as hashing a short line.
    static const std::unique_ptr<EVP_MD, decltype(&EVP_MD_free)> algorithm(
        EVP_MD_fetch(nullptr, "SHA256", nullptr), &EVP_MD_free);
    thread_local const std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> context(
        EVP_MD_CTX_new(), &EVP_MD_CTX_free);
    std::array<unsigned char, 32> digest{};
    if (!context || !algorithm ||
        EVP_DigestInit_ex2(context.get(), algorithm.get(), nullptr) != 1 ||
        EVP_DigestUpdate(context.get(), line_domain.data(), line_domain.size()) != 1 ||
        EVP_DigestUpdate(context.get(), line.data(), line.size()) != 1 ||
        EVP_DigestFinal_ex(context.get(), digest.data(), nullptr) != 1)
        throw std::runtime_error("SHA-256 is not available from OpenSSL");
    std::string hex;
    hex.reserve(64);
    for (const unsigned byte : digest) {
        hex += hex_digits[byte >> 4];
        hex += hex_digits[byte & 0xFu];
    }
    return hex;
}

std::string_view parsed_line::field(std::string_view name) const noexcept {
    for (const auto& [key, value] : fields)
        if (key == name) return value;
    return {};
}

std::optional<parsed_line> parse_line(std::string_view line) {
    parsed_line result;
    line_parser parser(line);
    if (line.size() > line_bytes_max || !parser.literal("{\"seq\":") ||
        !parser.number(result.sequence) || !parser.literal(",\"prev\":") ||
        !parser.string(result.prev) || !is_hash(result.prev) || !parser.literal(",\"time\":") ||
        !parser.string(result.time) || !parse_time(result.time) || !parser.literal(",\"event\":") ||
        !parser.string(result.event))
        return std::nullopt;
    while (parser.literal(",")) {
        auto& field = result.fields.emplace_back();
        // A record of the most fields may have one more that says what was cut, and one for the
        // rest.
        if (result.fields.size() > 2 * record_fields_max + 1 || !parser.string(field.first) ||
            !parser.literal(":") || !parser.string(field.second))
            return std::nullopt;
    }
    if (!parser.literal("}") || !parser.at_end()) return std::nullopt;
    return result;
}

std::string checkpoint_message(std::uint64_t head_sequence, std::string_view head_hash,
                               std::string_view time) {
    std::string message = "sallyport audit checkpoint 1\n";
    append_number(message, head_sequence);
    message += '\n';
    message += head_hash;
    message += '\n';
    message += time;
    message += '\n';
    return message;
}

std::string format_time(policy::instant t) {
    std::string out;
    append_time(out, t);
    return out;
}

std::optional<policy::instant> parse_time(std::string_view text) {
    using namespace std::chrono;
    constexpr std::string_view form = "0000-00-00T00:00:00.000Z";
    if (text.size() != form.size()) return std::nullopt;
    for (std::size_t i = 0; i < form.size(); ++i)
        if (form[i] != '0' && form[i] != text[i]) return std::nullopt;
    const int y = fixed_digits(text, 0, 4);
    const int month_number = fixed_digits(text, 5, 2);
    const int day_number = fixed_digits(text, 8, 2);
    const int h = fixed_digits(text, 11, 2);
    const int m = fixed_digits(text, 14, 2);
    const int s = fixed_digits(text, 17, 2);
    const int ms = fixed_digits(text, 20, 3);
    if (y < 1970 || month_number < 1 || day_number < 1 || h < 0 || h > 23 || m < 0 || m > 59 ||
        s < 0 || s > 59 || ms < 0)
        return std::nullopt;
    const year_month_day date{year{y}, month{static_cast<unsigned>(month_number)},
                              day{static_cast<unsigned>(day_number)}};
    if (!date.ok()) return std::nullopt;
    return policy::instant(sys_days(date).time_since_epoch() + hours(h) + minutes(m) + seconds(s) +
                           milliseconds(ms));
}

}  // namespace sallyport::proxy::audit
