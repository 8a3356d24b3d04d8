#include <algorithm>
#include <utility>

#include "protocol/backend.h"
#include "protocol/frontend.h"
#include "protocol/sqlstate.h"
#include "proxy/auth/scram.h"
#include "proxy/session/gate.h"

// From the client's bytes to regions of frames, and from decisions to bytes for the server.
namespace sallyport::proxy::session {

using protocol::bytes;
using protocol::expect;
using protocol::reply_action;

namespace {

// A statement too long to be inspected can still be held, and then is shown whole, up to this.
constexpr std::uint64_t shown_bytes_max = 16u << 20;
constexpr std::size_t bind_whole_bytes_max = 1u << 20;  // longer ones are decided by their names

constexpr std::size_t region_frames_max = 2048;  // decided together
constexpr std::size_t staged_names_max = 2048;   // then the server's answers are waited for
constexpr std::size_t replies_owed_max = 16384;

bool is_extended(char tag) noexcept {
    return tag == 'P' || tag == 'B' || tag == 'D' || tag == 'E' || tag == 'C';
}

std::string random_name() {
    std::byte raw[16];
    auth::random_bytes(raw);
    static constexpr char digits[] = "0123456789abcdef";
    std::string name = "sallyport_";
    for (const auto b : raw) {
        name.push_back(digits[std::to_integer<unsigned>(b) >> 4]);
        name.push_back(digits[std::to_integer<unsigned>(b) & 15]);
    }
    return name;
}

}  // namespace

std::size_t gate::on_client(bytes data, patience p, actions& out) {
    std::size_t used = 0;
    deferring_ = false;
    while (used < data.size() && state_ == state::open) {
        const auto rest = data.substr(used);
        std::size_t taken = 0;
        if (client_rest_bytes_ != 0)
            taken = pass_body(rest, out);
        else if (skip_to_sync_ || replies_.skipping())
            taken = skip_to_sync(rest, out);
        else if (rest.front() == 'd')
            taken = pass_copy_data(rest, out);
        else if (too_much_in_flight(rest.front()))
            static_cast<void>(wait_for_drain(out));
        else if (find_region(rest, p, out))
            taken = run_region(rest, out);
        if (taken == 0) break;
        used += taken;
    }
    if (state_ != state::closed && replies_.lost()) lose_track(out);
    return used;
}

// A batch may be endless, and what is remembered of it is looked through for every name. What ends
// a COPY or a batch must not wait: the server waits for it.
bool gate::too_much_in_flight(char tag) const noexcept {
    const bool more = tag == 'Q' || tag == 'F' || is_extended(tag);
    return more && !replies_.empty() && !replies_.copy_in() &&
           (names_.mark() >= staged_names_max || replies_.size() >= replies_owed_max);
}

std::size_t gate::pass_body(bytes data, actions& out) {
    const auto taken =
        static_cast<std::size_t>(std::min<std::uint64_t>(client_rest_bytes_, data.size()));
    client_rest_bytes_ -= taken;
    if (!drop_rest_) out.send(action::type::to_server, data.substr(0, taken));
    if (client_rest_bytes_ == 0) drop_rest_ = false;
    return taken;
}

// COPY data runs nothing by itself; its COPY was decided. Outside of a COPY the server ignores it.
std::size_t gate::pass_copy_data(bytes data, actions& out) {
    std::size_t at = 0;
    while (at < data.size() && data[at] == 'd') {
        const auto scan = protocol::try_read_header(data.substr(at), *client_limits_);
        if (scan.error == protocol::errc::need_more) break;
        if (scan.error != protocol::errc::ok) {
            violation(std::string(describe(scan.error)), out);
            return at;
        }
        const auto here = std::min(scan.header.frame_bytes(), data.size() - at);
        client_rest_bytes_ = scan.header.frame_bytes() - here;
        at += here;
    }
    if (at != 0) replies_.push({expect::copy_data, reply_action::forward, 0});
    out.send(action::type::to_server, data.substr(0, at));
    return at;
}

// The server discards everything up to Sync, or will when our refusal reaches it: so do we.
std::size_t gate::skip_to_sync(bytes data, actions& out) {
    const auto scan = protocol::try_read_header(data, *client_limits_);
    if (scan.error == protocol::errc::need_more) return 0;
    if (scan.error != protocol::errc::ok || scan.header.tag == 'p') {
        violation(std::string(describe(scan.error)), out);
        return 0;
    }
    const auto whole = scan.header.frame_bytes();
    if (scan.header.tag == 'S' || scan.header.tag == 'X') {
        if (data.size() < whole) return 0;
        skip_to_sync_ = false;
        // What waited to go, recorded or refused, is among what is skipped.
        region_.clear();
        forget_region();
        if (watch_) watch_->forget();
        if (!add_frame(data, 0, out)) return 0;
        return run_region(data, out);
    }
    const auto taken = std::min(whole, data.size());
    client_rest_bytes_ = whole - taken;
    drop_rest_ = client_rest_bytes_ != 0;
    return taken;
}

// A region is what is decided together: one Query or FunctionCall, or the messages of the extended
// protocol up to their Sync or Flush.
bool gate::find_region(bytes data, patience p, actions& out) {
    region_.clear();
    std::size_t at = 0;
    for (;;) {
        const auto scan = protocol::try_read_header(data.substr(at), *client_limits_);
        if (scan.error == protocol::errc::need_more) break;
        const char tag = scan.header.tag;
        if (scan.error != protocol::errc::ok || tag == 'p') {
            if (!region_.empty()) return true;  // what came before it is decided first
            violation(scan.error == protocol::errc::ok ? "a password message after the login"
                                                       : std::string(describe(scan.error)),
                      out);
            return false;
        }
        const bool ends = tag == 'S' || tag == 'H';
        if (!is_extended(tag) && !ends) {
            if (!region_.empty()) return true;
            return add_frame(data, 0, out);
        }
        if (data.size() - at < scan.header.frame_bytes()) {
            if (!region_.empty() && scan.header.frame_bytes() > limits_.lookahead_bytes)
                return true;
            if (region_.empty()) return add_frame(data, 0, out);
            break;
        }
        if (!add_frame(data, at, out)) return false;
        at += scan.header.frame_bytes();
        if (ends || at > limits_.lookahead_bytes || region_.size() >= region_frames_max)
            return true;
    }
    if (region_.empty()) return false;
    if (p == patience::waited) return true;
    deferring_ = true;
    return false;
}

// False if the frame has to be whole and is not yet.
bool gate::add_frame(bytes data, std::size_t offset, actions&) {
    const auto header = protocol::try_read_header(data.substr(offset), *client_limits_).header;
    planned f;
    f.tag = header.tag;
    f.offset = offset;
    f.bytes = header.frame_bytes();
    f.partial = data.size() - offset < f.bytes;
    if (f.partial) {
        const auto here = data.size() - offset;
        std::size_t enough = f.bytes;
        if (f.tag == 'B' && f.bytes > bind_whole_bytes_max) enough = 256;
        if (f.tag == 'F' && f.bytes > bind_whole_bytes_max) enough = 16;
        if ((f.tag == 'Q' || f.tag == 'P') &&
            f.bytes > std::max<std::uint64_t>(limits_.inspect_bytes, shown_bytes_max) + 256)
            enough = 256;
        if (here < enough) return false;
    }
    region_.push_back(std::move(f));
    return true;
}

std::size_t gate::consumed_up_to(std::size_t frames) const noexcept {
    if (frames == 0) return 0;
    const auto& last = region_[frames - 1];
    return last.offset + last.bytes;
}

std::size_t gate::run_region(bytes data, actions& out) {
    if (watch_) watch_->region_began();
    const auto what = plan(data, out);
    if (what == outcome::wait) {
        keep_permits();
        return 0;
    }
    if (!grants_.empty() && !region_recorded_) {  // also for what goes before a refused frame
        request_records(out);
        return 0;
    }
    const std::size_t goes = what == outcome::forward ? region_.size() : waiting_frame_;
    if (const auto o = fit_role(goes, out); o != outcome::forward) {
        // What was planned behind this is not sent, and its names are not staged.
        names_.unstage(region_[o == outcome::wait ? 0 : refused_->first].names_mark);
        if (o == outcome::wait) {
            keep_permits();
            return 0;
        }
        return refuse_at(data, refused_->first, out);
    }
    if (what == outcome::refuse) return refuse_at(data, waiting_frame_, out);
    if (what == outcome::split) {
        // Its meaning depends on the answer to what comes before it.
        const auto used = std::min(consumed_up_to(waiting_frame_), data.size());
        forward_region(data, waiting_frame_, out);
        if (state_ != state::closed) static_cast<void>(wait_for_drain(out));
        return used;
    }
    const auto used = std::min(consumed_up_to(region_.size()), data.size());
    if (probe_ == probe::refused) {  // the server has answered this Query in our place
        names_.unstage(region_.front().names_mark);  // nothing of it has happened
        if (watch_) watch_->answered_ahead(0, region_.front().facts);
        forget_region();
        if (watch_) watch_->forget();
    } else {
        forward_region(data, region_.size(), out);
    }
    return used;
}

// The region waits once more before it goes: what was recorded for it stays so.
void gate::keep_permits() noexcept {
    for (auto& [frame, proof] : permits_)
        if (!proof && frame < region_.size()) proof = std::move(region_[frame].proof);
}

// INVARIANT: every frame here was planned with outcome forward and carries its permit.
void gate::forward_region(bytes data, std::size_t frames, actions& out) {
    bool dropped = false;  // and with it what it would have made
    for (std::size_t i = 0; i < frames; ++i) {
        auto& f = region_[i];
        const permit proof = std::move(f.proof);
        if (!proof) {
            violation("a message without its permit", out);
            return;
        }
        if (watch_) watch_sent(i);
        if (f.answers && !replies_.push(f.reply)) {
            names_.drop(f.reply.tag);
            dropped = true;
            if (watch_) watch_->skipped(f.reply.statement);
        }
        if (is_extended(f.tag))
            buffered_.sent();
        else if (f.tag == 'S' || f.tag == 'H' || f.tag == 'Q' || f.tag == 'F')
            out.send_owned(action::type::to_client, buffered_.asked());
        if (replies_.lost()) return lose_track(out);
        if (f.counted != statement_counts::none) env_->counts->add(f.counted);
        for (const auto& g : grants_) {
            if (g.frame != i) continue;
            in_transaction_by_.any = true;
            in_transaction_by_.opt_outs.insert(g.opt_outs.begin(), g.opt_outs.end());
        }
        forward_frame_effects(f, out);
        const auto here = std::min(f.bytes, data.size() - f.offset);
        if (f.instead.empty())
            out.send(action::type::to_server, data.substr(f.offset, here));
        else
            out.send_owned(action::type::to_server, std::move(f.instead));
        client_rest_bytes_ = f.bytes - here;
        if (f.tag == 'X') {
            if (!replies_.empty()) {
                state_ = state::leaving;
                return;
            }
            state_ = state::closed;
            out.add(action::type::close).text = "client terminated";
            return;
        }
    }
    for (auto& g : grants_) {
        if (g.frame >= frames) continue;
        for (const auto id : g.opt_outs)
            if (std::find(used_opt_outs_.begin(), used_opt_outs_.end(), id) == used_opt_outs_.end())
                used_opt_outs_.push_back(id);
        if (g.target == nullptr || dropped) continue;
        g.target->recorded = true;
        g.target->released_by = std::move(g.kept);
    }
    unusable_.clear();
    forget_region();
    if (watch_) watch_->forget();
}

void gate::watch_sent(std::size_t i) {
    auto& f = region_[i];
    std::pair<std::string_view, std::string_view> by;
    if (f.counted != statement_counts::none) {
        const auto counted = env_->counts->at(f.counted);
        by = {to_string(counted.first), counted.second};
    }
    f.reply.statement = watch_->sent(i, f.tag, f.facts, by.first, by.second);
}

void gate::forward_frame_effects(planned& f, actions& out) {
    if (f.tag == 'Q' || f.tag == 'S' || f.tag == 'F') {
        names_.sync_sent();
        note_role_at_sync();
    }
    if (!f.facts) return;
    if (f.tag == 'E' || f.tag == 'Q' || f.tag == 'F') {
        last_facts_ = f.facts;
        if (f.after.names) names_.lose_trust();
        lexing_touched_ = lexing_touched_ || f.after.lexing;
        reading_varied_ = reading_varied_ || f.after.varies;
        functions_called_ = functions_called_ || f.after.functions;
        note_name_effects(*f.facts);
        note_prepared(*f.facts);
        if (f.after.ends) {
            if (f.facts->ends_transaction()) ++transactions_left_;
            leave_transaction(out);
        }
        note_role_effects(*f.facts);
        for (const auto& s : f.facts->statements) {
            if (env_->catalog != nullptr && s.command.ends_with(" database"))
                out.add(action::type::leave_databases);
            for (const auto& c : s.settings) {
                if (c.name == "sallyport.reason") reason_ = c.value;
                if (c.name == "sallyport.on_hold") refuse_holds_ = c.value == "refuse";
            }
        }
    }
}

// Puts an erroring message in the place of frame `i`: the server itself then computes what a failed
// statement does to the transaction. Only the error's words are ours.
std::size_t gate::refuse_at(bytes data, std::size_t i, actions& out) {
    const char tag = region_[i].tag;
    const auto offset = region_[i].offset;
    const auto whole = region_[i].bytes;
    auto why = std::move(refused_->second);
    const auto watched = watch_ ? watch_->refused(i, region_[i].facts, why.sqlstate) : 0;
    forward_region(data, i, out);
    if (state_ == state::closed) return 0;
    const auto here = std::min(whole, data.size() - offset);
    inject_failure(tag, std::move(why), out, watched);
    client_rest_bytes_ = whole - here;
    drop_rest_ = client_rest_bytes_ != 0;
    forget_region();
    return offset + here;
}

void gate::inject_failure(char tag, refusal why, actions& out, std::uint32_t statement) {
    std::string frame;
    protocol::expected_reply reply;
    reply.action = reply_action::rewrite;
    reply.tag = next_refusal_++;
    reply.statement = statement;
    if (next_refusal_ == 0) next_refusal_ = 0x8000'0000u;
    if (tag == 'Q' && why.sqlstate == protocol::sqlstate::protocol_violation) {
        protocol::writer w(frame);  // malformed like the one in whose place it stands
        w.begin_message('Q');
        w.end_message();
        reply.what = expect::query;
        names_.sync_sent();
    } else if (tag == 'Q') {
        const auto text = "sallyport refused " + random_name() + ";";
        protocol::frontend::query{text}.encode(frame);
        reply.what = expect::query;
        names_.stage_query(reply.tag);
        names_.sync_sent();
    } else if (tag == 'F') {
        protocol::frontend::function_call{}.encode(frame);
        reply.what = expect::function_call;
        names_.sync_sent();
    } else {
        const auto portal = random_name();
        protocol::frontend::execute{portal, 0}.encode(frame);
        reply.what = expect::execute;
        skip_to_sync_ = true;
    }
    if (!replies_.push(reply)) {  // the server skips to Sync: it has failed already
        names_.drop(reply.tag);
        if (watch_) watch_->skipped(statement);
        return;
    }
    refusals_.emplace_back(reply.tag, std::move(why));
    out.send_owned(action::type::to_server, std::move(frame));
}

void gate::violation(const std::string& what, actions& out) {
    state_ = state::closed;
    // Inside of a message it would be taken for the rest of that.
    tell_client(fatal_frame({std::string(protocol::sqlstate::protocol_violation),
                             "protocol violation: " + what, "", ""}),
                out);
    out.add(action::type::close).text = "protocol violation: " + what;
}

// Fails closed: replies that are matched wrongly would give names a wrong meaning.
void gate::lose_track(actions& out) {
    violation("Sync inside of COPY data whose COPY failed", out);
}

void gate::forget_region() {
    grants_.clear();
    found_facts_.clear();
    released_.clear();
    refused_.reset();
    permits_.clear();
    region_recorded_ = false;
    record_error_.clear();
    probe_ = probe::none;
    asked_name_.reset();
    catalog_asked_ = path_asked_ = decides_parses_ = false;
    cursors_.clear();
    shown_.clear();
    logged_frames_ = 0;
    noted_frames_ = 0;
}

}  // namespace sallyport::proxy::session
