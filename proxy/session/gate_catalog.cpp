#include <algorithm>
#include <array>
#include <string>
#include <utility>

#include "policy/in_session.h"
#include "protocol/backend.h"
#include "protocol/frontend.h"
#include "proxy/auth/scram.h"
#include "proxy/session/gate.h"

// What a statement reaches by way of the catalog, and what the session's names mean when it runs.
namespace sallyport::proxy::session {

using protocol::bytes;
using protocol::expect;
using protocol::reply_action;
using protocol::reply_event;

namespace {

constexpr std::uint32_t question_tag = 0x7fff'fffeu;
constexpr std::uint32_t question_end_tag = 0x7fff'fffdu;  // of its last answer
constexpr std::size_t temporary_max = 1'000;

/// The elements of an array of names in its text form: {pg_catalog,"My Schema"}.
std::vector<std::string> array_elements(std::string_view text) {
    std::vector<std::string> out;
    if (text.size() < 2 || text.front() != '{' || text.back() != '}') return out;
    text = text.substr(1, text.size() - 2);
    std::string element;
    bool quoted = false;
    bool any = false;
    for (std::size_t i = 0; i < text.size(); ++i) {
        const char c = text[i];
        if (c == '\\' && i + 1 < text.size()) {
            element += text[++i];
        } else if (c == '"') {
            quoted = !quoted;
            any = true;
        } else if (c == ',' && !quoted) {
            out.push_back(std::exchange(element, {}));
            any = false;
        } else {
            element += c;
        }
    }
    if (any || !element.empty()) out.push_back(element);
    return out;
}

/// The two fields of a DataRow; "" for what is not there.
std::array<std::string_view, 2> fields_of(bytes frame) {
    std::array<std::string_view, 2> out;
    std::size_t at = protocol::frame_header_bytes + 2;
    for (auto& field : out) {
        if (frame.size() < at + 4) break;
        const std::size_t length = protocol::load_u32(frame.data() + at);
        at += 4;
        if (length > frame.size() - at) break;  // NULL, too
        field = {frame.data() + at, length};
        at += length;
    }
    return out;
}

bool names_types(const policy::facts& f) noexcept {
    return std::ranges::any_of(f.statements, [](const auto& s) { return !s.types.empty(); });
}

}  // namespace

policy::catalog::session_names gate::names_now() const {
    policy::catalog::session_names names;
    names.path = path_known_ && !ahead_.path ? &path_ : nullptr;
    names.temporary = names.path != nullptr && temporary_known_ ? &temporary_ : nullptr;
    names.own_ddl = own_ddl_;
    names.retold = retold_;
    names.own = &own_;
    names.strings_conform = !strings_escaped_;
    names.harmless = &env_->rules->harmless;
    return names;
}

// The facts of frame `i` with all that they reach. Waits for a look at the catalog if the last one
// is too old, or a name is not in it.
gate::outcome gate::follow(std::size_t i, policy::facts_ptr& facts, actions& out) {
    path_matters_ = unknown_name_ = false;
    runs_at_parse_ = names_types(*facts);
    if (env_->catalog == nullptr) return outcome::forward;
    const auto known = env_->catalog->look(subject_.target);
    if (!known.configured) return outcome::forward;
    // What it defines is noted when it is sent.
    if (ahead_.defines) return after_what_precedes(i, out);
    if (!catalog_asked_ && (!known.fresh || catalog_changed_)) return ask_catalog(out);
    if (!known.newest) {
        facts = policy::without_catalog(facts);
        return outcome::forward;
    }
    if (known.newest != catalog_) {  // schemas, too, may have come and gone
        catalog_ = known.newest;
        path_known_ = path_asked_ = false;
    }
    const auto names = names_now();
    auto found = env_->catalog->resolve(facts, catalog_, names);
    if (found.unknown_name && !catalog_asked_) return ask_catalog(out);
    facts = std::move(found.facts);
    path_matters_ = found.path_matters && names.path == nullptr;
    unknown_name_ = found.unknown_name;
    runs_at_parse_ = found.literals_run_code || own_ddl_;
    region_[i].after = effects_of(*facts);
    return outcome::forward;
}

bool gate::parsing_may_run() const {
    if (env_->catalog == nullptr || own_ddl_ || catalog_changed_) return true;
    const auto known = env_->catalog->look(subject_.target);
    return !known.configured || !known.fresh || !known.newest || known.newest->literals_run_code();
}

bool gate::runs_at_parse(const policy::facts_ptr& f) const {
    if (own_ddl_) return true;
    if (env_->catalog == nullptr) return names_types(*f);
    const auto newest = env_->catalog->look(subject_.target).newest;
    if (!newest) return names_types(*f);
    const auto found = env_->catalog->resolve(f, newest, names_now());
    return found.literals_run_code || found.unknown_name;
}

gate::outcome gate::ask_catalog(actions& out) {
    out.add(action::type::refresh_catalog);
    catalog_changed_ = false;
    state_ = state::refreshing;
    return outcome::wait;
}

void gate::on_catalog(actions&) {
    if (state_ != state::refreshing) return;
    catalog_asked_ = true;
    state_ = state::open;
}

// A statement that would be held or refused only because its names might mean something else: the
// server is asked what they mean. Inside a batch, or when the transaction has failed, it cannot be.
bool gate::may_ask_path(std::size_t i) const noexcept {
    return path_matters_ && !ahead_.path && !path_asked_ && may_ask(i);
}

bool gate::may_ask(std::size_t i) const noexcept {
    for (std::size_t k = 0; k < i; ++k)
        if (region_[k].tag == 'E') return false;
    return !(replies_.empty() && replies_.unsynced()) &&
           replies_.status() != protocol::transaction_status::failed && !replication_;
}

gate::outcome gate::ask_path(actions& out) {
    if (!replies_.empty()) return wait_for_drain(out);
    // One temporary relation more than are kept says that there are too many.
    static const std::string question =
        "SELECT pg_catalog.current_schemas(true)::pg_catalog.text, ARRAY(SELECT c.relname FROM "
        "pg_catalog.pg_class c WHERE c.relnamespace OPERATOR(pg_catalog.=) "
        "pg_catalog.pg_my_temp_schema() LIMIT " +
        std::to_string(temporary_max + 1) + ")::pg_catalog.text";
    path_asked_ = true;
    ask_server(question, {}, out);
    return outcome::wait;
}

// A question of ours between the client's messages, whose answer the client never sees.
void gate::ask_server(std::string_view question, std::optional<std::string_view> parameter,
                      actions& out) {
    using kind = protocol::frontend::named_kind;
    const auto name = "sallyport_ask_" + auth::random_nonce();
    std::string frames;
    protocol::frontend::parse{name, question, {}}.encode(frames);
    protocol::frontend::bind b;
    b.portal = name;
    b.statement = name;
    if (parameter) b.parameters.emplace_back(*parameter);
    b.encode(frames);
    protocol::frontend::execute{name, 0}.encode(frames);
    protocol::frontend::close{kind::portal, name}.encode(frames);
    protocol::frontend::close{kind::statement, name}.encode(frames);
    const bool inside_a_batch = replies_.unsynced();
    for (const auto what : {expect::parse, expect::bind, expect::execute, expect::close})
        replies_.push({what, reply_action::suppress, question_tag});
    if (inside_a_batch) {  // which a Sync would end
        protocol::frontend::flush{}.encode(frames);
        replies_.push({expect::close, reply_action::suppress, question_end_tag});
    } else {
        protocol::frontend::sync{}.encode(frames);
        replies_.push({expect::close, reply_action::suppress, question_tag});
        replies_.push({expect::sync, reply_action::suppress, question_end_tag});
    }
    out.send_owned(action::type::to_server, std::move(frames));
    asking_ = true;
    question_failed_ = false;
    state_ = state::probing;
}

// True if the message was the answer to ask_server().
bool gate::answer_of_server(const reply_event& e, char tag, bytes frame, actions& out) {
    if (e.who.tag != question_tag && e.who.tag != question_end_tag) return false;
    if (e.what == reply_event::type::failed) {
        const auto report =
            protocol::backend::error_response::decode(frame.substr(protocol::frame_header_bytes));
        if (report && (report->severity() == "FATAL" || report->severity() == "PANIC"))
            return false;
        question_failed_ = true;
        if (!replies_.skipping()) {
            drop_server_rest_ = true;
            return true;
        }
        // Inside of a batch it ends that, and so is the client's answer to it.
        out.send(action::type::to_client, frame);
        question_answered(out);
        return true;
    }
    drop_server_rest_ = true;
    if (tag == 'D' && frame.size() <= answer_bytes_max) {
        const auto fields = fields_of(frame);
        if (asked_role_ != role::unknown) {
            seen_role_ = fields[0];
        } else if (asked_cursor_) {
            cursor_text_ = fields[0];
        } else {
            path_ = array_elements(fields[0]);
            temporary_ = array_elements(fields[1]);
            path_known_ = !path_.empty();
            temporary_known_ = temporary_.size() <= temporary_max;
        }
    }
    if (e.who.tag != question_end_tag) return true;
    if (e.what == reply_event::type::ready &&
        replies_.status() == protocol::transaction_status::idle)
        names_.transaction_ended();
    question_answered(out);
    return true;
}

void gate::question_answered(actions& out) {
    asking_ = false;
    state_ = state::open;
    if (asked_role_ != role::unknown) return role_answered(!question_failed_, out);
    if (asked_cursor_) analyse_cursor(out);
}

// A name that nobody knows is most often a typing mistake: the server is asked to parse the text,
// and its error is the client's. What the server does know is held.
gate::outcome gate::ask_for_relation(std::size_t i, const considered& c, actions& out) {
    if (!unknown_name_ || runs_at_parse_ || replication_) return outcome::forward;
    if (region_[i].tag == 'Q') {
        const bool half_sent = replies_.empty() && replies_.unsynced();
        const bool failed = replies_.status() == protocol::transaction_status::failed;
        if (half_sent || failed || c.sql.empty() || c.facts->statements.size() != 1 ||
            probe_ == probe::accepted)
            return outcome::forward;
        return probe_syntax(i, c.sql, probing::all, out);
    }
    // The client's own Parse is the question, if it stands before this in the batch.
    if (i > 0) return outcome::split;
    return replies_.empty() ? outcome::forward : wait_for_drain(out);
}

// Code that drops or alters something leaves no trace in the text.
bool gate::defines_names(const policy::statement_facts& s) noexcept {
    return s.has(policy::kind::ddl) || s.has(policy::kind::grant) || s.has(policy::kind::opaque) ||
           s.has(policy::kind::execute_code) || (s.effects & policy::code_effect::takes_names) != 0;
}

// What runs from here on may leave the session's names with another meaning.
void gate::note_name_effects(const policy::facts& f) {
    if (env_->catalog == nullptr || catalog_ == nullptr) return;
    for (const auto& s : f.statements) {
        if (s.may_end_settings() && path_touched_) path_known_ = false;
        using namespace policy::code_effect;
        if ((s.effects & retells) != 0 || s.has(policy::kind::opaque)) retold_ = true;
        if ((s.effects & prepares) != 0) names_.lose_trust();
        if ((s.effects & defines) != 0) path_known_ = false;
        if (!defines_names(s)) continue;
        own_ddl_ = true;
        own_.note(s);
    }
    // DROP, DISCARD, and any code that is called on the way may end a temporary table, whose name
    // is another table's again.
    if (!temporary_.empty()) path_known_ = false;
    if (!policy::catalog::changes_path(f)) return;
    path_known_ = false;
    path_touched_ = true;
}

// The transaction is over: what it defined is everybody's now, or gone.
void gate::names_after_transaction() noexcept {
    if (own_ddl_) catalog_changed_ = true;
    // Temporary tables may end with their transaction.
    if (path_touched_ || !temporary_.empty()) path_known_ = false;
    // What is in flight may have begun another one.
    if (replies_.empty()) own_ddl_ = retold_ = path_touched_ = false;
}

}  // namespace sallyport::proxy::session
