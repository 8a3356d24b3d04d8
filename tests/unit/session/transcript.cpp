#include "transcript.h"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <stdexcept>

#include <gtest/gtest.h>

#include "protocol/backend.h"
#include "protocol/frontend.h"
#include "protocol/trace.h"

namespace sallyport::tests {

namespace frontend = protocol::frontend;
namespace backend = protocol::backend;
using proxy::session::action;
using proxy::session::actions;
using proxy::session::gate;

namespace {

/// Words of a line; "quoted ones" keep their blanks.
std::vector<std::string> words_of(const std::string& text) {
    std::vector<std::string> out;
    std::size_t i = 0;
    while (i < text.size()) {
        if (text[i] == ' ') {
            ++i;
        } else if (text[i] == '"') {
            std::string word;
            for (++i; i < text.size() && text[i] != '"'; ++i) {
                if (text[i] == '\\' && i + 1 < text.size()) ++i;
                word.push_back(text[i]);
            }
            ++i;
            out.push_back(word);
        } else {
            std::string word;
            while (i < text.size() && text[i] != ' ')
                word.push_back(text[i++]);
            out.push_back(word);
        }
    }
    return out;
}

std::string at(const std::vector<std::string>& words, std::size_t i) {
    return i < words.size() ? words[i] : std::string();
}

std::string client_frame(const std::string& text) {
    const auto w = words_of(text);
    std::string out;
    if (w[0] == "Query")
        frontend::query{at(w, 1)}.encode(out);
    else if (w[0] == "Parse")
        frontend::parse{at(w, 1), at(w, 2), {}}.encode(out);
    else if (w[0] == "Bind") {
        frontend::bind b;
        const auto portal = at(w, 1);
        const auto statement = at(w, 2);
        const auto value = at(w, 3);
        b.portal = portal;
        b.statement = statement;
        if (w.size() > 3) b.parameters.emplace_back(value);
        b.encode(out);
    } else if (w[0] == "Execute")
        frontend::execute{at(w, 1), 0}.encode(out);
    else if (w[0] == "Fetch")
        frontend::execute{at(w, 1), 10}.encode(out);
    else if (w[0] == "DescribeStatement")
        frontend::describe{frontend::named_kind::statement, at(w, 1)}.encode(out);
    else if (w[0] == "DescribePortal")
        frontend::describe{frontend::named_kind::portal, at(w, 1)}.encode(out);
    else if (w[0] == "CloseStatement")
        frontend::close{frontend::named_kind::statement, at(w, 1)}.encode(out);
    else if (w[0] == "Sync")
        frontend::sync{}.encode(out);
    else if (w[0] == "Flush")
        frontend::flush{}.encode(out);
    else if (w[0] == "Terminate")
        frontend::terminate{}.encode(out);
    else if (w[0] == "CopyData")
        frontend::copy_data{at(w, 1)}.encode(out);
    else if (w[0] == "CopyDone")
        frontend::copy_done{}.encode(out);
    else if (w[0] == "FunctionCall") {
        frontend::function_call f;
        f.function = static_cast<std::uint32_t>(std::stoul(at(w, 1)));
        f.encode(out);
    } else if (w[0] == "Raw") {
        const auto hex = at(w, 1);
        for (std::size_t i = 0; i + 1 < hex.size(); i += 2)
            out.push_back(static_cast<char>(std::stoi(hex.substr(i, 2), nullptr, 16)));
    } else
        throw std::runtime_error("unknown client message: " + text);
    return out;
}

std::string server_frame(const std::string& text) {
    const auto w = words_of(text);
    std::string out;
    if (w[0] == "Ready")
        backend::ready_for_query{static_cast<backend::transaction_status>(at(w, 1)[0])}.encode(out);
    else if (w[0] == "Complete")
        backend::command_complete{at(w, 1)}.encode(out);
    else if (w[0] == "ParseComplete")
        backend::parse_complete{}.encode(out);
    else if (w[0] == "BindComplete")
        backend::bind_complete{}.encode(out);
    else if (w[0] == "CloseComplete")
        backend::close_complete{}.encode(out);
    else if (w[0] == "NoData")
        backend::no_data{}.encode(out);
    else if (w[0] == "Suspended")
        backend::portal_suspended{}.encode(out);
    else if (w[0] == "ParameterStatus")
        backend::parameter_status{at(w, 1), at(w, 2)}.encode(out);
    else if (w[0] == "CopyBoth")
        backend::copy_both_response{}.encode(out);
    else if (w[0] == "CopyIn")
        backend::copy_in_response{}.encode(out);
    else if (w[0] == "Row") {
        backend::data_row r;
        const auto value = at(w, 1);
        r.values.emplace_back(value);
        r.encode(out);
    } else if (w[0] == "Error") {
        const auto state = at(w, 1);
        const auto message = at(w, 2);
        const auto routine = at(w, 3);
        backend::error_response e;
        e.fields = {{'S', "ERROR"}, {'V', "ERROR"}, {'C', state}, {'M', message}};
        if (!routine.empty()) e.fields.push_back({'R', routine});
        e.encode(out);
    } else if (w[0] == "Fatal") {
        const auto state = at(w, 1);
        const auto message = at(w, 2);
        backend::error_response e;
        e.fields = {{'S', "FATAL"}, {'V', "FATAL"}, {'C', state}, {'M', message}};
        e.encode(out);
    } else
        throw std::runtime_error("unknown server message: " + text);
    return out;
}

bool like(std::string_view pattern, std::string_view text) {
    const auto star = pattern.find('*');
    if (star == std::string_view::npos) return pattern == text;
    if (!text.starts_with(pattern.substr(0, star))) return false;
    const auto rest = pattern.substr(star + 1);
    for (std::size_t i = star; i <= text.size(); ++i)
        if (like(rest, text.substr(i))) return true;
    return false;
}

class fixed_clock final : public proxy::clock {
  public:
    [[nodiscard]] policy::instant now() const noexcept override { return at; }
    policy::instant at{std::chrono::hours(24 * 365 * 56)};
};

class direct_facts final : public proxy::session::facts_source {
  public:
    policy::facts_ptr find(std::string_view sql, bool conforming) override {
        policy::sql::analyse_options o;
        o.standard_conforming_strings = conforming;
        return policy::sql::analyse(sql, o);
    }
};

/// A catalog of plain tables that has to be looked at before each statement.
class few_tables final : public proxy::session::catalog_source {
  public:
    explicit few_tables(const std::vector<std::string>& tables) {
        policy::catalog::rows r;
        r.database = "shop";
        policy::catalog::oid next = 16'384;
        for (const auto& t : tables) {
            const auto dot = t.find('.');
            r.schemas.push_back({next++, t.substr(0, dot)});
            policy::catalog::relation_row row;
            row.id = next++;
            row.schema = r.schemas.back().id;
            row.name = t.substr(dot + 1);
            r.relations.push_back(row);
        }
        map_ = policy::catalog::build(std::move(r));
    }
    look_result look(std::string_view) override { return {true, false, map_}; }
    policy::catalog::resolution resolve(const policy::facts_ptr& f,
                                        const policy::catalog::snapshot_ptr& s,
                                        const policy::catalog::session_names& names) override {
        return policy::catalog::resolve(*f, *s, names);
    }

