#include <map>
#include <utility>

#include <boost/asio/redirect_error.hpp>

#include "protocol/backend.h"
#include "protocol/frame.h"
#include "protocol/frontend.h"
#include "protocol/sqlstate.h"
#include "proxy/session/session.h"
#include "proxy/session/wire.h"

// The database `sallyport`: PostgreSQL's protocol in front of console_backend. It runs no SQL and
// has no transactions, so every ReadyForQuery says idle.
namespace sallyport::proxy::session {

namespace asio = net::asio;
namespace backend = protocol::backend;
namespace frontend = protocol::frontend;
namespace sqlstate = protocol::sqlstate;

namespace {

constexpr std::size_t console_message_bytes_max = 1u << 20;
constexpr std::size_t console_names_max = 1'000;
constexpr std::size_t console_answer_bytes = 64u << 10;  // then they are sent, and waited for
constexpr auto console_answer_time = std::chrono::seconds(60);

/// Behind the block comment that begins at `from` and may have others inside; npos: it has no end.
std::size_t end_of_comment(std::string_view text, std::size_t from) {
    std::size_t depth = 0;
    for (std::size_t i = from; i + 1 < text.size(); ++i) {
        const auto two = text.substr(i, 2);
        if (two == "/*") {
            ++depth;
            ++i;
        } else if (two == "*/") {
            ++i;
            if (--depth == 0) return i + 1;
        }
    }
    return std::string_view::npos;
}

/// Splits a Query at its semicolons, outside of quotes and comments.
std::vector<std::string> split_statements(std::string_view text) {
    std::vector<std::string> out;
    std::string current;
    char quote = 0;
    for (std::size_t i = 0; i < text.size(); ++i) {
        const char c = text[i];
        if (quote != 0) {
            if (c == quote) quote = 0;
        } else if (c == '\'' || c == '"') {
            quote = c;
        } else if (c == '-' && i + 1 < text.size() && text[i + 1] == '-') {
            while (i < text.size() && text[i] != '\n')
                ++i;
            current.push_back(' ');
            continue;
        } else if (text.substr(i, 2) == "/*") {
            const auto end = end_of_comment(text, i);
            if (end == std::string_view::npos) {  // the console says so
                current += text.substr(i);
                break;
            }
            i = end - 1;
            current.push_back(' ');
            continue;
        } else if (c == ';') {
            out.push_back(std::move(current));
            current.clear();
            continue;
        }
        current.push_back(c);
    }
    out.push_back(std::move(current));
    std::erase_if(out, [](const std::string& s) {
        return s.find_first_not_of(" \t\r\n\f\v") == std::string::npos;
    });
    return out;
}

void append_columns(std::string& out, const std::vector<console_column>& columns) {
    backend::row_description d;
    for (const auto& c : columns) {
        backend::column column;
        column.name = c.name;
        column.type = static_cast<std::uint32_t>(c.type);
        column.type_size = c.type == console_type::boolean ? std::int16_t{1}
                           : c.type == console_type::text  ? std::int16_t{-1}
                                                           : std::int16_t{8};
        d.columns.push_back(column);
    }
    d.encode(out);
}

void append_result(std::string& out, const console_result& r, bool with_columns) {
    for (const auto& n : r.notices)
        backend::append_report(out, {backend::severity::notice, sqlstate::warning, n, "", ""});
    if (!r.columns.empty() && with_columns) append_columns(out, r.columns);
    for (const auto& row : r.rows) {
        backend::data_row d;
        for (const auto& v : row)
            d.values.push_back(v ? std::optional<protocol::bytes>(*v) : std::nullopt);
        d.encode(out);
    }
    auto tag = r.tag.empty() ? std::string("OK") : r.tag;
    backend::command_complete{tag}.encode(out);
}

void append_error(std::string& out, const console_result& r) {
    backend::append_report(out,
                           {backend::severity::error, r.sqlstate, r.message, r.detail, r.hint});
}

console_result fault(std::string_view state, std::string message) {
    console_result r;
    r.sqlstate = state;
    r.message = std::move(message);
    return r;
}

/// No rule is about the console, but locks are: the rule is policy::lock_rule_id then.
policy::decision locked_out(const policy::subject& s, const policy::grants& g,
                            policy::instant now) {
    return policy::decide(policy::rule_set(), s, nullptr, g, now);
}

/// One console connection's statements and portals, for drivers that speak the extended protocol.
struct console_names {
    std::map<std::string, std::string> statements;
    std::map<std::string, std::string> portals;
};

}  // namespace

asio::awaitable<console_result> session::console_execute(std::string statement) {
    const auto self = shared_from_this();
    if (!look_up_again()) co_return fault(sqlstate::access_ended, "access ended");
    if (!waker_) waker_.emplace(home_.io);
    const auto result = std::make_shared<std::optional<console_result>>();
    home_.shared.console->execute({subject_.principal, subject_.address}, std::move(statement),
                                  [self, result](console_result r) {
                                      asio::post(self->home_.io,
                                                 [self, result, r = std::move(r)]() mutable {
                                                     *result = std::move(r);
                                                     self->waker_->cancel();
                                                 });
                                  });
    const auto deadline = std::chrono::steady_clock::now() + console_answer_time;
    boost::system::error_code ignored;
    while (!*result && phase_ == phase::console && std::chrono::steady_clock::now() < deadline) {
        waker_->expires_at(deadline);
        co_await waker_->async_wait(asio::redirect_error(use_awaitable, ignored));
    }
    co_return *result ? std::move(**result)
                      : fault(sqlstate::internal_error, "the command did not finish in time");
}

asio::awaitable<void> session::run_console() {
    const auto self = shared_from_this();
    phase_ = phase::console;
    auto* console = home_.shared.console;
    if (console == nullptr) {
        refuse({std::string(sqlstate::invalid_catalog_name), "there is no console here", "", ""},
               "no console");
        co_return;
    }
    home_.refresh();
    if (const auto d = locked_out(subject_, *home_.environment.grants, home_.shared.time->now());
        d.rule_id == policy::lock_rule_id) {
        const auto& hash = home_.environment.rules->hash;
        home_.shared.audit->append(session_record("decision.denied")
                                       .with("rule", d.rule_id)
                                       .with("effect", "deny")
                                       .with("policy", hash),
                                   {});
        refuse(denied_by_rule(d, hash), "denied by rule " + d.rule_id);
        co_return;
    }
    const std::pair<const char*, const char*> parameters[] = {
        {"server_version", "15.0"},    {"server_encoding", "UTF8"},
        {"client_encoding", "UTF8"},   {"DateStyle", "ISO, MDY"},
        {"IntervalStyle", "postgres"}, {"TimeZone", "UTC"},
        {"integer_datetimes", "on"},   {"standard_conforming_strings", "on"},
        {"is_superuser", "off"},       {"application_name", ""}};
    std::string greeting;
    for (const auto& [name, value] : parameters)
        backend::parameter_status{name, value}.encode(greeting);
    send_key(0x4000'0000u | static_cast<std::uint32_t>(id_.value & 0x3fff'ffffu), greeting);
    backend::ready_for_query{}.encode(greeting);
    co_await send(std::move(greeting));

