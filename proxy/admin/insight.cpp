#include "proxy/admin/insight.h"

#include <algorithm>
#include <optional>
#include <stdexcept>
#include <vector>

#include <nlohmann/json.hpp>

#include "proxy/admin/text.h"
#include "proxy/audit/chain.h"
#include "proxy/audit/segments.h"

namespace sallyport::proxy::admin {
namespace {

using json = nlohmann::ordered_json;
using policy::instant;

constexpr std::size_t holds_followed_max = 100'000;
constexpr std::size_t decisions_max = 1'000'000;
constexpr std::size_t names_max = 10'000;

struct tally {
    std::uint64_t opened = 0;
    std::uint64_t approved = 0;
    std::uint64_t denied = 0;
    std::uint64_t expired = 0;
    std::uint64_t withdrawn = 0;
    std::uint64_t bypasses = 0;
    std::vector<std::int64_t> decided_in;  ///< ms from opened to approved or denied
};

struct share {
    std::uint64_t holds = 0;
    std::uint64_t bypasses = 0;
    std::uint64_t votes = 0;
};

/// The nearest rank; null without values.
json percentile(std::vector<std::int64_t>& values, int percent) {
    if (values.empty()) return nullptr;
    const auto rank = (values.size() * static_cast<std::size_t>(percent) + 99) / 100;
    const auto at =
        values.begin() + static_cast<std::ptrdiff_t>(std::max<std::size_t>(rank, 1) - 1);
    std::nth_element(values.begin(), at, values.end());
    return *at;
}

void put_counts(json& out, const tally& t) {
    out["holds_opened"] = t.opened;
    out["approved"] = t.approved;
    out["denied"] = t.denied;
    out["expired"] = t.expired;
    out["withdrawn"] = t.withdrawn;
    out["bypasses"] = t.bypasses;
}

/// Counts while the log is shown to it in order.
class counter {
  public:
    explicit counter(const insight_question& q)
        : q_(q),
          steps_(static_cast<std::size_t>((q.to - q.from + q.step - policy::milliseconds(1)) /
                                          q.step)) {}

    void see(const audit::parsed_line& line) {
        const auto at = audit::parse_time(line.time);
        if (!at) return;
        if (line.event.starts_with("opt_out.")) see_opt_out(line, *at);
        if (*at >= q_.to) return;
        if (line.event.starts_with("hold.") || line.event == "bypass") see_hold(line, *at);
    }

    json answer() {
        json out;
        out["from"] = iso_time(q_.from);
        out["to"] = iso_time(q_.to);
        out["step"] = format_duration(q_.step);
        json total;
        put_counts(total, total_);
        total["p50_ms"] = percentile(total_.decided_in, 50);
        total["p90_ms"] = percentile(total_.decided_in, 90);
        out["total"] = std::move(total);
        out["series"] = json::array();
        for (std::size_t i = 0; i < steps_.size(); ++i)
            out["series"].push_back(step(i));
        out["rules"] = top(rules_, "rule");
        out["people"] = top(people_, "user");
        out["cut"] = cut_;
        return out;
    }

  private:
    struct lifetime {
        instant from;
        instant until;
    };

    tally* step_of(instant at) {
        if (at < q_.from || at >= q_.to) return nullptr;
        return &steps_[static_cast<std::size_t>((at - q_.from) / q_.step)];
    }

    void see_hold(const audit::parsed_line& line, instant at) {
        auto* const step = step_of(at);
        const auto what = std::string_view(line.event);
        if (what == "hold.opened") follow(line, at);
        if (what == "hold.approved" || what == "hold.denied") decide(line, at, step);
        if (step == nullptr) return;
        const auto count = [&](std::uint64_t tally::*field) {
            ++(step->*field);
            ++(total_.*field);
        };
        if (what == "hold.opened") {
            count(&tally::opened);
            add(line, &share::holds);
        } else if (what == "hold.approved") {
            count(&tally::approved);
        } else if (what == "hold.denied") {
            count(&tally::denied);
        } else if (what == "hold.expired") {
            count(&tally::expired);
        } else if (what == "hold.withdrawn") {
            count(&tally::withdrawn);
        } else if (what == "bypass") {
            count(&tally::bypasses);
            add(line, &share::bypasses);
        } else if (what == "hold.vote") {
            if (auto* const who = share_of(people_, line.field("voter"))) ++who->votes;
        }
        if (what == "hold.expired" || what == "hold.withdrawn")
            open_.erase(std::string(line.field("hold")));
    }

    void follow(const audit::parsed_line& line, instant at) {
        if (open_.size() >= holds_followed_max) {
            cut_ = true;
            return;
        }
        open_.emplace(line.field("hold"), at);
    }

    void decide(const audit::parsed_line& line, instant at, tally* step) {
        const auto opened = open_.find(std::string(line.field("hold")));
        if (opened == open_.end()) return;
        const auto took = std::max<std::int64_t>((at - opened->second).count(), 0);
        open_.erase(opened);
        if (step == nullptr) return;
        if (total_.decided_in.size() >= decisions_max) {
            cut_ = true;
            return;
        }
        step->decided_in.push_back(took);
        total_.decided_in.push_back(took);
    }

