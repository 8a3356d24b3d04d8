#include "proxy/approval/outbox.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "proxy/approval/records.h"

namespace sallyport::proxy::approval {

namespace {

constexpr std::uint64_t waiting_max = 100'000;  // for one channel
constexpr std::size_t untold_max = 1000;
constexpr std::size_t troubled_listed_max = 200;
constexpr std::chrono::hours trim_interval{1};
constexpr std::chrono::seconds trim_goes_on{1};
constexpr std::size_t trimmed_at_once = 1000;

}  // namespace

outbox_desk::outbox_desk(core& c) : core_(c) {
    c.attach(*this);
    c.set_teller([this](const policy::notice& n) { tell(n); });
}

void outbox_desk::recover() {
    for (const auto& b : core_.db().backlog())
        waiting_[b.channel] = b.waiting;
    set_routes(std::move(routes_));
    trim_at_ = core_.now() + trim_goes_on;
}

void outbox_desk::set_routes(notice_routes r) {
    routes_ = std::move(r);
    std::vector<store::delivery> closed;
    const auto close = [&] {
        closed = core_.db().close_channels(routes_.channels, "the channel is no longer configured",
                                           core_.now());
    };
    if (!core_.stored(close)) return;
    for (const auto& d : closed) {
        record_given_up(d);
        waiting_.erase(d.channel);
    }
}

void outbox_desk::record_given_up(const store::delivery& d) {
    audit::record r;
    r.event = "notice.given_up";
    r.at = core_.now();
    r.with("channel", d.channel)
        .with("notice", policy::to_string(d.what.event))
        .with("subject", d.what.subject())
        .with("delivery", d.key)
        .with("attempts", std::to_string(d.attempts))
        .with("error", d.error);
    core_.record(std::move(r));
}

/// A channel that takes nothing must not fill the disk.
std::vector<std::string> outbox_desk::with_room(std::vector<std::string> channels) {
    std::erase_if(channels, [this](const std::string& c) {
        const bool full = waiting_[c] >= waiting_max;
        if (full && !std::exchange(full_[c], true)) {
            audit::record r;
            r.event = "notice.dropped";
            r.at = core_.now();
            r.with("channel", c).with("reason", std::to_string(waiting_max) + " wait for it");
            core_.record(std::move(r));
        }
        if (!full) full_[c] = false;
        return full;
    });
    return channels;
}

void outbox_desk::tell(const policy::notice& n) {
    if (!routes_.of) return;
    const auto channels = with_room(routes_.of(n));
    if (channels.empty()) return;
    const auto add = [&] { core_.db().add_notice(n, channels); };
    if (core_.in_transaction()) {
        add();
    } else if (!core_.stored(add)) {
        if (untold_.size() < untold_max) untold_.push_back(n);
        return;
    }
    for (const auto& c : channels)
        ++waiting_[c];
    if (added_) added_();
}

void outbox_desk::exchange(const delivery_exchange& e,
                           const std::function<void(delivery_work)>& done) {
    delivery_work w;
    const auto now = core_.now();
    w.stored = core_.stored([&] {
        core_.db().settle(e.outcomes);
        for (const auto& [channel, limit] : e.wanted) {
            auto due = core_.db().due(channel, now, limit);
            std::move(due.begin(), due.end(), std::back_inserter(w.due));
            const auto next = core_.db().next_due(channel);
            if (next != policy::instant{}) w.next[channel] = next;
        }
    });
    for (const auto& o : e.outcomes) {
        auto& waiting = waiting_[o.channel];
        if (w.stored && o.to != store::delivery_state::waiting && waiting > 0) --waiting;
    }
    w.waiting = waiting_;
    done(std::move(w));
}

delivery_report outbox_desk::report() {
    delivery_report r;
    r.read = core_.stored([&] {
        r.backlog = core_.db().backlog();
        r.troubled = core_.db().troubled(troubled_listed_max);
    });
    return r;
}

void outbox_desk::run_due(policy::instant now) {
    if (now < trim_at_) return;
    std::size_t rows = 0;
    const bool trimmed = core_.stored([&] { rows = core_.db().trim(now - keep_); });
    trim_at_ = now + (trimmed && rows >= trimmed_at_once ? policy::milliseconds(trim_goes_on)
                                                         : policy::milliseconds(trim_interval));
}

void outbox_desk::retry() {
    for (const auto& n : std::exchange(untold_, {}))
        tell(n);
}

}  // namespace sallyport::proxy::approval
