#include <algorithm>
#include <utility>

#include "policy/commands.h"
#include "proxy/admin/desk.h"
#include "proxy/admin/text.h"

/// Votes taken back, reviews, flags and locks.
namespace sallyport::proxy::admin {

using approval::answer;
using approval::verdict;

namespace {

answer refuse(verdict what, std::string text) {
    return {.what = what, .text = std::move(text), .id = 0};
}

std::string shown(const policy::flag_request& r) {
    return std::string(policy::to_string(r.on)) + " " + r.subject + ": " + r.reason;
}

/// "" if there is what the lock or flag is to be on, else one sentence: a slip of the pen in an
/// emergency must not pass for a lock.
std::string check_subject(const policy::flag_request& r, const dependencies& d) {
    std::vector<std::string> known;
    if (r.on == policy::flag_on::rule && d.rules && d.rules()) {
        known = {policy::opaque_rule_id, policy::default_rule_id, policy::flag_rule_id};
        for (const auto& rule : d.rules()->rules)
            known.push_back(rule.id);
    } else if (r.on == policy::flag_on::target && d.targets) {
        known = d.targets();
    }
    if (known.empty() || std::find(known.begin(), known.end(), r.subject) != known.end()) return {};
    const auto near = nearest(r.subject, known);
    return std::string("There is no ") + policy::to_string(r.on) + " \"" + r.subject + "\"" +
           (near.empty() ? "" : " (did you mean \"" + near + "\"?)") + "; nothing was done.";
}

/// What a token may be used for is checked at the door; what it looks up on the way is not a second
/// use of it.
actor unscoped(actor a) {
    a.scopes.reset();
    return a;
}

}  // namespace

std::string add_action(policy::opt_out_scope& s, const std::string& word) {
    policy::kind k{};
    if (policy::parse_kind(word, k))
        s.kinds.push_back(k);
    else if (policy::find_command(word) != nullptr)
        s.commands.push_back(word);
    else
        return "What may be done is a kind (read, write, ddl …) or a command (select, truncate …).";
    return {};
}

void desk::withdraw_vote(actor a, policy::hold_id id, on_answer done) {
    done = recorded(a, "hold.withdraw_vote", id.value, {}, std::move(done));
    if (auto may = permit(action::withdraw_vote, a); may.what != verdict::done)
        return done(std::move(may));
    hold(unscoped(a), id, [self = shared_from_this(), a, id, done](listing<policy::hold> found) {
        if (found.answer.what != verdict::done) return done(std::move(found.answer));
        self->d_.approval.withdraw_vote(id, a.who, a.surface, done);
    });
}

void desk::withdraw_vote(actor a, policy::opt_out_id id, on_answer done) {
    done = recorded(a, "opt_out.withdraw_vote", id.value, {}, std::move(done));
    if (auto may = permit(action::withdraw_vote, a); may.what != verdict::done)
        return done(std::move(may));
    opt_out(unscoped(a), id,
            [self = shared_from_this(), a, id, done](listing<policy::opt_out> found) {
                if (found.answer.what != verdict::done) return done(std::move(found.answer));
                self->d_.approval.withdraw_vote(id, a.who, a.surface, done);
            });
}

void desk::reviews(actor a, std::optional<policy::review_state> state,
                   std::function<void(listing<policy::review>)> done) {
    if (auto may = permit(action::see_reviews, a); may.what != verdict::done)
        return done({std::move(may), {}});
    d_.approval.list_reviews(state, [a = std::move(a), rules = rules(),
                                     done = std::move(done)](std::vector<policy::review> all) {
        std::erase_if(all, [&](const policy::review& r) { return !may_see(a, r, rules.get()); });
        done({{.what = verdict::done, .text = {}, .id = 0}, std::move(all)});
    });
}

void desk::review(actor a, policy::opt_out_id id, policy::review_state to, std::string note,
                  on_answer done) {
    done = recorded(a, to == policy::review_state::finding ? "review.finding" : "review.sign_off",
                    id.value, note, std::move(done));
    auto may = permit(action::review, a);
    if (may.what == verdict::done)
        if (auto why = check_text("note", note, reason_bytes_max); !why.empty())
            may = refuse(verdict::invalid, std::move(why));
    if (may.what != verdict::done) return done(std::move(may));
    opt_out(unscoped(a), id,
            [self = shared_from_this(), a, to, note = std::move(note),
             done](listing<policy::opt_out> found) {
                if (found.answer.what != verdict::done) return done(std::move(found.answer));
                self->d_.approval.review({.id = found.items.front().id,
                                          .who = a.who,
                                          .to = to,
                                          .note = note,
                                          .surface = a.surface,
                                          .is_admin = a.role.admin},
                                         done);
            });
}

void desk::flags(actor a, bool live, std::function<void(listing<policy::flag>)> done) {
    if (auto may = permit(action::see_flags, a); may.what != verdict::done)
        return done({std::move(may), {}});
    d_.approval.list_flags(live, [done = std::move(done)](std::vector<policy::flag> all) {
        done({{.what = verdict::done, .text = {}, .id = 0}, std::move(all)});
    });
}

void desk::deliveries(actor a, std::function<void(answer, delivery_overview)> done) {
    auto may = permit(action::see_deliveries, a);
    if (may.what != verdict::done) return done(std::move(may), {});
    if (!d_.deliveries) return done(std::move(may), {});
    d_.deliveries([may, done = std::move(done)](delivery_overview all) {
        if (!all.report.read) return done(refuse(verdict::unavailable, {}), {});
        done(may, std::move(all));
    });
}

std::pair<answer, std::string> desk::report(const actor& a, std::optional<policy::instant> from,
                                            std::optional<policy::instant> to) {
    auto may = permit(action::see_audit, a);
    if (may.what != verdict::done) return {std::move(may), {}};
    if (!d_.report) return {refuse(verdict::unavailable, {}), {}};
    try {
        return {std::move(may), d_.report(from, to)};
    } catch (const std::exception&) {
        return {refuse(verdict::unavailable, "The audit log cannot be read."), {}};
    }
}

void desk::set_flag(actor a, policy::flag_request r, on_answer done) {
    const bool lock = r.kind == policy::flag_kind::lock;
    done = recorded(a, lock ? "lock.set" : "flag.set", 0, shown(r), std::move(done));
    auto may = permit(lock ? action::set_lock : action::set_flag, a);
    for (const auto& [what, text] : {std::pair{"subject", &r.subject}, {"reason", &r.reason}})
        if (may.what == verdict::done)
            if (auto why = check_text(what, *text, reason_bytes_max); !why.empty())
                may = refuse(verdict::invalid, std::move(why));
    if (may.what == verdict::done)
        if (auto why = check_way_out(a, r); !why.empty())
            may = refuse(verdict::invalid, std::move(why));
    if (may.what == verdict::done)
        if (auto why = check_subject(r, d_); !why.empty())
            may = refuse(verdict::invalid, std::move(why));
    if (may.what != verdict::done) return done(std::move(may));
    d_.approval.set_flag(std::move(r), a.who, a.surface, std::move(done));
}

void desk::lift_flag(actor a, policy::flag_id id, std::string reason, on_answer done) {
    done = recorded(a, "flag.lift", id.value, reason, std::move(done));
    auto may = permit(action::lift_flag, a);
    if (may.what == verdict::done)
        if (auto why = check_text("reason", reason, reason_bytes_max); !why.empty())
            may = refuse(verdict::invalid, std::move(why));
    if (may.what == verdict::done && d_.approval.grants) {
        const auto now_in_force = d_.approval.grants();
        const auto& all = now_in_force->flags;
        const auto at =
            std::find_if(all.begin(), all.end(), [id](const auto& f) { return f.id == id; });
        if (at == all.end())
            may = refuse(verdict::not_found, "No such flag or lock is in force.");
        else if (auto why = check_lift(a, *at); !why.empty())
            may = refuse(verdict::forbidden, std::move(why));
    }
    if (may.what != verdict::done) return done(std::move(may));
    d_.approval.lift_flag(id, a.who, std::move(reason), a.surface, std::move(done));
}

}  // namespace sallyport::proxy::admin
