#include <deque>
#include <map>
#include <random>

#include <gtest/gtest.h>

#include "policy/load.h"
#include "policy/sql/analyse.h"
#include "protocol/backend.h"
#include "protocol/frontend.h"
#include "protocol/trace.h"
#include "proxy/session/gate.h"

/// Random conversations between a hostile client, the gate and a server that keeps its own books of
/// names, transactions and what it skips. Whatever is sent in whatever order, the server never runs
/// what nobody approved.
namespace sallyport::tests {
namespace {

namespace frontend = protocol::frontend;
namespace backend = protocol::backend;
using proxy::session::action;
using proxy::session::actions;
using proxy::session::gate;

constexpr const char* secret = "select ssn from pii.customers";

class fixed_clock final : public proxy::clock {
  public:
    [[nodiscard]] policy::instant now() const noexcept override {
        return policy::instant{std::chrono::hours(24 * 365 * 56)};
    }
};

class direct_facts final : public proxy::session::facts_source {
  public:
    policy::facts_ptr find(std::string_view sql, bool) override {
        return policy::sql::analyse(sql, {});
    }
};

/// What PostgreSQL does with names, errors and Sync, as far as the gate depends on it.
class server_model {
  public:
    explicit server_model(std::mt19937_64& random) : random_(random) {}

    std::string replies;
    bool ran_secret = false;

    void take(protocol::bytes bytes) {
        in_ += bytes;
        protocol::bytes rest = in_;
        for (;;) {
            const auto f = protocol::try_take_frame(rest, protocol::frontend_limits);
            if (f.error != protocol::errc::ok) break;
            message(f.value.whole[0], f.value.whole.substr(protocol::frame_header_bytes));
        }
        in_.erase(0, in_.size() - rest.size());
    }

  private:
    bool percent(unsigned p) { return random_() % 100 < p; }

    void message(char tag, protocol::bytes body) {
        if (skipping_ && tag != 'S' && tag != 'X') return;
        switch (tag) {
            case 'Q': {
                statements_.erase("");
                const auto q = frontend::query::decode(body);
                if (!q || !run(std::string(q->sql))) fail();
                ready();
                break;
            }
            case 'P': {
                const auto p = frontend::parse::decode(body);
                if (!p || percent(4) || p->sql.starts_with("sallyport")) return fail_and_skip();
                if (p->sql.find("; ") != std::string_view::npos) return fail_and_skip();
                if (!p->statement.empty() && statements_.count(std::string(p->statement)) != 0)
                    return fail_and_skip();
                statements_[std::string(p->statement)] = p->sql;
                backend::parse_complete{}.encode(replies);
                break;
            }
            case 'B': {
                const auto b = frontend::bind::decode(body);
                const auto found =
                    b ? statements_.find(std::string(b->statement)) : statements_.end();
                if (found == statements_.end() || percent(4)) return fail_and_skip();
                if (status_ == 'E' && found->second != "rollback") return fail_and_skip();
                portals_[std::string(b->portal)] = found->second;
                backend::bind_complete{}.encode(replies);
                break;
            }
            case 'D': {
                const auto d = frontend::describe::decode(body);
                const bool statement = d && d->kind == frontend::named_kind::statement;
                const auto& names = statement ? statements_ : portals_;
                if (!d || names.count(std::string(d->name)) == 0) return fail_and_skip();
                if (statement) backend::parameter_description{}.encode(replies);
                backend::no_data{}.encode(replies);
                break;
            }
            case 'E': {
                const auto e = frontend::execute::decode(body);
                const auto found = e ? portals_.find(std::string(e->portal)) : portals_.end();
                if (found == portals_.end() || !run(std::string(found->second)))
                    return fail_and_skip();
                break;
            }
            case 'C': {
                const auto c = frontend::close::decode(body);
                if (!c) return fail_and_skip();
                (c->kind == frontend::named_kind::statement ? statements_ : portals_)
                    .erase(std::string(c->name));
                backend::close_complete{}.encode(replies);
                break;
            }
            case 'S':
                skipping_ = false;
                ready();
                break;
            default:
                break;
        }
    }

