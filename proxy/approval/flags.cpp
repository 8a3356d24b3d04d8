#include "proxy/approval/flags.h"

#include <utility>

#include "proxy/approval/notices.h"
#include "proxy/approval/records.h"

namespace sallyport::proxy::approval {

namespace {

// Each is held against every statement that is decided.
constexpr std::size_t live_max = 1000;
constexpr std::size_t listed_max = 1000;
constexpr std::size_t reason_bytes_max = 4096;

std::string name_of(const policy::flag& f) {
    return std::string(policy::to_string(f.kind)) + " " + std::to_string(f.id.value);
}

std::string event_of(const policy::flag& f, const char* what) {
    return std::string(policy::to_string(f.kind)) + "." + what;
}

}  // namespace

flag_desk::flag_desk(core& c) : core_(c) {
    c.attach(*this);
}

void flag_desk::recover() {
    for (auto& f : core_.db().list_flags(core_.now(), live_max)) {
        const auto id = f.id;
        deadlines_.emplace(f.until, id);
        live_.emplace(id, std::move(f));
    }
    if (!live_.empty()) publish_();
}

void flag_desk::set(const policy::flag_request& r, const policy::principal& who,
                    const std::string& surface, const steward::on_answer& done) {
    policy::flag f;
    if (auto why = policy::check_flag(r, f.range); !why.empty())
        return done({verdict::invalid, why, 0});
    if (who.name.empty()) return done({verdict::forbidden, "nobody is asking", 0});
    if (live_.size() >= live_max)
        return done(
            {verdict::invalid,
             "there are " + std::to_string(live_max) + " flags and locks already; lift some first",
             0});
    f.kind = r.kind;
    f.on = r.on;
    f.subject = r.subject;
    f.reason = r.reason;
    f.set_by = who.name;
    f.set_at = core_.now();
    f.until = f.set_at + r.lasts;
    const auto event =
        f.kind == policy::flag_kind::lock ? policy::notice_event::lock : policy::notice_event::flag;
    if (!core_.stored_and_told([&] {
            f.id = core_.db().add_flag(f);
            core_.tell(flag_notice(event, f, f.set_at));
        }))
        return done({verdict::unavailable, "the state cannot be written", 0});
    deadlines_.emplace(f.until, f.id);
    live_.emplace(f.id, f);
    publish_();
    if (f.kind == policy::flag_kind::flag) flagged_(f);
    if (f.kind == policy::flag_kind::lock) {
        if (f.on == policy::flag_on::rule) rule_locked_(f);
        for (const auto& tell : core_.locked)
            tell(f);
    }
    core_.tell_change("flag", f.id.value, policy::to_string(f.kind));
    auto record = flag_record(event_of(f, "set").c_str(), f, f.set_at);
    record.with("surface", surface.substr(0, 64));
    core_.record(std::move(record), [f, done](std::unique_ptr<audit::receipt> receipt) {
        auto text = name_of(f) + " is in force";
        if (!receipt) text += "; the audit log cannot be written at the moment";
        done({verdict::done, text, f.id.value});
    });
}

void flag_desk::lift(policy::flag_id id, const policy::principal& who, const std::string& reason,
                     const std::string& surface, const steward::on_answer& done) {
    const auto found = live_.find(id);
    if (found == live_.end() || lifting_.contains(id))
        return done({verdict::not_found, "no such flag or lock is in force", id.value});
    if (auto why = policy::check_lift(found->second, who); !why.empty())
        return done({verdict::forbidden, why, id.value});
    if (policy::is_blank(reason) || reason.size() > reason_bytes_max)
        return done(
            {verdict::invalid,
             "say why it is lifted, in " + std::to_string(reason_bytes_max) + " bytes at most",
             id.value});
    lifting_.insert(id);
    auto record =
        flag_record(event_of(found->second, "lifted").c_str(), found->second, core_.now());
    record.with("lifted_by", who.name).with("lifted_reason", reason);
    record.with("surface", surface.substr(0, 64));
    core_.record(std::move(record), [this, id, by = who.name, reason,
                                     done](std::unique_ptr<audit::receipt> receipt) {
        lifting_.erase(id);
        if (!receipt)
            return done({verdict::unavailable, "it stays in force: the audit log cannot be written",
                         id.value});
        lifted(id, by, reason, done);
    });
}

void flag_desk::lifted(policy::flag_id id, const std::string& by, const std::string& reason,
                       const steward::on_answer& done) {
    const auto found = live_.find(id);
    if (found == live_.end())
        return done({verdict::conflict, "it has just ended by itself", id.value});
    bool moved = false;
    auto told = flag_notice(policy::notice_event::lifted, found->second, core_.now());
    told.by = by;
    told.note = reason;
    told.until = {};
    if (!core_.stored_and_told([&] {
            moved = core_.db().lift_flag(id, by, reason, core_.now());
            if (moved) core_.tell(told);
        }))
        return done(
            {verdict::unavailable, "it stays in force: the state cannot be written", id.value});
    if (!moved) return done({verdict::conflict, "it was lifted already", id.value});
    const auto text = name_of(found->second) + " is lifted";
    deadlines_.erase({found->second.until, id});
    live_.erase(found);
    publish_();
    core_.tell_change("flag", id.value, "lifted");
    done({verdict::done, text, id.value});
}

std::vector<policy::flag> flag_desk::live() const {
    std::vector<policy::flag> all;
    all.reserve(live_.size());
    for (const auto& [id, f] : live_)
        all.push_back(f);
    return all;
}

std::vector<policy::flag> flag_desk::list(bool only_live) {
    if (only_live) return live();
    std::vector<policy::flag> all;
    if (!core_.stored([&] { all = core_.db().list_flags(std::nullopt, listed_max); })) return {};
    return all;
}

std::optional<policy::instant> flag_desk::next_deadline() const {
    if (deadlines_.empty()) return std::nullopt;
    return deadlines_.begin()->first;
}

void flag_desk::run_due(policy::instant now) {
    bool any = false;
    while (!deadlines_.empty() && deadlines_.begin()->first <= now) {
        const auto id = deadlines_.begin()->second;
        deadlines_.erase(deadlines_.begin());
        const auto node = live_.extract(id);
        core_.record(flag_record(event_of(node.mapped(), "ended").c_str(), node.mapped(), now));
        core_.tell_change("flag", id.value, "ended");
        auto told = flag_notice(policy::notice_event::ended, node.mapped(), now);
        told.by.clear();
        told.until = {};
        core_.tell(told);
        any = true;
    }
    if (any) publish_();
}

}  // namespace sallyport::proxy::approval
