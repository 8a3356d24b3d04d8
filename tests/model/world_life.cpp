#include <algorithm>

#include <gtest/gtest.h>

#include "tests/model/world.h"

/// Opt-outs, flags, reloads, time, crashes; and what is taken over after those.
namespace sallyport::model {

using policy::flag_kind;
using policy::flag_on;
using policy::opt_out_kind;
using policy::review_state;

// opt-outs ----------------------------------------------------------------------------------

void world::request_opt_out() {
    const auto& who = somebody();
    policy::opt_out_request r;
    r.person = who.principal();
    r.rule = guarded;
    r.duration = up_to(150min);
    r.reason = "incident";
    r.ticket = "INC-1";
    r.target = "shop";
    if (chance(3)) {
        r.kind = opt_out_kind::break_glass;
        r.duration = up_to(25min);
    } else if (chance(4)) {
        r.scope.application = reporter;
    } else if (chance(4) && who.in("oncall")) {
        r.group = "oncall";
    }
    if (r.kind == opt_out_kind::request && !o_.opt_outs.empty() && chance(4)) {
        const auto& [id, old] = *some_opt_out();
        r.extends.value = id;
        r.group = old.group;
        r.scope.application = old.application;
    }
    const bool may = o_.may_request(who, r.kind, r.duration, r.extends.value, now());
    const auto a = machine::ask<answer>([&](auto done) { m_.s().request_opt_out(r, "api", done); });
    if (m_.off()) return;
    ASSERT_EQ(a.what == verdict::done, may)
        << who.name << " asks for " << to_string(r.kind) << ": " << a.text << "\n"
        << o_.now_in_force.text();
    if (!may) return;
    ASSERT_FALSE(o_.opt_outs.contains(a.id));
    auto& n = o_.opt_outs[a.id];
    n.who = who.name;
    n.group = r.group;
    n.application = r.scope.application;
    n.teams = who.groups;
    n.kind = r.kind;
    n.lapses = now() + 24h;
    n.duration = r.duration;
    n.uses_max = o_.now_in_force.uses;
    n.needed = o_.now_in_force.opt_approvals;
    n.groups = o_.now_in_force.opt_approvers;
    n.extends = r.extends.value;
    if (r.kind == opt_out_kind::break_glass) {
        o_.activate(n, now());
        n.begun_at = machine::gone_by();
    }
}

void world::vote_on_opt_out() {
    if (o_.opt_outs.empty()) return;
    const auto& who = somebody();
    auto& [id, o] = *some_opt_out();
    const bool approve = !chance(6);
    opt_outs_in_doubt_.insert(id);
    const auto a = machine::ask<answer>([&, n = id](auto done) {
        m_.s().vote(steward::opt_out_vote{policy::opt_out_id{n}, who.principal(), approve,
                                          "because", "api"},
                    done);
    });
    if (m_.off()) return;
    const auto is = [&](verdict x) {
        ASSERT_EQ(static_cast<int>(a.what), static_cast<int>(x))
            << "vote of " << who.name << " on opt-out " << id << ": " << a.text;
    };
    if (o.state != opt_out_state::requested) return is(verdict::conflict);
    if (!o_.may_decide(o, who)) return is(verdict::forbidden);
    if (o.votes.contains(who.name)) return is(verdict::conflict);
    if (!approve) {
        o.state = opt_out_state::denied;
        return is(verdict::done);
    }
    const auto have = o_.counting(o) + 1;
    const bool last = have >= std::max(o.needed, o_.now_in_force.opt_approvals);
    const auto extended = o_.opt_outs.find(o.extends);
    const bool extends =
        extended != o_.opt_outs.end() && extended->second.state == opt_out_state::active;
    if (last && o_.too_often({o.who, o.teams}, o.kind, extends ? o.extends : 0, false, now()))
        return is(verdict::conflict);
    o.votes.insert(who.name);
    if (!last) return is(verdict::counted);
    is(verdict::done);
    o_.activate(o, now());
    o.begun_at = machine::gone_by();
}

void world::revoke() {
    if (o_.opt_outs.empty()) return;
    const auto& who = somebody();
    auto& [id, o] = *some_opt_out();
    const bool admin = chance(4);
    opt_outs_in_doubt_.insert(id);
    const auto a = machine::ask<answer>([&, n = id](auto done) {
        m_.s().revoke({policy::opt_out_id{n}, who.principal(), "enough", "api", admin}, done);
    });
    if (m_.off()) return;
    const bool open = o.state == opt_out_state::active || o.state == opt_out_state::requested;
    const auto& t = o_.now_in_force;
    const bool approver = t.holds && t.opt_outs && !who.service && who.name != o.who &&
                          who.in_any(t.opt_approvers) && (o.group.empty() || !who.in(o.group));
    const bool may = open && (admin || who.name == o.who || approver);
    ASSERT_EQ(a.what == verdict::done, may) << who.name << " ends opt-out " << id << ": " << a.text;
    if (!may) return;
    o.ended_by_person = true;
    if (o.state == opt_out_state::active)
        o_.end(id, opt_out_state::revoked, now());
    else
        o.state = opt_out_state::withdrawn;
}

void world::review() {
    if (o_.reviews.empty()) return;
    const auto& who = somebody();
    auto& [id, r] = *any(o_.reviews);
    const bool admin = chance(4);
    const bool finding = chance(3);
    opt_outs_in_doubt_.insert(id);
    const auto a = machine::ask<answer>([&, n = id](auto done) {
        m_.s().review(
            {policy::opt_out_id{n}, who.principal(),
             finding ? review_state::finding : review_state::signed_off, "seen", "api", admin},
            done);
    });
    if (m_.off()) return;
    const auto& t = o_.now_in_force;
    const bool in_it = who.name == r.who || (!r.group.empty() && who.in(r.group));
    const bool may = r.open && !who.service &&
                     (t.holds && t.opt_outs ? !in_it && who.in_any(t.opt_approvers)
                                            : who.name != r.who && admin);
    ASSERT_EQ(a.what == verdict::done, may) << who.name << " reviews " << id << ": " << a.text;
    if (may) r.open = false;
}

void world::flag() {
    policy::flag_request r;
    r.kind = chance(2) ? flag_kind::flag : flag_kind::lock;
    r.on = chance(3) ? flag_on::application : flag_on::principal;
    r.subject = r.on == flag_on::application ? (chance(2) ? "psql" : reporter) : somebody().name;
    if (r.kind == flag_kind::lock && chance(2)) {
        r.on = flag_on::rule;
        r.subject = chance(3) ? spared : guarded;
    }
    r.reason = "odd hours";
    r.lasts = up_to(20min);
    const auto a = machine::ask<answer>([&](auto done) {
        m_.s().set_flag(r, person{"root", {}}.principal(), "api", done);
    });
    for (const auto& p : o_.passes)
        holds_in_doubt_.insert(p.hold);
    if (r.on == flag_on::rule && r.subject == guarded)
        for (const auto& [id, o] : o_.opt_outs)
            opt_outs_in_doubt_.insert(id);
    if (m_.off()) return;
    ASSERT_EQ(a.what, verdict::done) << a.text;
    o_.flags[a.id] = {r.kind, r.on, r.subject, now() + r.lasts};
    if (r.kind == flag_kind::flag)
        std::erase_if(o_.passes, [&](const pass_m& p) {
            return p.rule == policy::flag_rule_id &&
                   (r.on != flag_on::principal || r.subject == p.who);
        });
    if (r.on == flag_on::rule && r.subject == guarded) o_.lock_rule(now());
}

void world::lift() {
    if (o_.flags.empty()) return;
    const auto& who = somebody();
    const auto at = any(o_.flags);
    const auto a = machine::ask<answer>([&](auto done) {
        m_.s().lift_flag(policy::flag_id{at->first}, who.principal(), "it was nothing", "api",
                         done);
    });
    if (m_.off()) return;
    const bool own = at->second.on == flag_on::principal && at->second.subject == who.name;
    ASSERT_EQ(a.what == verdict::done, !own) << a.text;
    if (!own) o_.flags.erase(at);
}

// rules, time -------------------------------------------------------------------------------

terms world::changed(terms t) {
    const auto groups = [&] {
        static const std::vector<std::vector<std::string>> all{
            {"security"}, {"leads"}, {"security", "leads"}};
        return all[pick(all.size())];
    };
    for (auto n = 1 + pick(3); n > 0; --n)
        switch (pick(21)) {
            case 0:
                t.holds = !chance(5);
                break;
            case 1:
                t.approvers = groups();
                break;
            case 2:
                t.approvals = 1 + static_cast<int>(pick(2));
                break;
            case 3:
                t.escalates = chance(2);
                break;
            case 4:
                t.shape.reset();
                if (chance(2)) t.shape = std::chrono::seconds(60 + pick(3600));
                break;
            case 5:
                t.session.reset();
                if (chance(2)) t.session = std::chrono::seconds(60 + pick(3600));
                break;
            case 6:
                t.opt_outs = !chance(4);
                break;
            case 7:
                t.who = chance(2) ? "oncall" : "dev";
                break;
            case 8:
                t.opt_approvers = groups();
                break;
            case 9:
                t.opt_approvals = 1 + static_cast<int>(pick(2));
                break;
            case 10:
                t.longest = std::chrono::minutes(30 + pick(120));
                break;
            case 11:
                t.uses = std::vector<std::uint64_t>{0, 2, 5, 400}[pick(4)];
                break;
            case 12:
                t.live_per_person = std::vector<int>{0, 0, 1, 3}[pick(4)];
                break;
            case 13:
                t.per_month = std::vector<int>{0, 0, 3, 9}[pick(4)];
                break;
            case 14:
                t.transaction.reset();
                if (chance(2)) t.transaction = std::chrono::seconds(60 + pick(3600));
                break;
            case 15:
                t.live_in_all = chance(2) ? 4 : 0;
                break;
            case 16:
                t.of_team = chance(2) ? 7 : 0;
                break;
            case 17:
                t.of_all = chance(2) ? 12 : 0;
                break;
            case 18:
                t.extensions = static_cast<int>(pick(3));
                break;
            case 19:
                t.cool_down = chance(2) ? up_to(40min) : milliseconds(0);
                break;
            default:
                t.overdue_blocks = chance(2);
                t.glass = !chance(3);
                t.exception = chance(2);
        }
    if (chance(2)) {
        written w;
        w.number = next_written_++;
        w.who = chance(2) ? "dave" : "alice";
        w.from = std::chrono::floor<std::chrono::seconds>(now() - up_to(30min));
        w.until = w.from + std::chrono::seconds(60 + pick(7200));
        w.approved_by = {"bob"};
        if (chance(2)) w.approved_by.push_back("carol");
        t.file.push_back(w);
    }
    if (!t.file.empty() && chance(3))
        t.file.erase(t.file.begin() + static_cast<std::ptrdiff_t>(pick(t.file.size())));
    std::erase_if(t.file, [&](const written& w) { return !t.takes(w); });
    return t;
}

void world::reload() {
    if (chance(3)) {  // each group keeps enough for two approvals
        static constexpr std::pair<const char*, const char*> moves[] = {
            {"alice", "dev"}, {"bob", "leads"}, {"dave", "oncall"}, {"erin", "security"}};
        const auto& [name, group] = moves[pick(std::size(moves))];
        transfer(name, group);
    }
    const auto t = changed(o_.now_in_force);
    load(t);
    for (const auto& [id, o] : o_.opt_outs)
        opt_outs_in_doubt_.insert(id);
    for (const auto& p : o_.passes)
        holds_in_doubt_.insert(p.hold);
    m_.s().set_rules(rules_);
    m_.settle();
    if (m_.off()) return;
    o_.reload(t, now());
    check_begun();
}

void world::check_begun() {
    for (auto& [id, o] : o_.opt_outs) {
        if (o.written == 0 || o.begun_at != milliseconds{}) continue;
        o.begun_at = machine::gone_by();
        const auto got = machine::ask<std::optional<policy::opt_out>>(
            [&, n = id](auto done) { m_.s().get_opt_out(policy::opt_out_id{n}, done); });
        if (m_.off()) return;
        ASSERT_TRUE(got) << "opt-out " << id << ", written " << o.written;
        ASSERT_EQ(got->reason, "written " + std::to_string(o.written));
        ASSERT_EQ(got->until, o.until);
        for (const auto& v : got->votes)
            o.votes.insert(v.person);
    }
}

void world::pass_time() {
    for (const auto& [id, h] : o_.holds)
        holds_in_doubt_.insert(id);
    for (const auto& [id, o] : o_.opt_outs)
        opt_outs_in_doubt_.insert(id);
    const auto before = now();
    switch (pick(6)) {
        case 0:
            m_.set_clock(-up_to(3h));
            break;
        case 1:
            if (chance(3)) m_.set_clock(up_to(1h));
            break;
        default:
            m_.pass(up_to(chance(8) ? milliseconds(2h) : milliseconds(6min)));
    }
    ASSERT_GE(now(), before) << "the clock runs backwards";
    m_.settle();
}

void world::check_lifetimes() {
    const auto at = now();
    const auto grants = m_.s().grants();
    for (const auto& o : grants->opt_outs) {
        const auto known = o_.opt_outs.find(o.id.value);
        if (known == o_.opt_outs.end() || !o.live_at(at)) continue;
        const auto lived = machine::gone_by() - known->second.begun_at;
        // An extension begins when what it extends ends.
        const auto ahead = known->second.extends != 0 ? milliseconds(3h) : milliseconds(0);
        ASSERT_LE(lived, known->second.duration + lost_ + ahead)
            << "opt-out " << o.id.value << " outlives its end";
    }
}

// crashes -----------------------------------------------------------------------------------

void world::audit(bool crash) {
    const auto before = now();
    const auto gone_before = machine::gone_by();
    for (const auto& [id, h] : o_.holds)
        for (const auto& [session, heard] : h.waiters)
            for (const auto& outcome : heard->heard)
                if (outcome.state == hold_state::approved) released_.insert(id);
    if (crash) {
        ++crashes;
        m_.crash(chance(2));
    } else {
        m_.shut();
        holds_in_doubt_.clear();
        opt_outs_in_doubt_.clear();
    }
    if (chance(3)) m_.set_clock(-up_to(2h));
    if (chance(3)) m_.pass(up_to(40min));
    boot();
    // What no record tells of: how far the clock was behind the last time anybody looked.
    lost_ += std::max(milliseconds(0), before + (machine::gone_by() - gone_before) - now());
    m_.settle();  // what begins again is being recorded
    for (const auto& fault : faults_of_log(m_.log_directory(), pem_, told_, released_))
        ADD_FAILURE() << fault;
    // What was approved without a record of it waits for nobody.
    const auto last = o_.opt_outs.empty() ? 0 : o_.opt_outs.rbegin()->first;
    o_.restart(now());
    // What the file begins rests on what was being done when the power failed (a flag, a use), and
    // that has taken numbers of its own: it is judged when all of it is known.
    if (crash) o_.opt_outs.erase(o_.opt_outs.upper_bound(last), o_.opt_outs.end());
    for (auto& [id, h] : o_.holds)
        h.waiters.clear();
    adopt(false);
    if (crash) {
        o_.sync_file(now());
        ASSERT_TRUE(o_.begun_by_file.empty()) << "an opt-out of the file was not begun";
    }
    check_begun();
}

void world::crash() {
    m_.fail_after(static_cast<long>(pick(12)));
    for (int i = 0; i < 12 && !m_.off() && !testing::Test::HasFailure(); ++i) {
        holds_in_doubt_.clear();
        opt_outs_in_doubt_.clear();
        tick();
        step();
    }
    audit(true);
}

// what is there -----------------------------------------------------------------------------

void world::adopt(bool anything) {
    adopt_holds(anything);
    adopt_opt_outs(anything);
    const auto at = now();
    std::map<std::uint64_t, flag_m> flags;
    for (const auto& f :
         machine::ask<std::vector<policy::flag>>([&](auto done) { m_.s().list_flags(true, done); }))
        if (f.live_at(at)) flags[f.id.value] = {f.kind, f.on, f.subject, f.until};
    o_.flags = std::move(flags);
    std::map<std::uint64_t, review_m> reviews;
    for (const auto& r : machine::ask<std::vector<policy::review>>(
             [&](auto done) { m_.s().list_reviews(std::nullopt, done); })) {
        const auto known = o_.opt_outs.find(r.id.value);
        reviews[r.id.value] = {r.state == review_state::open, r.due_at, r.person,
                               known == o_.opt_outs.end() ? "" : known->second.group,
                               r.kind == opt_out_kind::break_glass};
    }
    for (const auto& [id, r] : o_.reviews)
        EXPECT_TRUE(reviews.contains(id) || opt_outs_in_doubt_.contains(id) || anything)
            << "the review of opt-out " << id << " is lost";
    o_.reviews = std::move(reviews);
    holds_in_doubt_.clear();
    opt_outs_in_doubt_.clear();
}

void world::adopt_holds(bool anything) {
    std::map<std::uint64_t, policy::pass> passes;
    for (const auto& p :
         machine::ask<std::vector<policy::pass>>([&](auto done) { m_.s().list_passes(done); }))
        passes[p.from_hold.value] = p;
    for (const auto& h : machine::ask<std::vector<policy::hold>>(
             [&](auto done) { m_.s().list_holds(std::nullopt, done); })) {
        const auto id = h.id.value;
        const bool known = o_.holds.contains(id);
        auto& n = o_.holds[id];
        const auto votes = n.votes;
        if (known && !anything && !holds_in_doubt_.contains(id)) {
            ASSERT_STREQ(to_string(h.state), to_string(n.state)) << "hold " << id;
            if (h.state == hold_state::pending) {
                ASSERT_EQ(h.assigned.to, n.task_of);
                ASSERT_EQ(h.escalated, n.escalated) << "hold " << id;
            }
        }
        n.votes.clear();
        for (const auto& v : h.votes) {
            ASSERT_NE(v.person, h.person) << "hold " << id;
            ASSERT_FALSE(called(v.person).service) << "hold " << id;
            if (v.approve) n.votes.insert(v.person);
        }
        const bool news = !known || h.state != n.state;
        if (h.state == hold_state::approved) {
            ASSERT_GE(static_cast<int>(n.votes.size()), h.who.approvals) << "hold " << id;
        }
        if (n.votes != votes) n.granted.assign(n.votes.size(), {});
        n.task_of = h.assigned.to;
        n.escalated = h.escalated;
        if (!news) continue;
        n.who = h.person;
        n.application = h.application;
        n.rule = h.rule;
        n.hash = h.policy_hash;
        for (std::size_t i = 0; i < texts().size(); ++i)
            if (h.statement == texts()[i].sql) n.text = static_cast<int>(i);
        n.groups = h.who.groups;
        n.needed = h.who.approvals;
        n.escalates = h.escalate.has_value();
        n.shape = h.pass.shape;
        n.transaction = h.pass.transaction;
        n.session = h.pass.session;
        n.opened = h.opened_at;
        n.ends = h.expires_at;
        n.ahead = h.ahead();
        n.state = h.state;
        if (n.ahead && h.state == hold_state::approved && h.granted == pass_scope::statement &&
            now() < h.ended_at + (n.ends - n.opened))
            n.ready_until = h.ended_at + (n.ends - n.opened);
    }
    for (const auto& p : o_.passes)
        EXPECT_TRUE(passes.contains(p.hold) || anything || holds_in_doubt_.contains(p.hold))
            << "the pass of hold " << p.hold << " is lost";
    o_.passes.clear();
    for (const auto& [hold, p] : passes) {
        ASSERT_STREQ(to_string(o_.holds.at(hold).state), "approved") << "hold " << hold;
        o_.passes.push_back({p.id, hold, p.rule, p.person, p.scope, shape_class(p.shape),
                             p.session.value, p.until});
        ASSERT_TRUE(o_.still_fits(o_.passes.back(), now()))
            << "the pass of hold " << hold << " is wider than the policy";
    }
}

void world::adopt_opt_outs(bool anything) {
    for (const auto& o : machine::ask<std::vector<policy::opt_out>>(
             [&](auto done) { m_.s().list_opt_outs(std::nullopt, done); })) {
        const auto id = o.id.value;
        const bool known = o_.opt_outs.contains(id);
        auto& n = o_.opt_outs[id];
        if (known && !anything && !opt_outs_in_doubt_.contains(id)) {
            ASSERT_STREQ(to_string(o.state), to_string(n.state)) << "opt-out " << id;
            ASSERT_EQ(o.uses, n.uses) << "opt-out " << id;
            if (o.state == opt_out_state::active) {
                ASSERT_EQ(o.until, n.until) << "opt-out " << id;
            }
        }
        ASSERT_TRUE(o.max_uses == 0 || o.uses <= o.max_uses);
        n.votes.clear();
        for (const auto& v : o.votes) {
            ASSERT_NE(v.person, o.person) << "opt-out " << id;
            ASSERT_FALSE(called(v.person).service) << "opt-out " << id;
            if (v.approve) n.votes.insert(v.person);
        }
        if (n.begun_at == milliseconds{} && o.state == opt_out_state::active)
            n.begun_at = machine::gone_by();
        n.who = o.person;
        n.group = o.group;
        n.application = o.scope.application;
        n.teams = o.person_groups;
        n.kind = o.kind;
        n.state = o.state;
        n.lapses = o.request_expires_at;
        n.from = o.from;
        n.until = o.until;
        n.duration = o.duration;
        n.uses = o.uses;
        n.uses_max = o.max_uses;
        n.ended = o.ended_at;
        n.extends = o.extends.value;
        n.needed = o.approvals_needed;
        n.groups = o.born_with.groups;
        if (o.kind == opt_out_kind::file) n.written = std::stoi(o.reason.substr(8));
        n.ended_by_person = o.state == opt_out_state::revoked &&
                            !o.ended_reason.starts_with("policy changed") &&
                            !o.ended_reason.starts_with("the files of");
        if (n.state == opt_out_state::active) {
            ASSERT_TRUE(o_.still_fits(n)) << "opt-out " << id << " is wider than the policy";
        }
    }
}

}  // namespace sallyport::model
