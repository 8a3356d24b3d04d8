// The first byte says what kind of session it is. The rest are steps: what the client and the
// server send, as messages or raw bytes, how much of it arrives, and what the gate's questions are
// answered, in any order.

#include <memory>
#include <vector>

#include "proxy/session/gate.h"
#include "proxy/session/prepared_transactions.h"
#include "tests/fuzz/gate_server.h"
#include "tests/fuzz/gate_world.h"

namespace {

using namespace sallyport;
using namespace sallyport::fuzz;
using proxy::session::action;
using proxy::session::actions;
using proxy::session::gate;

namespace frontend = protocol::frontend;
namespace backend = protocol::backend;

class conversation {
  public:
    explicit conversation(std::string_view steps) : steps_(steps) {
        const auto how = next();
        facts_.elsewhere = (how & 1) != 0;
        two_tables_ = (how & 2) != 0;
        server_.two_roles = (how & 4) != 0;
        server_.begin();
        proxy::session::gate_limits limits;
        if (server_.two_roles) limits.unapproved_role = "low";
        if ((how & 32) != 0) {
            limits.prepared_statements = 3;
            limits.lookahead_bytes = 128;
        }
        env_.rules = rules(false);
        env_.prepared = &prepared_;
        env_.facts = &facts_;
        env_.time = &clock_;
        if (two_tables_) env_.catalog = &catalog();
        set_opt_out((how & 8) != 0);
        policy::subject s;
        s.principal = {"alice", {"dev"}, false};
        s.target = "shop";
        s.session = {1};
        gate_ = std::make_unique<gate>(env_, s, limits, client_limits());
        gate_->set_refuse_holds((how & 16) != 0);
        if ((how & 64) != 0) gate_->set_replication();
        replication_ = (how & 64) != 0;
    }

    void run() {
        while (!steps_.empty() && !closed_)
            step(next());
        if (!closed_ && tidy_ && !server_.lied) come_to_rest();
        if (!closed_) {
            gate_->on_client_gone("client closed", out_);
            closed_ = true;
            take();
        }
        answer_late();
    }

  private:
    unsigned next() {
        if (steps_.empty()) return 0;
        const auto c = static_cast<unsigned char>(steps_.front());
        steps_.remove_prefix(1);
        return c;
    }
    std::string_view next_bytes(std::size_t count) {
        const auto b = steps_.substr(0, count);
        steps_.remove_prefix(b.size());
        return b;
    }

    void step(unsigned op) {
        const unsigned how = op / 16;
        switch (op % 16) {
            case 0:
            case 1:
            case 2:
            case 3:
                say(next());
                if (how % 2 == 0) arrive(unsent_.size(), gate::patience::normal);
                break;
            case 4:
                tidy_ = false;
                unsent_ += next_bytes(how + 1);
                break;
            case 5:
                arrive(1 + how, gate::patience::normal);
                break;
            case 6:
                arrive(unsent_.size(),
                       how % 2 == 0 ? gate::patience::waited : gate::patience::normal);
                break;
            case 7:
                deliver(1 + next());
                break;
            case 8:
            case 9:
                deliver(server_.replies.size());
                break;
            case 10:
                lie(next());
                break;
            case 11:
                server_.lied = true;
                server_.replies += next_bytes(how + 1);
                break;
            case 12:
            case 13:
                answer(next());
                break;
            case 14:
                if (how < 4)
                    cancel();
                else if (how < 8)
                    gate_->remind(out_);
                else if (how == 8)
                    gone();
                else
                    server_.fail_next = true;
                take();
                break;
            default:
                change_world(how);
        }
    }

