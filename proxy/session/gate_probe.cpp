#include <utility>

#include "protocol/backend.h"
#include "protocol/frontend.h"
#include "protocol/sqlstate.h"
#include "proxy/auth/scram.h"
#include "proxy/session/gate.h"

// A text that our parser does not take is most often a typing mistake. Before a person is asked to
// approve it, the server is asked to parse it: if it finds a syntax error too, the client gets
// exactly that error and the transaction its fate. Where the database has types whose literals run
// code, it is asked about the grammar alone at first: two statements in one Parse are an error
// before anything of them is looked up.
namespace sallyport::proxy::session {

using protocol::bytes;
using protocol::expect;
using protocol::reply_action;
using protocol::reply_event;

namespace {
constexpr std::uint32_t probe_tag = 0x7fff'ffffu;
}

gate::probing gate::next_probing() const {
    const bool known =
        env_->catalog != nullptr && env_->catalog->look(subject_.target).newest != nullptr;
    return known && probe_ == probe::none && parsing_may_run() ? probing::grammar : probing::all;
}

gate::outcome gate::probe_syntax(std::size_t i, std::string_view sql, probing what, actions& out) {
    if (probe_ == probe::refused) {
        region_[i].answers = false;
        return outcome::forward;  // answered already: run_region drops it
    }
    if (!replies_.empty()) return wait_for_drain(out);
    std::string name = "sallyport_probe_" + auth::random_nonce();
    constexpr auto statement = protocol::frontend::named_kind::statement;
    std::string frames;
    // A Query drops the unnamed statement before it is parsed.
    protocol::frontend::close{statement, ""}.encode(frames);
    std::string two;
    if (what == probing::grammar) two = std::string(sql) + "\n;SELECT 1";
    protocol::frontend::parse{name, what == probing::grammar ? two : sql, {}}.encode(frames);
    protocol::frontend::close{statement, name}.encode(frames);
    protocol::frontend::sync{}.encode(frames);
    replies_.push({expect::close, reply_action::suppress, probe_tag});
    replies_.push({expect::parse, reply_action::suppress, probe_tag});
    replies_.push({expect::close, reply_action::suppress, probe_tag});
    replies_.push({expect::sync, reply_action::suppress, probe_tag});
    names_.drop_unnamed();
    names_.sync_sent();
    out.send_owned(action::type::to_server, std::move(frames));
    probe_ = probe::asked;
    probing_ = what;
    probe_failed_ = false;
    state_ = state::probing;
    return outcome::wait;
}

// True if the message was the probe's and has been dealt with.
bool gate::probe_reply(const reply_event& e, char, bytes frame, actions& out) {
    if (e.who.tag != probe_tag) return false;
    if (e.what == reply_event::type::failed) {
        const auto report =
            protocol::backend::error_response::decode(frame.substr(protocol::frame_header_bytes));
        if (report && (report->severity() == "FATAL" || report->severity() == "PANIC"))
            return false;
        // One message cannot prepare several statements: that says nothing of their grammar.
        probe_failed_ = !report || report->field('R') != "exec_parse_message";
        drop_server_rest_ = !probe_failed_ || probing_ == probing::grammar;
        if (!drop_server_rest_) out.send(action::type::to_client, frame);
        if (watch_ && report) watch_->unparsed(report->sqlstate());
        return true;
    }
    if (e.what != reply_event::type::ready) {
        drop_server_rest_ = true;
        return true;
    }
    if (probe_failed_ && probing_ == probing::grammar) {
        probe_ = probe::ungrammatical;
    } else {
        probe_ = probe_failed_ ? probe::refused : probe::accepted;
        if (probe_failed_) out.send(action::type::to_client, frame);
    }
    if (replies_.status() == protocol::transaction_status::idle) names_.transaction_ended();
    state_ = state::open;
    return true;
}

}  // namespace sallyport::proxy::session