    // Statements divided by "; ", as the client below writes them.
    bool run(const std::string& text) {
        std::size_t at = 0;
        while (at <= text.size()) {
            const auto end = std::min(text.find("; ", at), text.size());
            if (!run_one(text.substr(at, end - at))) return false;
            at = end + 2;
        }
        return true;
    }

    bool run_one(const std::string& sql) {
        if (sql == "rollback" || sql == "commit") {
            status_ = 'I';
            portals_.clear();
        } else if (status_ == 'E' || percent(4) || sql.starts_with("sallyport")) {
            return false;
        } else if (sql == "begin") {
            status_ = 'T';
        } else if (sql.starts_with("prepare s1 as ")) {
            if (statements_.count("s1") != 0) return false;
            statements_["s1"] = sql.substr(14);
        } else if (sql == "deallocate s1") {
            if (statements_.erase("s1") == 0) return false;
        } else if (sql == "deallocate all") {
            std::erase_if(statements_, [](const auto& s) { return !s.first.empty(); });
        } else if (sql == "execute s1") {
            const auto found = statements_.find("s1");
            if (found == statements_.end()) return false;
            return run_one(std::string(found->second));  // it may remove itself
        }
        ran_secret = ran_secret || sql == secret;
        backend::command_complete{"OK"}.encode(replies);
        return true;
    }

    void fail() {
        if (status_ == 'T') status_ = 'E';
        backend::error_response e;
        e.fields = {{'S', "ERROR"}, {'V', "ERROR"}, {'C', "XX000"}, {'M', "no"}};
        e.encode(replies);
    }
    void fail_and_skip() {
        fail();
        skipping_ = true;
    }
    void ready() {
        if (status_ == 'I') portals_.clear();
        backend::ready_for_query{static_cast<backend::transaction_status>(status_)}.encode(replies);
    }

    std::mt19937_64& random_;
    std::string in_;
    std::map<std::string, std::string> statements_;
    std::map<std::string, std::string> portals_;
    char status_ = 'I';
    bool skipping_ = false;
};

class conversation {
  public:
    conversation(std::uint64_t seed, const policy::rule_set_ptr& rules) : random_(seed) {
        env_.rules = rules;
        env_.grants = std::make_shared<policy::grants>();
        env_.facts = &facts_;
        env_.time = &clock_;
        policy::subject s;
        s.principal = {"alice", {"dev"}, false};
        s.target = "shop";
        s.session = {1};
        gate_ = std::make_unique<gate>(
            env_, s, proxy::session::gate_limits{},
            std::make_shared<const protocol::frame_limits>(protocol::make_frontend_limits()));
    }

    void run() {
        for (int step = 0; step < 60 && !closed_; ++step) {
            if (random_() % 100 < 60)
                client_ += client_message();
            else
                deliver(1 + random_() % 40);
            if (random_() % 3 == 0)
                pump(random_() % 10 == 0 ? gate::patience::waited : gate::patience::normal);
            ASSERT_FALSE(server_.ran_secret) << said_;
        }
        frontend::sync{}.encode(client_);
        for (int i = 0; i < 2'000 && !closed_; ++i) {
            pump(gate::patience::waited);
            deliver(server_.replies.size());
            if (client_.empty() && server_.replies.empty()) break;
        }
        ASSERT_FALSE(server_.ran_secret) << said_;
        if (!closed_) {
            EXPECT_EQ(client_.size(), 0u) << "not taken to the end:\n" << said_;
            EXPECT_TRUE(gate_->replies().empty()) << said_;
        }
    }

