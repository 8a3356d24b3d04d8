#include <random>
#include <set>

#include "tests/unit/approval/support.h"

/// Random operations against a model that is simple enough to be seen to be right.
namespace sallyport::proxy::approval::testing {
namespace {

class model : public steward_test {
  protected:
    struct held {
        hold_state state = hold_state::pending;
        instant expires_at;
        std::set<std::string> approved_by;
        std::future<hold_outcome> outcome;
    };
    struct exempt {
        opt_out_state state = opt_out_state::requested;
        milliseconds lasts{};
        instant lapses_at;
        instant until;
        std::uint64_t uses = 0;
        std::set<std::string> approved_by;
    };
    static constexpr std::size_t approvals = 2;
    static constexpr std::uint64_t max_uses = 5;

    std::uint64_t pick(std::uint64_t below) { return random() % below; }
    const policy::principal& somebody() { return people[pick(people.size())]; }
    template <class Map>
    typename Map::iterator any(Map& m) {
        return std::next(m.begin(), static_cast<std::ptrdiff_t>(pick(m.size())));
    }

    /// What time alone does to the model.
    void pass_time() {
        for (auto& [id, h] : holds)
            if (h.state == hold_state::pending && time.now() >= h.expires_at)
                h.state = hold_state::expired;
        for (auto& [id, o] : opt_outs) {
            if (o.state == opt_out_state::requested && time.now() >= o.lapses_at)
                o.state = opt_out_state::lapsed;
            if (o.state == opt_out_state::active && time.now() >= o.until)
                o.state = opt_out_state::expired;
        }
    }
    void open_one() {
        const auto wait = milliseconds(1 + static_cast<std::int64_t>(pick(600'000)));
        auto wanted = wish("alice", approvals);
        wanted.application = "job " + std::to_string(holds.size());  // asks for itself
        auto h = open(wanted, wait);
        ASSERT_TRUE(h.id) << h.error;
        auto& mine = holds[h.id.value];
        mine.expires_at = time.now() + wait;
        mine.outcome = h.outcome->get_future();
    }
    void vote_on_hold() {
        if (holds.empty()) return;
        const auto& who = somebody();
        const bool approve = pick(4) != 0;
        auto& [id, h] = *any(holds);
        const auto a = vote(policy::hold_id{id}, who, approve);
        if (h.state != hold_state::pending) {
            EXPECT_EQ(a.what, verdict::conflict) << a.text;
        } else if (who.name == "alice" || who.service || !who.in_group("security")) {
            EXPECT_EQ(a.what, verdict::forbidden) << a.text;
        } else if (h.approved_by.contains(who.name)) {
            EXPECT_EQ(a.what, verdict::conflict) << a.text;
        } else if (!approve) {
            EXPECT_EQ(a.what, verdict::done) << a.text;
            h.state = hold_state::denied;
        } else {
            h.approved_by.insert(who.name);
            const bool enough = h.approved_by.size() == approvals;
            EXPECT_EQ(a.what, enough ? verdict::done : verdict::counted) << a.text;
            if (enough) h.state = hold_state::approved;
        }
    }
    void withdraw_one() {
        if (holds.empty()) return;
        auto& [id, h] = *any(holds);
        s->withdraw(policy::hold_id{id}, "left");
        settle();
        if (h.state == hold_state::pending) h.state = hold_state::withdrawn;
    }
    void request_one() {
        const auto lasts = milliseconds(1 + static_cast<std::int64_t>(pick(7'200'000)));
        const auto a = request(lasts);
        ASSERT_EQ(a.what, verdict::done) << a.text;
        opt_outs[a.id] = {opt_out_state::requested, lasts, time.now() + 24h, {}, 0, {}};
    }
    void vote_on_opt_out() {
        if (opt_outs.empty()) return;
        const auto& who = somebody();
        const bool approve = pick(4) != 0;
        auto& [id, o] = *any(opt_outs);
        const auto a = vote(policy::opt_out_id{id}, who, approve);
        if (o.state != opt_out_state::requested) {
            EXPECT_EQ(a.what, verdict::conflict) << a.text;
        } else if (who.name == "alice" || who.service || !who.in_group("security")) {
            EXPECT_EQ(a.what, verdict::forbidden) << a.text;
        } else if (o.approved_by.contains(who.name)) {
            EXPECT_EQ(a.what, verdict::conflict) << a.text;
        } else if (!approve) {
            EXPECT_EQ(a.what, verdict::done) << a.text;
            o.state = opt_out_state::denied;
        } else {
            o.approved_by.insert(who.name);
            const bool enough = o.approved_by.size() == approvals;
            EXPECT_EQ(a.what, enough ? verdict::done : verdict::counted) << a.text;
            if (!enough) return;
            o.state = opt_out_state::active;
            o.until = time.now() + o.lasts;
        }
    }
    void use_one() {
        if (opt_outs.empty()) return;
        auto& [id, o] = *any(opt_outs);
        const auto u = use({policy::opt_out_id{id}});
        EXPECT_EQ(u.sequence != 0, o.state == opt_out_state::active) << u.error;
        if (o.state != opt_out_state::active) return;
        if (++o.uses == max_uses) o.state = opt_out_state::used_up;
    }
    void revoke_one() {
        if (opt_outs.empty()) return;
        auto& [id, o] = *any(opt_outs);
        const auto a = revoke(policy::opt_out_id{id}, alice());
        if (o.state == opt_out_state::active) {
            o.state = opt_out_state::revoked;
            EXPECT_EQ(a.what, verdict::done) << a.text;
        } else if (o.state == opt_out_state::requested) {
            o.state = opt_out_state::withdrawn;
            EXPECT_EQ(a.what, verdict::done) << a.text;
        } else {
            EXPECT_EQ(a.what, verdict::conflict) << a.text;
        }
    }
    void restart_all() {
        restart(pii_rules(approvals));
        for (auto& [id, h] : holds)
            if (h.state == hold_state::pending) h.state = hold_state::withdrawn;
    }
    void compare() {
        std::set<std::uint64_t> live;
        for (const auto& o : s->grants()->opt_outs)
            live.insert(o.id.value);
        for (auto& [id, o] : opt_outs) {
            const auto got = get(policy::opt_out_id{id});
            ASSERT_TRUE(got);
            ASSERT_STREQ(to_string(got->state), to_string(o.state)) << "opt-out " << id;
            ASSERT_EQ(got->uses, o.uses) << "opt-out " << id;
            ASSERT_EQ(live.contains(id), o.state == opt_out_state::active) << "opt-out " << id;
        }
        for (auto& [id, h] : holds) {
            ASSERT_STREQ(to_string(get(policy::hold_id{id})->state), to_string(h.state))
                << "hold " << id;
            const bool told = !h.outcome.valid() || ended_already(h.outcome);
            ASSERT_EQ(told, h.state != hold_state::pending) << "hold " << id;
            if (h.outcome.valid() && told) {
                ASSERT_EQ(h.outcome.get().state, h.state);
            }
        }
    }
    void step() {
        pass_time();
        switch (pick(12)) {
            case 0:
                return open_one();
            case 1:
            case 2:
            case 3:
                return vote_on_hold();
            case 4:
                return withdraw_one();
            case 5:
                return opt_outs.size() < 18 ? request_one() : use_one();
            case 6:
            case 7:
                return vote_on_opt_out();
            case 8:
            case 9:
                return use_one();
            case 10:
                return pick(3) == 0 ? revoke_one() : void();
            default:
                if (pick(25) == 0) return restart_all();
                advance(milliseconds(static_cast<std::int64_t>(pick(900'000))));
        }
    }

    std::mt19937_64 random;
    std::map<std::uint64_t, held> holds;
    std::map<std::uint64_t, exempt> opt_outs;
    std::vector<policy::principal> people{
        alice(), bob(), carol(), person("dave", {"dev"}), {"ci", {"security"}, true}};
};

TEST_F(model, random_operations_agree_with_it) {
    const char* given = std::getenv("SALLYPORT_SEED");
    const std::uint64_t seed = given ? std::strtoull(given, nullptr, 10) : std::random_device{}();
    SCOPED_TRACE("SALLYPORT_SEED=" + std::to_string(seed));
    RecordProperty("seed", std::to_string(seed));
    random.seed(seed);
    restart(pii_rules(approvals));
    for (int i = 0; i < 600 && !HasFailure(); ++i) {
        step();
        pass_time();
        if (i % 10 == 0) compare();
    }
    settle();
    compare();
}

}  // namespace
}  // namespace sallyport::proxy::approval::testing
