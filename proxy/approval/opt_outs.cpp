#include "proxy/approval/opt_outs.h"

#include <algorithm>
#include <utility>

#include "policy/yaml_reader.h"
#include "proxy/approval/records.h"

namespace sallyport::proxy::approval {

namespace {

using policy::opt_out_state;

constexpr std::chrono::hours request_lapses_after{24};
constexpr std::size_t requests_max = 1000;
constexpr int requests_per_person_max = 20;
constexpr std::size_t active_max = 10'000;  // what one start reads back
constexpr std::size_t listed_max = 1000;
constexpr const char* audit_cannot = "audit not writable";

const policy::opt_out_spec* spec_now(const policy::rule_set_ptr& rules, const std::string& rule) {
    if (!rules) return nullptr;
    const auto* r = rules->find_rule(rule);
    return r && r->opt_out ? &*r->opt_out : nullptr;
}

/// "" if the rules of now would still let this opt-out live, else why not.
std::string outside_bounds(const policy::rule_set_ptr& rules, const policy::opt_out& o) {
    const auto* spec = spec_now(rules, o.rule);
    if (!spec) return "rule " + o.rule + " can no longer be opted out of";
    if (o.state == opt_out_state::active && o.until - o.from > spec->max_duration)
        return "rule " + o.rule + " now allows " + policy::format_duration(spec->max_duration) +
               " at most";
    if (spec->max_uses && (o.max_uses == 0 || o.max_uses > *spec->max_uses))
        return "rule " + o.rule + " now allows " + std::to_string(*spec->max_uses) +
               " uses at most";
    return {};
}

}  // namespace

opt_out_desk::opt_out_desk(core& c) : core_(c) {
    c.attach(*this);
}

// start and rules ---------------------------------------------------------------------------

void opt_out_desk::recover() {
    const auto now = core_.now();
    for (auto& o : core_.db().list_opt_outs(opt_out_state::active, active_max)) {
        // It ends by the road of all ends: taken up, then ended at once.
        const auto id = o.id;
        if (now >= o.until || (o.max_uses != 0 && o.uses >= o.max_uses)) {
            const auto to = now >= o.until ? opt_out_state::expired : opt_out_state::used_up;
            active_.emplace(id, std::move(o));
            end_active(id, to, "it ended while the proxy was down", "", {});
        } else if (const auto why = outside_bounds(core_.rules(), o); !why.empty()) {
            active_.emplace(id, std::move(o));
            end_active(id, opt_out_state::revoked, "policy changed: " + why, "", {});
        } else {
            unrecorded_.push_back(std::move(o));
        }
    }
    for (auto& o : core_.db().list_opt_outs(opt_out_state::requested, active_max)) {
        deadlines_.emplace(o.request_expires_at, o.id);
        const auto id = o.id;
        requests_.emplace(id, live_request{std::move(o), phase::open, {}});
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
    deadlines_.emplace(found->until, id);
    active_.emplace(id, std::move(*found));
    unrecorded_.erase(found);
}

void opt_out_desk::recheck() {
    std::vector<std::pair<policy::opt_out_id, std::string>> over;
    for (const auto& [id, o] : active_)
        if (auto why = outside_bounds(core_.rules(), o); !why.empty()) over.emplace_back(id, why);
    for (const auto& [id, why] : over)
        end_active(id, opt_out_state::revoked, "policy changed: " + why, "", {});
    over.clear();
    for (const auto& [id, l] : requests_)
        if (auto why = outside_bounds(core_.rules(), l.o); !why.empty() && l.at == phase::open)
            over.emplace_back(id, why);
    for (const auto& [id, why] : over)
        end_request(id, opt_out_state::withdrawn, "policy changed: " + why, "", {});
}

// requests ----------------------------------------------------------------------------------

std::string opt_out_desk::refuse_request(const policy::opt_out_request& r) const {
    if (!core_.rules()) return "no policy is loaded";
    if (requests_.size() >= requests_max) return "too many requests wait already";
    int of_person = 0;
    int of_rule_and_person = 0;
    int of_rule = 0;
    const auto count = [&](const policy::opt_out& o) {
        if (o.rule != r.rule) return;
        ++of_rule;
        if (o.person == r.person.name) ++of_rule_and_person;
    };
    for (const auto& [id, l] : requests_) {
        count(l.o);
        if (l.o.person == r.person.name) ++of_person;
    }
    for (const auto& [id, o] : active_)
        count(o);
    for (const auto& o : unrecorded_)
        count(o);
    if (of_person >= requests_per_person_max)
        return "you have " + std::to_string(of_person) + " undecided requests; withdraw one first";
    return policy::check_bounds(*core_.rules(), r, of_rule_and_person, of_rule);
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
    o.max_uses = spec->max_uses.value_or(0);
    o.approvals_needed = std::max(spec->approved_by.approvals, 1);
    o.policy_hash = core_.rules()->hash;
    o.role = spec->role;
    if (!core_.stored([&] { o.id = core_.db().add_opt_out(o); }))
        return done({verdict::unavailable, "the state cannot be written", 0});
    const auto id = o.id;
    auto record = opt_out_record("opt_out.requested", o, o.requested_at);
    record.with("surface", surface.substr(0, 64));
    requests_.emplace(id, live_request{std::move(o), phase::opening, {}});
    core_.record(std::move(record), [this, id, done](std::unique_ptr<audit::receipt> receipt) {
        auto& l = requests_.at(id);
        l.at = phase::open;
        deadlines_.emplace(l.o.request_expires_at, id);
        if (!receipt) {
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
    });
}

// ends --------------------------------------------------------------------------------------

void opt_out_desk::settle(const unsettled_move& m) {
    const auto move = [&] {
        store::store::opt_out_change c;
        c.from = m.from;
        c.to = m.to;
        c.reason = m.reason;
        c.at = m.at;
        (void)core_.db().move_opt_out(m.id, c);
    };
    if (!core_.stored(move)) unsettled_.push_back(m);
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
    settle({id, opt_out_state::requested, to, reason, core_.now()});
    o.state = to;
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
    // Out of the grants first: whatever the disk says, it lets nothing through any more.
    publish_();
    settle({id, opt_out_state::active, to, reason, core_.now()});
    o.state = to;
    const auto name = std::string("opt_out.") + policy::to_string(to);
    record_end(opt_out_record(name.c_str(), o, core_.now()), reason, by,
               "opt-out " + std::to_string(id.value) + " is " + policy::to_string(to), id.value,
               done);
    const auto* spec = spec_now(core_.rules(), o.rule);
    for (const auto& f : core_.ended)
        f({id, o.rule, o.person, to, spec ? spec->at_end : policy::at_end::hold,
           spec ? spec->drain_limit : policy::milliseconds(0)});
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
    const bool approver = spec && policy::check_voter(spec->approved_by, r.who, o.person).empty();
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
        return end_active(r.id, opt_out_state::revoked, r.reason, r.who.name, done);
    if (requested->second.at != phase::open)
        return done({verdict::conflict,
                     "opt-out " + std::to_string(r.id.value) +
                         " is just being requested or activated; try again",
                     r.id.value});
    end_request(r.id, opt_out_state::withdrawn, r.reason, r.who.name, done);
}

// time and lists ----------------------------------------------------------------------------

std::optional<policy::instant> opt_out_desk::next_deadline() const {
    if (deadlines_.empty()) return std::nullopt;
    return deadlines_.begin()->first;
}

void opt_out_desk::run_due(policy::instant now) {
    while (!deadlines_.empty() && deadlines_.begin()->first <= now) {
        const auto id = deadlines_.begin()->second;
        if (active_.contains(id))
            end_active(id, opt_out_state::expired, "its time is over", "", {});
        else
            end_request(id, opt_out_state::lapsed, "nobody decided in time", "", {});
    }
}

bool opt_out_desk::retry_wanted() const {
    return !unsettled_.empty() || !unrecorded_.empty();
}

void opt_out_desk::retry() {
    for (const auto& m : std::exchange(unsettled_, {}))
        settle(m);
    if (!unrecorded_.empty() && resuming_ == 0) resume([] {});
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