  private:
    std::string text() {
        static const std::vector<std::string> all{secret,
                                                  secret,
                                                  "select 1",
                                                  "select 2",
                                                  "begin",
                                                  "rollback",
                                                  "commit",
                                                  "prepare s1 as select 1",
                                                  "execute s1",
                                                  "deallocate s1",
                                                  "deallocate all",
                                                  "selct 1",
                                                  "",
                                                  "rollback; select 1",
                                                  std::string("prepare s1 as ") + secret,
                                                  std::string("rollback; ") + secret};
        return all[random_() % all.size()];
    }
    std::string name() {
        static const std::vector<std::string> all{"", "", "s1", "s1", "s2"};
        return all[random_() % all.size()];
    }

    std::string client_message() {
        std::string out;
        const auto n = random_() % 100;
        const auto sql = text();
        const auto a = name();
        const auto b = name();
        using frontend::named_kind;
        if (n < 20)
            frontend::query{sql}.encode(out);
        else if (n < 42)
            frontend::parse{a, sql, {}}.encode(out);
        else if (n < 60) {
            frontend::bind m;
            m.portal = a;
            m.statement = b;
            m.encode(out);
        } else if (n < 76)
            frontend::execute{a, 0}.encode(out);
        else if (n < 82)
            frontend::close{n % 2 == 0 ? named_kind::statement : named_kind::portal, a}.encode(out);
        else if (n < 86)
            frontend::describe{n % 2 == 0 ? named_kind::statement : named_kind::portal, a}.encode(
                out);
        else if (n < 92)
            frontend::flush{}.encode(out);
        else
            frontend::sync{}.encode(out);
        said_ += "C " + protocol::trace_frontend(out) + "\n";
        return out;
    }

    void pump(gate::patience p) {
        while (!closed_ && !gate_->blocked() && !client_.empty()) {
            const auto used = gate_->on_client(client_, p, out_);
            const bool idle = used == 0 && out_.empty();
            take();
            client_.erase(0, used);
            if (idle) break;
        }
    }

    void deliver(std::size_t bytes) {
        arrived_ += server_.replies.substr(0, bytes);
        server_.replies.erase(0, bytes);
        const auto used = gate_->on_server(arrived_, out_);
        take();
        arrived_.erase(0, used);
    }

    void take() {
        auto list = std::move(out_.list());
        out_.clear();
        for (auto& a : list) {
            const std::string bytes = a.text.empty() ? std::string(a.view) : a.text;
            if (a.what == action::type::to_server) {
                said_ += "  S " + protocol::quote(bytes) + "\n";
                server_.take(bytes);
            } else if (a.what == action::type::close) {
                closed_ = true;
            } else if (a.what == action::type::open_hold) {
                ++hold_;
                gate_->on_hold_opened({hold_}, "", out_);
                proxy::approval::hold_outcome o;
                o.id = {hold_};
                o.decided_by = "bob";
                o.state = policy::hold_state::denied;
                gate_->on_hold_outcome(o, out_);
                take();
            }
        }
    }

    std::mt19937_64 random_;
    fixed_clock clock_;
    direct_facts facts_;
    proxy::session::gate_environment env_;
    std::unique_ptr<gate> gate_;
    actions out_;
    server_model server_{random_};
    std::string client_;
    std::string arrived_;
    std::string said_;
    std::uint64_t hold_ = 0;
    bool closed_ = false;
};

TEST(gate_random, server_never_runs_what_nobody_approved_and_every_message_is_taken) {
    const auto loaded = policy::load_policy(
        std::string(SALLYPORT_SOURCE_DIR) + "/tests/data/transcripts/policy.yaml", {});
    ASSERT_NE(loaded.rules, nullptr);
    for (std::uint64_t seed = 1; seed <= 20'000 && !HasFailure(); ++seed) {
        SCOPED_TRACE("seed " + std::to_string(seed));
        conversation(seed, loaded.rules).run();
    }
}

}  // namespace
}  // namespace sallyport::tests
