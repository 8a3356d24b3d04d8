#include <algorithm>
#include <cctype>
#include <utility>

#include "policy/in_session.h"
#include "protocol/backend.h"
#include "protocol/sqlstate.h"
#include "proxy/session/gate.h"

// From the server's bytes to the client, and what they say of names and of the transaction.
namespace sallyport::proxy::session {

using protocol::bytes;
using protocol::expect;
using protocol::reply_action;
using protocol::reply_event;

namespace {

// Whole messages are needed of these; all others are passed on as they come.
bool needs_whole(char tag) noexcept {
    return tag == 'E' || tag == 'S' || tag == 'Z';
}

// Behind these the server sends what it has, whether or not the client has asked for it.
bool flushes(char tag) noexcept {
    return tag == 'E' || tag == 'N' || tag == 'Z' || tag == 'A' || tag == 'G' || tag == 'W';
}

constexpr std::size_t error_bytes_max = 1u << 20;  // a longer ErrorResponse is passed on unread

std::string upper(std::string_view text) {
    std::string out(text);
    for (char& c : out)
        c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
    return out;
}

/// A rule guards columns of this relation; an empty name is any.
bool guards_columns(const policy::rule_set& rules, const std::string& target,
                    std::string_view schema, std::string_view name) {
    const auto is = [](const std::string& pattern, std::string_view text) {
        return pattern == "*" || pattern.empty() || text.empty() || pattern == text;
    };
    return std::ranges::any_of(rules.resources, [&](const auto& entry) {
        const auto& r = entry.second;
        return std::ranges::find(r.targets, target) != r.targets.end() &&
               std::ranges::any_of(r.relations, [&](const auto& p) {
                   return !p.columns.empty() && is(p.schema, schema) && is(p.name, name);
               });
    });
}

/// The error shows a row of a table with guarded columns, or of a partition of one.
bool shows_guarded_row(const protocol::backend::error_response& e, const policy::rule_set& rules,
                       const std::string& target, const policy::catalog::snapshot* catalog) {
    // NOT NULL, CHECK (and the bounds of a partition), WITH CHECK OPTION: "Failing row contains …".
    const auto state = e.sqlstate();
    if (e.detail().empty() || (state != "23502" && state != "23514" && state != "44000"))
        return false;
    const auto name = e.field('t');
    if (name.empty() || catalog == nullptr) return guards_columns(rules, target, {}, {});
    if (guards_columns(rules, target, e.field('s'), name)) return true;
    return std::ranges::any_of(catalog->relations(name), [&](const auto i) {
        const auto& above = catalog->of_relation(i, policy::catalog::verb::read).relations;
        return std::ranges::any_of(above, [&](const auto& x) {
            const auto& row = catalog->source().relations[x.relation];
            return guards_columns(rules, target, catalog->schema_of(row), row.name);
        });
    });
}

}  // namespace

std::size_t gate::on_server(bytes data, actions& out) {
    std::size_t used = 0;
    while (used < data.size()) {
        if (server_rest_bytes_ != 0) {
            const auto taken = static_cast<std::size_t>(
                std::min<std::uint64_t>(server_rest_bytes_, data.size() - used));
            if (!drop_server_rest_) relay(data.substr(used, taken), out);
            server_rest_bytes_ -= taken;
            used += taken;
            if (server_rest_bytes_ != 0) continue;
            if (!behind_message_.empty()) tell_client(std::exchange(behind_message_, {}), out);
            hasten(out);
            continue;
        }
        const auto rest = data.substr(used);
        const auto scan = protocol::try_read_header(rest, protocol::backend_limits);
        if (scan.error == protocol::errc::need_more) break;
        if (scan.error != protocol::errc::ok) {
            violation("the server sent " + std::string(describe(scan.error)), out);
            return used;
        }
        const char tag = scan.header.tag;
        const auto whole = scan.header.frame_bytes();
        const bool read = (needs_whole(tag) && (tag != 'E' || whole <= error_bytes_max)) ||
                          (asking_ && tag == 'D' && whole <= answer_bytes_max) ||
                          (!preparing_.empty() && tag == 'C' && whole <= 64);
        if (read && rest.size() < whole) break;
        const auto here = std::min(whole, rest.size());
        unasked_ = !flushes(tag) && buffered_.unasked(replies_.size());
        if (flushes(tag)) out.send_owned(action::type::to_client, buffered_.flush());
        const char status = tag == 'Z' && whole == 6 ? rest[5] : '\0';
        auto event = replies_.on_backend(tag, status, [this](const protocol::expected_reply& e) {
            answered(e.tag, false);
            if (watch_) watch_->skipped(e.statement);
        });
        // A stream both ways that nobody asked for: what the client sends then is not looked at.
        if (tag == 'W' && !replication_) event.what = reply_event::type::violation;
        drop_server_rest_ = false;
        server_rest_bytes_ = whole - here;
        on_reply(event, tag, rest.substr(0, here), out);
        used += here;
        if (event.what == reply_event::type::progress && !drop_server_rest_)
            used += pass_rows(data, used, tag, out);
        if (state_ != state::closed && replies_.lost()) lose_track(out);
        if (state_ == state::closed) return used;
    }
    return used;
}

// More rows (or COPY data) behind the first: they answer the same message, and need one look each.
std::size_t gate::pass_rows(bytes data, std::size_t from, char tag, actions& out) {
    if (tag != 'D' && tag != 'd') return 0;
    const auto cap = protocol::backend_limits.of(tag);
    std::size_t at = from;
    while (data.size() - at >= protocol::frame_header_bytes && data[at] == tag) {
        const auto length = protocol::load_u32(data.data() + at + 1);
        if (length < 4 || length > cap || data.size() - at <= length) break;
        at += std::size_t{length} + 1;
    }
    relay(data.substr(from, at - from), out);
    return at - from;
}

void gate::relay(bytes data, actions& out) {
    if (unasked_) {
        std::string before;
        data = buffered_.pass(data, before);
        out.send_owned(action::type::to_client, std::move(before));
    }
    out.send(action::type::to_client, data);
}

void gate::tell_client(std::string message, actions& out) {
    if (!between_replies()) {
        behind_message_ += message;
        return;
    }
    out.send_owned(action::type::to_client, buffered_.flush());
    out.send_owned(action::type::to_client, std::move(message));
}

void gate::answered(std::uint32_t tag, bool well) {
    if (tag == 0) return;
    if (!well) std::erase_if(refusals_, [&](const auto& r) { return r.first == tag; });
    if (well)
        names_.confirm(tag);
    else
        names_.drop(tag);
}

void gate::on_reply(const reply_event& e, char tag, bytes frame, actions& out) {
    using type = reply_event::type;
    if (watch_ && e.who.statement != 0) watch_->replied(e);
    if (e.what == type::violation) {
        drop_server_rest_ = true;
        violation(std::string("the server sent a message of type '") +
                      protocol::backend::sanitize_text(std::string_view(&tag, 1), 4) +
                      "' that answers nothing",
                  out);
        return;
    }
    if (asking_ && e.what != type::async && e.what != type::stray &&
        answer_of_server(e, tag, frame, out))
        return;
    if (probe_ == probe::asked && e.what != type::async && e.what != type::stray &&
        probe_reply(e, tag, frame, out))
        return;
    switch (e.what) {
        case type::failed:
            on_failed(e, frame, out);
            break;
        case type::ready:
            on_ready(e, frame, out);
            break;
        case type::stray:
            saw_fatal_ = true;
            out.send(action::type::to_client, frame);
            break;
        case type::completed:
            if (e.who.what != expect::query) answered(e.who.tag, tag != 's');
            [[fallthrough]];
        case type::async:
        case type::progress:
        case type::violation:
            if (tag == 'C' && !preparing_.empty()) prepared_reply(frame);
            if (tag == 'S') on_parameter(frame.substr(protocol::frame_header_bytes));
            if (e.who.action == reply_action::suppress) {
                drop_server_rest_ = true;
                break;
            }
            relay(frame, out);
            break;
    }
    after_reply(out);
}

void gate::on_failed(const reply_event& e, bytes frame, actions& out) {
    const auto report =
        protocol::backend::error_response::decode(frame.substr(protocol::frame_header_bytes));
    const bool fatal = report && (report->severity() == "FATAL" || report->severity() == "PANIC");
    if (fatal) saw_fatal_ = true;
    if (report && !fatal) note_refused_by_server(report->sqlstate(), report->message(), out);
    if (e.who.what == expect::query) query_failed_ = true;
    if (watch_) watch_->failed(e.who, report ? report->sqlstate() : std::string_view());
    const auto ours = std::find_if(refusals_.begin(), refusals_.end(),
                                   [&](const auto& r) { return r.first == e.who.tag; });
    if (ours == refusals_.end() || fatal) {
        if (report && shows_guarded_row(*report, *env_->rules, subject_.target, catalog_.get())) {
            auto without = *report;
            for (auto& f : without.fields)
                if (f.code == 'D') f.value = "The row has columns that a rule of Sallyport holds.";
            std::string shown;
            without.encode(shown);
            out.send_owned(action::type::to_client, std::move(shown));
            drop_server_rest_ = true;
        } else {
            out.send(action::type::to_client, frame);
        }
        if (e.who.what != expect::query) answered(e.who.tag, false);
        return;
    }
    // INVARIANT: what we injected cannot succeed, and nothing else can fail in its place.
    out.send_owned(action::type::to_client, error_frame(ours->second));
    drop_server_rest_ = true;
    names_.confirm(ours->first);  // a refused Query drops the unnamed statement, too
    refusals_.erase(ours);
}

void gate::on_ready(const reply_event& e, bytes frame, actions& out) {
    if (e.who.what == expect::query) {
        if (e.who.tag != 0 && e.who.tag < 0x8000'0000u) {
            if (query_failed_)
                names_.doubt(e.who.tag);
            else
                names_.confirm(e.who.tag);
        }
        query_failed_ = false;
    }
    // What was set before is reported ahead of this message; what is still in flight is not.
    if (replies_.empty()) {
        lexing_touched_ = functions_called_ = false;
        preparing_.clear();
    }
    const bool idle = replies_.status() == protocol::transaction_status::idle;
    if (idle)
        transaction_since_ = {};
    else if (transaction_since_ == policy::instant{})
        transaction_since_ = env_->time->now();
    if (idle) {
        names_.transaction_ended();
        names_after_transaction();
        if (role_changed_in_transaction_) {  // its end may have taken the change back
            role_changed_in_transaction_ = !replies_.empty();
            role_ = role::unknown;
        }
        leave_transaction(out);
        // What ends a transaction may have been sent and skipped; only here it is over.
        if (replies_.empty()) in_transaction_by_ = {};
    }
    if (e.who.action != reply_action::suppress) out.send(action::type::to_client, frame);
}

void gate::leave_transaction(actions& out) {
    draining_.clear();
    if (subject_.transaction_passes.empty()) return;
    subject_.transaction_passes.clear();
    out.add(action::type::end_transaction);
}

void gate::on_parameter(bytes body) {
    const auto p = protocol::backend::parameter_status::decode(body);
    if (p) note_parameter(p->name, p->value);
}

void gate::note_parameter(std::string_view name, std::string_view value) {
    if (name == "standard_conforming_strings") {
        strings_conform_ = value == "on";
        strings_escaped_ = strings_escaped_ || !strings_conform_;
    }
    if (name == "application_name") {
        subject_.application = value;
        if (watch_) watch_->application(subject_.application);
    }
    if (name == "client_encoding") {
        // Encodings in which a byte below 0x80 can be part of another character: a quote or a
        // backslash that we see need not be one for the server.
        static constexpr std::string_view unsafe[] = {"SJIS", "SHIFT_JIS_2004", "BIG5", "GBK",
                                                      "UHC",  "GB18030",        "JOHAB"};
        const auto encoding = upper(value);
        encoding_safe_ =
            std::find(std::begin(unsafe), std::end(unsafe), encoding) == std::end(unsafe);
    }
}

// Every schema that the session ever put on its path counts: which of them is in force when a
// statement runs depends on transactions that may yet be rolled back.
void gate::add_search_path(std::string_view value) {
    policy::add_search_path(subject_, value);
}

void gate::after_reply(actions& out) {
    if (state_ == state::draining && replies_.empty()) state_ = state::open;
    if (server_rest_bytes_ == 0) hasten(out);
}

void gate::on_facts(policy::facts_ptr facts, actions&) {
    if (state_ != state::analysing) return;
    state_ = state::open;
    if (asked_cursor_) {
        keep_cursor(std::move(facts));
        return;
    }
    found_facts_.emplace_back(waiting_frame_, std::move(facts));
}

}  // namespace sallyport::proxy::session