    // client ---------------------------------------------------------
    void say(unsigned how) {
        static constexpr std::string_view names[] = {"", "s1", "s2", "s1"};
        const auto a = names[how / 16 % 4];
        const auto b = names[how / 64];
        const unsigned more = next();
        const auto sql = known_texts[more % known_texts.size()];
        const auto kind =
            more % 2 == 0 ? frontend::named_kind::statement : frontend::named_kind::portal;
        frontend::bind bind;
        bind.portal = a;
        bind.statement = b;
        switch (how % 16) {
            case 0:
            case 1:
                return frontend::query{sql}.encode(unsent_);
            case 2:
            case 3:
                return frontend::parse{a, sql, {}}.encode(unsent_);
            case 4:
            case 5:
                return bind.encode(unsent_);
            case 6:
                return frontend::execute{a, static_cast<std::int32_t>(more % 2)}.encode(unsent_);
            case 7:
                return frontend::describe{kind, a}.encode(unsent_);
            case 8:
                return frontend::close{kind, a}.encode(unsent_);
            case 9:
                return frontend::flush{}.encode(unsent_);
            case 10:
            case 11:
                return frontend::sync{}.encode(unsent_);
            case 12:
                return frontend::copy_data{std::string(more, 'x')}.encode(unsent_);
            case 13:
                if (more % 2 == 0) return frontend::copy_done{}.encode(unsent_);
                return frontend::copy_fail{"no"}.encode(unsent_);
            case 14:
                return say_rarely(more);
            default:
                frontend::parse{b, sql, {}}.encode(unsent_);
                bind.encode(unsent_);
                frontend::execute{a, 0}.encode(unsent_);
                frontend::sync{}.encode(unsent_);
        }
    }

    void say_rarely(unsigned how) {
        switch (how % 8) {
            case 0:
                return frontend::terminate{}.encode(unsent_);
            case 1: {  // too long to be looked at whole, and never ends
                tidy_ = false;
                protocol::writer w(unsent_);
                std::string bind;
                frontend::bind{}.encode(bind);
                bind[2] = '\x20';
                unsent_ += bind + std::string(256, 'x');
                return;
            }
            case 2: {
                std::string sync;
                frontend::sync{}.encode(sync);
                sync.back() = '\x05';  // a body that it must not have
                unsent_ += sync + "x";
                return;
            }
            case 3: {
                protocol::writer w(unsent_);
                w.begin_message('Q');
                w.raw("no end");
                w.end_message();
                return;
            }
            default:
                return frontend::function_call{}.encode(unsent_);
        }
    }

    void arrive(std::size_t count, gate::patience p) {
        count = std::min(count, unsent_.size());
        client_.append(unsent_, 0, count);
        unsent_.erase(0, count);
        pump(p);
    }