  private:
    policy::catalog::snapshot_ptr map_;
};

class player {
  public:
    player(const transcript& t, const policy::rule_set_ptr& rules, const replay_options& o)
        : t_(t), o_(o) {
        env_.rules = rules;
        env_.prepared = &prepared_;
        if (!t.tables.empty()) env_.catalog = &tables_.emplace(t.tables);
        auto g = std::make_shared<policy::grants>();
        for (const auto& rule : t.opt_outs) {
            policy::opt_out x;
            x.id = {g->opt_outs.size() + 1};
            x.state = policy::opt_out_state::active;
            x.rule = rule;
            x.person = t.user;
            x.from = clock_.at - std::chrono::hours(1);
            x.until = clock_.at + std::chrono::hours(1);
            g->opt_outs.push_back(x);
        }
        env_.grants = g;
        env_.facts = &facts_;
        env_.time = &clock_;
        policy::subject s;
        s.principal = {t.user, t.groups, false};
        s.target = "shop";
        s.address = "127.0.0.1";
        s.session = {1};
        gate_ = std::make_unique<gate>(
            env_, s, proxy::session::gate_limits{},
            std::make_shared<const protocol::frame_limits>(protocol::make_frontend_limits()));
        if (o.sink == nullptr) return;
        env_.counts = &counts_;
        gate_->watch(std::make_unique<proxy::session::statement_watch>(
            *o.sink, proxy::telemetry::session_identity{1, t.user, "127.0.0.1", "", "shop",
                                                        "db.example", 5432, "shop"}));
    }

    replay_result run() {
        std::size_t i = 0;
        while (i < t_.lines.size()) {
            if (static_cast<int>(i) == o_.disconnect_before) {
                vanish();
                return result_;
            }
            const auto& l = t_.lines[i];
            if (l.who == 'C') {
                std::string bytes;
                while (i < t_.lines.size() && t_.lines[i].who == 'C' &&
                       (bytes.empty() || static_cast<int>(i) != o_.disconnect_before))
                    bytes += client_frame(t_.lines[i++].text);
                client(bytes);
                continue;
            }
            if (is_input(l.who)) {
                input(l);
            } else {
                expect(l, i);
                if (failed_record_) return result_;
            }
            ++i;
        }
        for (const auto& e : events_)
            result_.faults.push_back("not in the transcript: " + e);
        return result_;
    }

