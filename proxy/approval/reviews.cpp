#include "proxy/approval/reviews.h"

#include <algorithm>
#include <utility>

#include "proxy/approval/notices.h"
#include "proxy/approval/records.h"

namespace sallyport::proxy::approval {

namespace {

using policy::review_state;

constexpr std::size_t open_max = 10'000;
constexpr std::size_t listed_max = 1000;
constexpr std::size_t note_bytes_max = 4096;

std::string name_of(policy::opt_out_id id) {
    return "the review of opt-out " + std::to_string(id.value);
}

const policy::review* first_of(const std::map<policy::opt_out_id, policy::review>& open,
                               const std::string& person, auto&& fits) {
    const auto at = std::find_if(open.begin(), open.end(), [&](const auto& entry) {
        const auto& r = entry.second;
        return r.person == person && fits(r);
    });
    return at == open.end() ? nullptr : &at->second;
}

}  // namespace

review_desk::review_desk(core& c) : core_(c) {
    c.attach(*this);
}

void review_desk::recover() {
    for (auto& r : core_.db().list_reviews(review_state::open, open_max)) {
        const auto id = r.id;
        if (r.overdue_at == policy::instant{}) deadlines_.emplace(r.due_at, id);
        open_.emplace(id, std::move(r));
    }
    count_open();
}

void review_desk::count_open() {
    const auto overdue = std::count_if(open_.begin(), open_.end(), [](const auto& entry) {
        return entry.second.overdue_at != policy::instant{};
    });
    core_.counts.reviews_open.store(open_.size(), std::memory_order_relaxed);
    core_.counts.reviews_overdue.store(static_cast<std::size_t>(overdue),
                                       std::memory_order_relaxed);
}

void review_desk::opened(const policy::opt_out& o, policy::instant at, policy::instant due) {
    policy::review r;
    r.id = o.id;
    r.rule = o.rule;
    r.person = o.person;
    r.opened_at = at;
    r.due_at = due;
    r.kind = o.kind;
    r.uses = o.uses;
    core_.record(review_record("review.opened", r, at));
    deadlines_.emplace(due, o.id);
    open_.emplace(o.id, std::move(r));
    count_open();
    core_.tell_change("review", o.id.value, policy::to_string(review_state::open));
}

answer review_desk::missing(policy::opt_out_id id) {
    std::optional<policy::review> r;
    if (!core_.stored([&] { r = core_.db().get_review(id); }))
        return {verdict::unavailable, "the state cannot be read; try again", id.value};
    if (!r)
        return {verdict::not_found,
                "there is no review of opt-out " + std::to_string(id.value) +
                    ": it was not used, or it has not ended",
                id.value};
    return {
        verdict::conflict,
        name_of(id) + " was closed by " + r->reviewer + " (" + policy::to_string(r->state) + ")",
        id.value};
}

std::optional<answer> review_desk::objection(const steward::review_verdict& v) {
    const auto found = open_.find(v.id);
    if (found == open_.end() || closing_.contains(v.id)) return missing(v.id);
    const auto& r = found->second;
    std::optional<policy::opt_out> o;
    if (!core_.stored([&] { o = core_.db().get_opt_out(v.id); }) || !o)
        return answer{verdict::unavailable, "the state cannot be read; try again", v.id.value};
    const auto* rule = core_.rules() ? core_.rules()->find_rule(r.rule) : nullptr;
    std::string why;
    if (rule != nullptr && rule->opt_out)
        why = policy::check_reviewer(*rule->opt_out, v.who, *o);
    else if (v.who.name == o->person || v.who.name == o->requested_by)
        why = "nobody may review what she used herself";
    else if (!v.is_admin)
        why = "the rule is gone, so that only an admin may review what was used of it";
    if (why.empty() && (v.who.name.empty() || v.who.service)) why = "only persons may review";
    if (!why.empty()) return answer{verdict::forbidden, why, v.id.value};
    if (v.note.size() > note_bytes_max || v.surface.size() > 64)
        return answer{verdict::invalid,
                      "a note may have " + std::to_string(note_bytes_max) + " bytes at most",
                      v.id.value};
    if (v.to == review_state::finding && v.note.find_first_not_of(" \t\r\n") == std::string::npos)
        return answer{verdict::invalid, "a finding needs a note; say in a sentence what was found",
                      v.id.value};
    if (!policy::is_legal(review_state::open, v.to))
        return answer{verdict::invalid, "a review is signed off, or a finding is raised",
                      v.id.value};
    return std::nullopt;
}

void review_desk::close(const steward::review_verdict& v, const steward::on_answer& done) {
    if (auto why = objection(v)) return done(std::move(*why));
    // It may let somebody ask again: on record first.
    closing_.insert(v.id);
    auto r = review_record(v.to == review_state::finding ? "review.finding" : "review.signed_off",
                           open_.at(v.id), core_.now());
    r.with("reviewer", v.who.name).with("note", v.note).with("surface", v.surface);
    core_.record(std::move(r), [this, v, done](std::unique_ptr<audit::receipt> receipt) {
        closing_.erase(v.id);
        if (!receipt)
            return done({verdict::unavailable,
                         name_of(v.id) + " stays open: the audit log cannot be written",
                         v.id.value});
        closed(v, done);
    });
}

void review_desk::closed(const steward::review_verdict& v, const steward::on_answer& done) {
    bool moved = false;
    policy::notice told;
    if (const auto found = open_.find(v.id); found != open_.end())
        told = review_notice(v.to == review_state::finding ? policy::notice_event::finding
                                                           : policy::notice_event::signed_off,
                             found->second, core_.now());
    told.by = v.who.name;
    told.note = v.note;
    told.until = {};
    if (!core_.stored_and_told([&] {
            moved = core_.db().close_review(v.id, v.to, v.who.name, v.note, core_.now());
            if (moved) core_.tell(told);
        }))
        return done({verdict::unavailable,
                     name_of(v.id) + " stays open: the state cannot be written", v.id.value});
    if (!moved) return done(missing(v.id));
    if (const auto found = open_.find(v.id); found != open_.end()) {
        deadlines_.erase({found->second.due_at, v.id});
        open_.erase(found);
        count_open();
    }
    core_.tell_change("review", v.id.value, policy::to_string(v.to));
    done({verdict::done,
          name_of(v.id) +
              (v.to == review_state::finding ? " is closed with a finding" : " is signed off"),
          v.id.value});
}

std::vector<policy::review> review_desk::list(std::optional<review_state> s) {
    std::vector<policy::review> all;
    if (!core_.stored([&] { all = core_.db().list_reviews(s, listed_max); })) return {};
    return all;
}

const policy::review* review_desk::overdue_of(const std::string& person) const {
    const auto now = core_.now();
    return first_of(open_, person, [&](const policy::review& r) { return r.overdue(now); });
}

const policy::review* review_desk::glass_of(const std::string& person) const {
    return first_of(open_, person, [](const policy::review& r) {
        return r.kind == policy::opt_out_kind::break_glass;
    });
}

bool review_desk::note_overdue(const policy::review& r) {
    return core_.stored_and_told([&] {
        core_.db().note_overdue(r.id, r.overdue_at);
        core_.tell(review_notice(policy::notice_event::overdue, r, r.overdue_at));
    });
}

std::optional<policy::instant> review_desk::next_deadline() const {
    if (deadlines_.empty()) return std::nullopt;
    return deadlines_.begin()->first;
}

void review_desk::run_due(policy::instant now) {
    while (!deadlines_.empty() && deadlines_.begin()->first <= now) {
        const auto id = deadlines_.begin()->second;
        deadlines_.erase(deadlines_.begin());
        auto& r = open_.at(id);
        r.overdue_at = now;
        count_open();
        core_.record(review_record("review.overdue", r, now));
        if (!note_overdue(r)) unnoted_.push_back(id);
        core_.tell_change("review", id.value, "overdue");
    }
}

void review_desk::retry() {
    std::erase_if(unnoted_, [this](policy::opt_out_id id) {
        const auto found = open_.find(id);
        return found == open_.end() || note_overdue(found->second);
    });
}

}  // namespace sallyport::proxy::approval
