#include <algorithm>
#include <utility>

#include "proxy/approval/opt_outs.h"
#include "proxy/approval/records.h"

/// Opt-outs as code: the policy's repository has them, and here they live as all others do.
namespace sallyport::proxy::approval {

namespace {

using policy::opt_out_state;
using policy::written_opt_out;

const std::vector<written_opt_out>& written_in(const policy::rule_set_ptr& rules) {
    static const std::vector<written_opt_out> none;
    return rules && rules->opt_outs ? rules->opt_outs->all : none;
}

/// True for one that a person ended, which the file then does not bring back.
bool ended_by_a_person(const policy::opt_out& o) {
    return o.state == opt_out_state::revoked && o.ended_reason != no_longer_written &&
           o.ended_reason != audit_cannot && !o.ended_reason.starts_with(policy_changed);
}

policy::opt_out made_of(const written_opt_out& w, const policy::opt_out_spec& spec,
                        policy::instant now) {
    policy::opt_out o;
    const auto& r = w.request;
    o.rule = r.rule;
    o.person = o.requested_by = r.person.name;
    o.reason = r.reason;
    o.ticket = r.ticket;
    o.target = r.target;
    o.duration = r.duration;
    o.requested_at = now;
    o.request_expires_at = w.until();
    o.approvals_needed = std::max(spec.approved_by.approvals, 1);
    o.role = spec.role;
    o.kind = policy::opt_out_kind::file;
    o.group = r.group;
    o.scope = r.scope;
    o.starts_at = r.starts_at;
    o.person_groups = r.person.groups;
    o.born_with = spec.approved_by;
    o.written = w.key;
    return o;
}

}  // namespace

bool opt_out_desk::still_written(const policy::opt_out& o) const {
    if (o.kind != policy::opt_out_kind::file) return true;
    const auto& all = written_in(core_.rules());
    return std::any_of(all.begin(), all.end(),
                       [&](const written_opt_out& w) { return w.key == o.written; });
}

bool opt_out_desk::stands_already(const written_opt_out& w) const {
    const auto is = [&](const policy::opt_out& o) { return o.written == w.key; };
    return std::any_of(active_.begin(), active_.end(),
                       [&](const auto& x) { return is(x.second); }) ||
           std::any_of(requests_.begin(), requests_.end(),
                       [&](const auto& x) { return is(x.second.o); }) ||
           std::any_of(unrecorded_.begin(), unrecorded_.end(), is);
}

std::optional<std::uint64_t> opt_out_desk::uses_left(const written_opt_out& w, std::uint64_t max) {
    std::vector<policy::opt_out> past;
    if (!core_.stored(
            [&] { past = core_.db().opt_outs_since(w.request.rule, w.request.starts_at); })) {
        written_wanted_ = true;
        return std::nullopt;
    }
    std::uint64_t used = 0;
    for (const auto& o : past) {
        if (o.written != w.key) continue;
        if (o.state == opt_out_state::used_up || ended_by_a_person(o)) return std::nullopt;
        used += o.uses;
    }
    if (max == 0) return 0;
    return used < max ? std::optional(max - used) : std::nullopt;
}

void opt_out_desk::sync_written() {
    written_wanted_ = false;
    std::vector<policy::opt_out_id> over;
    for (const auto& [id, o] : active_)
        if (!still_written(o)) over.push_back(id);
    for (const auto id : over)
        end_active(id, opt_out_state::revoked, no_longer_written, "", {});
    const auto now = core_.now();
    for (const auto& w : written_in(core_.rules()))
        if (w.until() > now && !stands_already(w)) begin_written(w);
}

void opt_out_desk::begin_written(const written_opt_out& w) {
    const auto* spec = spec_now(core_.rules(), w.request.rule);
    // The file was checked against these very rules; what nobody has approved cannot be in it.
    if (!spec || static_cast<int>(w.approved_by.size()) < std::max(spec->approved_by.approvals, 1))
        return;
    auto most = policy::bounds_of(*spec, policy::opt_out_kind::file).uses.value_or(0);
    if (w.max_uses != 0) most = most == 0 ? w.max_uses : std::min(most, w.max_uses);
    const auto left = uses_left(w, most);
    if (!left) return;
    auto o = made_of(w, *spec, core_.now());
    o.max_uses = *left;
    o.policy_hash = core_.rules()->hash;
    if (auto why = refuse_request(w.request); !why.empty()) {
        if (!written_refused_.insert(w.key).second) return;
        auto r = opt_out_record("opt_out.refused", o, o.requested_at);
        r.with("ended_reason", why).with("surface", "file");
        return core_.record(std::move(r));
    }
    written_refused_.erase(w.key);
    std::vector<policy::vote> votes;
    for (const auto& p : w.approved_by)
        votes.push_back({p.name, true, "", o.requested_at, "file"});
    if (!core_.stored([&] {
            o.id = core_.db().add_opt_out(o);
            for (std::size_t i = 0; i + 1 < votes.size(); ++i)
                core_.db().add_opt_out_vote(o.id, votes[i]);
        })) {
        written_wanted_ = true;
        return;
    }
    auto requested = opt_out_record("opt_out.requested", o, o.requested_at);
    requested.with("surface", "file");
    core_.record(std::move(requested));
    for (const auto& v : votes) {
        auto r = opt_out_record("opt_out.vote", o, o.requested_at);
        add_vote(r, v);
        core_.record(std::move(r));
    }
    const auto last = votes.back();
    votes.pop_back();
    o.votes = std::move(votes);
    deadlines_.emplace(o.request_expires_at, o.id);
    const auto id = o.id;
    auto& l = requests_.emplace(id, live_request{std::move(o), phase::open, {}}).first->second;
    activate(l, &last, *spec, [this, id](const answer& a) {
        if (a.what != verdict::unavailable) return;
        // Not active, and not in the way of the next try.
        if (requests_.contains(id)) end_request(id, opt_out_state::withdrawn, audit_cannot, "", {});
        written_wanted_ = true;
    });
}

}  // namespace sallyport::proxy::approval