  private:
    static bool is_input(char who) { return who == 'U' || who == 'K' || who == 'T' || who == 'H'; }

    void client(const std::string& bytes) {
        if (!o_.byte_by_byte) {
            pending_ += bytes;
            pump(gate::patience::normal);
            return;
        }
        for (const char c : bytes) {
            pending_.push_back(c);
            pump(gate::patience::normal);
        }
    }

    void pump(gate::patience p) {
        while (!closed_ && !gate_->blocked() && !pending_.empty()) {
            const auto used = gate_->on_client(pending_, p, out_);
            const bool idle = used == 0 && out_.empty();
            take();
            pending_.erase(0, used);
            if (idle) break;
        }
    }

    void input(const line& l) {
        if (l.who == 'T') return pump(gate::patience::waited);
        if (l.who == 'K') {
            static_cast<void>(gate_->on_cancel(out_));
            take();
            return pump(gate::patience::normal);
        }
        if (l.who == 'H') {
            proxy::approval::hold_outcome o;
            o.id = {hold_};
            o.decided_by = "bob";
            const auto w = words_of(l.text);
            o.state = w[0] == "approve"  ? policy::hold_state::approved
                      : w[0] == "deny"   ? policy::hold_state::denied
                      : w[0] == "expire" ? policy::hold_state::expired
                                         : policy::hold_state::withdrawn;
            if (o.state == policy::hold_state::denied) o.reason = at(w, 1);
            if (o.state == policy::hold_state::approved) {
                policy::pass p;
                p.id = {1000 + hold_};
                p.from_hold = {hold_};
                p.rule = hold_rule_;
                p.person = t_.user;
                p.target = "shop";
                p.until = clock_.at + std::chrono::minutes(1);
                p.approved_by = "bob";
                o.pass = p;
            }
            gate_->on_hold_outcome(o, out_);
            take();
            return pump(gate::patience::normal);
        }
        const auto frame = server_frame(l.text);
        for (std::size_t i = 0; i < frame.size(); ++i) {
            server_ += frame[i];
            if (!o_.byte_by_byte && i + 1 < frame.size()) continue;
            const auto used = gate_->on_server(server_, out_);
            take();
            server_.erase(0, used);
        }
        pump(gate::patience::normal);
    }

    /// Turns the gate's actions into lines, in order.
    void take() {
        auto list = std::move(out_.list());
        out_.clear();
        for (auto& a : list) {
            const std::string bytes = a.text.empty() ? std::string(a.view) : a.text;
            switch (a.what) {
                case action::type::to_server:
                    split(to_server_, bytes, 'S');
                    break;
                case action::type::to_client:
                    split(to_client_, bytes, 'P');
                    break;
                case action::type::open_hold:
                    hold_rule_ = a.hold->rule;
                    events_.push_back("O " + a.hold->rule);
                    ++hold_;
                    gate_->on_hold_opened({hold_}, "", out_);
                    take();
                    break;
                case action::type::ask_hold: {
                    events_.push_back("Q " + a.hold->rule);
                    proxy::approval::steward::asked asked;
                    asked.what = proxy::approval::steward::asked::state::pending;
                    asked.id = {++hold_};
                    gate_->on_asked(asked, out_);
                    take();
                    break;
                }
                case action::type::withdraw_hold:
                    events_.push_back("W");
                    break;
                case action::type::use_opt_outs:
                    events_.push_back("A bypass");
                    tickets_.push_back(a.ticket);
                    break;
                case action::type::record:
                    events_.push_back((a.ticket != 0 ? "A " : "a ") + a.record->event);
                    if (a.ticket != 0) tickets_.push_back(a.ticket);
                    break;
                case action::type::close:
                    events_.push_back("X");
                    closed_ = true;
                    break;
                case action::type::ask_console:
                    events_.push_back("C " + a.text);
                    gate_->on_shown({});
                    take();
                    break;
                case action::type::leave_databases:
                    break;
                case action::type::refresh_catalog:
                    events_.push_back("R");
                    gate_->on_catalog(out_);
                    take();
                    break;
                case action::type::analyse:
                case action::type::end_transaction:
                    break;
            }
        }
    }

    void split(std::string& buffer, const std::string& bytes, char who) {
        buffer += bytes;
        protocol::bytes rest = buffer;
        const auto& limits = who == 'S' ? protocol::frontend_limits : protocol::backend_limits;
        for (;;) {
            const auto f = protocol::try_take_frame(rest, limits);
            if (f.error != protocol::errc::ok) break;
            const auto text = who == 'S' ? protocol::trace_frontend(f.value.whole)
                                         : protocol::trace_backend(f.value.whole);
            events_.push_back(std::string(1, who) + " " + text);
            if (who == 'S') result_.to_server.push_back(text);
        }
        buffer.erase(0, buffer.size() - rest.size());
    }

