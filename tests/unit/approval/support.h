#pragma once

#include <atomic>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <future>
#include <map>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include "proxy/approval/steward.h"
#include "proxy/audit/read.h"

/// A steward on a real log and a real store, with a clock that only the test moves.
namespace sallyport::proxy::approval::testing {

using policy::hold_state;
using policy::instant;
using policy::milliseconds;
using policy::opt_out_state;
using policy::pass_scope;
using namespace std::chrono_literals;

class test_clock final : public clock {
  public:
    [[nodiscard]] instant now() const noexcept override {
        return instant(milliseconds(ms_.load()));
    }
    void advance(milliseconds by) { ms_ += by.count(); }

  private:
    std::atomic<std::int64_t> ms_{1'772'357'400'000};
};

/// Disk faults of the log: fails every write whose bytes contain `needle` (all if it is "").
class audit_fault {
  public:
    void fail_on(std::string needle) {
        const std::lock_guard lock(mutex_);
        needle_ = std::move(needle);
        on_ = true;
    }
    void clear() {
        const std::lock_guard lock(mutex_);
        on_ = false;
    }
    std::error_code operator()(std::string_view operation, std::string_view bytes) {
        const std::lock_guard lock(mutex_);
        const bool hit = on_ && operation == "write" && bytes.find(needle_) != std::string::npos;
        return hit ? std::make_error_code(std::errc::no_space_on_device) : std::error_code();
    }

  private:
    std::mutex mutex_;
    std::string needle_;
    bool on_ = false;
};

/// The real store, with a switch that makes every call fail as on a full disk.
class failing_store final : public store::store {
  public:
    explicit failing_store(std::unique_ptr<store> inner) : inner_(std::move(inner)) {}
    std::atomic<bool> broken{false};
    std::function<void()> before;  ///< asked before each call, may throw; set before it is used

