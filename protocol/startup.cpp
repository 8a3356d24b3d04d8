#include "protocol/startup.h"

#include <algorithm>
#include <array>
#include <unordered_set>

#include "protocol/limits.h"

namespace sallyport::protocol {

namespace {

constexpr std::size_t length_bytes = 4;
constexpr std::size_t code_bytes = 4;
constexpr std::string_view extension_prefix = "_pq_.";

char lower(char c) noexcept {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}

std::string lower(std::string_view text) {
    std::string out(text);
    std::transform(out.begin(), out.end(), out.begin(), [](char c) { return lower(c); });
    return out;
}

bool equal_ignoring_case(std::string_view a, std::string_view b) noexcept {
    return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                      [](char x, char y) { return lower(x) == lower(y); });
}

bool has_control_character(std::string_view text) noexcept {
    return std::any_of(text.begin(), text.end(), [](char c) {
        const auto u = static_cast<unsigned char>(c);
        return u < 0x20 || u == 0x7f;
    });
}

/// The blanks of C's isspace, which the server splits by.
bool is_blank(char c) noexcept {
    return c == ' ' || (c >= '\t' && c <= '\r');
}

/// The keys that the server compares exactly, in another letter case: no setting has such a name,
/// so it can only be meant to be read as one key here and as another there.
bool is_disguised_key(std::string_view name) noexcept {
    constexpr std::array<std::string_view, 4> keys = {"user", "database", "options", "replication"};
    return std::any_of(keys.begin(), keys.end(), [&](std::string_view key) {
        return name != key && equal_ignoring_case(name, key);
    });
}

/// The keys that say who comes, where to and how, and not what the session is set to.
bool decides_the_login(std::string_view name) noexcept {
    constexpr std::array<std::string_view, 5> keys = {"user", "database", "options", "replication",
                                                      "role"};
    return std::find(keys.begin(), keys.end(), name) != keys.end() ||
           name.starts_with(extension_prefix);
}

errc check_name(std::string_view name) noexcept {
    if (name.size() > limits::name_bytes_max) return errc::name_too_long;
    if (has_control_character(name)) return errc::control_character;
    return errc::ok;
}

/// The pairs after the version, up to the empty key that must be the last byte.
errc read_parameters(reader& in, std::vector<parameter>& out) {
    std::unordered_set<std::string> seen;
    for (;;) {
        const auto name = in.cstring();
        if (!in.ok()) return errc::bad_startup_layout;
        if (name.empty()) break;
        const auto value = in.cstring();
        if (!in.ok()) return errc::bad_startup_layout;
        if (has_control_character(name)) return errc::control_character;
        if (is_disguised_key(name)) return errc::bad_value;
        // The server takes the last of two, others the first: whoever was authorised must be who
        // logs in. Names of settings ignore letter case there.
        if (!seen.insert(lower(name)).second) {
            const auto first = std::find_if(out.begin(), out.end(),
                                            [&](const parameter& p) { return p.name == name; });
            if (first == out.end() || decides_the_login(name)) return errc::duplicate_parameter;
            out.erase(first);
        }
        out.push_back({std::string(name), std::string(value)});
    }
    return in.remaining() == 0 ? errc::ok : errc::bad_startup_layout;
}

result<startup_packet> decode_startup_message(std::uint16_t minor, reader in) {
    startup_message m;
    m.minor = minor;
    if (const auto e = read_parameters(in, m.parameters); e != errc::ok) return e;
    // The server compares these two keys exactly, unlike names of settings.
    for (const auto& p : m.parameters) {
        if (p.name == "user") m.user = p.value;
        if (p.name == "database") m.database = p.value;
    }
    if (m.user.empty()) return errc::missing_user;
    if (m.database.empty()) m.database = m.user;
    for (const auto& name : {m.user, m.database})
        if (const auto e = check_name(name); e != errc::ok) return e;
    return startup_packet(std::move(m));
}

result<startup_packet> decode_cancel(reader in) {
    cancel_request m;
    m.process_id = in.u32();
    m.key = in.take_rest();
    if (!in.ok() || m.key.size() < limits::cancel_key_bytes_min ||
        m.key.size() > limits::cancel_key_bytes_max)
        return errc::bad_cancel_key;
    return startup_packet(std::move(m));
}

void encode_code_only(std::string& out, std::uint32_t code) {
    writer w(out);
    w.begin_packet();
    w.u32(code);
    w.end_message();
}

std::vector<std::string> split_options(std::string_view text) {
    std::vector<std::string> words;
    std::size_t at = 0;
    for (;;) {
        while (at < text.size() && is_blank(text[at]))
            ++at;
        if (at == text.size()) return words;
        std::string word;
        for (bool escaped = false; at < text.size(); ++at) {
            if (is_blank(text[at]) && !escaped) break;
            if (text[at] == '\\' && !escaped) {
                escaped = true;
            } else {
                escaped = false;
                word.push_back(text[at]);
            }
        }
        words.push_back(std::move(word));
    }
}

/// Takes `name=value` apart; false if it is not one.
bool add_setting(std::string_view text, std::vector<parameter>& settings) {
    const auto equals = text.find('=');
    if (equals == std::string_view::npos || equals == 0) return false;
    parameter p{std::string(text.substr(0, equals)), std::string(text.substr(equals + 1))};
    std::replace(p.name.begin(), p.name.end(), '-', '_');
    settings.push_back(std::move(p));
    return true;
}

}  // namespace