    void expect(const line& l, std::size_t index) {
        const std::string wanted =
            std::string(1, l.who == '$' ? 'S' : l.who) + (l.text.empty() ? "" : " " + l.text);
        if (events_.empty()) {
            fault(l, "expected \"" + wanted + "\", got nothing");
            return;
        }
        const auto got = events_.front();
        events_.erase(events_.begin());
        if (!like(wanted, got)) fault(l, "expected \"" + wanted + "\", got \"" + got + "\"");
        if (l.who != 'A' || tickets_.empty()) return;
        const auto ticket = tickets_.front();
        tickets_.erase(tickets_.begin());
        if (static_cast<int>(index) == o_.fail_record) {
            result_.to_server.clear();
            while (!tickets_.empty()) {
                gate_->on_recorded(tickets_.front(), proxy::audit::fake_receipts::make(1), "",
                                   out_);
                tickets_.erase(tickets_.begin());
            }
            gate_->on_recorded(ticket, nullptr, "disk full", out_);
            failed_record_ = true;
        } else {
            gate_->on_recorded(ticket, proxy::audit::fake_receipts::make(1), "", out_);
        }
        take();
        pump(gate::patience::normal);
        if (!failed_record_) return;
        for (const auto& other : t_.lines)
            for (const auto& sent : result_.to_server)
                if (other.who == '$' && like(other.text, sent))
                    fault(other, "went to the server without its record");
    }

    void vanish() {
        result_.held_open = gate_->current() == gate::state::held;
        result_.to_server_at_disconnect = result_.to_server.size();
        gate_->on_client_gone("client closed", out_);
        events_.clear();
        take();
        for (const auto& e : events_)
            result_.withdrawn = result_.withdrawn || e == "W";
        // Whatever arrives late must not move anything.
        for (const auto ticket : tickets_)
            gate_->on_recorded(ticket, proxy::audit::fake_receipts::make(1), "", out_);
        static_cast<void>(gate_->on_client(pending_, gate::patience::waited, out_));
        take();
    }

    void fault(const line& l, const std::string& what) {
        result_.faults.push_back(t_.name + ":" + std::to_string(l.number) + ": " + what);
    }

    const transcript& t_;
    replay_options o_;
    fixed_clock clock_;
    direct_facts facts_;
    std::optional<few_tables> tables_;
    proxy::session::prepared_transactions prepared_;
    proxy::session::statement_counts counts_;
    proxy::session::gate_environment env_;
    std::unique_ptr<gate> gate_;
    actions out_;
    std::string pending_;
    std::string server_;
    std::string to_server_;
    std::string to_client_;
    std::vector<std::string> events_;
    std::vector<std::uint32_t> tickets_;
    std::string hold_rule_;
    std::uint64_t hold_ = 0;
    bool closed_ = false;
    bool failed_record_ = false;
    replay_result result_;
};

}  // namespace

std::string transcript_data(const std::string& name) {
    return std::string(SALLYPORT_SOURCE_DIR) + "/tests/data/transcripts/" + name;
}

std::vector<std::string> transcript_names() {
    std::vector<std::string> found;
    for (const auto& e : std::filesystem::directory_iterator(transcript_data("")))
        if (e.path().extension() == ".txt") found.push_back(e.path().filename().string());
    std::ranges::sort(found);
    return found;
}

policy::rule_set_ptr transcript_rules() {
    static const auto loaded = policy::load_policy(transcript_data("policy.yaml"), {});
    for (const auto& f : loaded.faults)
        ADD_FAILURE() << policy::to_string(f);
    return loaded.rules;
}

transcript read_transcript(const std::string& path) {
    std::ifstream file(path);
    if (!file) throw std::runtime_error("cannot read " + path);
    return parse_transcript(path.substr(path.rfind('/') + 1), file);
}

transcript parse_transcript(const std::string& name, std::istream& file) {
    transcript t;
    t.name = name;
    std::string text;
    for (int number = 1; std::getline(file, text); ++number) {
        if (text.empty() || text[0] == '#') continue;
        if (text.starts_with("groups ")) {
            t.groups = words_of(text.substr(7));
        } else if (text.starts_with("catalog ")) {
            t.tables = words_of(text.substr(8));
        } else if (text.starts_with("opt_out ")) {
            t.opt_outs.push_back(text.substr(8));
        } else {
            t.lines.push_back({text[0], text.size() > 2 ? text.substr(2) : std::string(), number});
        }
    }
    return t;
}

replay_result replay(const transcript& t, const policy::rule_set_ptr& rules,
                     const replay_options& options) {
    return player(t, rules, options).run();
}

}  // namespace sallyport::tests