    policy::hold_id add_hold(const policy::hold& h) override { return ok().add_hold(h); }
    void add_hold_vote(policy::hold_id id, const policy::vote& v) override {
        ok().add_hold_vote(id, v);
    }
    bool move_hold(policy::hold_id id, hold_state from, hold_state to, const std::string& reason,
                   instant at, const policy::vote* v, policy::pass* p) override {
        return ok().move_hold(id, from, to, reason, at, v, p);
    }
    bool assign_hold(policy::hold_id id, const policy::hold::assignment& a) override {
        return ok().assign_hold(id, a);
    }
    std::optional<policy::hold> get_hold(policy::hold_id id) override { return ok().get_hold(id); }
    std::vector<policy::hold> list_holds(std::optional<hold_state> s, std::size_t n) override {
        return ok().list_holds(s, n);
    }
    std::vector<policy::hold> withdraw_orphans(instant at, const std::string& why) override {
        return ok().withdraw_orphans(at, why);
    }
    policy::opt_out_id add_opt_out(const policy::opt_out& o) override {
        return ok().add_opt_out(o);
    }
    void add_opt_out_vote(policy::opt_out_id id, const policy::vote& v) override {
        ok().add_opt_out_vote(id, v);
    }
    bool move_opt_out(policy::opt_out_id id, const opt_out_change& c) override {
        return ok().move_opt_out(id, c);
    }
    std::optional<std::uint64_t> use_opt_out(policy::opt_out_id id, instant now) override {
        return ok().use_opt_out(id, now);
    }
    std::vector<std::optional<std::vector<std::uint64_t>>> use_opt_outs(
        const std::vector<std::vector<policy::opt_out_id>>& r, instant now) override {
        return ok().use_opt_outs(r, now);
    }
    std::optional<policy::opt_out> get_opt_out(policy::opt_out_id id) override {
        return ok().get_opt_out(id);
    }
    std::vector<policy::opt_out> list_opt_outs(std::optional<opt_out_state> s,
                                               std::size_t n) override {
        return ok().list_opt_outs(s, n);
    }
    std::vector<policy::opt_out> opt_outs_since(const std::string& rule, instant since) override {
        return ok().opt_outs_since(rule, since);
    }
    bool withdraw_vote(policy::hold_id id, const std::string& person, instant at) override {
        return ok().withdraw_vote(id, person, at);
    }
    bool withdraw_vote(policy::opt_out_id id, const std::string& person, instant at) override {
        return ok().withdraw_vote(id, person, at);
    }
    std::vector<policy::review> list_reviews(std::optional<policy::review_state> s,
                                             std::size_t n) override {
        return ok().list_reviews(s, n);
    }
    std::optional<policy::review> get_review(policy::opt_out_id id) override {
        return ok().get_review(id);
    }
    bool close_review(policy::opt_out_id id, policy::review_state to, const std::string& by,
                      const std::string& note, instant at) override {
        return ok().close_review(id, to, by, note, at);
    }
    void note_overdue(policy::opt_out_id id, instant at) override { ok().note_overdue(id, at); }
    policy::flag_id add_flag(const policy::flag& f) override { return ok().add_flag(f); }
    bool lift_flag(policy::flag_id id, const std::string& by, const std::string& reason,
                   instant at) override {
        return ok().lift_flag(id, by, reason, at);
    }
    std::vector<policy::flag> list_flags(std::optional<instant> live, std::size_t n) override {
        return ok().list_flags(live, n);
    }
    std::vector<policy::pass> list_passes(instant now) override { return ok().list_passes(now); }
    void end_session_passes(policy::session_id id, instant at) override {
        ok().end_session_passes(id, at);
    }
    void end_transaction_passes(policy::session_id id, instant at) override {
        ok().end_transaction_passes(id, at);
    }
    void end_pass(policy::pass_id id, instant at) override { ok().end_pass(id, at); }
    void end_bound_passes(instant at) override { ok().end_bound_passes(at); }
    std::vector<policy::hold> list_ahead(instant now) override { return ok().list_ahead(now); }
    void add_pass(policy::pass& p) override { ok().add_pass(p); }
    void atomically(const std::function<void()>& f) override {
        ok().atomically([&] {
            f();
            static_cast<void>(ok());
        });
    }
    void add_notice(const policy::notice& n, const std::vector<std::string>& c) override {
        ok().add_notice(n, c);
    }
    std::vector<proxy::store::delivery> due(const std::string& c, instant now,
                                            std::size_t n) override {
        return ok().due(c, now, n);
    }
    instant next_due(const std::string& c) override { return ok().next_due(c); }
    void settle(const std::vector<proxy::store::delivery_outcome>& o) override { ok().settle(o); }
    std::vector<proxy::store::delivery> close_channels(const std::vector<std::string>& but,
                                                       const std::string& why,
                                                       instant at) override {
        return ok().close_channels(but, why, at);
    }
    std::vector<proxy::store::channel_backlog> backlog() override { return ok().backlog(); }
    std::vector<proxy::store::delivery> troubled(std::size_t n) override {
        return ok().troubled(n);
    }
    std::size_t trim(instant until) override { return ok().trim(until); }
    void probe() override { ok().probe(); }
    std::uint64_t next_boot_number() override { return ok().next_boot_number(); }
    std::string mock_secret() override { return ok().mock_secret(); }

