#include "protocol/sasl.h"

#include <algorithm>
#include <array>
#include <charconv>

#include "protocol/limits.h"

namespace sallyport::protocol::sasl {

namespace {

constexpr std::string_view alphabet =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
constexpr std::string_view tls_server_end_point = "tls-server-end-point";

constexpr std::array<signed char, 256> make_values() noexcept {
    std::array<signed char, 256> values{};
    values.fill(-1);
    for (std::size_t i = 0; i < alphabet.size(); ++i)
        values[static_cast<unsigned char>(alphabet[i])] = static_cast<signed char>(i);
    return values;
}
constexpr auto alphabet_values = make_values();

/// Walks the attributes of one text in their required order.
class attributes {
  public:
    explicit attributes(std::string_view text) noexcept : rest_(text) {
        if (text.size() > limits::sasl_text_bytes_max) fail(errc::sasl_text_too_long);
    }

    /// The value of the attribute `name`, which must be the next one.
    std::string_view take(char name) noexcept {
        if (error_ != errc::ok) return {};
        if (taken_) {
            if (!rest_.starts_with(',')) return fail(errc::sasl_syntax);
            rest_.remove_prefix(1);
        }
        if (rest_.starts_with("m=")) return fail(errc::sasl_extension);
        if (rest_.size() < 2 || rest_[0] != name || rest_[1] != '=') return fail(errc::sasl_syntax);
        taken_ = true;
        const auto value = rest_.substr(2, rest_.find(',') - 2);
        rest_.remove_prefix(2 + value.size());
        return value;
    }
    std::string_view fail(errc e) noexcept {
        if (error_ == errc::ok) error_ = e;
        return {};
    }
    /// The verdict on the whole text: whatever follows the last attribute is an extension.
    [[nodiscard]] errc finish() noexcept {
        if (!rest_.empty()) fail(errc::sasl_extension);
        return error_;
    }
    [[nodiscard]] bool ok() const noexcept { return error_ == errc::ok; }
    [[nodiscard]] std::size_t remaining() const noexcept { return rest_.size(); }