    // As session::pump_client() does.
    void pump(gate::patience p) {
        std::size_t turns = 0;
        while (!closed_ && !gate_->blocked() && !client_.empty()) {
            require(++turns < 10'000, "what has arrived is gone through in bounded steps");
            server_.exempt = gate_->replies().empty() &&
                             gate_->replies().status() == protocol::transaction_status::failed;
            const auto used = gate_->on_client(client_, p, out_);
            require(used <= client_.size(), "no more is consumed than there is");
            const bool idle = used == 0 && out_.empty();
            take();
            client_.erase(0, used);
            if (used > 0) server_.credits = 0;  // what was recorded is sent
            if (idle || (used == 0 && gate_->blocked())) break;
        }
        if (closed_ || !gate_->blocked()) return;
        require(gate_->on_client(client_, p, out_) == 0, "who is blocked consumes nothing");
        require(out_.empty() || gate_->current() == gate::state::closed, "and says nothing");
        take();
    }

    void cancel() {
        const auto s = gate_->current();
        const bool ours = gate_->on_cancel(out_);
        require(ours == (s == gate::state::opening || s == gate::state::held),
                "a cancel is ours while a statement waits for a person");
        resume();
    }
    void gone() {
        gate_->on_client_gone("client closed", out_);
        closed_ = true;
    }
    void resume() {
        take();
        pump(gate::patience::normal);
    }

    // server ---------------------------------------------------------
    void deliver(std::size_t bytes) {
        arrived_ += server_.replies.substr(0, bytes);
        server_.replies.erase(0, bytes);
        const auto used = gate_->on_server(arrived_, out_);
        require(used <= arrived_.size(), "no more is consumed than there is");
        take();
        arrived_.erase(0, used);
        if (server_.dead() && server_.replies.empty() && !closed_) gone();
        resume();
    }

    void lie(unsigned how) {
        auto& out = server_.replies;
        const auto error = [&out](std::string_view severity, std::string_view state,
                                  std::string_view routine) {
            backend::error_response e;
            e.fields = {{'S', severity}, {'C', state}, {'M', "no"}, {'R', routine}};
            e.encode(out);
        };
        const auto status = [&out](std::string_view name, std::string_view value) {
            backend::parameter_status{name, value}.encode(out);
        };
        const unsigned n = how % 28;
        // What a server may say at any time is no lie.
        if (n == 0) return backend::notice_response{{{'M', std::string(how, 'x')}}}.encode(out);
        if (n == 1) return backend::notification_response{1, "a", "b"}.encode(out);
        if (n == 2) return status("application_name", "app");
        if (n == 3) return status("client_encoding", how < 128 ? "SJIS" : "UTF8");
        if (n == 4) return status("standard_conforming_strings", how < 128 ? "off" : "on");
        server_.lied = true;
        backend::data_row row;
        row.values = {"{pii}", "select 1"};
        if (n < 17) {
            constexpr std::string_view tags = "123nstGHWcIV";
            protocol::writer w(out);
            w.begin_message(tags[n - 5]);
            w.end_message();
        } else if (n < 20) {
            backend::ready_for_query{static_cast<backend::transaction_status>("ITE"[n - 17])}
                .encode(out);
        } else if (n == 20) {
            backend::command_complete{how < 128 ? "SELECT 1" : "PREPARE TRANSACTION"}.encode(out);
        } else if (n == 21) {
            row.encode(out);
        } else if (n == 22) {
            backend::row_description{}.encode(out);
        } else if (n == 23) {
            error("ERROR", "42601", "scanner_yyerror");
        } else if (n == 24) {
            error("ERROR", "42601", "exec_parse_message");
        } else if (n == 25) {
            error("FATAL", "57P01", "");
        } else if (n == 26) {
            error("ERROR", "42501", "");
        } else {
            backend::copy_data{"x"}.encode(out);
        }
    }

    // what the gate asks for -----------------------------------------
    void take() {
        auto list = std::move(out_.list());
        out_.clear();
        for (auto& a : list)
            interpret(a);
        require(closed_ || gate_->current() != gate::state::closed, "who closes says so");
        require(!closed_ || gate_->current() == gate::state::closed, "closed is for good");
        require(
            (gate_->current() == gate::state::held) == static_cast<bool>(gate_->hold()) || closed_,
            "who is held has a hold");
    }

    void interpret(action& a) {
        const protocol::bytes bytes = a.text.empty() ? a.view : protocol::bytes(a.text);
        switch (a.what) {
            case action::type::leave_databases:
                break;
            case action::type::ask_console:
                gate_->on_shown({});
                break;
            case action::type::to_server:
                require(!closed_, "nothing goes to the server after the end");
                require(a.text.empty() || to_server_.between(), "ours stands between messages");
                to_server_.take(bytes);
                server_.take(bytes);
                break;
            case action::type::to_client:
                to_client_.take(bytes);
                break;
            case action::type::analyse:
                questions_.push_back({question::kind::facts, a.text, 0, {}});
                break;
            case action::type::refresh_catalog:
                questions_.push_back({question::kind::catalog, {}, 0, {}});
                break;
            case action::type::ask_hold:
                gate_->on_asked({}, out_);
                break;
            case action::type::open_hold:
                questions_.push_back({question::kind::hold, a.hold->rule, 0, {}});
                break;
            case action::type::use_opt_outs:
            case action::type::record:
                if (a.ticket == 0) break;
                questions_.push_back({question::kind::record, {}, a.ticket, {}});
                ++tickets_;
                break;
            case action::type::withdraw_hold:
                withdrawn_ = a.hold_number;
                break;
            case action::type::end_transaction:
                end_passes(policy::pass_scope::transaction);
                break;
            case action::type::close:
                check_end(a.text);
                closed_ = true;
        }
    }

    /// A session ends for reasons that are there.
    void check_end(std::string_view why) const {
        require(why.find("without its permit") == why.npos, "what is sent was decided");
        if (server_.lied) return;
        require(why.find("the server sent") == why.npos, "what the server says is understood");
        require(!tidy_ || why == "client terminated" ||
                    why.find("Sync inside of COPY") != why.npos ||
                    why.find("the role of the session") != why.npos,
                "a client that keeps to the protocol is served");
    }

    void answer(unsigned how) {
        if (questions_.empty()) return;
        const auto at = questions_.begin() + static_cast<std::ptrdiff_t>(how % questions_.size());
        const auto q = *at;
        questions_.erase(at);
        how /= 16;
        switch (q.what) {
            case question::kind::facts:
                gate_->on_facts(facts_of(q.text, gate_->strings_conform()), out_);
                break;
            case question::kind::catalog:
                gate_->on_catalog(out_);
                break;
            case question::kind::hold:
                if (how == 0) {
                    gate_->on_hold_opened({}, "disk full", out_);
                    break;
                }
                ++holds_;
                questions_.push_back({question::kind::outcome, q.text, 0, {holds_}});
                gate_->on_hold_opened({holds_}, "", out_);
                break;
            case question::kind::outcome:
                gate_->on_hold_outcome(outcome_of(q, how), out_);
                break;
            case question::kind::record:
                record(q.ticket, how != 0);
                break;
        }
        resume();
    }

    void record(std::uint32_t ticket, bool well) {
        recorded_ += well ? 1 : 0;
        record_failed_ = record_failed_ || !well;
        gate_->on_recorded(ticket + 1'000'000, proxy::audit::fake_receipts::make(), "", out_);
        gate_->on_recorded(ticket, well ? proxy::audit::fake_receipts::make() : nullptr,
                           well ? "" : "disk full", out_);
        if (--tickets_ > 0) return;
        server_.credits = std::exchange(record_failed_, false) ? 0 : recorded_;
        recorded_ = 0;
    }

    proxy::approval::hold_outcome outcome_of(const question& q, unsigned how) {
        using state = policy::hold_state;
        constexpr state states[] = {state::denied, state::expired, state::withdrawn};
        proxy::approval::hold_outcome o;
        o.id = q.hold;
        o.decided_by = "bob";
        if (how < 3) {
            o.state = states[how];
            return o;
        }
        o.state = state::approved;
        policy::pass p;
        p.id = {1000 + q.hold.value};
        p.from_hold = q.hold;
        p.scope = how < 8    ? policy::pass_scope::statement
                  : how < 12 ? policy::pass_scope::transaction
                             : policy::pass_scope::session;
        p.rule = q.text;
        p.person = "alice";
        p.target = "shop";
        p.session = {1};
        p.until = clock_.at + std::chrono::minutes(1);
        p.approved_by = "bob";
        o.pass = p;
        if (p.scope != policy::pass_scope::statement) {
            auto g = std::make_shared<policy::grants>(*env_.grants);
            g->passes.push_back(p);
            env_.grants = g;
        }
        return o;
    }

    // the world around -----------------------------------------------
    [[nodiscard]] policy::opt_out opt_out() const {
        policy::opt_out o;
        o.id = {1};
        o.state = policy::opt_out_state::active;
        o.rule = "pii";
        o.person = "alice";
        o.from = clock_.at - std::chrono::hours(1);
        o.until = clock_.at + std::chrono::minutes(2);
        return o;
    }
    void set_opt_out(bool live) {
        auto g = env_.grants ? std::make_shared<policy::grants>(*env_.grants)
                             : std::make_shared<policy::grants>();
        g->opt_outs.clear();
        if (live) g->opt_outs.push_back(opt_out());
        env_.grants = g;
    }
    void end_passes(policy::pass_scope scope) {
        auto g = std::make_shared<policy::grants>(*env_.grants);
        std::erase_if(g->passes, [&](const policy::pass& p) { return p.scope == scope; });
        env_.grants = g;
    }
    void change_world(unsigned how) {
        switch (how % 8) {
            case 0:
                clock_.at += std::chrono::seconds(how < 8 ? 5 : 90);
                break;
            case 1:
                set_opt_out(true);
                break;
            case 2:
                set_opt_out(false);
                gate_->drain(opt_out(), clock_.at + std::chrono::seconds(30));
                break;
            case 3:
                set_opt_out(false);
                break;
            case 4:
                end_passes(policy::pass_scope::session);
                break;
            case 5:
                env_.rules = rules(how < 8);
                break;
            case 6:
                gate_->set_refuse_holds(how < 8);
                break;
            default:
                facts_.elsewhere = how < 8;
        }
    }

    // ends -----------------------------------------------------------
    /// A client and a server that keep to the protocol, everything answered: nothing is left.
    void come_to_rest() {
        frontend::copy_fail{"over"}.encode(unsent_);
        frontend::sync{}.encode(unsent_);
        for (int turn = 0; turn < 2'000 && !closed_; ++turn) {
            arrive(unsent_.size(), gate::patience::waited);
            if (!closed_) deliver(server_.replies.size());
            const bool asked = !questions_.empty();
            if (!closed_) answer(0);
            if (client_.empty() && server_.replies.empty() && !asked) break;
        }
        if (closed_) return;
        require(client_.empty(), "every message of the client is taken");
        require(gate_->replies().empty(), "every message is answered");
        require(gate_->current() == gate::state::open, "and the gate is open");
        require(!gate_->keeps_replies() && to_client_.between(), "the client has all of it");
    }

    /// What comes when it is over moves nothing; a hold that was opened too late is taken back.
    void answer_late() {
        for (const auto& q : questions_) {
            switch (q.what) {
                case question::kind::facts:
                    gate_->on_facts(facts_of(q.text, true), out_);
                    break;
                case question::kind::catalog:
                    gate_->on_catalog(out_);
                    break;
                case question::kind::hold:
                    gate_->on_hold_opened({++holds_}, "", out_);
                    take();
                    require(withdrawn_.value == holds_, "a hold opened too late is withdrawn");
                    break;
                case question::kind::outcome:
                    gate_->on_hold_outcome(outcome_of(q, 3), out_);
                    break;
                case question::kind::record:
                    gate_->on_recorded(q.ticket, proxy::audit::fake_receipts::make(), "", out_);
                    break;
            }
            take();
        }
        require(gate_->on_client(client_, gate::patience::waited, out_) == 0, "it is over");
        take();
    }

    std::string_view steps_;
    fixed_clock clock_;
    sometimes_facts facts_;
    proxy::session::prepared_transactions prepared_;
    proxy::session::gate_environment env_;
    std::unique_ptr<gate> gate_;
    actions out_;
    gate_server server_;
    framing to_server_{protocol::frontend_limits};
    framing to_client_{protocol::backend_limits};
    std::string unsent_;   ///< of the client, still on the way
    std::string client_;   ///< has arrived, and is not consumed
    std::string arrived_;  ///< of the server
    std::vector<question> questions_;
    std::size_t tickets_ = 0;  ///< records asked for, not answered
    unsigned recorded_ = 0;
    bool record_failed_ = false;
    std::uint64_t holds_ = 0;
    policy::hold_id withdrawn_;
    bool two_tables_ = false;
    bool replication_ = false;
    bool tidy_ = true;  ///< the client has sent whole messages only
    bool closed_ = false;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    proxy::auth::begin_anew();
    conversation(fuzz::as_text(data, size)).run();
    return 0;
}
