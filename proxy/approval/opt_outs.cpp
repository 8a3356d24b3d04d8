#include "proxy/approval/opt_outs.h"

#include <algorithm>
#include <utility>

#include "policy/yaml_reader.h"
#include "proxy/approval/notices.h"
#include "proxy/approval/records.h"

namespace sallyport::proxy::approval {

namespace {

using policy::opt_out_state;

constexpr std::chrono::hours request_lapses_after{24};
constexpr std::size_t requests_max = 1000;
constexpr int requests_per_person_max = 20;
constexpr std::size_t active_max = 10'000;  // what one start reads back
constexpr std::size_t listed_max = 1000;

/// When a review of it is due that begins now; used without one being asked for, it has a week.
policy::instant review_due(const policy::opt_out_spec* spec, policy::instant now) {
    constexpr policy::milliseconds usual = std::chrono::hours(7 * 24);
    return now + (spec ? spec->review_within.value_or(usual) : usual);
}

policy::instant month_of(policy::instant now) {
    const std::chrono::year_month_day d{std::chrono::floor<std::chrono::days>(now)};
    return policy::instant(std::chrono::sys_days{d.year() / d.month() / std::chrono::day(1)});
}

policy::notice ended_notice(const policy::opt_out& o, const std::string& why, const std::string& by,
                            policy::instant at) {
    auto n = opt_out_notice(event_of(o.state), o, at);
    n.by = by;
    n.note = why;
    return n;
}

}  // namespace

const policy::opt_out_spec* spec_now(const policy::rule_set_ptr& rules, const std::string& rule) {
    if (!rules) return nullptr;
    const auto* r = rules->find_rule(rule);
    return r && r->opt_out ? &*r->opt_out : nullptr;
}

opt_out_desk::opt_out_desk(core& c, review_desk& reviews) : core_(c), reviews_(reviews) {
    c.attach(*this);
}

// start and rules ---------------------------------------------------------------------------

std::string opt_out_desk::no_longer_fits(const policy::opt_out& o) const {
    if (!core_.rules()) return "no policy is loaded";
    const auto who = core_.who_now({o.person, o.person_groups, false});
    if (!who) return o.person + " is no longer a user";
    return policy::outside_bounds(*core_.rules(), o, *who);
}

void opt_out_desk::recover() {
    const auto now = core_.now();
    for (auto& o : core_.db().list_opt_outs(opt_out_state::active, active_max)) {
        // It ends by the road of all ends: taken up, then ended at once.
        const auto id = o.id;
        if (now >= o.until || (o.max_uses != 0 && o.uses >= o.max_uses)) {
            const auto to = now >= o.until ? opt_out_state::expired : opt_out_state::used_up;
            active_.emplace(id, std::move(o));
            end_active(id, to, "it ended while the proxy was down", "", {});
        } else if (const auto why = no_longer_fits(o); !why.empty()) {
            active_.emplace(id, std::move(o));
            end_active(id, opt_out_state::revoked, policy_changed + why, "", {});
        } else if (!still_written(o)) {
            active_.emplace(id, std::move(o));
            end_active(id, opt_out_state::revoked, no_longer_written, "", {});
        } else {
            unrecorded_.push_back(std::move(o));
        }
    }
    for (auto& o : core_.db().list_opt_outs(opt_out_state::requested, active_max)) {
        deadlines_.emplace(o.request_expires_at, o.id);
        const auto id = o.id;
        const bool by_votes = o.kind == policy::opt_out_kind::request;
        requests_.emplace(id, live_request{std::move(o), phase::open, {}});
        // Begun in the instant of a crash: nothing passed under it.
        if (!by_votes) end_request(id, opt_out_state::withdrawn, "the proxy was restarted", "", {});
    }
    recheck();
    run_due(now);
}

void opt_out_desk::resume(const std::function<void()>& done) {
    resuming_ = unrecorded_.size();
    if (resuming_ == 0) return done();
    for (const auto& o : unrecorded_)
        core_.record(opt_out_record("opt_out.resumed", o, core_.now()),
                     [this, id = o.id, done](std::unique_ptr<audit::receipt> receipt) {
                         if (receipt) take_up(id);
                         if (--resuming_ > 0) return;
                         recheck();
                         publish_();
                         done();
                     });
}

void opt_out_desk::take_up(policy::opt_out_id id) {
    const auto found = std::find_if(unrecorded_.begin(), unrecorded_.end(),
                                    [&](const policy::opt_out& o) { return o.id == id; });
    // Revoked while its record was written.
    if (found == unrecorded_.end()) return;
    live_from(*found);
    active_.emplace(id, std::move(*found));
    unrecorded_.erase(found);
}

void opt_out_desk::live_from(const policy::opt_out& o) {
    deadlines_.emplace(o.until, o.id);
    for (const policy::milliseconds left : {std::chrono::minutes(5), std::chrono::minutes(1)})
        if (o.until - left > std::max(o.from, core_.now()))
            warnings_.insert({o.until - left, o.id, left});
}

void opt_out_desk::recheck() {
    std::vector<std::pair<policy::opt_out_id, std::string>> over;
    for (const auto& [id, o] : active_)
        if (auto why = no_longer_fits(o); !why.empty())
            over.emplace_back(id, policy_changed + why);
        else if (!still_written(o))
            over.emplace_back(id, no_longer_written);
    for (const auto& [id, why] : over)
        end_active(id, opt_out_state::revoked, why, "", {});
    over.clear();
    for (const auto& [id, l] : requests_)
        if (auto why = no_longer_fits(l.o); !why.empty() && l.at == phase::open)
            over.emplace_back(id, why);
    for (const auto& [id, why] : over)
        end_request(id, opt_out_state::withdrawn, policy_changed + why, "", {});
}

// requests ----------------------------------------------------------------------------------

std::string opt_out_desk::refuse_request(const policy::opt_out_request& r) {
    if (!core_.rules()) return "no policy is loaded";
    if (requests_.size() >= requests_max) return "too many requests wait already";
    const auto waiting = std::count_if(requests_.begin(), requests_.end(), [&](const auto& x) {
        return x.second.o.person == r.person.name;
    });
    if (waiting >= requests_per_person_max)
        return "you have " + std::to_string(waiting) + " undecided requests; withdraw one first";
    // What is active at once stands behind nobody who only asked.
    const bool waits = r.kind == policy::opt_out_kind::request;
    const auto u = usage(r, waits ? counted::asked_for_too : counted::activated_only);
    if (!u) return "the state cannot be read; try again";
    return policy::check_bounds(*core_.rules(), r, *u, core_.now());
}

std::optional<policy::opt_out_usage> opt_out_desk::usage(const policy::opt_out_request& r,
                                                         counted what) {
    policy::opt_out_usage u;
    for (const auto& team : r.person.groups)
        u.month_of_team.emplace_back(team, 0);
    const auto live = [&](const policy::opt_out& o) {
        if (o.rule != r.rule || (r.extends && o.id == r.extends)) return;
        ++u.live_in_all;
        if (o.person == r.person.name) ++u.live_of_person;
    };
    const auto broken = [&](const policy::opt_out& o) {
        // One incident may need more than one rule broken: of others, reviews count.
        if (o.kind == policy::opt_out_kind::break_glass && o.person == r.person.name &&
            o.rule == r.rule)
            u.unreviewed_glass = "opt-out " + std::to_string(o.id.value);
    };
    const auto of_month = [&](const policy::opt_out& o) {
        ++u.month_in_all;
        if (o.person == r.person.name) ++u.month_of_person;
        for (auto& [team, used] : u.month_of_team)
            if (std::find(o.person_groups.begin(), o.person_groups.end(), team) !=
                o.person_groups.end())
                ++used;
    };
    for (const auto& [id, l] : requests_) {
        const bool waits = l.o.state == opt_out_state::requested;
        if (waits && what == counted::activated_only) continue;
        live(l.o);
        if (!waits) broken(l.o);
        if (waits && l.o.rule == r.rule) of_month(l.o);
        if (waits && r.extends && l.o.extends == r.extends) ++u.extensions;
    }
    for (const auto& [id, o] : active_) {
        live(o);
        broken(o);
        if (id == r.extends) u.extends = &o;
    }
    for (const auto& o : unrecorded_) {
        live(o);
        broken(o);
    }
    if (const auto* late = reviews_.overdue_of(r.person.name))
        u.overdue_review = "opt-out " + std::to_string(late->id.value);
    if (const auto* glass = reviews_.glass_of(r.person.name))
        u.unreviewed_glass = "opt-out " + std::to_string(glass->id.value);

    const auto* spec = spec_now(core_.rules(), r.rule);
    if (!spec) return u;
    const auto month = month_of(core_.now());
    auto since = month;
    if (spec->cool_down) since = std::min(since, core_.now() - *spec->cool_down);
    std::vector<policy::opt_out> past;
    const auto read = [&] {
        past = core_.db().opt_outs_since(r.rule, since);
        for (auto at = u.extends ? u.extends->extends : policy::opt_out_id{};
             at && u.extensions <= spec->max_extensions.value_or(0); ++u.extensions) {
            const auto older = core_.db().get_opt_out(at);
            at = older ? older->extends : policy::opt_out_id{};
        }
    };
    if (!core_.stored(read)) return std::nullopt;
    for (const auto& o : past) {
        if (o.from == policy::instant{}) continue;  // never activated
        if (o.person == r.person.name) u.last_end = std::max(u.last_end, o.ended_at);
        if (r.extends && o.extends == r.extends) ++u.extensions;
        if (o.from >= month) of_month(o);
    }
    return u;
}

std::string opt_out_desk::too_often(const live_request& l, const policy::opt_out_spec& spec) {
    policy::opt_out_request r;
    r.person = {l.o.person, l.o.person_groups, false};
    r.rule = l.o.rule;
    r.kind = l.o.kind;
    // What it was to extend has ended: it begins like any other.
    if (active_.contains(l.o.extends)) r.extends = l.o.extends;
    const auto u = usage(r, counted::activated_only);
    return u ? policy::check_how_often(spec, r, *u, core_.now())
             : "the state cannot be read; try again";
}

void opt_out_desk::request(const policy::opt_out_request& r, const std::string& surface,
                           const steward::on_answer& done) {
    if (const auto why = refuse_request(r); !why.empty()) return done({verdict::invalid, why, 0});
    const auto* spec = spec_now(core_.rules(), r.rule);
    if (!spec) return done({verdict::invalid, "rule " + r.rule + " cannot be opted out of", 0});
    policy::opt_out o;
    o.rule = r.rule;
    o.person = r.person.name;
    o.requested_by = r.person.name;
    o.reason = r.reason;
    o.ticket = r.ticket;
    o.target = r.target;
    o.duration = r.duration;
    o.requested_at = core_.now();
    o.request_expires_at = o.requested_at + request_lapses_after;
    o.max_uses = policy::bounds_of(*spec, r.kind).uses.value_or(0);
    o.approvals_needed = std::max(spec->approved_by.approvals, 1);
    o.policy_hash = core_.rules()->hash;
    o.role = spec->role;
    o.kind = r.kind;
    o.group = r.group;
    o.scope = r.scope;
    o.starts_at = r.starts_at;
    o.extends = r.extends;
    o.person_groups = r.person.groups;
    o.born_with = spec->approved_by;
    if (!core_.stored_and_told([&] {
            o.id = core_.db().add_opt_out(o);
            if (o.kind != policy::opt_out_kind::break_glass)
                core_.tell(opt_out_notice(policy::notice_event::requested, o, o.requested_at));
        }))
        return done({verdict::unavailable, "the state cannot be written", 0});
    if (o.kind == policy::opt_out_kind::break_glass)
        return break_glass(std::move(o), surface, done);
    const auto id = o.id;
    auto record = opt_out_record("opt_out.requested", o, o.requested_at);
    record.with("surface", surface.substr(0, 64));
    requests_.emplace(id, live_request{std::move(o), phase::opening, {}});
    core_.record(std::move(record), [this, id, done](std::unique_ptr<audit::receipt> receipt) {
        requested(id, receipt != nullptr, done);
    });
}

void opt_out_desk::requested(policy::opt_out_id id, bool recorded, const steward::on_answer& done) {
    auto& l = requests_.at(id);
    l.at = phase::open;
    deadlines_.emplace(l.o.request_expires_at, id);
    if (!recorded) {
        end_request(id, opt_out_state::withdrawn, audit_cannot, "", {});
        return done({verdict::unavailable, "the audit log cannot be written", 0});
    }
    core_.tell_change("opt_out", id.value, policy::to_string(opt_out_state::requested));
    done({verdict::done,
          "opt-out " + std::to_string(id.value) + " is requested; it needs " +
              std::to_string(l.o.approvals_needed) + " approval(s) of others",
          id.value});
    // The rules may have changed while the record was written.
    recheck();
}

/// Nobody is asked; everybody is told, and it lets nothing through before it is on record.
void opt_out_desk::break_glass(policy::opt_out o, const std::string& surface,
                               const steward::on_answer& done) {
    const auto id = o.id;
    auto record = opt_out_record("break_glass.broken", o, o.requested_at);
    record.with("surface", surface.substr(0, 64));
    core_.record(std::move(record));
    deadlines_.emplace(o.request_expires_at, id);
    const auto* spec = spec_now(core_.rules(), o.rule);
    auto& l = requests_.emplace(id, live_request{std::move(o), phase::open, {}}).first->second;
    activate(l, nullptr, *spec, done);
}

// ends --------------------------------------------------------------------------------------

void opt_out_desk::settle(const unsettled_move& m) {
    const auto move = [&] {
        store::store::opt_out_change c;
        c.from = m.from;
        c.to = m.to;
        c.reason = m.reason;
        c.at = m.at;
        c.review_due = m.review_due;
        if (!core_.db().move_opt_out(m.id, c)) return;
        for (const auto& n : m.told)
            core_.tell(n);
    };
    if (!core_.stored_and_told(move)) unsettled_.push_back(m);
}

void opt_out_desk::record_end(audit::record r, const std::string& reason, const std::string& by,
                              const std::string& text, std::uint64_t id,
                              const steward::on_answer& done) {
    r.with("ended_reason", reason);
    if (!by.empty()) r.with("ended_by", by);
    if (!done) return core_.record(std::move(r));
    core_.record(std::move(r), [text, id, done](std::unique_ptr<audit::receipt> receipt) {
        done({verdict::done,
              receipt ? text : text + "; the audit log cannot be written at the moment", id});
    });
}

void opt_out_desk::end_request(policy::opt_out_id id, opt_out_state to, const std::string& reason,
                               const std::string& by, const steward::on_answer& done) {
    auto node = requests_.extract(id);
    auto& o = node.mapped().o;
    deadlines_.erase({o.request_expires_at, id});
    o.state = to;
    settle({id,
            opt_out_state::requested,
            to,
            reason,
            core_.now(),
            {},
            {ended_notice(o, reason, by, core_.now())}});
    const auto name = std::string("opt_out.") + policy::to_string(to);
    record_end(opt_out_record(name.c_str(), o, core_.now()), reason, by,
               "opt-out " + std::to_string(id.value) + " is " + policy::to_string(to), id.value,
               done);
    core_.tell_change("opt_out", id.value, policy::to_string(to));
}

void opt_out_desk::end_active(policy::opt_out_id id, opt_out_state to, const std::string& reason,
                              const std::string& by, const steward::on_answer& done) {
    auto node = active_.extract(id);
    auto& o = node.mapped();
    deadlines_.erase({o.until, id});
    std::erase_if(warnings_, [&](const warning& w) { return w.id == id; });
    // Out of the grants first: whatever the disk says, it lets nothing through any more.
    publish_();
    const auto* spec = spec_now(core_.rules(), o.rule);
    const auto now = core_.now();
    const auto due = review_due(spec, now);
    const auto was = std::make_shared<const policy::opt_out>(o);
    o.state = to;
    unsettled_move move{
        id, opt_out_state::active, to, reason, now, due, {ended_notice(o, reason, by, now)}};
    const bool reviewed = o.uses > 0 || o.kind == policy::opt_out_kind::break_glass;
    if (reviewed) {
        auto review = opt_out_notice(policy::notice_event::review_due, o, now);
        review.about = policy::notice_about::review;
        review.until = due;
        if (spec) {
            const auto reviewers = spec->reviewers.value_or(spec->approved_by);
            review.asked = people_of(reviewers);
            review.to_users = reviewers.users;
            review.to_groups = reviewers.groups;
        }
        move.told.push_back(std::move(review));
    }
    settle(move);
    const auto name = std::string("opt_out.") + policy::to_string(to);
    record_end(opt_out_record(name.c_str(), o, core_.now()), reason, by,
               "opt-out " + std::to_string(id.value) + " is " + policy::to_string(to), id.value,
               done);
    if (reviewed) reviews_.opened(o, now, due);
    for (const auto& f : core_.ended)
        f({id, o.rule, o.person, to, spec ? spec->at_end : policy::at_end::hold,
           spec ? spec->drain_limit : policy::milliseconds(0), was});
    core_.tell_change("opt_out", id.value, policy::to_string(to));
}

void opt_out_desk::revoke(const steward::opt_out_revoke& r, const steward::on_answer& done) {
    // One that waits to be recorded after a restart can be ended too; it is published only by
    // resume().
    const auto waiting = std::find_if(unrecorded_.begin(), unrecorded_.end(),
                                      [&](const policy::opt_out& o) { return o.id == r.id; });
    const auto requested = requests_.find(r.id);
    auto live = active_.find(r.id);
    const bool is_waiting = waiting != unrecorded_.end();
    if (requested == requests_.end() && live == active_.end() && !is_waiting)
        return done(missing(r.id));
    const auto& o = is_waiting              ? *waiting
                    : live != active_.end() ? live->second
                                            : requested->second.o;
    const auto* spec = spec_now(core_.rules(), o.rule);
    const bool own =
        !r.who.name.empty() && (r.who.name == o.person || r.who.name == o.requested_by);
    const bool approver = spec && policy::check_voter(spec->approved_by, r.who, o).empty();
    if (!own && !approver && !r.is_admin)
        return done({verdict::forbidden,
                     "only " + o.person + ", the rule's approvers and admins may end this opt-out",
                     r.id.value});
    if (r.reason.size() > 4096)
        return done({verdict::invalid, "a reason may have 4096 bytes at most", r.id.value});
    if (is_waiting) {
        live = active_.emplace(r.id, *waiting).first;
        unrecorded_.erase(waiting);
    }
    if (live != active_.end())
        return end_active(r.id, opt_out_state::revoked, r.reason, r.who.name,
                          [done, left = extensions_of(r.id)](answer a) {
                              if (!left.empty()) a.text += "; what extends it was not: " + left;
                              done(std::move(a));
                          });
    if (requested->second.at != phase::open)
        return done({verdict::conflict,
                     "opt-out " + std::to_string(r.id.value) +
                         " is just being requested or activated; try again",
                     r.id.value});
    end_request(r.id, opt_out_state::withdrawn, r.reason, r.who.name, done);
}

std::string opt_out_desk::extensions_of(policy::opt_out_id id) const {
    std::string out;
    const auto add = [&](const policy::opt_out& o) {
        if (o.extends != id) return;
        out += (out.empty() ? "opt-out " : ", opt-out ") + std::to_string(o.id.value) + " (" +
               policy::to_string(o.state) + ")";
    };
    for (const auto& [of, o] : active_)
        add(o);
    for (const auto& o : unrecorded_)
        add(o);
    for (const auto& [of, l] : requests_)
        add(l.o);
    return out;
}

void opt_out_desk::lock_rule(const policy::flag& f) {
    std::vector<policy::opt_out_id> of_rule;
    for (const auto& [id, o] : active_)
        if (o.rule == f.subject) of_rule.push_back(id);
    for (const auto id : of_rule)
        end_active(id, opt_out_state::revoked, "the rule was locked: " + f.reason, f.set_by, {});
}

// time and lists ----------------------------------------------------------------------------

std::optional<policy::instant> opt_out_desk::next_deadline() const {
    std::optional<policy::instant> next;
    if (!deadlines_.empty()) next = deadlines_.begin()->first;
    if (!warnings_.empty() && (!next || warnings_.begin()->at < *next))
        next = warnings_.begin()->at;
    return next;
}

void opt_out_desk::run_due(policy::instant now) {
    while (!warnings_.empty() && warnings_.begin()->at <= now) {
        const auto w = *warnings_.begin();
        warnings_.erase(warnings_.begin());
        const auto& o = active_.at(w.id);
        // After a step of the clock the end itself is more to the point.
        if (now >= o.until) continue;
        for (const auto& f : core_.nearing)
            f({w.id, {}, o.rule, o.person, o.group, o.until - now});
        core_.tell_change("opt_out", w.id.value, "nearing_end");
        // Once for each: the first warning that comes.
        if (w.left > std::chrono::minutes(1) || o.until - o.from <= std::chrono::minutes(5))
            core_.tell(opt_out_notice(policy::notice_event::near_end, o, now));
    }
    while (!deadlines_.empty() && deadlines_.begin()->first <= now) {
        const auto id = deadlines_.begin()->second;
        if (active_.contains(id))
            end_active(id, opt_out_state::expired, "its time is over", "", {});
        else
            end_request(id, opt_out_state::lapsed, "nobody decided in time", "", {});
    }
}

bool opt_out_desk::retry_wanted() const {
    return !unsettled_.empty() || !unrecorded_.empty() || written_wanted_;
}

void opt_out_desk::retry() {
    for (const auto& m : std::exchange(unsettled_, {}))
        settle(m);
    if (!unrecorded_.empty() && resuming_ == 0) resume([] {});
    if (written_wanted_) sync_written();
}

std::vector<policy::opt_out> opt_out_desk::active() const {
    std::vector<policy::opt_out> all;
    all.reserve(active_.size());
    for (const auto& [id, o] : active_)
        all.push_back(o);
    return all;
}

std::vector<policy::opt_out> opt_out_desk::list(std::optional<opt_out_state> s) {
    std::vector<policy::opt_out> all;
    if (!core_.stored([&] { all = core_.db().list_opt_outs(s, listed_max); })) return {};
    return all;
}

std::optional<policy::opt_out> opt_out_desk::get(policy::opt_out_id id) {
    std::optional<policy::opt_out> o;
    if (!core_.stored([&] { o = core_.db().get_opt_out(id); })) return std::nullopt;
    return o;
}

answer opt_out_desk::missing(policy::opt_out_id id) {
    const auto name = "opt-out " + std::to_string(id.value);
    std::optional<policy::opt_out> o;
    if (!core_.stored([&] { o = core_.db().get_opt_out(id); }))
        return {verdict::unavailable, "the state cannot be read; try again", id.value};
    if (!o) return {verdict::not_found, "there is no " + name, id.value};
    if (o->state == opt_out_state::requested)
        return {verdict::conflict, name + " is just being requested or ended; try again", id.value};
    auto text = name + " is " + policy::to_string(o->state);
    if (!o->ended_reason.empty()) text += " (" + o->ended_reason + ")";
    return {verdict::conflict, text, id.value};
}

}  // namespace sallyport::proxy::approval