    console_names names;
    bool skipping = false;
    std::string frame;
    while (phase_ == phase::console) {
        frame.clear();
        co_await read_exactly(client_, frame, protocol::frame_header_bytes);
        const auto scan = protocol::try_read_header(frame, protocol::frontend_limits);
        if (scan.error != protocol::errc::ok || scan.header.tag == 'p' ||
            scan.header.frame_bytes() > console_message_bytes_max) {
            refuse({std::string(sqlstate::protocol_violation), "protocol violation in the console",
                    "", ""},
                   "protocol violation");
            co_return;
        }
        co_await read_exactly(client_, frame, scan.header.body_bytes());
        const auto body = std::string_view(frame).substr(protocol::frame_header_bytes);
        const char tag = scan.header.tag;
        std::string out;
        if (tag == 'X') {
            end("client terminated", {});
            co_return;
        }
        if (tag == 'S') {
            skipping = false;
            backend::ready_for_query{}.encode(out);
            co_await send(std::move(out));
            continue;
        }
        if (skipping || tag == 'H' || tag == 'd' || tag == 'c' || tag == 'f') continue;
        console_result failed;
        if (tag == 'Q') {
            const auto q = frontend::query::decode(body);
            const auto statements = q ? split_statements(q->sql) : std::vector<std::string>();
            if (!q) failed = fault(sqlstate::protocol_violation, "invalid message format");
            if (q && statements.empty()) backend::empty_query_response{}.encode(out);
            for (const auto& s : statements) {
                const auto r = co_await console_execute(s);
                if (phase_ != phase::console) co_return;
                if (!r.sqlstate.empty()) {
                    failed = r;
                    break;
                }
                append_result(out, r, true);
                if (out.size() >= console_answer_bytes) co_await send(std::exchange(out, {}));
            }
            if (!failed.sqlstate.empty()) append_error(out, failed);
            backend::ready_for_query{}.encode(out);
            co_await send(std::move(out));
            continue;
        }
        if (tag == 'P') {
            const auto p = frontend::parse::decode(body);
            if (!p)
                failed = fault(sqlstate::protocol_violation, "invalid message format");
            else if (names.statements.size() >= console_names_max)
                failed = fault(sqlstate::program_limit_exceeded, "too many prepared statements");
            else {
                names.statements[std::string(p->statement)] = p->sql;
                backend::parse_complete{}.encode(out);
            }
        } else if (tag == 'B') {
            const auto b = frontend::bind::decode(body);
            const auto s =
                b ? names.statements.find(std::string(b->statement)) : names.statements.end();
            if (s == names.statements.end())
                failed = fault("26000", "prepared statement does not exist");
            else if (!b->parameters.empty())
                failed =
                    fault(sqlstate::feature_not_supported, "console commands take no parameters");
            else if (names.portals.size() >= console_names_max)
                failed = fault(sqlstate::program_limit_exceeded, "too many portals");
            else {
                names.portals[std::string(b->portal)] = s->second;
                backend::bind_complete{}.encode(out);
            }
        } else if (tag == 'D') {
            const auto d = frontend::describe::decode(body);
            const bool statement = d && d->kind == frontend::named_kind::statement;
            const auto& known = statement ? names.statements : names.portals;
            const auto at = d ? known.find(std::string(d->name)) : known.end();
            if (at == known.end()) {
                failed = fault(statement ? "26000" : "34000", "no such name");
            } else {
                if (statement) backend::parameter_description{}.encode(out);
                const auto columns = console->describe(at->second);
                if (columns.empty())
                    backend::no_data{}.encode(out);
                else
                    append_columns(out, columns);
            }
        } else if (tag == 'E') {
            const auto e = frontend::execute::decode(body);
            const auto at = e ? names.portals.find(std::string(e->portal)) : names.portals.end();
            if (at == names.portals.end()) {
                failed = fault("34000", "portal does not exist");
            } else {
                const auto statements = split_statements(at->second);
                if (statements.empty()) {
                    backend::empty_query_response{}.encode(out);
                } else {
                    const auto r = co_await console_execute(statements.front());
                    if (phase_ != phase::console) co_return;
                    if (r.sqlstate.empty())
                        append_result(out, r, false);
                    else
                        failed = r;
                }
            }
        } else if (tag == 'C') {
            const auto c = frontend::close::decode(body);
            if (c && c->kind == frontend::named_kind::statement)
                names.statements.erase(std::string(c->name));
            else if (c)
                names.portals.erase(std::string(c->name));
            backend::close_complete{}.encode(out);
        } else {
            failed = fault(sqlstate::feature_not_supported, "the console has no function calls");
        }
        if (!failed.sqlstate.empty()) {
            append_error(out, failed);
            skipping = true;
        }
        if (!out.empty()) co_await send(std::move(out));
    }
}

}  // namespace sallyport::proxy::session
