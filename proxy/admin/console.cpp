#include "proxy/admin/console.h"

#include <utility>

#include <boost/asio/post.hpp>
#include <boost/asio/thread_pool.hpp>

#include "proxy/admin/console_command.h"
#include "proxy/admin/console_rows.h"
#include "proxy/admin/deliveries.h"
#include "proxy/admin/desk.h"
#include "proxy/admin/text.h"
#include "proxy/visible.h"

namespace sallyport::proxy::admin {
namespace {

using approval::answer;
using approval::verdict;
using on_result = std::function<void(console_result)>;

/// One run of a command: what its callbacks need.
struct job {
    std::shared_ptr<desk> business;
    command what;
    actor who;
    on_result done;
};

console_result start(const command& c) {
    console_result r;
    r.columns = columns_of(c);
    r.tag = c.tag;
    return r;
}

bool good(const answer& a) {
    return a.what == verdict::done || a.what == verdict::counted;
}

/// The row of a command that changes something.
desk::on_answer reply(const job& j) {
    return [c = j.what, done = j.done](const answer& a) {
        if (!good(a)) return done(console_error(a));
        auto r = start(c);
        r.rows.push_back({a.id == 0 ? std::nullopt : std::optional(std::to_string(a.id)),
                          a.what == verdict::counted ? "counted" : "done",
                          visible(a.text, line_breaks::escape)});
        done(std::move(r));
    };
}

void show_holds(const job& j) {
    std::optional<policy::hold_state> state = policy::hold_state::pending;
    if (j.what.all) state.reset();
    j.business->holds(j.who, state, [j](const listing<policy::hold>& all) {
        if (!good(all.answer)) return j.done(console_error(all.answer));
        auto r = start(j.what);
        for (const auto& h : all.items)
            r.rows.push_back(row_of(h, j.who));
        j.done(std::move(r));
    });
}

void show_hold(const job& j) {
    j.business->hold(j.who, policy::hold_id{j.what.id}, [j](const listing<policy::hold>& found) {
        if (!good(found.answer)) return j.done(console_error(found.answer));
        auto r = start(j.what);
        r.rows = fields_of(found.items.front(), j.who);
        j.done(std::move(r));
    });
}

void show_opt_outs(const job& j) {
    j.business->opt_outs(j.who, std::nullopt,
                         [j, rules = j.business->rules()](const listing<policy::opt_out>& all) {
                             if (!good(all.answer)) return j.done(console_error(all.answer));
                             auto r = start(j.what);
                             for (const auto& o : all.items) {
                                 const bool open = o.state == policy::opt_out_state::requested ||
                                                   o.state == policy::opt_out_state::active;
                                 if (open || j.what.all)
                                     r.rows.push_back(row_of(o, j.who, rules.get()));
                             }
                             if (rules != nullptr)
                                 for (const auto& one : rules->rules)
                                     if (one.is_exception())
                                         r.notices.push_back("standing exception " + one.id + ": " +
                                                             note_of(one, j.business->now()));
                             j.done(std::move(r));
                         });
}

void show_sessions(const job& j) {
    j.business->sessions(j.who, [j](const listing<session_info>& all) {
        if (!good(all.answer)) return j.done(console_error(all.answer));
        auto r = start(j.what);
        for (const auto& s : all.items)
            r.rows.push_back(row_of(s));
        j.done(std::move(r));
    });
}

void show_rules(const job& j) {
    auto r = start(j.what);
    if (const auto rules = j.business->rules()) {
        const auto uses = j.business->counts();
        for (const auto& one : rules->rules)
            r.rows.push_back(row_of(one, uses, j.business->now()));
        r.notices.push_back("default: " + std::string(policy::to_string(rules->default_effect)) +
                            ", opaque: " + policy::to_string(rules->opaque_effect) + ", policy " +
                            rules->hash);
    }
    j.done(std::move(r));
}

void show_stats(const job& j) {
    j.business->stats(j.who, [j](const answer& a, const statistics& s) {
        if (!good(a)) return j.done(console_error(a));
        auto r = start(j.what);
        r.rows.push_back(row_of(s));
        j.done(std::move(r));
    });
}

void show_deliveries(const job& j) {
    j.business->deliveries(j.who, [j](const answer& a, const delivery_overview& all) {
        if (!good(a)) return j.done(console_error(a));
        auto r = start(j.what);
        for (const auto& s : all.channels)
            r.rows.push_back(row_of(s));
        r.notices = troubles_of(all);
        j.done(std::move(r));
    });
}

void vote_hold(const job& j, bool approve) {
    hold_ballot b;
    b.approve = approve;
    b.reason = j.what.reason.value_or("");
    b.scope = j.what.pass.value_or(policy::pass_scope::statement);
    b.for_ = j.what.for_;
    j.business->vote(j.who, policy::hold_id{j.what.id}, std::move(b), reply(j));
}

void request_hold(const job& j) {
    hold_wish w;
    w.target = j.what.target;
    w.sql = j.what.value;
    w.reason = j.what.reason.value_or("");
    w.application = j.what.scope.application;
    w.wait = j.what.for_;
    j.business->request_hold(j.who, w, reply(j));
}

void vote_opt_out(const job& j, bool approve) {
    j.business->vote(j.who, policy::opt_out_id{j.what.id}, approve, j.what.reason.value_or(""),
                     reply(j));
}

void request_opt_out(const job& j, policy::opt_out_kind kind) {
    j.business->request(j.who,
                        {.rule = j.what.rule,
                         .duration = j.what.for_.value_or(policy::milliseconds::zero()),
                         .reason = j.what.reason.value_or(""),
                         .ticket = j.what.ticket,
                         .target = j.what.target,
                         .kind = kind,
                         .group = j.what.group,
                         .scope = j.what.scope,
                         .starts_at = j.what.from},
                        reply(j));
}

void extend_opt_out(const job& j) {
    j.business->extend(j.who, policy::opt_out_id{j.what.id},
                       {.duration = j.what.for_.value_or(policy::milliseconds::zero()),
                        .reason = j.what.reason.value_or(""),
                        .ticket = j.what.ticket},
                       reply(j));
}

void show_reviews(const job& j) {
    std::optional<policy::review_state> state = policy::review_state::open;
    if (j.what.all) state.reset();
    j.business->reviews(
        j.who, state, [j, rules = j.business->rules()](const listing<policy::review>& all) {
            if (!good(all.answer)) return j.done(console_error(all.answer));
            auto r = start(j.what);
            for (const auto& one : all.items)
                r.rows.push_back(row_of(one, j.who, rules.get(), j.business->now()));
            j.done(std::move(r));
        });
}

void close_review(const job& j, policy::review_state to) {
    j.business->review(j.who, policy::opt_out_id{j.what.id}, to, j.what.reason.value_or(""),
                       reply(j));
}

void show_flags(const job& j) {
    j.business->flags(j.who, !j.what.all, [j](const listing<policy::flag>& all) {
        if (!good(all.answer)) return j.done(console_error(all.answer));
        auto r = start(j.what);
        for (const auto& f : all.items)
            r.rows.push_back(row_of(f, j.business->now()));
        j.done(std::move(r));
    });
}

void restrain(const job& j, policy::flag_kind kind) {
    j.business->set_flag(j.who,
                         {.kind = kind,
                          .on = j.what.about.value_or(policy::flag_on::principal),
                          .subject = j.what.subject,
                          .reason = j.what.reason.value_or(""),
                          .lasts = j.what.for_.value_or(policy::milliseconds::zero())},
                         reply(j));
}

void reload(const job& j) {
    const auto [outcome, result] = j.business->reload(j.who);
    if (outcome.what != verdict::done) {
        auto r = console_error(outcome);
        for (const auto& f : result.faults)
            r.detail += (r.detail.empty() ? "" : "\n") + f;
        if (!result.faults.empty()) r.hint = "Correct the files and RELOAD.";
        return j.done(std::move(r));
    }
    auto r = start(j.what);
    r.notices.push_back("policy " + result.policy_hash + " is in force");
    for (const auto& w : result.warnings)
        r.notices.push_back(w);
    j.done(std::move(r));
}

void help(const job& j) {
    auto r = start(j.what);
    for (const auto& [form, does] : help_lines())
        r.rows.push_back({form, does});
    j.done(std::move(r));
}

void one_value(const job& j, std::string value) {
    auto r = start(j.what);
    r.rows.push_back({std::move(value)});
    j.done(std::move(r));
}

void run(const job& j) {
    switch (j.what.what) {
        case verb::show_holds:
            return show_holds(j);
        case verb::show_hold:
            return show_hold(j);
        case verb::approve:
            return vote_hold(j, true);
        case verb::deny:
            return vote_hold(j, false);
        case verb::request_hold:
            return request_hold(j);
        case verb::escalate:
            return j.business->escalate(j.who, policy::hold_id{j.what.id}, reply(j));
        case verb::reassign:
            return j.business->reassign(j.who, policy::hold_id{j.what.id},
                                        {j.what.subject, j.what.reason.value_or("")}, reply(j));
        case verb::show_opt_outs:
            return show_opt_outs(j);
        case verb::request_opt_out:
            return request_opt_out(j, policy::opt_out_kind::request);
        case verb::break_glass:
            return request_opt_out(j, policy::opt_out_kind::break_glass);
        case verb::extend_opt_out:
            return extend_opt_out(j);
        case verb::withdraw_vote:
            return j.business->withdraw_vote(j.who, policy::hold_id{j.what.id}, reply(j));
        case verb::withdraw_opt_out_vote:
            return j.business->withdraw_vote(j.who, policy::opt_out_id{j.what.id}, reply(j));
        case verb::show_reviews:
            return show_reviews(j);
        case verb::sign_off:
            return close_review(j, policy::review_state::signed_off);
        case verb::finding:
            return close_review(j, policy::review_state::finding);
        case verb::show_flags:
            return show_flags(j);
        case verb::set_flag:
            return restrain(j, policy::flag_kind::flag);
        case verb::set_lock:
            return restrain(j, policy::flag_kind::lock);
        case verb::lift_flag:
            return j.business->lift_flag(j.who, policy::flag_id{j.what.id},
                                         j.what.reason.value_or(""), reply(j));
        case verb::approve_opt_out:
            return vote_opt_out(j, true);
        case verb::deny_opt_out:
            return vote_opt_out(j, false);
        case verb::revoke_opt_out:
            return j.business->revoke(j.who, policy::opt_out_id{j.what.id},
                                      j.what.reason.value_or(""), reply(j));
        case verb::show_sessions:
            return show_sessions(j);
        case verb::kill:
            return j.business->kill(j.who, policy::session_id{j.what.id},
                                    j.what.reason.value_or(""), reply(j));
        case verb::show_rules:
            return show_rules(j);
        case verb::show_stats:
            return show_stats(j);
        case verb::show_deliveries:
            return show_deliveries(j);
        case verb::show_version:
            return one_value(j, "Sallyport " + j.business->world().version);
        case verb::reload:
            return reload(j);
        case verb::help:
            return help(j);
        case verb::driver_select:
        case verb::driver_show:
            return one_value(j, j.what.value);
        case verb::nothing:
        case verb::driver_command:
        case verb::count_:
            break;
    }
    j.done(start(j.what));
}

}  // namespace

struct console::impl {
    explicit impl(dependencies d) : business(std::make_shared<desk>(std::move(d))), elsewhere(1) {}

