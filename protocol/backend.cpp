#include "protocol/backend.h"

#include <charconv>

#include "protocol/limits.h"

namespace sallyport::protocol::backend {

namespace {

// Values of the method field of `R`.
constexpr std::uint32_t method_ok = 0;
constexpr std::uint32_t method_cleartext = 3;
constexpr std::uint32_t method_md5 = 5;
constexpr std::uint32_t method_sasl = 10;
constexpr std::uint32_t method_sasl_continue = 11;
constexpr std::uint32_t method_sasl_final = 12;
constexpr std::size_t md5_salt_bytes = 4;

authentication_sasl read_mechanisms(reader& in) {
    authentication_sasl m;
    for (auto name = in.cstring(); in.ok() && !name.empty(); name = in.cstring()) {
        if (m.mechanisms.size() == limits::sasl_mechanisms_max) {
            in.fail(errc::bad_count);
            break;
        }
        m.mechanisms.push_back(name);
    }
    if (in.ok() && m.mechanisms.empty()) in.fail(errc::bad_count);
    return m;
}

authentication::request_type read_request(reader& in) {
    const auto method = in.u32();
    switch (method) {
        case method_ok:
            return authentication_ok{};
        case method_cleartext:
            return authentication_cleartext{};
        case method_md5:
            return authentication_md5{in.take(md5_salt_bytes)};
        case method_sasl:
            return read_mechanisms(in);
        case method_sasl_continue:
            return authentication_sasl_continue{in.take_rest()};
        case method_sasl_final:
            return authentication_sasl_final{in.take_rest()};
        default:
            in.take_rest();
            return authentication_unsupported{method};
    }
}

/// Writes the method and what belongs to it.
struct request_writer {
    writer& w;

    void operator()(authentication_ok) const { w.u32(method_ok); }
    void operator()(authentication_cleartext) const { w.u32(method_cleartext); }
    void operator()(const authentication_md5& r) const {
        w.u32(method_md5);
        w.raw(r.salt);
    }
    void operator()(const authentication_sasl& r) const {
        w.u32(method_sasl);
        for (const auto name : r.mechanisms)
            w.cstring(name);
        w.cstring({});
    }
    void operator()(const authentication_sasl_continue& r) const {
        w.u32(method_sasl_continue);
        w.raw(r.data);
    }
    void operator()(const authentication_sasl_final& r) const {
        w.u32(method_sasl_final);
        w.raw(r.data);
    }
    void operator()(authentication_unsupported) const {}
};

}  // namespace

result<authentication> authentication::decode(bytes body) {
    reader in(body);
    authentication m{read_request(in)};
    if (const auto e = in.finish(); e != errc::ok) return e;
    return m;
}

void authentication::encode(std::string& out) const {
    if (std::holds_alternative<authentication_unsupported>(request)) return;
    writer w(out);
    w.begin_message(tag);
    std::visit(request_writer{w}, request);
    w.end_message();
}

result<backend_key_data> backend_key_data::decode(bytes body) noexcept {
    reader in(body);
    backend_key_data m;
    m.process_id = in.u32();
    m.key = in.take_rest();
    if (const auto e = in.finish(); e != errc::ok) return e;
    if (m.key.size() < limits::cancel_key_bytes_min || m.key.size() > limits::cancel_key_bytes_max)
        return errc::bad_cancel_key;
    return m;
}

void backend_key_data::encode(std::string& out) const {
    writer w(out);
    w.begin_message(tag);
    w.u32(process_id);
    w.raw(key);
    w.end_message();
}

result<parameter_status> parameter_status::decode(bytes body) noexcept {
    reader in(body);
    parameter_status m;
    m.name = in.cstring();
    m.value = in.cstring();
    if (const auto e = in.finish(); e != errc::ok) return e;
    return m;
}

void parameter_status::encode(std::string& out) const {
    writer w(out);
    w.begin_message(tag);
    w.cstring(name);
    w.cstring(value);
    w.end_message();
}

result<ready_for_query> ready_for_query::decode(bytes body) noexcept {
    reader in(body);
    const auto status = static_cast<char>(in.u8());
    if (const auto e = in.finish(); e != errc::ok) return e;
    if (status != 'I' && status != 'T' && status != 'E') return errc::bad_value;
    return ready_for_query{static_cast<transaction_status>(status)};
}

void ready_for_query::encode(std::string& out) const {
    writer w(out);
    w.begin_message(tag);
    w.u8(static_cast<std::uint8_t>(status));
    w.end_message();
}

result<negotiate_protocol_version> negotiate_protocol_version::decode(bytes body) {
    reader in(body);
    negotiate_protocol_version m;
    m.newest_version = in.u32();
    const std::size_t count = in.u32();
    if (count > in.remaining()) in.fail(errc::bad_count);  // each takes one byte at least
    for (std::size_t i = 0; i < count && in.ok(); ++i)
        m.unrecognized.push_back(in.cstring());
    if (const auto e = in.finish(); e != errc::ok) return e;
    return m;
}

void negotiate_protocol_version::encode(std::string& out) const {
    writer w(out);
    w.begin_message(tag);
    w.u32(newest_version);
    w.u32(static_cast<std::uint32_t>(unrecognized.size()));
    for (const auto name : unrecognized)
        w.cstring(name);
    w.end_message();
}

result<notification_response> notification_response::decode(bytes body) noexcept {
    reader in(body);
    notification_response m;
    m.process_id = in.u32();
    m.channel = in.cstring();
    m.payload = in.cstring();
    if (const auto e = in.finish(); e != errc::ok) return e;
    return m;
}

void notification_response::encode(std::string& out) const {
    writer w(out);
    w.begin_message(tag);
    w.u32(process_id);
    w.cstring(channel);
    w.cstring(payload);
    w.end_message();
}

result<row_description> row_description::decode(bytes body) {
    constexpr std::size_t column_bytes_min = 1 + 4 + 2 + 4 + 2 + 4 + 2;
    reader in(body);
    row_description m;
    m.columns.resize(in.count(column_bytes_min));
    for (auto& c : m.columns) {
        c.name = in.cstring();
        c.table = in.u32();
        c.attribute = in.i16();
        c.type = in.u32();
        c.type_size = in.i16();
        c.type_modifier = in.i32();
        c.format = in.u16();
        if (c.format > 1) in.fail(errc::bad_format_code);
    }
    if (const auto e = in.finish(); e != errc::ok) return e;
    return m;
}

void row_description::encode(std::string& out) const {
    writer w(out);
    w.begin_message(tag);
    w.count(columns.size());
    for (const auto& c : columns) {
        w.cstring(c.name);
        w.u32(c.table);
        w.i16(c.attribute);
        w.u32(c.type);
        w.i16(c.type_size);
        w.i32(c.type_modifier);
        w.u16(c.format);
    }
    w.end_message();
}

result<data_row> data_row::decode(bytes body) {
    reader in(body);
    data_row m{in.values()};
    if (const auto e = in.finish(); e != errc::ok) return e;
    return m;
}

void data_row::encode(std::string& out) const {
    writer w(out);
    w.begin_message(tag);
    w.values(values);
    w.end_message();
}

std::optional<std::uint64_t> command_complete::row_count() const noexcept {
    const auto space = command_tag.rfind(' ');
    if (space == std::string_view::npos) return std::nullopt;
    const auto digits = command_tag.substr(space + 1);
    std::uint64_t count = 0;
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), count);
    if (error != std::errc{} || end != digits.data() + digits.size()) return std::nullopt;
    return count;
}

