#include "tests/model/world.h"

#include <algorithm>

#include <gtest/gtest.h>

#include "policy/sha256.h"
#include "policy/sql/analyse.h"

namespace sallyport::model {

namespace {

const policy::facts_ptr& facts_of(int text) {
    static const auto all = [] {
        std::vector<policy::facts_ptr> out;
        for (const auto& t : texts())
            out.push_back(policy::sql::analyse(t.sql, {}));
        return out;
    }();
    return all[static_cast<std::size_t>(text)];
}

}  // namespace

int shape_class(const std::string& shape) {
    for (std::size_t i = 0; i < texts().size(); ++i)
        if (shape == facts_of(static_cast<int>(i))->shape) return texts()[i].shape;
    return 0;
}

world::world(std::uint64_t seed) : random_(seed) {
    enrol();
    for (const auto& p : people())
        for (const char* application : {"psql", reporter})
            if (!p.service) seats_.push_back({next_seat_++, p.name, application});
    load(terms{});
    boot();
}

void world::boot() {
    m_.boot(rules_);
    pem_ = m_.public_pem();
}

void world::load(const terms& t) {
    const auto loaded = t.load();
    if (!loaded.rules) {
        for (const auto& f : loaded.faults)
            ADD_FAILURE() << to_string(f);
        FAIL() << t.text();
    }
    rules_ = loaded.rules;
    o_.now_in_force = t;
}

std::map<std::uint64_t, hold_m>::iterator world::some_hold() {
    auto at = any(o_.holds);
    for (int i = 0; i < 4 && at->second.state != hold_state::pending; ++i)
        at = any(o_.holds);
    return at;
}

std::map<std::uint64_t, opt_out_m>::iterator world::some_opt_out() {
    auto at = any(o_.opt_outs);
    for (int i = 0; i < 3 && at->second.state != opt_out_state::requested &&
                    at->second.state != opt_out_state::active;
         ++i)
        at = any(o_.opt_outs);
    return at;
}

policy::subject world::subject_of(const seat& s) const {
    policy::subject out;
    out.principal = called(s.who).principal();
    out.target = "shop";
    out.address = "10.0.0.1";
    out.application = s.application;
    out.session.value = s.id;
    // As the gate knows them that has not seen the end of the transaction.
    for (const auto& p : o_.passes)
        if (p.scope == pass_scope::transaction && p.session == s.id)
            out.transaction_passes.push_back(p.id);
    return out;
}

policy::hold world::wish(const seat& s, int text, const policy::decision& d) const {
    const auto& facts = facts_of(text);
    policy::hold h;
    h.person = s.who;
    h.person_groups = called(s.who).groups;
    h.target = "shop";
    h.rule = d.rule_id;
    h.statement = texts()[static_cast<std::size_t>(text)].sql;
    h.redacted = h.statement;
    h.statement_sha256 = policy::sha256_hex(h.statement);
    h.shape = facts->shape;
    h.application = s.application;
    h.session.value = s.id;
    h.who = d.hold->who;
    h.pass = d.hold->pass;
    h.escalate = d.hold->escalate;
    h.policy_hash = rules_->hash;
    return h;
}

// statements --------------------------------------------------------------------------------

void world::run_statement() {
    const auto seat = seats_[pick(seats_.size())];
    const auto text = static_cast<int>(pick(texts().size()));
    const auto grants = m_.s().grants();
    const auto d = policy::decide(*rules_, subject_of(seat), facts_of(text).get(), *grants, now());
    const auto should = o_.decide(seat, text, now());
    const auto is = d.effect == policy::effect::allow  ? expected::allow
                    : d.effect == policy::effect::hold ? expected::hold
                                                       : expected::deny;
    ASSERT_EQ(static_cast<int>(is), static_cast<int>(should))
        << seat.who << " (" << seat.application << ") on text " << text << ": "
        << (d.reasons.empty() ? "" : d.reasons.back());
    if (is == expected::allow) {
        ++passed;
        if (!d.opt_outs.empty()) use(seat, d);
    } else if (is == expected::hold && d.hold != nullptr) {
        if (chance(4))
            ask_ahead(seat, text, d);
        else
            wait_for_approval(seat, text, d);
    }
}

void world::use(const seat& s, const policy::decision& d) {
    struct got {
        std::uint64_t sequence = 0;
        std::string error;
    };
    proxy::audit::record r;
    r.event = "bypass";
    r.at = now();
    r.with("user", s.who);
    const auto u = machine::ask<got>([&](auto done) {
        m_.s().use({d.opt_outs, std::move(r), called(s.who).principal()},
                   [done](std::unique_ptr<proxy::audit::receipt> receipt, std::string error) {
                       done(got{receipt ? receipt->sequence() : 0, std::move(error)});
                   });
    });
    if (m_.off()) {
        for (const auto id : d.opt_outs)
            opt_outs_in_doubt_.insert(id.value);
        if (u.sequence != 0) told_.push_back({d.opt_outs.back().value, u.sequence});
        return;
    }
    ASSERT_NE(u.sequence, 0u) << u.error;
    told_.push_back({d.opt_outs.back().value, u.sequence});
    // The record is in the files by now, not only on its way.
    bool there = false;
    for (const auto& line : proxy::audit::newest(m_.log_directory(), {}, 8))
        there = there || (line.sequence == u.sequence && line.event == "bypass");
    ASSERT_TRUE(there) << "a receipt without its record, line " << u.sequence;
    for (const auto id : d.opt_outs) {
        auto& o = o_.opt_outs.at(id.value);
        if (++o.uses != o.uses_max) continue;
        o_.end(id.value, opt_out_state::used_up, now());
        // It ends behind the answer to its last use; until then the store refuses a further one.
        opt_outs_in_doubt_.insert(id.value);
        m_.settle();
    }
}

void world::wait_for_approval(const seat& s, int text, const policy::decision& d) {
    const auto h = wish(s, text, d);
    const auto wait = milliseconds(1000) + up_to(15min);
    const auto heard = std::make_shared<ear>();
    struct opened {
        std::uint64_t id = 0;
        std::string error;
    };
    // Who asks the same waits along, if there is time enough.
    std::uint64_t joins = 0;
    for (const auto& [id, old] : o_.holds) {
        const auto& t = texts()[static_cast<std::size_t>(old.text)];
        if (old.ahead || old.who != s.who || old.application != s.application ||
            old.rule != d.rule_id || old.hash != rules_->hash ||
            t.shape != texts()[static_cast<std::size_t>(text)].shape)
            continue;
        if (old.state == hold_state::pending && !old.superseded) joins = id;
    }
    const auto newest_alike = joins;
    if (joins != 0 && o_.holds.at(joins).ends - now() < wait / 2) joins = 0;
    std::uint64_t ready = 0;
    for (const auto& [id, old] : o_.holds)
        if (old.ahead && old.ready_until != instant{} && old.who == s.who &&
            old.rule == d.rule_id && old.text == text)
            ready = id;
    const auto a = machine::ask<opened>([&](auto done) {
        m_.s().open_hold(
            h, wait,
            [done](policy::hold_id id, std::string error, instant) {
                done(opened{id.value, std::move(error)});
            },
            [heard](hold_outcome o) {
                const std::lock_guard lock(heard->mutex);
                heard->heard.push_back(std::move(o));
            });
    });
    if (m_.off()) return;
    ASSERT_NE(a.id, 0u) << a.error;
    m_.settle();
    if (ready != 0) {
        ASSERT_EQ(a.id, ready) << "it was approved ahead";
        ASSERT_EQ(heard->heard.size(), 1u);
        ASSERT_EQ(heard->heard[0].state, hold_state::approved);
        o_.holds.at(ready).ready_until = {};
        released_.insert(ready);
        return;
    }
    ASSERT_EQ(heard->heard.size(), 0u);
    if (joins != 0) {
        ASSERT_EQ(a.id, joins) << "it asks the same as one that waits";
        o_.holds.at(joins).waiters.emplace_back(s.id, heard);
        return;
    }
    ASSERT_FALSE(o_.holds.contains(a.id)) << "alike: " << newest_alike;
    if (newest_alike != 0) o_.holds.at(newest_alike).superseded = true;
    auto& n = begun(a.id, s, text, d, wait);
    n.application = s.application;
    n.waiters.emplace_back(s.id, heard);
}

void world::ask_ahead(const seat& s, int text, const policy::decision& d) {
    auto h = wish(s, text, d);
    h.application.clear();
    const auto wait = milliseconds(1000) + up_to(30min);
    std::uint64_t same = 0;
    for (const auto& [id, old] : o_.holds)
        if (old.ahead && old.who == s.who && old.rule == d.rule_id && old.text == text &&
            (old.state == hold_state::pending || old.ready_until != instant{}))
            same = id;
    const auto a = machine::ask<steward::asked>([&](auto done) {
        m_.s().ask(h, wait, false, [done](steward::asked x) { done(std::move(x)); });
    });
    if (m_.off() || a.what == steward::asked::state::denied) return;
    ASSERT_NE(static_cast<int>(a.what), static_cast<int>(steward::asked::state::failed)) << a.text;
    if (same != 0) {
        ASSERT_EQ(a.id.value, same);
        return;
    }
    ASSERT_FALSE(o_.holds.contains(a.id.value));
    begun(a.id.value, s, text, d, wait).ahead = true;
}

hold_m& world::begun(std::uint64_t id, const seat& s, int text, const policy::decision& d,
                     milliseconds wait) {
    auto& n = o_.holds[id];
    n.who = s.who;
    n.rule = d.rule_id;
    n.hash = rules_->hash;
    n.text = text;
    n.groups = d.hold->who.groups;
    n.needed = d.hold->who.approvals;
    n.escalates = d.hold->escalate.has_value();
    n.shape = d.hold->pass.shape;
    n.transaction = d.hold->pass.transaction;
    n.session = d.hold->pass.session;
    n.opened = now();
    n.ends = n.opened + wait;
    return n;
}

// holds -------------------------------------------------------------------------------------

void world::vote_on_hold() {
    if (o_.holds.empty()) return;
    const auto& who = somebody();
    auto& [id, h] = *some_hold();
    steward::hold_vote v;
    v.id.value = id;
    v.who = who.principal();
    v.approve = !chance(6);
    v.reason = "because";
    v.surface = chance(2) ? "api" : "console";
    hold_m::grant g;
    if (v.approve && chance(3)) {
        static constexpr pass_scope scopes[] = {pass_scope::shape, pass_scope::transaction,
                                                pass_scope::session};
        g.scope = scopes[pick(std::size(scopes))];
        if (chance(2)) g.lasts = up_to(90min);
        v.scope = g.scope;
        v.for_ = g.lasts;
    }
    holds_in_doubt_.insert(id);
    const auto a = machine::ask<answer>([&](auto done) { m_.s().vote(v, done); });
    if (m_.off()) return;
    const auto is = [&](verdict x) {
        ASSERT_EQ(static_cast<int>(a.what), static_cast<int>(x))
            << "vote of " << who.name << " on hold " << id << ": " << a.text;
    };
    if (h.state != hold_state::pending) return is(verdict::conflict);
    if (!o_.may_decide(h, who)) return is(verdict::forbidden);
    if (h.votes.contains(who.name)) return is(verdict::conflict);
    if (!v.approve) {
        h.state = hold_state::denied;
        return is(verdict::done);
    }
    if (g.scope != pass_scope::statement) {
        const auto most = o_.bound(h, g.scope);
        if (!most || (g.lasts && *g.lasts > *most)) return is(verdict::invalid);
        if (!g.lasts) g.lasts = most;
    }
    h.votes.insert(who.name);
    h.granted.push_back(g);
    if (o_.counting(h) < o_.needed(h)) return is(verdict::counted);
    is(verdict::done);
    approved(id, a);
}

void world::approved(std::uint64_t id, const answer& a) {
    auto& h = o_.holds.at(id);
    h.state = hold_state::approved;
    if (!h.waiters.empty()) released_.insert(id);
    const auto g = oracle::agreed(h);
    if (g.scope == pass_scope::statement) {
        if (h.ahead) h.ready_until = now() + (h.ends - h.opened);
        return;
    }
    std::vector<policy::pass> all =
        machine::ask<std::vector<policy::pass>>([&](auto done) { m_.s().list_passes(done); });
    const auto p = std::find_if(all.begin(), all.end(),
                                [&](const policy::pass& x) { return x.from_hold.value == id; });
    ASSERT_NE(p, all.end()) << a.text;
    ASSERT_EQ(p->scope, g.scope);
    ASSERT_EQ(p->until, now() + *g.lasts);
    if (p->scope != pass_scope::shape) {
        ASSERT_TRUE(std::any_of(h.waiters.begin(), h.waiters.end(), [&](const auto& w) {
            return w.first == p->session.value;
        })) << "the pass is for a session that does not wait";
    }
    o_.passes.push_back(
        {p->id, id, h.rule, h.who, p->scope, shape_class(p->shape), p->session.value, p->until});
}

void world::withdraw_vote() {
    const auto& who = somebody();
    if (!o_.holds.empty() && chance(2)) {
        auto& [id, h] = *some_hold();
        holds_in_doubt_.insert(id);
        const auto a = machine::ask<answer>([&, n = id](auto done) {
            m_.s().withdraw_vote(policy::hold_id{n}, who.principal(), "api", done);
        });
        if (m_.off()) return;
        const bool may = h.state == hold_state::pending && h.votes.erase(who.name) > 0;
        ASSERT_EQ(a.what == verdict::done, may) << a.text;
        if (may && h.votes.empty()) h.granted.clear();
    } else if (!o_.opt_outs.empty()) {
        auto& [id, o] = *some_opt_out();
        opt_outs_in_doubt_.insert(id);
        const auto a = machine::ask<answer>([&, n = id](auto done) {
            m_.s().withdraw_vote(policy::opt_out_id{n}, who.principal(), "api", done);
        });
        if (m_.off()) return;
        const bool may = o.state == opt_out_state::requested && o.votes.erase(who.name) > 0;
        ASSERT_EQ(a.what == verdict::done, may) << a.text;
    }
}

void world::leave() {
    if (o_.holds.empty()) return;
    auto& [id, h] = *some_hold();
    if (h.waiters.empty()) return;
    holds_in_doubt_.insert(id);
    const auto who = h.waiters[pick(h.waiters.size())].first;
    m_.s().withdraw(policy::hold_id{id}, "left", policy::session_id{who});
    m_.settle();
    if (m_.off() || h.state != hold_state::pending) return;
    std::erase_if(h.waiters, [&](const auto& w) { return w.first == who; });
    if (h.waiters.empty()) h.state = hold_state::withdrawn;
}

void world::end_transaction() {
    const auto& s = seats_[pick(seats_.size())];
    for (const auto& p : o_.passes)
        holds_in_doubt_.insert(p.hold);
    m_.s().end_transaction_passes(policy::session_id{s.id});
    m_.settle();
    if (m_.off()) return;
    std::erase_if(o_.passes, [&](const pass_m& p) {
        return p.scope == pass_scope::transaction && p.session == s.id;
    });
}

void world::end_session() {
    auto& s = seats_[pick(seats_.size())];
    for (auto& [id, h] : o_.holds)
        holds_in_doubt_.insert(id);
    m_.s().session_ended(policy::session_id{s.id});
    m_.settle();
    const auto gone = std::exchange(s.id, next_seat_++);
    if (m_.off()) return;
    std::erase_if(o_.passes, [&](const pass_m& p) {
        return p.scope != pass_scope::shape && p.session == gone;
    });
    for (auto& [id, h] : o_.holds) {
        if (h.state != hold_state::pending || h.waiters.empty()) continue;
        std::erase_if(h.waiters, [&](const auto& w) { return w.first == gone; });
        if (h.waiters.empty()) h.state = hold_state::withdrawn;
    }
}

void world::escalate() {
    if (o_.holds.empty()) return;
    const auto& who = somebody();
    auto& [id, h] = *some_hold();
    holds_in_doubt_.insert(id);
    const auto a = machine::ask<answer>([&, n = id](auto done) {
        m_.s().escalate(policy::hold_id{n}, who.principal(), false, done);
    });
    if (m_.off()) return;
    // By its person too, and programs are nobody's approvers.
    const bool asks = who.name == h.who || (!who.service && who.in_any(h.groups));
    const bool may = h.state == hold_state::pending && h.escalates && !h.escalated &&
                     (asks || (h.escalated && who.in("chiefs")));
    ASSERT_EQ(a.what == verdict::done, may) << a.text;
    if (may) h.escalated = true;
}

void world::reassign() {
    if (o_.holds.empty()) return;
    const auto& who = somebody();
    const auto& to = somebody();
    auto& [id, h] = *some_hold();
    const bool admin = chance(4);
    holds_in_doubt_.insert(id);
    const auto a = machine::ask<answer>([&, n = id](auto done) {
        m_.s().reassign(
            {policy::hold_id{n}, who.principal(), to.principal(), "she knows it", "api", admin},
            done);
    });
    if (m_.off()) return;
    const bool may = h.state == hold_state::pending && who.name != h.who &&
                     (admin || o_.may_decide(h, who)) && o_.may_decide(h, to) &&
                     h.task_of != to.name;
    ASSERT_EQ(a.what == verdict::done, may) << who.name << " to " << to.name << ": " << a.text;
    if (may) h.task_of = to.name;
}

}  // namespace sallyport::model