    void see_opt_out(const audit::parsed_line& line, instant at) {
        const auto what = std::string_view(line.event);
        const std::string id(line.field("opt_out"));
        if (what == "opt_out.activated" || what == "opt_out.break_glass") {
            const auto from = audit::parse_time(line.field("from"));
            const auto until = audit::parse_time(line.field("until"));
            if (!from || !until) return;
            if (lives_.size() >= holds_followed_max) {
                cut_ = true;
                return;
            }
            lives_[id] = {*from, *until};
        } else if (what == "opt_out.expired" || what == "opt_out.revoked" ||
                   what == "opt_out.used_up") {
            const auto live = lives_.find(id);
            if (live != lives_.end()) live->second.until = std::min(live->second.until, at);
        }
    }

    share* share_of(std::map<std::string, share>& all, std::string_view name) {
        const std::string key(name);
        const auto at = all.find(key);
        if (at != all.end()) return &at->second;
        if (key.empty()) return nullptr;
        if (all.size() >= names_max) {
            cut_ = true;
            return nullptr;
        }
        return &all[key];
    }

    void add(const audit::parsed_line& line, std::uint64_t share::*field) {
        if (auto* const r = share_of(rules_, line.field("rule"))) ++(r->*field);
        if (auto* const p = share_of(people_, line.field("user"))) ++(p->*field);
    }

    json step(std::size_t i) {
        auto& t = steps_[i];
        const auto begin = q_.from + q_.step * static_cast<std::int64_t>(i);
        const auto end = std::min(begin + q_.step, q_.to);
        json one;
        one["at"] = iso_time(begin);
        put_counts(one, t);
        one["p50_ms"] = percentile(t.decided_in, 50);
        one["p90_ms"] = percentile(t.decided_in, 90);
        one["opt_outs_live"] = std::count_if(lives_.begin(), lives_.end(), [&](const auto& l) {
            return l.second.from < end && l.second.until > begin;
        });
        return one;
    }

    static json top(const std::map<std::string, share>& all, const char* name) {
        std::vector<std::pair<std::string, share>> order(all.begin(), all.end());
        const auto weight = [](const share& s) { return s.holds + s.bypasses + s.votes; };
        std::stable_sort(order.begin(), order.end(), [&](const auto& x, const auto& y) {
            return weight(x.second) > weight(y.second);
        });
        json out = json::array();
        for (const auto& [key, s] : order) {
            if (out.size() == insight_top) break;
            json one;
            one[name] = key;
            one["holds"] = s.holds;
            one["bypasses"] = s.bypasses;
            if (std::string_view(name) == "user") one["votes"] = s.votes;
            out.push_back(std::move(one));
        }
        return out;
    }

    insight_question q_;
    std::vector<tally> steps_;
    tally total_;
    std::map<std::string, instant> open_;
    std::map<std::string, lifetime> lives_;
    std::map<std::string, share> rules_;
    std::map<std::string, share> people_;
    bool cut_ = false;
};

}  // namespace

std::string check(const insight_question& q) {
    if (q.from >= q.to) return "\"from\" must be earlier than \"to\".";
    if (q.to - q.from > insight_span_max) return "From \"from\" to \"to\" are at most 400 days.";
    if (q.step < std::chrono::seconds(1)) return "\"step\" is at least 1s.";
    if ((q.to - q.from) / q.step >= static_cast<std::int64_t>(insight_steps_max))
        return "There would be more than 500 steps; take a longer \"step\".";
    return {};
}

std::string read_insight(const std::string& directory, const insight_question& q,
                         std::chrono::steady_clock::time_point give_up_at) {
    counter counts(q);
    std::uint64_t seen = 0;
    audit::source_line raw;
    for (const auto& segment : audit::list_segments(directory)) {
        audit::line_reader reader(directory, segment.name);
        while (reader.next(raw)) {
            if (++seen % 1024 == 0 && std::chrono::steady_clock::now() >= give_up_at)
                throw std::runtime_error("the log is too long to be read through in time");
            if (!raw.complete || raw.too_long) continue;
            if (const auto line = audit::parse_line(raw.bytes)) counts.see(*line);
        }
    }
    return counts.answer().dump(-1, ' ', false, json::error_handler_t::replace);
}

std::string insight_cache::find(const insight_question& q, policy::instant now) {
    const std::scoped_lock lock(mutex_);
    const auto at = all_.find(q);
    if (at == all_.end() || now >= at->second.at + life) return {};
    return at->second.answer;
}

void insight_cache::put(const insight_question& q, std::string answer, policy::instant now) {
    const std::scoped_lock lock(mutex_);
    std::erase_if(all_, [now](const auto& e) { return now >= e.second.at + life; });
    if (all_.size() >= entries_max) all_.erase(all_.begin());
    all_[q] = {std::move(answer), now};
}

}  // namespace sallyport::proxy::admin