  private:
    store& ok() {
        if (before) before();
        if (broken) throw proxy::store::store_error("state: the disk is full");
        return *inner_;
    }
    std::unique_ptr<store> inner_;
};

inline policy::principal person(const std::string& name, std::vector<std::string> groups = {}) {
    return {name, std::move(groups), false};
}
inline policy::principal bob() {
    return person("bob", {"security"});
}
inline policy::principal carol() {
    return person("carol", {"security"});
}
inline policy::principal alice() {
    return person("alice", {"dev", "oncall", "security"});
}

/// One holding rule "pii": approvers security, opt-outs for oncall.
inline std::shared_ptr<policy::rule_set> pii_rules(int approvals = 1) {
    auto rules = std::make_shared<policy::rule_set>();
    rules->hash = "0123";
    policy::rule r;
    r.id = "pii";
    r.effect = policy::effect::hold;
    policy::hold_spec h;
    h.who.groups = {"security"};
    h.who.approvals = approvals;
    h.pass.shape = 30min;
    h.pass.transaction = 10min;
    h.pass.session = 1h;
    r.hold = h;
    policy::opt_out_spec o;
    o.who.groups = {"oncall"};
    o.approved_by.groups = {"security"};
    o.approved_by.approvals = approvals;
    o.max_duration = 4h;
    o.max_uses = 5;
    o.at_end = policy::at_end::kill;
    r.opt_out = o;
    rules->rules.push_back(r);
    return rules;
}

class steward_test : public ::testing::Test {
  protected:
    steward_test() {
        std::string name =
            (std::filesystem::temp_directory_path() / "approval_test.XXXXXX").string();
        if (!::mkdtemp(name.data())) std::abort();
        directory = name;
        boot(pii_rules());
    }
    ~steward_test() override {
        shut();
        std::error_code ignored;
        std::filesystem::remove_all(directory, ignored);
    }
    steward_test(const steward_test&) = delete;
    steward_test& operator=(const steward_test&) = delete;

    void boot(policy::rule_set_ptr rules) {
        state = std::make_unique<failing_store>(store::open_sqlite(directory + "/state.db"));
        audit::log_options o;
        o.directory = directory + "/audit";
        o.signing_key = directory + "/audit.key";
        o.fault_hook = [this](std::string_view operation, std::string_view bytes) {
            return fault(operation, bytes);
        };
        log = std::make_unique<audit::log>(o);
        const auto who_now = [this](const policy::principal& then) {
            const std::lock_guard lock(mutex);
            const auto at = everybody.find(then.name);
            return at == everybody.end() ? std::optional(then) : at->second;
        };
        s = std::make_unique<steward>(steward::dependencies{state.get(), log.get(), &time, who_now},
                                      std::move(rules));
        s->subscribe_ended([this](const steward::ended_event& e) {
            const std::lock_guard lock(mutex);
            ended.push_back(e);
        });
        s->start();
    }
    /// From now on `name` is this person; nullopt: no user any more. The steward's thread may ask
    /// at any time.
    void is_now(const std::string& name, std::optional<policy::principal> who) {
        const std::lock_guard lock(mutex);
        everybody[name] = std::move(who);
    }
    void shut() {
        s.reset();
        log.reset();
        state.reset();
    }
    void restart(policy::rule_set_ptr rules = pii_rules()) {
        shut();
        boot(std::move(rules));
    }
    /// Everything asked before has been done when this returns, receipts aside.
    void settle() {
        std::promise<void> p;
        s->list_passes([&](const auto&) { p.set_value(); });
        p.get_future().wait();
    }
    void advance(milliseconds by) {
        time.advance(by);
        s->time_moved();
        settle();
    }

