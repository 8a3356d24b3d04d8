#include "protocol/frontend.h"

#include "protocol/limits.h"

namespace sallyport::protocol::frontend {

namespace {

/// A statement or portal name. The server cuts a longer one to 63 bytes, so that two names that
/// differ here would be one there: it must not get through.
std::string_view read_name(reader& in) noexcept {
    const auto name = in.cstring();
    if (name.size() > limits::name_bytes_max) in.fail(errc::name_too_long);
    return name;
}

named_kind read_kind(reader& in) noexcept {
    const auto kind = static_cast<char>(in.u8());
    if (in.ok() && kind != 'S' && kind != 'P') in.fail(errc::bad_kind);
    return static_cast<named_kind>(kind);
}

/// Formats for `values` items: none, one for all, or one each.
void check_format_count(reader& in, std::size_t formats, std::size_t values) noexcept {
    if (in.ok() && formats > 1 && formats != values) in.fail(errc::bad_format_code);
}

/// `p` and Query are alike: one text that fills the body.
result<std::string_view> decode_only_text(bytes body) noexcept {
    reader in(body);
    const auto text = in.cstring();
    if (const auto e = in.finish(); e != errc::ok) return e;
    return text;
}

void encode_only_text(std::string& out, char tag, std::string_view text) {
    writer w(out);
    w.begin_message(tag);
    w.cstring(text);
    w.end_message();
}

void encode_only_bytes(std::string& out, char tag, bytes data) {
    writer w(out);
    w.begin_message(tag);
    w.raw(data);
    w.end_message();
}

void encode_named(std::string& out, char tag, named_kind kind, std::string_view name) {
    writer w(out);
    w.begin_message(tag);
    w.u8(static_cast<std::uint8_t>(kind));
    w.cstring(name);
    w.end_message();
}

}  // namespace

result<query> query::decode(bytes body) noexcept {
    const auto text = decode_only_text(body);
    if (!text) return text.error();
    return query{*text};
}

void query::encode(std::string& out) const {
    encode_only_text(out, tag, sql);
}

result<parse> parse::decode(bytes body) {
    reader in(body);
    parse m;
    m.statement = read_name(in);
    m.sql = in.cstring();
    m.parameter_types = in.oids();
    if (const auto e = in.finish(); e != errc::ok) return e;
    return m;
}

void parse::encode(std::string& out) const {
    writer w(out);
    w.begin_message(tag);
    w.cstring(statement);
    w.cstring(sql);
    w.oids(parameter_types);
    w.end_message();
}

result<bind> bind::decode(bytes body) {
    reader in(body);
    bind m;
    m.portal = read_name(in);
    m.statement = read_name(in);
    m.parameter_formats = in.formats();
    m.parameters = in.values();
    m.result_formats = in.formats();
    check_format_count(in, m.parameter_formats.size(), m.parameters.size());
    if (const auto e = in.finish(); e != errc::ok) return e;
    return m;
}

void bind::encode(std::string& out) const {
    writer w(out);
    w.begin_message(tag);
    w.cstring(portal);
    w.cstring(statement);
    w.formats(parameter_formats);
    w.values(parameters);
    w.formats(result_formats);
    w.end_message();
}

result<bind_prefix> bind_prefix::decode(bytes body) noexcept {
    reader in(body);
    bind_prefix m;
    for (auto* name : {&m.portal, &m.statement}) {
        const auto left = in.remaining();
        *name = read_name(in);
        if (in.error() == errc::missing_terminator)
            return left > limits::name_bytes_max ? errc::name_too_long : errc::need_more;
        if (!in.ok()) return in.error();
    }
    return m;
}

result<execute> execute::decode(bytes body) noexcept {
    reader in(body);
    execute m;
    m.portal = read_name(in);
    m.row_count_max = in.i32();
    if (const auto e = in.finish(); e != errc::ok) return e;
    return m;
}

void execute::encode(std::string& out) const {
    writer w(out);
    w.begin_message(tag);
    w.cstring(portal);
    w.i32(row_count_max);
    w.end_message();
}

result<describe> describe::decode(bytes body) noexcept {
    reader in(body);
    describe m;
    m.kind = read_kind(in);
    m.name = read_name(in);
    if (const auto e = in.finish(); e != errc::ok) return e;
    return m;
}

void describe::encode(std::string& out) const {
    encode_named(out, tag, kind, name);
}

result<close> close::decode(bytes body) noexcept {
    reader in(body);
    close m;
    m.kind = read_kind(in);
    m.name = read_name(in);
    if (const auto e = in.finish(); e != errc::ok) return e;
    return m;
}

void close::encode(std::string& out) const {
    encode_named(out, tag, kind, name);
}

result<function_call> function_call::decode(bytes body) {
    reader in(body);
    function_call m;
    m.function = in.u32();
    m.argument_formats = in.formats();
    m.arguments = in.values();
    m.result_format = in.u16();
    check_format_count(in, m.argument_formats.size(), m.arguments.size());
    if (m.result_format > 1) in.fail(errc::bad_format_code);
    if (const auto e = in.finish(); e != errc::ok) return e;
    return m;
}

void function_call::encode(std::string& out) const {
    writer w(out);
    w.begin_message(tag);
    w.u32(function);
    w.formats(argument_formats);
    w.values(arguments);
    w.u16(result_format);
    w.end_message();
}

result<copy_data> copy_data::decode(bytes body) noexcept {
    return copy_data{body};
}

void copy_data::encode(std::string& out) const {
    encode_only_bytes(out, tag, data);
}

result<copy_fail> copy_fail::decode(bytes body) noexcept {
    const auto text = decode_only_text(body);
    if (!text) return text.error();
    return copy_fail{*text};
}

void copy_fail::encode(std::string& out) const {
    encode_only_text(out, tag, message);
}

result<password> password::decode(bytes body) noexcept {
    const auto text = decode_only_text(body);
    if (!text) return text.error();
    return password{*text};
}

void password::encode(std::string& out) const {
    encode_only_text(out, tag, text);
}

result<sasl_initial_response> sasl_initial_response::decode(bytes body) noexcept {
    reader in(body);
    sasl_initial_response m;
    m.mechanism = in.cstring();
    m.data = in.value();
    if (const auto e = in.finish(); e != errc::ok) return e;
    return m;
}

void sasl_initial_response::encode(std::string& out) const {
    writer w(out);
    w.begin_message(tag);
    w.cstring(mechanism);
    w.value(data);
    w.end_message();
}

result<sasl_response> sasl_response::decode(bytes body) noexcept {
    return sasl_response{body};
}

void sasl_response::encode(std::string& out) const {
    encode_only_bytes(out, tag, data);
}

}  // namespace sallyport::protocol::frontend