  private:
    std::string_view rest_;
    bool taken_ = false;
    errc error_ = errc::ok;
};

/// Printable ASCII but the comma, as RFC 5802 says.
std::string_view take_nonce(attributes& in) noexcept {
    const auto nonce = in.take('r');
    const bool printable =
        std::all_of(nonce.begin(), nonce.end(), [](char c) { return c > 0x20 && c < 0x7f; });
    if (nonce.empty() || nonce.size() > limits::sasl_nonce_bytes_max || !printable)
        in.fail(errc::sasl_nonce);
    return nonce;
}

std::string take_base64(attributes& in, char name, std::size_t bytes_min, std::size_t bytes_max) {
    const auto text = in.take(name);
    if (!in.ok()) return {};
    auto raw = base64_decode(text);
    if (!raw || raw->size() < bytes_min || raw->size() > bytes_max) {
        in.fail(errc::sasl_base64);
        return {};
    }
    return std::move(*raw);
}

/// A saslname: `=2C` and `=3D` stand for comma and equals sign, any other `=` is a fault.
std::string unescape_name(attributes& in, std::string_view text) {
    std::string name;
    while (!text.empty()) {
        if (text.starts_with("=2C") || text.starts_with("=3D")) {
            name.push_back(text[1] == '2' ? ',' : '=');
            text.remove_prefix(3);
            continue;
        }
        if (text.front() == '=' || text.front() == '\0') in.fail(errc::sasl_syntax);
        name.push_back(text.front());
        text.remove_prefix(1);
    }
    return name;
}

/// The part up to and with the second comma: binding flag and (refused) authorisation identity.
errc parse_gs2_header(std::string_view text, client_first& out) noexcept {
    const auto comma = text.find(',');
    if (comma == std::string_view::npos) return errc::sasl_syntax;
    const auto flag = text.substr(0, comma);
    if (flag == "n") {
        out.channel_binding = binding::none;
    } else if (flag == "y") {
        out.channel_binding = binding::unadvertised;
    } else if (flag.starts_with("p=") && flag.substr(2) == tls_server_end_point) {
        out.channel_binding = binding::used;
        out.binding_type = flag.substr(2);
    } else {
        return errc::sasl_channel_binding;
    }
    const auto rest = text.substr(comma + 1);
    if (rest.starts_with("a=")) return errc::sasl_authorization_id;
    if (!rest.starts_with(',')) return errc::sasl_syntax;
    out.gs2_header = text.substr(0, comma + 2);
    out.bare = text.substr(comma + 2);
    return errc::ok;
}

}  // namespace

result<client_first> client_first::parse(std::string_view text) {
    if (text.size() > limits::sasl_text_bytes_max) return errc::sasl_text_too_long;
    client_first m;
    if (const auto e = parse_gs2_header(text, m); e != errc::ok) return e;
    attributes in(m.bare);
    m.username = unescape_name(in, in.take('n'));
    m.nonce = take_nonce(in);
    if (const auto e = in.finish(); e != errc::ok) return e;
    return m;
}

std::string format_client_first_bare(std::string_view username, std::string_view nonce) {
    std::string out = "n=";
    for (const char c : username) {
        if (c == ',')
            out.append("=2C");
        else if (c == '=')
            out.append("=3D");
        else
            out.push_back(c);
    }
    return out.append(",r=").append(nonce);
}

result<server_first> server_first::parse(std::string_view text) {
    attributes in(text);
    server_first m;
    m.nonce = take_nonce(in);
    m.salt = take_base64(in, 's', 1, limits::sasl_salt_bytes_max);
    const auto digits = in.take('i');
    const auto* const end = digits.data() + digits.size();
    const auto [stop, error] = std::from_chars(digits.data(), end, m.iterations);
    if (in.ok() && (error != std::errc{} || stop != end || digits.front() == '0' ||
                    m.iterations > limits::scram_iterations_max))
        in.fail(errc::sasl_iterations);
    if (const auto e = in.finish(); e != errc::ok) return e;
    return m;
}

std::string format_server_first(std::string_view nonce, bytes salt, std::uint32_t iterations) {
    std::string out = "r=";
    out.append(nonce).append(",s=").append(base64_encode(salt));
    return out.append(",i=").append(std::to_string(iterations));
}

result<client_final> client_final::parse(std::string_view text) {
    attributes in(text);
    client_final m;
    m.channel_binding = take_base64(in, 'c', 1, limits::sasl_text_bytes_max);
    m.nonce = take_nonce(in);
    m.without_proof = text.substr(0, text.size() - in.remaining());
    m.proof = take_base64(in, 'p', key_bytes, key_bytes);
    if (const auto e = in.finish(); e != errc::ok) return e;
    return m;
}

std::string format_client_final_without_proof(bytes channel_binding, std::string_view nonce) {
    return "c=" + base64_encode(channel_binding) + ",r=" + std::string(nonce);
}

std::string format_client_final(std::string_view without_proof, bytes proof) {
    return std::string(without_proof) + ",p=" + base64_encode(proof);
}

result<server_final> server_final::parse(std::string_view text) {
    attributes in(text);
    server_final m;
    if (text.starts_with("e=")) {
        m.error = in.take('e');
        if (m.error.empty()) in.fail(errc::sasl_syntax);
    } else {
        m.signature = take_base64(in, 'v', key_bytes, key_bytes);
    }
    if (const auto e = in.finish(); e != errc::ok) return e;
    return m;
}

std::string format_server_final(bytes signature) {
    return "v=" + base64_encode(signature);
}

std::string format_server_error(std::string_view error) {
    return "e=" + std::string(error);
}

std::string base64_encode(bytes raw) {
    std::string out;
    out.reserve((raw.size() + 2) / 3 * 4);
    while (!raw.empty()) {
        const auto group = raw.substr(0, 3);
        std::uint32_t bits = 0;
        for (std::size_t i = 0; i < 3; ++i)
            bits = bits << 8 | (i < group.size() ? static_cast<unsigned char>(group[i]) : 0U);
        for (std::size_t i = 0; i < 4; ++i)
            out.push_back(i <= group.size() ? alphabet[bits >> (18 - 6 * i) & 0x3f] : '=');
        raw.remove_prefix(group.size());
    }
    return out;
}

std::optional<std::string> base64_decode(std::string_view text) {
    if (text.size() % 4 != 0) return std::nullopt;
    const std::size_t padding = text.ends_with("==") ? 2 : text.ends_with('=') ? 1 : 0;
    std::string out;
    out.reserve(text.size() / 4 * 3);
    std::uint32_t bits = 0;
    for (std::size_t i = 0; i < text.size(); ++i) {
        const bool pad = i >= text.size() - padding;
        const int value = pad ? 0 : alphabet_values[static_cast<unsigned char>(text[i])];
        if (value < 0) return std::nullopt;
        bits = bits << 6 | static_cast<std::uint32_t>(value);
        if (i % 4 != 3) continue;
        for (const unsigned shift : {16U, 8U, 0U})
            out.push_back(static_cast<char>(bits >> shift));
        bits = 0;
    }
    // Bits that only padding covers must be zero, or two texts would decode to the same bytes.
    for (std::size_t i = 0; i < padding; ++i) {
        if (out.back() != '\0') return std::nullopt;
        out.pop_back();
    }
    return out;
}

}  // namespace sallyport::protocol::sasl
