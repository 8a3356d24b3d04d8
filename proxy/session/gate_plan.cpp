#include <algorithm>
#include <cstring>
#include <utility>

#include "policy/in_session.h"
#include "policy/wire_facts.h"
#include "protocol/backend.h"
#include "protocol/frontend.h"
#include "protocol/sqlstate.h"
#include "proxy/auth/scram.h"
#include "proxy/session/gate.h"

// What may happen to each frame of a region. Planning changes nothing that cannot be taken back: it
// is done again from the start after every wait, with the rules and the time of then.
namespace sallyport::proxy::session {

using protocol::bytes;
using protocol::expect;
using protocol::reply_action;

namespace {

policy::facts_ptr opaque_facts(const char* command, std::string reason) {
    auto f = std::make_shared<policy::facts>();
    auto& s = f->statements.emplace_back();
    s.command = command;
    s.kinds.push_back(policy::kind::opaque);
    s.opaque_reasons.push_back(std::move(reason));
    f->literal_sensitive = true;
    f->redacted = s.opaque_reasons.front();
    return f;
}

// Text whose tokens depend on settings that an earlier message may have changed.
bool reads_differently(std::string_view sql) noexcept {
    return std::any_of(sql.begin(), sql.end(),
                       [](char c) { return c == '\\' || static_cast<unsigned char>(c) >= 0x80; });
}

bool has_high_bytes(std::string_view sql) noexcept {
    return std::any_of(sql.begin(), sql.end(),
                       [](char c) { return static_cast<unsigned char>(c) >= 0x80; });
}

refusal malformed(const boost::system::error_code& e) {
    return {std::string(protocol::sqlstate::protocol_violation),
            "invalid message format: " + e.message(), "", "The client library sent it."};
}

refusal too_many(const std::string& what) {
    return {std::string(protocol::sqlstate::program_limit_exceeded),
            "too many " + what + " in this session", "",
            "Close some, or raise limits.prepared_statements."};
}

// Values of types that the server did not bring run code when they are bound (CHECKs of domains).
policy::facts_ptr with_parameters(policy::facts_ptr f, const std::vector<std::uint32_t>& types) {
    constexpr std::uint32_t first_own_oid = 16'384;
    const auto own = [](std::uint32_t oid) { return oid >= first_own_oid; };
    if (!f || std::none_of(types.begin(), types.end(), own)) return f;
    auto more = std::make_shared<policy::facts>(*f);
    std::copy_if(types.begin(), types.end(), std::back_inserter(more->parameter_types), own);
    return more;
}

std::vector<policy::name_use> changes_of(const policy::facts& f) {
    std::vector<policy::name_use> uses;
    for (const auto& s : f.statements)
        for (const auto& u : s.names)
            if (u.what != policy::name_use::action::execute &&
                u.what != policy::name_use::action::fetch)
                uses.push_back(u);
    return uses;
}

bool shows_a_setting(const policy::facts& f) noexcept {
    return f.statements.size() == 1 && f.statements.front().command == "show";
}

}  // namespace

gate::outcome gate::refuse(std::size_t i, refusal why) {
    refused_.emplace(i, std::move(why));
    return outcome::refuse;
}

gate::outcome gate::plan(bytes data, actions& out) {
    const auto mark = names_.mark();
    const auto what = plan_once(data, out);
    if (what == outcome::wait || left_to_bind_.empty()) return what;
    decides_parses_ = true;  // the Bind that would have been decided does not go along
    names_.unstage(mark);
    return plan_once(data, out);
}

gate::outcome gate::plan_once(bytes data, actions& out) {
    if (!region_recorded_) grants_.clear();
    // The portals of the plan before are gone; whoever is considered again finds the one of this.
    for (auto& g : grants_)
        g.target = nullptr;
    left_to_bind_.clear();
    region_granted_ = false;
    region_role_.clear();
    region_roles_ok_ = true;
    const auto mark = names_.mark();
    auto what = outcome::forward;
    // What was sent since the last ReadyForQuery may have ended the failed transaction.
    failed_throughout_ = replies_.empty() && !replies_.unsynced() &&
                         replies_.status() == protocol::transaction_status::failed;
    ahead_ = {};
    std::size_t i = 0;
    for (; i < region_.size() && what == outcome::forward; ++i) {
        auto& f = region_[i];
        f.names_mark = names_.mark();
        waiting_frame_ = i;
        const auto here = std::min(f.bytes, data.size() - f.offset);
        const auto body = data.substr(f.offset + protocol::frame_header_bytes,
                                      here - protocol::frame_header_bytes);
        what = refused_ && refused_->first == i ? outcome::refuse : plan_frame(i, body, out);
        if (what == outcome::forward) foresee(f);
    }
    if (what == outcome::wait || (!grants_.empty() && !region_recorded_))
        names_.unstage(mark);
    else if (what != outcome::forward)
        names_.unstage(region_[waiting_frame_].names_mark);
    return what;
}

gate::outcome gate::plan_frame(std::size_t i, bytes body, actions& out) {
    auto& f = region_[i];
    f.proof = permit::harmless();
    switch (f.tag) {
        case 'Q':
            return plan_query(i, body, out);
        case 'P':
            return plan_parse(i, body, out);
        case 'B':
            return plan_bind(i, body, out);
        case 'E':
            return plan_execute(i, body, out);
        case 'F':
            return plan_call(i, body, out);
        case 'D': {
            const auto d = protocol::frontend::describe::decode(body);
            if (!d) return refuse(i, malformed(d.error()));
            f.reply.what = d->kind == protocol::frontend::named_kind::statement
                               ? expect::describe_statement
                               : expect::describe_portal;
            f.answers = true;
            return outcome::forward;
        }
        case 'C': {
            const auto c = protocol::frontend::close::decode(body);
            if (!c) return refuse(i, malformed(c.error()));
            name_table::staged s;
            s.what = c->kind == protocol::frontend::named_kind::statement
                         ? name_table::change::close_statement
                         : name_table::change::close_portal;
            s.name = c->name;
            f.reply = {expect::close, reply_action::forward, names_.stage(std::move(s))};
            f.answers = true;
            return outcome::forward;
        }
        case 'H':
            if (const auto h = protocol::frontend::flush::decode(body); !h)
                return refuse(i, malformed(h.error()));
            break;
        case 'S':  // one with a body fails at the server, and is answered with ReadyForQuery too
            f.reply = {expect::sync, reply_action::forward, 0};
            f.answers = true;
            break;
        case 'c':
        case 'f':
            f.reply = {expect::copy_end, reply_action::forward, 0};
            f.answers = true;
            break;
        default:
            break;  // CopyData, Terminate
    }
    return outcome::forward;
}

// What PREPARE and DECLARE would make too much of; "" = nothing.
std::string gate::over_limit(const std::vector<policy::name_use>& uses,
                             std::size_t text_bytes) const {
    using what = policy::name_use::action;
    for (const auto& u : uses) {
        if (u.what == what::prepare && names_.full(text_bytes)) return "prepared statements";
        if (u.what == what::declare && names_.portals_full()) return "open portals";
    }
    return {};
}

gate::outcome gate::plan_query(std::size_t i, bytes body, actions& out) {
    auto& f = region_[i];
    text_ptr text;
    policy::facts_ptr facts;
    if (f.partial) {
        facts = opaque_facts("query", "longer than limits.inspect_bytes");
        text = std::make_shared<const std::string>();
    } else {
        const auto q = protocol::frontend::query::decode(body);
        if (!q) return refuse(i, malformed(q.error()));
        if (watch_) watch_->consider(i, f.tag, nullptr, q->sql, strings_conform_);
        facts = facts_of(i, q->sql, out);
        if (!facts) return outcome::wait;
        f.reply = {expect::query, reply_action::forward, 0};
        f.answers = true;
        f.facts = facts;
        if (shows_a_setting(*facts))
            if (const auto o = plan_show(i, q->sql, {}, {}, out); o != outcome::forward) return o;
        const bool drops = names_.unnamed_matters();
        if (facts->statements.empty()) {
            if (drops) f.reply.tag = stage_query_names({}, nullptr, false);
            return outcome::forward;
        }
        // The Sync of a probe would commit what the client has not: then it is held unasked.
        const bool half_sent = replies_.empty() && replies_.unsynced();
        if (facts->syntax_error && !replication_ && probe_ != probe::accepted && !half_sent)
            return probe_syntax(i, q->sql, next_probing(), out);
        auto uses = changes_of(*facts);
        if (const auto limit = over_limit(uses, q->sql.size()); !limit.empty())
            return refuse(i, too_many(limit));
        if (!uses.empty()) text = std::make_shared<const std::string>(q->sql);
        if (!uses.empty() || drops)
            f.reply.tag = stage_query_names(std::move(uses), text, facts->statements.size() > 1);
        return consider(i, {facts, text, q->sql, fetched_cursor(*facts), nullptr, false}, out);
    }
    f.reply.what = expect::query;
    f.reply.tag = stage_query_names({}, nullptr, false);
    f.answers = true;
    f.facts = facts;
    return consider(i, {facts, text, {}, nullptr, nullptr, true}, out);
}

std::uint32_t gate::stage_query_names(std::vector<policy::name_use> uses, text_ptr text,
                                      bool several) {
    name_table::staged s;
    s.what = name_table::change::sql;
    s.query = true;
    s.uses = std::move(uses);
    s.text = std::move(text);
    s.several = several && !s.uses.empty();
    return names_.stage(std::move(s));
}

gate::outcome gate::plan_parse(std::size_t i, bytes body, actions& out) {
    auto& f = region_[i];
    name_table::staged s;
    s.what = name_table::change::parse;
    if (f.partial) {
        const auto end = body.find('\0');
        if (end == bytes::npos || end > 63)
            return refuse(i,
                          {"42622", "a prepared statement's name has more than 63 bytes", "", ""});
        s.name = body.substr(0, end);
        s.sql.facts = opaque_facts("parse", "longer than limits.inspect_bytes");
        s.sql.text = std::make_shared<const std::string>();
    } else {
        const auto p = protocol::frontend::parse::decode(body);
        if (!p) return refuse(i, malformed(p.error()));
        if (reads_differently(p->sql) &&
            (ahead_.lexing || (ahead_.functions && p->sql.find('\\') != std::string_view::npos)))
            return after_what_precedes(i, out);
        s.sql.facts = with_parameters(facts_of(i, p->sql, out), p->parameter_types);
        if (!s.sql.facts) return outcome::wait;
        if (shows_a_setting(*s.sql.facts))
            if (const auto o = plan_show(i, p->sql, p->statement, p->parameter_types, out);
                o != outcome::forward)
                return o;
        s.name = p->statement;
        s.sql.text = std::make_shared<const std::string>(p->sql);
    }
    if (!s.name.empty() && names_.full(s.sql.text->size()) &&
        names_.find_statement(s.name) == nullptr)
        return refuse(i, too_many("prepared statements"));
    f.answers = true;
    f.reply.what = expect::parse;
    if (const auto o = consider_parse(i, s.name, s.sql, f.partial, out); o != outcome::forward)
        return o;
    f.reply = {expect::parse, reply_action::forward, names_.stage(std::move(s))};
    return outcome::forward;
}

// A Parse reads the statement's literals, and what a type of the database does with a literal may
// be anything: then it is decided as if it were executed, unless it goes along with its Bind.
gate::outcome gate::consider_parse(std::size_t i, const std::string& name, const bound_sql& sql,
                                   bool cut, actions& out) {
    if (!parsing_may_run()) return outcome::forward;
    auto reached = sql.facts;
    if (const auto o = follow(i, reached, out); o != outcome::forward) return o;
    if (!runs_at_parse_ && !cut) return outcome::forward;
    if (decides_parses_) return consider(i, {sql.facts, sql.text, {}, nullptr, nullptr, cut}, out);
    left_to_bind_.push_back(name);
    return outcome::forward;
}

// The server reads a frame only when those before it have run: what they will have done to names
// and to the lexer by then. Planning is not the time to note it, sending them is too late.
void gate::foresee(const planned& f) {
    if (f.tag != 'E') return;
    ahead_.names = ahead_.names || f.after.names;
    ahead_.lexing = ahead_.lexing || f.after.lexing;
    ahead_.functions = ahead_.functions || f.after.functions;
    ahead_.path = ahead_.path || f.after.path;
    ahead_.defines = ahead_.defines || f.after.defines;
    ahead_.ends = ahead_.ends || f.after.ends;
}

// Frame `i` means what it means only after the replies to all that was sent before it.
gate::outcome gate::after_what_precedes(std::size_t i, actions& out) {
    return i > 0 ? outcome::split : wait_for_drain(out);
}

// What a name stands for may be unknown (wait), certain, or only known to be unknown (opaque).
gate::outcome gate::check_name(std::size_t i, const bound_sql* found, std::string_view name,
                               policy::facts_ptr& facts, actions& out) {
    if (found == nullptr || !found->facts) {
        // Bound in a failed transaction, it gives an error or ends the transaction, and that is for
        // its Execute; a Describe would fail in its place with another error.
        const bool refused_by_server = region_[i].tag == 'B' && failed_throughout_;
        if (!refused_by_server && (!asked_name_ || *asked_name_ != name))
            return ask_for_name(i, name, out);
        facts = opaque_facts("execute", "the name \"" + protocol::backend::sanitize_text(name, 80) +
                                            "\" is not one that this session prepared");
        return outcome::forward;
    }
    if (!name.empty() && ahead_.names) return after_what_precedes(i, out);
    facts = found->facts;
    if (facts->syntax_error && names_.anything_staged()) {
        // The server may find the same fault: then nothing needs to be asked of anybody.
        if (i > 0) return outcome::split;
        if (!replies_.empty()) return wait_for_drain(out);
    }
    if (!name.empty() && found->epoch != names_.epoch()) {
        auto doubtful = std::make_shared<policy::facts>(*facts);
        auto& s = doubtful->statements.emplace_back();
        s.command = "execute";
        s.kinds.push_back(policy::kind::opaque);
        s.opaque_reasons.emplace_back(
            "something of unknown effect ran since it was prepared and may have replaced it");
        doubtful->literal_sensitive = true;
        facts = std::move(doubtful);
    }
    return outcome::forward;
}

// A name that we do not know is most often one that the server does not know either: it is asked (a
// Describe runs nothing), and if it fails, the client has the very error that its message would
// have had, and the batch the same fate.
gate::outcome gate::ask_for_name(std::size_t i, std::string_view name, actions& out) {
    if (i > 0) return outcome::split;
    if (!replies_.empty()) return wait_for_drain(out);
    const bool statement = region_[i].tag == 'B';
    std::string frames;
    protocol::frontend::describe{statement ? protocol::frontend::named_kind::statement
                                           : protocol::frontend::named_kind::portal,
                                 name}
        .encode(frames);
    protocol::frontend::flush{}.encode(frames);
    replies_.push({statement ? expect::describe_statement : expect::describe_portal,
                   reply_action::suppress, 0});
    out.send_owned(action::type::to_server, std::move(frames));
    asked_name_ = std::string(name);
    state_ = state::draining;
    return outcome::wait;
}

gate::outcome gate::plan_bind(std::size_t i, bytes body, actions& out) {
    auto& f = region_[i];
    std::string portal_name;
    std::string statement;
    protocol::frontend::bind whole;
    if (f.partial) {
        const auto p = protocol::frontend::bind_prefix::decode(body);
        if (!p) return refuse(i, malformed(p.error()));
        portal_name = p->portal;
        statement = p->statement;
    } else {
        auto b = protocol::frontend::bind::decode(body);
        if (!b) return refuse(i, malformed(b.error()));
        portal_name = b->portal;
        statement = b->statement;
        whole = std::move(*b);
    }
    if (const auto o = settle(i, statement, out); o != outcome::forward) return o;
    const auto* found = names_.find_statement(statement);
    policy::facts_ptr facts;
    if (const auto o = check_name(i, found, statement, facts, out); o != outcome::forward) return o;
    const auto text =
        found != nullptr && found->text ? found->text : std::make_shared<const std::string>();

    if (!portal_name.empty() && names_.portals_full()) return refuse(i, too_many("open portals"));
    name_table::staged s;
    s.what = name_table::change::bind;
    s.name = std::move(portal_name);
    s.made = std::make_unique<portal>();
    s.made->sql = {facts, text, names_.epoch()};
    auto* target = s.made.get();
    f.reply = {expect::bind, reply_action::forward, names_.stage(std::move(s))};
    f.answers = true;
    f.facts = facts;
    if (found == nullptr && failed_throughout_) return outcome::forward;
    const auto o =
        consider(i, {facts, text, {}, target, f.partial ? nullptr : &whole, f.partial}, out);
    if (o == outcome::forward) std::erase(left_to_bind_, statement);
    return o;
}

gate::outcome gate::plan_execute(std::size_t i, bytes body, actions& out) {
    auto& f = region_[i];
    const auto e = protocol::frontend::execute::decode(body);
    if (!e) return refuse(i, malformed(e.error()));
    if (const auto o = settle(i, e->portal, out); o != outcome::forward) return o;
    auto* target = names_.find_portal(e->portal);
    policy::facts_ptr facts;
    const bound_sql* found = target == nullptr ? nullptr : &target->sql;
    if (const auto o = check_name(i, found, e->portal, facts, out); o != outcome::forward) return o;
    const auto text =
        found != nullptr && found->text ? found->text : std::make_shared<const std::string>();
    f.reply = {expect::execute, reply_action::forward, 0};
    f.answers = true;
    f.facts = facts;
    auto uses = changes_of(*facts);
    if (const auto limit = over_limit(uses, text->size()); !limit.empty())
        return refuse(i, too_many(limit));
    if (!uses.empty()) {
        name_table::staged s;
        s.what = name_table::change::sql;
        s.uses = std::move(uses);
        s.text = text;
        f.reply.tag = names_.stage(std::move(s));
    }
    return consider(i, {facts, text, {}, target, nullptr, false}, out);
}

gate::outcome gate::plan_call(std::size_t i, bytes body, actions& out) {
    auto& f = region_[i];
    if (!f.partial) {
        if (const auto call = protocol::frontend::function_call::decode(body); !call)
            return refuse(i, malformed(call.error()));
    }
    f.reply = {expect::function_call, reply_action::forward, 0};
    f.answers = true;
    f.facts = policy::function_call_facts(protocol::load_u32(body.data()));
    return consider(i, {f.facts, nullptr, "<FunctionCall>", nullptr, nullptr, false}, out);
}

policy::facts_ptr gate::facts_of(std::size_t i, std::string_view sql, actions& out) {
    for (const auto& [frame, facts] : found_facts_)
        if (frame == i) return facts;
    if (replication_ && policy::is_replication_command(sql))
        return policy::replication_command_facts(sql);
    if ((lexing_touched_ || functions_called_ || !encoding_safe_) && reads_differently(sql)) {
        if (!replies_.empty()) {
            static_cast<void>(wait_for_drain(out));
            return nullptr;
        }
        if (lexing_touched_)
            return opaque_facts("query", "what ran before it may have changed how it is read");
        if (!encoding_safe_ && has_high_bytes(sql))
            return opaque_facts("query", "client_encoding hides where its characters end");
    }
    if (auto f = env_->facts->find(sql, strings_conform_)) return f;
    auto& a = out.add(action::type::analyse);
    a.text = sql;
    state_ = state::analysing;
    return nullptr;
}

// What a name stands for is not looked up while a change to it is under way: neither one of an
// earlier batch, nor SQL of this one, whose effect only the server's answer tells.
gate::outcome gate::settle(std::size_t i, std::string_view name, actions& out) {
    if (names_.in_doubt(name)) return wait_for_drain(out);
    if (!names_.changed_by_sql(name, region_[i].names_mark)) return outcome::forward;
    return after_what_precedes(i, out);
}

// What sets string syntax or encoding takes effect long before the server reports it, and the end
// of a transaction takes it back.
gate::effects gate::effects_of(const policy::facts& f) const noexcept {
    using control = policy::statement_facts::transaction_control;
    using use = policy::name_use::action;
    effects e;
    for (const auto& s : f.statements) {
        const bool unknown = s.has(policy::kind::opaque) || s.has(policy::kind::execute_code);
        const bool keeps = s.transaction == control::none || s.transaction == control::begin ||
                           s.transaction == control::savepoint || s.transaction == control::release;
        const bool sets = std::any_of(s.settings.begin(), s.settings.end(), [](const auto& c) {
            return c.name.empty() || c.name == "all" || c.name == "client_encoding" ||
                   c.name == "standard_conforming_strings";
        });
        // EXECUTE and FETCH run what their names stand for, a set_config perhaps.
        const bool by_name = std::any_of(s.names.begin(), s.names.end(), [](const auto& u) {
            return u.what == use::execute || u.what == use::fetch;
        });
        e.names = e.names || unknown;
        e.varies = e.varies || unknown || s.has(policy::kind::fastpath) || sets ||
                   (reading_varied_ && !keeps);
        e.lexing = e.lexing || e.varies || by_name;
        e.functions = e.functions || s.names_code();
        e.path = e.path || (path_touched_ && !keeps);
        e.defines = e.defines || defines_names(s);
    }
    e.ends = f.may_end_transaction();
    e.path = e.path || !temporary_.empty() || policy::catalog::changes_path(f);
    return e;
}

gate::outcome gate::wait_for_drain(actions& out) {
    if (!replies_.empty()) state_ = state::draining;
    drain_flushed_ = false;
    hasten(out);
    return outcome::wait;
}

// What is waited for comes by itself, except in two cases that a reply may bring about: replies
// that the server keeps until a Sync or Flush, and a server that reads COPY data. What waits here
// is not COPY data: a server that still reads it ends the session over that, one whose COPY has
// failed goes on. A Close of nothing has the same effect, and runs nothing.
void gate::hasten(actions& out) {
    if (state_ != state::draining) return;
    std::string frames;
    if (replies_.copy_in()) {
        const auto name = "sallyport_none_" + auth::random_nonce();
        protocol::frontend::close{protocol::frontend::named_kind::statement, name}.encode(frames);
        replies_.push({expect::close, reply_action::suppress, 0});
        drain_flushed_ = false;
    }
    if (replies_.unsynced() && !drain_flushed_) {
        protocol::frontend::flush{}.encode(frames);
        drain_flushed_ = true;
        buffered_.emptied_early();
    }
    out.send_owned(action::type::to_server, std::move(frames));
}

// Once something in a region may end the failed transaction, what follows it there is decided.
bool gate::exempt_in_failed_transaction(const policy::facts& f) {
    failed_throughout_ =
        failed_throughout_ &&
        std::all_of(f.statements.begin(), f.statements.end(), [](const auto& s) {
            // A text that was not analysed may hold a ROLLBACK; DO and CALL are known to be none.
            return s.transaction == policy::statement_facts::transaction_control::none &&
                   (!s.has(policy::kind::opaque) || s.has(policy::kind::execute_code));
        });
    return failed_throughout_;
}

// EXECUTE and FETCH are what their names stand for.
policy::facts_ptr gate::with_names(const policy::facts_ptr& f) {
    return policy::with_names(f, [this](const policy::name_use& u) {
        policy::named_sql out;
        const bound_sql* found = nullptr;
        if (u.what == policy::name_use::action::execute) {
            found = names_.find_statement(u.name);
        } else if (const auto* p = names_.find_portal(u.name)) {
            found = &p->sql;
        }
        if (found == nullptr) {
            if (u.what == policy::name_use::action::fetch) out.facts = cursor_of_server(u.name);
            return out;
        }
        out.facts = found->facts;
        if (out.facts && found->epoch != names_.epoch())
            out.doubt = "something of unknown effect ran since \"" + u.name + "\" was made";
        return out;
    });
}

portal* gate::fetched_cursor(const policy::facts& f) {
    if (f.statements.size() != 1 || f.statements[0].names.size() != 1) return nullptr;
    const auto& u = f.statements[0].names[0];
    if (u.what != policy::name_use::action::fetch) return nullptr;
    return names_.find_portal(u.name);
}

}  // namespace sallyport::proxy::session