const std::string* startup_message::find(std::string_view name) const noexcept {
    for (const auto& p : parameters)
        if (equal_ignoring_case(p.name, name)) return &p.value;
    return nullptr;
}

std::vector<std::string> startup_message::protocol_extensions() const {
    std::vector<std::string> names;
    for (const auto& p : parameters)
        if (equal_ignoring_case(std::string_view(p.name).substr(0, extension_prefix.size()),
                                extension_prefix))
            names.push_back(p.name);
    return names;
}

result<std::size_t> startup_packet_bytes(bytes input) noexcept {
    if (input.size() < length_bytes) return errc::need_more;
    const std::size_t length = load_u32(input.data());
    if (length < length_bytes + code_bytes ||
        length > length_bytes + limits::startup_packet_bytes_max)
        return errc::bad_length;
    return length;
}

result<startup_packet> decode_startup(bytes packet) {
    const auto length = startup_packet_bytes(packet);
    if (!length) return length.error();
    if (packet.size() < *length) return errc::need_more;
    if (packet.size() > *length) return errc::trailing_bytes;

    reader in(packet.substr(length_bytes));
    const auto code = in.u32();
    if (code == ssl_request_code || code == gssenc_request_code) {
        if (in.remaining() != 0) return errc::bad_length;
        if (code == ssl_request_code) return startup_packet(ssl_request{});
        return startup_packet(gssenc_request{});
    }
    if (code == cancel_request_code) return decode_cancel(in);
    const auto major = static_cast<std::uint16_t>(code >> 16);
    const auto minor = static_cast<std::uint16_t>(code & 0xffff);
    if (major != protocol_3_0 >> 16) return startup_packet(unsupported_version{major, minor});
    return decode_startup_message(minor, in);
}

void encode_startup_message(std::string& out, std::string_view user, std::string_view database,
                            const std::vector<parameter>& more) {
    writer w(out);
    w.begin_packet();
    w.u32(protocol_3_0);
    w.cstring("user");
    w.cstring(user);
    w.cstring("database");
    w.cstring(database);
    for (const auto& p : more) {
        w.cstring(p.name);
        w.cstring(p.value);
    }
    w.cstring({});
    w.end_message();
}

void encode_ssl_request(std::string& out) {
    encode_code_only(out, ssl_request_code);
}

void encode_gssenc_request(std::string& out) {
    encode_code_only(out, gssenc_request_code);
}

void encode_cancel_request(std::string& out, const cancel_request& request) {
    writer w(out);
    w.begin_packet();
    w.u32(cancel_request_code);
    w.u32(request.process_id);
    w.raw(request.key);
    w.end_message();
}

startup_options parse_options_parameter(std::string_view options) {
    startup_options out;
    const auto words = split_options(options);
    for (std::size_t i = 0; i < words.size(); ++i) {
        const std::string_view word = words[i];
        bool understood = false;
        if (word == "-c") {
            if (i + 1 < words.size()) understood = add_setting(words[++i], out.settings);
        } else if (word.starts_with("-c") || word.starts_with("--")) {
            understood = add_setting(word.substr(2), out.settings);
        }
        if (!understood) out.unsupported.push_back(words[i]);
    }
    return out;
}

std::string format_options_parameter(const std::vector<parameter>& settings) {
    const auto is_plain = [](char c) {
        return (c >= '0' && c <= '9') || (lower(c) >= 'a' && lower(c) <= 'z') || c == '_' ||
               c == '.';
    };
    std::string out;
    // Everything but plain letters is escaped, high bytes too: what counts as a blank is the
    // server's locale's business.
    const auto append = [&](std::string_view text) {
        for (const char c : text) {
            if (!is_plain(c)) out.push_back('\\');
            out.push_back(c);
        }
    };
    for (const auto& s : settings) {
        out.append(out.empty() ? "-c " : " -c ");
        append(s.name);
        out.push_back('=');
        append(s.value);
    }
    return out;
}

}  // namespace sallyport::protocol
