#include <algorithm>
#include <utility>

#include "proxy/approval/notices.h"
#include "proxy/approval/opt_outs.h"
#include "proxy/approval/records.h"
#include "proxy/audit/chain.h"

/// Uses of opt-outs: counted in the store, recorded, and only then allowed to pass.
namespace sallyport::proxy::approval {

namespace {

using policy::opt_out_state;

constexpr std::size_t opt_outs_per_use_max = 64;

std::string name_of(policy::opt_out_id id) {
    return "opt-out " + std::to_string(id.value);
}

audit::record bypass_record(audit::record r, const policy::opt_out& o, std::uint64_t use) {
    if (r.event.empty()) r.event = "bypass";
    set_field(r, "opt_out", std::to_string(o.id.value));
    set_field(r, "use", std::to_string(use));
    set_field(r, "max_uses", std::to_string(o.max_uses));
    set_field(r, "approved_by", approvers_of(o.votes));
    set_field(r, "reason", o.reason);
    set_field(r, "ticket", o.ticket);
    set_field(r, "until", audit::format_time(o.until));
    set_field(r, "rule", o.rule);
    return r;
}

/// One request whose records are on their way to the disk.
struct awaited {
    std::size_t left = 0;
    bool failed = false;
    std::unique_ptr<audit::receipt> last;
    steward::on_bypass done;
};

}  // namespace

void opt_out_desk::use(bypass_request r, steward::on_bypass done) {
    uses_.push_back({std::move(r), std::move(done)});
    // Behind all that is queued already: every use among it joins this one's transaction.
    if (uses_.size() == 1) core_.post([this] { run_uses(); });
}

std::string opt_out_desk::refuse_use(const bypass_request& r) const {
    if (r.opt_outs.empty()) return "no opt-out is named";
    if (r.opt_outs.size() > opt_outs_per_use_max) return "too many opt-outs are named";
    const auto now = core_.now();
    for (const auto id : r.opt_outs) {
        const auto found = active_.find(id);
        if (found == active_.end() || !found->second.live_at(now))
            return name_of(id) + " is not active (any more)";
        if (!found->second.lets(r.who)) return name_of(id) + " belongs to another person";
    }
    return {};
}

void opt_out_desk::run_uses() {
    std::vector<queued_use> usable;
    std::vector<std::vector<policy::opt_out_id>> requests;
    for (auto& q : std::exchange(uses_, {})) {
        auto& ids = q.request.opt_outs;
        std::sort(ids.begin(), ids.end());
        ids.erase(std::unique(ids.begin(), ids.end()), ids.end());
        if (auto why = refuse_use(q.request); !why.empty()) {
            q.done(nullptr, std::move(why));
            continue;
        }
        requests.push_back(ids);
        usable.push_back(std::move(q));
    }
    if (usable.empty()) return;
    std::vector<std::optional<std::vector<std::uint64_t>>> counts;
    if (!core_.stored_and_told([&] {
            counts = core_.db().use_opt_outs(requests, core_.now());
            for (std::size_t i = 0; i < usable.size(); ++i)
                if (counts[i]) tell_uses(usable[i].request, *counts[i]);
        })) {
        for (const auto& q : usable)
            q.done(nullptr, "the state cannot be written");
        return;
    }
    for (std::size_t i = 0; i < usable.size(); ++i) {
        if (counts[i])
            record_uses(usable[i], *counts[i]);
        else
            usable[i].done(nullptr, "the opt-out has no use left");
    }
}

/// The first use of each, and every use of a broken glass.
void opt_out_desk::tell_uses(const bypass_request& r, const std::vector<std::uint64_t>& counts) {
    for (std::size_t i = 0; i < counts.size(); ++i) {
        const auto& o = active_.at(r.opt_outs[i]);
        const bool glass = o.kind == policy::opt_out_kind::break_glass;
        if (counts[i] != 1 && !glass) continue;
        auto n = opt_out_notice(
            glass ? policy::notice_event::break_glass_use : policy::notice_event::first_use, o,
            core_.now());
        n.by = r.who.name;
        n.uses = counts[i];
        const auto* spec = spec_now(core_.rules(), o.rule);
        if (glass && spec && spec->break_glass) announce(n, *spec->break_glass);
        for (const auto& [name, value] : r.record.fields) {
            if (name == "statement") n.statement = value;
            if (name == "target") n.target = value;
            if (name == "touches" || name == "reasons") n.what = value;
            if (name == "application") n.application = value;
            if (name == "address") n.address = value;
        }
        core_.tell(n);
    }
}

void opt_out_desk::record_uses(const queued_use& q, const std::vector<std::uint64_t>& counts) {
    auto a = std::make_shared<awaited>();
    a->left = counts.size();
    a->done = q.done;
    for (std::size_t i = 0; i < counts.size(); ++i) {
        const auto id = q.request.opt_outs[i];
        auto& o = active_.at(id);
        o.uses = std::max(o.uses, counts[i]);
        core_.counts.bypasses.add();
        const bool was_last = o.max_uses != 0 && counts[i] == o.max_uses;
        core_.record(bypass_record(q.request.record, o, counts[i]),
                     [this, a, id, was_last](std::unique_ptr<audit::receipt> receipt) {
                         a->failed = a->failed || !receipt;
                         if (receipt) a->last = std::move(receipt);
                         if (--a->left == 0) {
                             if (a->failed)
                                 a->done(nullptr, "audit not writable");
                             else
                                 a->done(std::move(a->last), {});
                         }
                         // After the last use was let go, so that its session does not end before
                         // it.
                         if (was_last && active_.contains(id))
                             end_active(id, opt_out_state::used_up, "all its uses are spent", "",
                                        {});
                     });
    }
}

}  // namespace sallyport::proxy::approval