result<command_complete> command_complete::decode(bytes body) noexcept {
    reader in(body);
    command_complete m{in.cstring()};
    if (const auto e = in.finish(); e != errc::ok) return e;
    return m;
}

void command_complete::encode(std::string& out) const {
    writer w(out);
    w.begin_message(tag);
    w.cstring(command_tag);
    w.end_message();
}

result<parameter_description> parameter_description::decode(bytes body) {
    reader in(body);
    parameter_description m{in.oids()};
    if (const auto e = in.finish(); e != errc::ok) return e;
    return m;
}

void parameter_description::encode(std::string& out) const {
    writer w(out);
    w.begin_message(tag);
    w.oids(types);
    w.end_message();
}

result<function_call_response> function_call_response::decode(bytes body) noexcept {
    reader in(body);
    function_call_response m{in.value()};
    if (const auto e = in.finish(); e != errc::ok) return e;
    return m;
}

void function_call_response::encode(std::string& out) const {
    writer w(out);
    w.begin_message(tag);
    w.value(value);
    w.end_message();
}

template <char Tag>
result<copy_response<Tag>> copy_response<Tag>::decode(bytes body) {
    reader in(body);
    copy_response m;
    m.format = in.u8();
    if (m.format > 1) in.fail(errc::bad_format_code);
    m.column_formats = in.formats();
    if (const auto e = in.finish(); e != errc::ok) return e;
    return m;
}

template <char Tag>
void copy_response<Tag>::encode(std::string& out) const {
    writer w(out);
    w.begin_message(Tag);
    w.u8(format);
    w.formats(column_formats);
    w.end_message();
}

template struct copy_response<'G'>;
template struct copy_response<'H'>;
template struct copy_response<'W'>;

}  // namespace sallyport::protocol::backend
