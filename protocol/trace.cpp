#include "protocol/trace.h"

#include <type_traits>
#include <variant>

#include "protocol/backend.h"
#include "protocol/frame.h"
#include "protocol/frontend.h"
#include "protocol/startup.h"

namespace sallyport::protocol {

namespace {

/// `key=` and a number, or a quoted text.
std::string number(std::string_view key, std::uint64_t value) {
    return " " + std::string(key) + "=" + std::to_string(value);
}
std::string text(std::string_view key, std::string_view value) {
    return " " + std::string(key) + "=" + quote(value);
}

/// Values by content if they are text (binary ones are escaped), NULL as the word.
std::string value_list(const std::vector<std::optional<bytes>>& values) {
    std::string out;
    for (const auto& v : values)
        out += v ? " " + quote(*v) : std::string(" NULL");
    return out;
}

std::string_view kind_name(frontend::named_kind kind) {
    return kind == frontend::named_kind::statement ? "statement" : "portal";
}

// One line for each message, without the name of its type ----------------------------------------

std::string line(const frontend::query& m) {
    return " " + quote(m.sql);
}
std::string line(const frontend::parse& m) {
    return text("statement", m.statement) + " " + quote(m.sql) +
           number("types", m.parameter_types.size());
}
std::string line(const frontend::bind& m) {
    return text("portal", m.portal) + text("statement", m.statement) +
           number("params", m.parameters.size());
}
std::string line(const frontend::execute& m) {
    return text("portal", m.portal) + " rows=" + std::to_string(m.row_count_max);
}
template <class Named>
requires std::is_same_v<Named, frontend::describe> || std::is_same_v<Named, frontend::close>
    std::string line(const Named& m) {
    return text(kind_name(m.kind), m.name);
}
std::string line(const frontend::function_call& m) {
    return number("oid", m.function) + number("args", m.arguments.size());
}
std::string line(const frontend::copy_data& m) {
    return number("bytes", m.data.size());
}
std::string line(const frontend::copy_fail& m) {
    return " " + quote(m.message);
}
template <char Tag>
std::string line(const frontend::empty_message<Tag>&) {
    return {};
}

struct request_line {
    std::string operator()(backend::authentication_ok) const { return "Ok"; }
    std::string operator()(backend::authentication_cleartext) const { return "CleartextPassword"; }
    std::string operator()(const backend::authentication_md5&) const { return "MD5Password"; }
    std::string operator()(const backend::authentication_sasl& r) const {
        std::string out = "SASL";
        for (const auto name : r.mechanisms)
            out += " " + quote(name);
        return out;
    }
    std::string operator()(const backend::authentication_sasl_continue& r) const {
        return "SASLContinue" + number("bytes", r.data.size());
    }
    std::string operator()(const backend::authentication_sasl_final& r) const {
        return "SASLFinal" + number("bytes", r.data.size());
    }
    std::string operator()(backend::authentication_unsupported r) const {
        return "Unsupported" + number("method", r.method);
    }
};
std::string line(const backend::authentication& m) {
    return std::visit(request_line{}, m.request);
}
std::string line(const backend::backend_key_data& m) {
    return number("pid", m.process_id) + number("key_bytes", m.key.size());
}
std::string line(const backend::parameter_status& m) {
    return " " + quote(m.name) + " " + quote(m.value);
}
std::string line(backend::ready_for_query m) {
    return std::string(" ") + static_cast<char>(m.status);
}
std::string line(const backend::negotiate_protocol_version& m) {
    auto out = " newest=" + std::to_string(m.newest_version >> 16) + "." +
               std::to_string(m.newest_version & 0xffff);
    for (const auto name : m.unrecognized)
        out += " " + quote(name);
    return out;
}
std::string line(const backend::notification_response& m) {
    return number("pid", m.process_id) + text("channel", m.channel) + text("payload", m.payload);
}
template <char Tag>
std::string line(const backend::report<Tag>& m) {
    const auto word = [](std::string_view v) {
        // Severity and SQLSTATE stand bare where they can, for reading; never where they could
        // be taken for something else.
        const bool bare =
            !v.empty() &&
            v.find_first_not_of("ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789") == std::string_view::npos;
        return " " + (bare ? std::string(v) : quote(v));
    };
    auto out = word(m.severity()) + word(m.sqlstate()) + " " + quote(m.message());
    if (!m.detail().empty()) out += text("detail", m.detail());
    if (!m.hint().empty()) out += text("hint", m.hint());
    return out;
}
std::string line(const backend::row_description& m) {
    std::string out;
    for (const auto& c : m.columns)
        out += " " + quote(c.name);
    return out;
}
std::string line(const backend::data_row& m) {
    return value_list(m.values);
}
std::string line(const backend::command_complete& m) {
    return " " + quote(m.command_tag);
}
std::string line(const backend::parameter_description& m) {
    std::string out;
    for (const auto oid : m.types)
        out += " " + std::to_string(oid);
    return out;
}
std::string line(const backend::function_call_response& m) {
    return value_list({m.value});
}
template <char Tag>
std::string line(const backend::copy_response<Tag>& m) {
    return (m.format == 0 ? " text" : " binary") + number("columns", m.column_formats.size());
}

// Frames -----------------------------------------------------------------------------------------

std::string malformed(bytes frame, std::string_view why) {
    return "Malformed " + quote(frame.substr(0, 1)) + ": " + std::string(why) +
           number("bytes", frame.size());
}

template <class Message>
std::string show(std::string_view name, bytes frame) {
    const auto m = Message::decode(frame.substr(frame_header_bytes));
    if (!m) return malformed(frame, m.error().message());
    return std::string(name) + line(*m);
}

/// Says what is wrong with the frame as a frame; empty if nothing is.
std::string check(bytes whole, const frame_limits& limits) {
    const auto scan = try_read_header(whole, limits);
    if (scan.error != errc::ok) return malformed(whole, describe(scan.error));
    if (whole.size() < scan.header.frame_bytes())
        return malformed(whole, describe(errc::need_more));
    if (whole.size() > scan.header.frame_bytes())
        return malformed(whole, describe(errc::trailing_bytes));
    return {};
}

std::string frontend_line(bytes frame) {
    namespace f = frontend;
    switch (frame.front()) {
        case f::query::tag:
            return show<f::query>("Query", frame);
        case f::parse::tag:
            return show<f::parse>("Parse", frame);
        case f::bind::tag:
            return show<f::bind>("Bind", frame);
        case f::execute::tag:
            return show<f::execute>("Execute", frame);
        case f::describe::tag:
            return show<f::describe>("Describe", frame);
        case f::close::tag:
            return show<f::close>("Close", frame);
        case f::function_call::tag:
            return show<f::function_call>("FunctionCall", frame);
        case f::copy_data::tag:
            return show<f::copy_data>("CopyData", frame);
        case f::copy_done::tag:
            return show<f::copy_done>("CopyDone", frame);
        case f::copy_fail::tag:
            return show<f::copy_fail>("CopyFail", frame);
        case f::flush::tag:
            return show<f::flush>("Flush", frame);
        case f::sync::tag:
            return show<f::sync>("Sync", frame);
        case f::terminate::tag:
            return show<f::terminate>("Terminate", frame);
        // Which of its readings applies is not known here, and it is secret in all of them.
        case f::password::tag:
            return "Password" + number("bytes", frame.size() - frame_header_bytes);
        default:
            return malformed(frame, describe(errc::unknown_tag));
    }
}

std::string backend_line(bytes frame) {
    namespace b = backend;
    switch (frame.front()) {
        case b::authentication::tag:
            return show<b::authentication>("Authentication", frame);
        case b::backend_key_data::tag:
            return show<b::backend_key_data>("BackendKeyData", frame);
        case b::parameter_status::tag:
            return show<b::parameter_status>("ParameterStatus", frame);
        case b::ready_for_query::tag:
            return show<b::ready_for_query>("ReadyForQuery", frame);
        case b::negotiate_protocol_version::tag:
            return show<b::negotiate_protocol_version>("NegotiateProtocolVersion", frame);
        case b::notification_response::tag:
            return show<b::notification_response>("NotificationResponse", frame);
        case b::error_response::tag:
            return show<b::error_response>("ErrorResponse", frame);
        case b::notice_response::tag:
            return show<b::notice_response>("NoticeResponse", frame);
        case b::row_description::tag:
            return show<b::row_description>("RowDescription", frame);
        case b::data_row::tag:
            return show<b::data_row>("DataRow", frame);
        case b::command_complete::tag:
            return show<b::command_complete>("CommandComplete", frame);
        case b::parameter_description::tag:
            return show<b::parameter_description>("ParameterDescription", frame);
        case b::function_call_response::tag:
            return show<b::function_call_response>("FunctionCallResponse", frame);
        case b::copy_in_response::tag:
            return show<b::copy_in_response>("CopyInResponse", frame);
        case b::copy_out_response::tag:
            return show<b::copy_out_response>("CopyOutResponse", frame);
        case b::copy_both_response::tag:
            return show<b::copy_both_response>("CopyBothResponse", frame);
        case b::copy_data::tag:
            return show<b::copy_data>("CopyData", frame);
        case b::copy_done::tag:
            return show<b::copy_done>("CopyDone", frame);
        case b::empty_query_response::tag:
            return show<b::empty_query_response>("EmptyQueryResponse", frame);
        case b::parse_complete::tag:
            return show<b::parse_complete>("ParseComplete", frame);
        case b::bind_complete::tag:
            return show<b::bind_complete>("BindComplete", frame);
        case b::close_complete::tag:
            return show<b::close_complete>("CloseComplete", frame);
        case b::no_data::tag:
            return show<b::no_data>("NoData", frame);
        case b::portal_suspended::tag:
            return show<b::portal_suspended>("PortalSuspended", frame);
        default:
            return malformed(frame, describe(errc::unknown_tag));
    }
}

struct startup_line {
    std::string operator()(const startup_message& m) const {
        auto out = "StartupMessage 3." + std::to_string(m.minor);
        out += text("user", m.user) + text("database", m.database);
        for (const auto& p : m.parameters)
            if (p.name != "user" && p.name != "database")
                out += " " + quote(p.name) + "=" + quote(p.value);
        return out;
    }
    std::string operator()(ssl_request) const { return "SSLRequest"; }
    std::string operator()(gssenc_request) const { return "GSSENCRequest"; }
    std::string operator()(const cancel_request& m) const {
        return "CancelRequest" + number("pid", m.process_id) + number("key_bytes", m.key.size());
    }
    std::string operator()(unsupported_version m) const {
        return "UnsupportedVersion " + std::to_string(m.major) + "." + std::to_string(m.minor);
    }
};

}  // namespace

std::string quote(std::string_view value) {
    constexpr std::string_view hex = "0123456789abcdef";
    std::string out = "\"";
    for (const char c : value) {
        const auto u = static_cast<unsigned char>(c);
        if (c == '"' || c == '\\') {
            out.push_back('\\');
            out.push_back(c);
        } else if (c == '\n') {
            out.append("\\n");
        } else if (u < 0x20 || u >= 0x7f) {
            out.append("\\x").push_back(hex[u >> 4]);
            out.push_back(hex[u & 0xf]);
        } else {
            out.push_back(c);
        }
    }
    out.push_back('"');
    return out;
}

std::string trace_frontend(bytes frame) {
    auto fault = check(frame, frontend_limits);
    return fault.empty() ? frontend_line(frame) : fault;
}

std::string trace_backend(bytes frame) {
    auto fault = check(frame, backend_limits);
    return fault.empty() ? backend_line(frame) : fault;
}

std::string trace_startup(bytes packet) {
    const auto m = decode_startup(packet);
    if (m) return std::visit(startup_line{}, *m);
    return "Malformed startup packet: " + m.error().message() + number("bytes", packet.size());
}

}  // namespace sallyport::protocol