    policy::hold wish(const std::string& who = "alice", int approvals = 1) const {
        policy::hold h;
        h.person = who;
        h.target = "shop";
        h.rule = "pii";
        h.statement = "select ssn from customers where id = 7";
        h.redacted = "select ssn from customers where id = $1";
        h.shape = "abcd";
        h.session.value = 42;
        h.who.groups = {"security"};
        h.who.approvals = approvals;
        h.pass = {true, 30min, 10min, 1h};
        h.policy_hash = "0123";
        return h;
    }
    struct opened_hold {
        policy::hold_id id;
        std::string error;
        std::shared_ptr<std::promise<hold_outcome>> outcome;
    };
    opened_hold open(const policy::hold& h, milliseconds wait = 15min) {
        auto outcome = std::make_shared<std::promise<hold_outcome>>();
        std::promise<opened_hold> p;
        s->open_hold(
            h, wait,
            [&](policy::hold_id id, std::string error, instant) {
                p.set_value({id, error, outcome});
            },
            // A second outcome would throw here and end the test.
            [outcome](hold_outcome o) { outcome->set_value(std::move(o)); });
        return p.get_future().get();
    }
    static bool ended_already(std::future<hold_outcome>& f) {
        return f.wait_for(0s) == std::future_status::ready;
    }
    answer vote(policy::hold_id id, const policy::principal& who, bool approve = true,
                pass_scope scope = pass_scope::statement,
                std::optional<milliseconds> lasts = std::nullopt) {
        std::promise<answer> p;
        s->vote(steward::hold_vote{id, who, approve, "because", scope, lasts, "api"},
                [&](answer a) { p.set_value(std::move(a)); });
        return p.get_future().get();
    }
    answer request(milliseconds lasts = 1h, const policy::principal& who = alice()) {
        std::promise<answer> p;
        s->request_opt_out({who, "pii", lasts, "incident", "INC-1", "shop"}, "api",
                           [&](answer a) { p.set_value(std::move(a)); });
        return p.get_future().get();
    }
    answer vote(policy::opt_out_id id, const policy::principal& who, bool approve = true) {
        std::promise<answer> p;
        s->vote(steward::opt_out_vote{id, who, approve, "because", "api"},
                [&](answer a) { p.set_value(std::move(a)); });
        return p.get_future().get();
    }
    answer revoke(policy::opt_out_id id, const policy::principal& who, bool is_admin = false) {
        std::promise<answer> p;
        s->revoke({id, who, "enough", "api", is_admin},
                  [&](answer a) { p.set_value(std::move(a)); });
        return p.get_future().get();
    }
    policy::opt_out_id active_opt_out(milliseconds lasts = 1h) {
        const policy::opt_out_id id{request(lasts).id};
        EXPECT_EQ(vote(id, bob()).what, verdict::done);
        return id;
    }
    struct used {
        std::uint64_t sequence = 0;
        std::string error;
    };
    used use(std::vector<policy::opt_out_id> ids, const std::string& user = "alice") {
        std::promise<used> p;
        s->use({std::move(ids), bypass_by(user), person(user)},
               [&](std::unique_ptr<audit::receipt> r, std::string error) {
                   p.set_value({r ? r->sequence() : 0, std::move(error)});
               });
        return p.get_future().get();
    }
    audit::record bypass_by(const std::string& user) const {
        audit::record r;
        r.event = "bypass";
        r.at = time.now();
        r.with("user", user).with("reason", "the client's");
        return r;
    }
    std::optional<policy::opt_out> get(policy::opt_out_id id) {
        std::promise<std::optional<policy::opt_out>> p;
        s->get_opt_out(id, [&](auto o) { p.set_value(std::move(o)); });
        return p.get_future().get();
    }
    std::optional<policy::hold> get(policy::hold_id id) {
        std::promise<std::optional<policy::hold>> p;
        s->get_hold(id, [&](auto h) { p.set_value(std::move(h)); });
        return p.get_future().get();
    }
    /// Closes the log, then counts the events in it.
    std::map<std::string, int> events() {
        shut();
        std::map<std::string, int> counts;
        audit::for_each_match(directory + "/audit", {}, [&](const audit::parsed_line& line) {
            ++counts[line.event];
            return true;
        });
        return counts;
    }
    std::vector<steward::ended_event> ended_events() {
        const std::lock_guard lock(mutex);
        return ended;
    }

    std::string directory;
    /// Who somebody is now; whoever is not in it is who she was. See is_now().
    std::map<std::string, std::optional<policy::principal>> everybody{{"bob", bob()},
                                                                      {"carol", carol()}};
    test_clock time;
    audit_fault fault;
    std::mutex mutex;
    std::vector<steward::ended_event> ended;
    std::unique_ptr<failing_store> state;
    std::unique_ptr<audit::log> log;
    std::unique_ptr<steward> s;
};

}  // namespace sallyport::proxy::approval::testing
