#include <algorithm>
#include <thread>

#include <gtest/gtest.h>

#include "tests/model/world.h"

/// Everything at random, one after the other and all at once.
namespace sallyport::model {

using policy::opt_out_kind;

void world::step() {
    if (!m_.off()) {
        holds_in_doubt_.clear();
        opt_outs_in_doubt_.clear();
    }
    tick();
    switch (pick(32)) {
        case 0:
        case 1:
        case 2:
        case 3:
        case 4:
        case 5:
        case 6:
            return run_statement();
        case 7:
        case 8:
        case 9:
        case 10:
        case 11:
        case 12:
            return vote_on_hold();
        case 13:
            return withdraw_vote();
        case 14:
            return leave();
        case 15:
            if (chance(3)) return end_transaction();
            return chance(2) ? end_session() : escalate();
        case 16:
            return reassign();
        case 17:
        case 18:
        case 19:
            return request_opt_out();
        case 20:
        case 21:
        case 22:
        case 23:
            return vote_on_opt_out();
        case 24:
            return chance(3) ? revoke() : run_statement();
        case 25:
            return review();
        case 26:
            return flag();
        case 27:
            return lift();
        case 28:
            return reload();
        case 29:
            return m_.off() || !chance(6) ? run_statement() : crash();
        default:
            return pass_time();
    }
}

void world::compare() {
    tick();
    for (auto& [id, h] : o_.holds) {
        const auto got = machine::ask<std::optional<policy::hold>>(
            [&, n = id](auto done) { m_.s().get_hold(policy::hold_id{n}, done); });
        ASSERT_TRUE(got) << "hold " << id;
        ASSERT_STREQ(to_string(got->state), to_string(h.state)) << "hold " << id;
        ASSERT_EQ(got->assigned.to, h.task_of) << "hold " << id;
        for (const auto& [session, heard] : h.waiters) {
            const std::lock_guard lock(heard->mutex);
            ASSERT_EQ(heard->heard.size(), h.state == hold_state::pending ? 0u : 1u)
                << "hold " << id << ", session " << session;
            if (!heard->heard.empty()) {
                ASSERT_STREQ(to_string(heard->heard[0].state), to_string(h.state));
            }
        }
    }
    std::set<std::uint64_t> live;
    for (const auto& o : m_.s().grants()->opt_outs)
        live.insert(o.id.value);
    for (const auto& [id, o] : o_.opt_outs) {
        const auto got = machine::ask<std::optional<policy::opt_out>>(
            [&, n = id](auto done) { m_.s().get_opt_out(policy::opt_out_id{n}, done); });
        ASSERT_TRUE(got) << "opt-out " << id;
        ASSERT_STREQ(to_string(got->state), to_string(o.state)) << "opt-out " << id;
        ASSERT_EQ(got->uses, o.uses) << "opt-out " << id;
        ASSERT_EQ(live.contains(id), o.state == opt_out_state::active) << "opt-out " << id;
        if (o.state == opt_out_state::active) {
            ASSERT_EQ(got->until, o.until) << "opt-out " << id;
        }
    }
    const auto reviews = machine::ask<std::vector<policy::review>>(
        [&](auto done) { m_.s().list_reviews(policy::review_state::open, done); });
    const auto open = std::count_if(o_.reviews.begin(), o_.reviews.end(),
                                    [](const auto& r) { return r.second.open; });
    ASSERT_EQ(reviews.size(), static_cast<std::size_t>(open));
    check_lifetimes();
}

void world::stampede() {
    constexpr int threads = 8;
    constexpr int attempts = 125;  // each: 1,000 in all
    tick();
    std::uint64_t id = 0;
    for (const auto& [n, o] : o_.opt_outs)
        if (o_.is_live(o, now())) id = n;
    if (id == 0) return;
    auto& o = o_.opt_outs.at(id);
    const auto left = o.uses_max == 0 ? threads * attempts : o.uses_max - o.uses;
    const bool revoked = chance(3);
    std::mutex mutex;
    std::vector<std::uint64_t> receipts;
    int answers = 0;
    {
        std::vector<std::jthread> crowd;
        for (int t = 0; t < threads; ++t)
            crowd.emplace_back([&] {
                for (int i = 0; i < attempts; ++i) {
                    proxy::audit::record r;
                    r.event = "bypass";
                    r.at = now();
                    r.with("user", o.who);
                    m_.s().use({{policy::opt_out_id{id}}, std::move(r), called(o.who).principal()},
                               [&](std::unique_ptr<proxy::audit::receipt> got, const auto&) {
                                   const std::lock_guard lock(mutex);
                                   ++answers;
                                   if (got) receipts.push_back(got->sequence());
                               });
                }
            });
        if (revoked)
            static_cast<void>(machine::ask<answer>([&](auto done) {
                m_.s().revoke(
                    {policy::opt_out_id{id}, called(o.who).principal(), "enough", "api", false},
                    done);
            }));
    }
    m_.settle();
    m_.settle();
    const std::lock_guard lock(mutex);
    ASSERT_EQ(answers, threads * attempts);
    if (revoked) {
        ASSERT_LE(receipts.size(), left) << "opt-out " << id << " is used too often";
    } else {
        ASSERT_EQ(receipts.size(), std::min<std::uint64_t>(left, threads * attempts));
    }
    passed += receipts.size();
    for (const auto sequence : receipts)
        told_.push_back({id, sequence});
    adopt(true);
}

/// Somebody at one of many surfaces, with a mind of her own.
class surface {
  public:
    surface(world& w, std::uint64_t seed, std::vector<std::uint64_t> holds,
            std::vector<std::uint64_t> opt_outs)
        : w_(w), random_(seed), holds_(std::move(holds)), opt_outs_(std::move(opt_outs)) {}

