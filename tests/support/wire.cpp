#include <stdexcept>

#include "tests/support/wire_client.h"

namespace sallyport::tests {
namespace {

std::string zero_terminated(std::string_view s) {
    return std::string(s) + '\0';
}

}  // namespace

namespace wire {

std::string int16(int value) {
    const auto v = static_cast<unsigned>(value);
    return {static_cast<char>(v >> 8 & 0xff), static_cast<char>(v & 0xff)};
}

std::string int32(std::uint32_t value) {
    return {static_cast<char>(value >> 24), static_cast<char>(value >> 16 & 0xff),
            static_cast<char>(value >> 8 & 0xff), static_cast<char>(value & 0xff)};
}

std::uint32_t int32_at(std::string_view bytes, std::size_t at) {
    std::uint32_t value = 0;
    for (std::size_t i = 0; i < 4; ++i)
        value = value << 8 | static_cast<unsigned char>(bytes.at(at + i));
    return value;
}

std::string frame(char type, std::string_view body) {
    return type + int32(static_cast<std::uint32_t>(body.size() + 4)) + std::string(body);
}

std::string startup(const parameters& p, std::uint32_t version) {
    std::string body = int32(version);
    for (const auto& [name, value] : p)
        body += zero_terminated(name) + zero_terminated(value);
    body += '\0';
    return int32(static_cast<std::uint32_t>(body.size() + 4)) + body;
}

std::string ssl_request() {
    return int32(8) + int32(80877103);
}
std::string gssenc_request() {
    return int32(8) + int32(80877104);
}

std::string cancel_request(std::uint32_t pid, std::uint32_t secret) {
    return cancel_request(pid, int32(secret));
}

std::string cancel_request(std::uint32_t pid, std::string_view key) {
    return int32(static_cast<std::uint32_t>(12 + key.size())) + int32(80877102) + int32(pid) +
           std::string(key);
}

std::string query(std::string_view sql) {
    return frame('Q', zero_terminated(sql));
}

std::string parse(std::string_view name, std::string_view sql) {
    return frame('P', zero_terminated(name) + zero_terminated(sql) + int16(0));
}

std::string bind(std::string_view portal, std::string_view statement,
                 const std::vector<std::optional<std::string>>& values) {
    std::string body = zero_terminated(portal) + zero_terminated(statement) + int16(0) +
                       int16(static_cast<int>(values.size()));
    for (const auto& v : values) {
        body += v ? int32(static_cast<std::uint32_t>(v->size())) + *v : int32(0xffffffff);
    }
    return frame('B', body + int16(0));
}

std::string describe(char kind, std::string_view name) {
    return frame('D', kind + zero_terminated(name));
}

std::string execute(std::string_view portal, std::uint32_t rows_max) {
    return frame('E', zero_terminated(portal) + int32(rows_max));
}

std::string close(char kind, std::string_view name) {
    return frame('C', kind + zero_terminated(name));
}

std::string sync() {
    return frame('S', "");
}
std::string flush() {
    return frame('H', "");
}
std::string terminate() {
    return frame('X', "");
}
std::string password(std::string_view text) {
    return frame('p', zero_terminated(text));
}

std::string sasl_initial(std::string_view mechanism, std::string_view data) {
    return frame('p', zero_terminated(mechanism) + int32(static_cast<std::uint32_t>(data.size())) +
                          std::string(data));
}

std::string once(std::string_view sql) {
    return parse("", sql) + bind("", "") + execute("");
}

}  // namespace wire

std::map<char, std::string> fields_of(const message& m) {
    std::map<char, std::string> fields;
    std::size_t at = 0;
    while (at < m.body.size() && m.body[at] != '\0') {
        const auto end = m.body.find('\0', at + 1);
        if (end == std::string::npos) throw std::runtime_error("error field without its end");
        fields[m.body[at]] = m.body.substr(at + 1, end - at - 1);
        at = end + 1;
    }
    return fields;
}

std::vector<std::optional<std::string>> values_of(const message& m) {
    std::size_t at = 0;
    const auto number = [&](std::size_t bytes) {
        std::uint32_t v = 0;
        for (std::size_t i = 0; i < bytes; ++i)
            v = v << 8 | static_cast<unsigned char>(m.body.at(at + i));
        at += bytes;
        return v;
    };
    std::vector<std::optional<std::string>> values;
    const auto count = number(2);
    for (std::uint32_t i = 0; i < count; ++i) {
        const auto size = number(4);
        if (size == 0xffffffff) {
            values.emplace_back(std::nullopt);
            continue;
        }
        values.emplace_back(m.body.substr(at, size));
        at += size;
    }
    return values;
}

std::string exchange::types() const {
    std::string text;
    for (const auto& m : messages)
        if (m.type != 'N' && m.type != 'S' && m.type != 'A') text += m.type;
    return text;
}

std::string exchange::sqlstate() const {
    if (errors.empty()) return "";
    const auto it = errors.front().find('C');
    return it == errors.front().end() ? "none" : it->second;
}

}  // namespace sallyport::tests