    std::shared_ptr<desk> business;
    boost::asio::thread_pool elsewhere;
};

console::console(dependencies d) : impl_(std::make_shared<impl>(std::move(d))) {}

console::~console() {
    impl_->elsewhere.join();
}

void console::execute(console_user user, std::string statement, on_result done) {
    job j;
    j.what = parse_command(statement);
    if (!j.what.sqlstate.empty()) {
        console_result r;
        r.sqlstate = j.what.sqlstate;
        r.message = j.what.message;
        r.hint = j.what.hint;
        return done(std::move(r));
    }
    j.business = impl_->business;
    j.who.role = roles_of(impl_->business->world().roles, user.principal);
    j.who.who = std::move(user.principal);
    j.who.address = std::move(user.address);
    j.who.surface = "console";
    j.done = std::move(done);
    // Refused before it costs a thread; run() checks again where it acts.
    const auto denied =
        j.what.what == verb::reload ? check_action(action::reload, j.who.role) : std::string();
    const bool blocks = j.what.what == verb::reload || j.what.what == verb::request_hold;
    if (!blocks || !denied.empty()) return run(j);
    boost::asio::post(impl_->elsewhere, [j = std::move(j)] { run(j); });
}

std::vector<console_column> console::describe(const std::string& statement) {
    return columns_of(parse_command(statement));
}

}  // namespace sallyport::proxy::admin