    void run() {
        for (int i = 0; i < 25; ++i)
            one();
        const std::lock_guard lock(mutex_);
    }
    [[nodiscard]] int waiting() const { return asked_ - answered_; }

  private:
    std::uint64_t pick(std::uint64_t below) { return random_() % below; }
    steward::on_answer heard() {
        ++asked_;
        return [this](const answer&) { ++answered_; };
    }
    void one() {
        auto& s = w_.m_.s();
        const auto who = people()[pick(people().size())].principal();
        const auto to = people()[pick(people().size())].principal();
        const auto at = pick(12);
        if (!holds_.empty() && at < 7) {
            const policy::hold_id id{holds_[pick(holds_.size())]};
            if (at < 4)
                s.vote(
                    steward::hold_vote{
                        id, who, pick(5) != 0, "because", pass_scope::statement, {}, "api"},
                    heard());
            else if (at == 4)
                s.withdraw_vote(id, who, "api", heard());
            else if (at == 5)
                s.reassign({id, who, to, "why", "api", pick(2) == 0}, heard());
            else if (pick(4) == 0)
                s.withdraw(id, "left");
            else
                s.escalate(id, who, true, heard());
        } else if (!opt_outs_.empty() && at < 11) {
            const policy::opt_out_id id{opt_outs_[pick(opt_outs_.size())]};
            if (at < 9)
                s.vote(steward::opt_out_vote{id, who, pick(5) != 0, "because", "api"}, heard());
            else if (at == 9)
                s.withdraw_vote(id, who, "api", heard());
            else
                s.revoke({id, who, "enough", "api", pick(3) == 0}, heard());
        }
    }

    world& w_;
    std::mt19937_64 random_;
    std::vector<std::uint64_t> holds_, opt_outs_;
    std::mutex mutex_;
    std::atomic<int> asked_{0}, answered_{0};
};

void world::melee() {
    tick();
    std::vector<std::uint64_t> holds;
    std::vector<std::uint64_t> opt_outs;
    for (const auto& [id, h] : o_.holds)
        if (h.state == hold_state::pending && holds.size() < 4) holds.push_back(id);
    for (const auto& [id, o] : o_.opt_outs)
        if (o.state == opt_out_state::requested && opt_outs.size() < 4) opt_outs.push_back(id);
    if (holds.empty() && opt_outs.empty()) return;
    std::vector<std::unique_ptr<surface>> all;
    for (int i = 0; i < 4; ++i)
        all.push_back(std::make_unique<surface>(*this, random_(), holds, opt_outs));
    const auto t = changed(o_.now_in_force);
    const bool reloads = chance(2);
    if (reloads) load(t);
    {
        std::vector<std::jthread> crowd;
        for (auto& s : all)
            crowd.emplace_back([&s] { s->run(); });
        if (reloads) m_.s().set_rules(rules_);
        if (chance(2)) m_.pass(up_to(20min));
    }
    m_.settle();
    m_.settle();
    for (const auto& s : all)
        ASSERT_EQ(s->waiting(), 0) << "a call without an answer";
    tick();
    adopt(true);
    for (const auto& [id, h] : o_.holds)
        for (const auto& [session, heard] : h.waiters) {
            const std::lock_guard lock(heard->mutex);
            ASSERT_EQ(heard->heard.size(), h.state == hold_state::pending ? 0u : 1u)
                << "hold " << id << ", session " << session;
            if (heard->heard.empty()) continue;
            ASSERT_STREQ(to_string(heard->heard[0].state), to_string(h.state));
            if (h.state == hold_state::approved) released_.insert(id);
        }
    check_begun();
}

}  // namespace sallyport::model
