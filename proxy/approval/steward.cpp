#include "proxy/approval/steward.h"

#include <future>
#include <utility>

#include "proxy/approval/core.h"
#include "proxy/approval/flags.h"
#include "proxy/approval/holds.h"
#include "proxy/approval/opt_outs.h"
#include "proxy/approval/outbox.h"
#include "proxy/approval/reviews.h"

namespace sallyport::proxy::approval {

/// Puts every call on the thread; the desks do the rest.
struct steward::impl {
    impl(dependencies d, policy::rule_set_ptr rules)
        : base(d, std::move(rules)),
          outbox(base),
          holds(base),
          reviews(base),
          opt_outs(base, reviews),
          flags(base) {
        const auto publish = [this] {
            auto g = std::make_shared<policy::grants>();
            g->opt_outs = opt_outs.active();
            g->passes = holds.passes();
            g->flags = flags.live();
            base.publish(std::move(g));
        };
        holds.on_passes_changed(publish);
        opt_outs.on_active_changed(publish);
        flags.on_changed(publish);
        flags.on_flagged([this](const policy::flag& f) { holds.flagged(f); });
        flags.on_rule_locked([this](const policy::flag& f) { opt_outs.lock_rule(f); });
    }

    core base;
    outbox_desk outbox;
    bool started = false;
    hold_desk holds;
    review_desk reviews;
    opt_out_desk opt_outs;
    flag_desk flags;
};

steward::steward(dependencies d, policy::rule_set_ptr rules)
    : impl_(std::make_unique<impl>(d, std::move(rules))) {}

steward::~steward() {
    impl_->base.stop([i = impl_.get()] { i->holds.close(); });
}

void steward::start() {
    auto& i = *impl_;
    // First: what the others find on their way in is told, too.
    i.outbox.recover();
    i.flags.recover();
    i.holds.recover();
    i.reviews.recover();
    i.opt_outs.recover();
    i.base.start();
    i.started = true;
    std::promise<void> holds_done;
    std::promise<void> opt_outs_done;
    i.base.post([&] {
        i.holds.resume([&] { holds_done.set_value(); });
        i.opt_outs.resume([&] {
            opt_outs_done.set_value();
            i.opt_outs.sync_written();
        });
    });
    holds_done.get_future().wait();
    opt_outs_done.get_future().wait();
}

void steward::set_rules(policy::rule_set_ptr rules) {
    impl_->base.post([i = impl_.get(), rules = std::move(rules)] {
        i->base.set_rules(rules);
        i->holds.recheck();
        i->opt_outs.recheck();
        i->opt_outs.sync_written();
    });
}

void steward::subscribe_ended(on_ended f) {
    impl_->base.ended.push_back(std::move(f));
}
void steward::subscribe_change(on_change f) {
    impl_->base.changed.push_back(std::move(f));
}

void steward::subscribe_nearing(on_nearing f) {
    impl_->base.nearing.push_back(std::move(f));
}
void steward::subscribe_locked(on_locked f) {
    impl_->base.locked.push_back(std::move(f));
}

void steward::subscribe_notices(std::function<void()> added) {
    impl_->outbox.on_added(std::move(added));
}

void steward::set_routes(notice_routes r) {
    if (!impl_->started) return impl_->outbox.set_routes(std::move(r));
    impl_->base.post(
        [i = impl_.get(), r = std::move(r)]() mutable { i->outbox.set_routes(std::move(r)); });
}

void steward::set_keep(policy::milliseconds keep) {
    impl_->base.post([i = impl_.get(), keep] { i->outbox.set_keep(keep); });
}

void steward::tell(policy::notice n) {
    impl_->base.post([i = impl_.get(), n = std::move(n)]() mutable {
        n.at = i->base.now();
        i->outbox.tell(n);
    });
}

void steward::exchange(delivery_exchange e, std::function<void(delivery_work)> done) {
    impl_->base.post([i = impl_.get(), e = std::move(e), done = std::move(done)] {
        i->outbox.exchange(e, done);
    });
}

void steward::list_deliveries(std::function<void(delivery_report)> f) {
    impl_->base.post([i = impl_.get(), f = std::move(f)] { f(i->outbox.report()); });
}

policy::grants_ptr steward::grants() const noexcept {
    return impl_->base.grants();
}
std::uint64_t steward::grants_version() const noexcept {
    return impl_->base.grants_version();
}
void steward::time_moved() {
    impl_->base.time_moved();
}
bool steward::healthy() const noexcept {
    return impl_->base.healthy();
}
std::string steward::trouble() const {
    return impl_->base.trouble();
}
const tally& steward::counts() const noexcept {
    return impl_->base.counts;
}

void steward::open_hold(policy::hold h, policy::milliseconds wait, on_opened opened,
                        on_outcome outcome) {
    impl_->base.post([i = impl_.get(), h = std::move(h), wait, opened = std::move(opened),
                      outcome = std::move(outcome)] { i->holds.open(h, wait, opened, outcome); });
}

void steward::ask(policy::hold h, policy::milliseconds wait, bool take, on_asked done) {
    impl_->base.post([i = impl_.get(), h = std::move(h), wait, take, done = std::move(done)] {
        i->holds.ask(h, wait, take, done);
    });
}

void steward::present(policy::hold_id id, policy::session_id session, const policy::principal& who,
                      std::string target, on_asked done) {
    impl_->base.post(
        [i = impl_.get(), id, session, who, target = std::move(target), done = std::move(done)] {
            i->holds.present(id, session, who, target, done);
        });
}

void steward::escalate(policy::hold_id id, policy::principal who, bool is_admin, on_answer done) {
    impl_->base.post([i = impl_.get(), id, who = std::move(who), is_admin, done = std::move(done)] {
        i->holds.escalate(id, who, is_admin, done);
    });
}

void steward::reassign(hold_reassign r, on_answer done) {
    impl_->base.post([i = impl_.get(), r = std::move(r), done = std::move(done)] {
        i->holds.reassign(r, done);
    });
}

void steward::withdraw(policy::hold_id id, std::string why, policy::session_id session) {
    impl_->base.post([i = impl_.get(), id, session, why = std::move(why)] {
        i->holds.withdraw(id, session, why);
    });
}

void steward::use(bypass_request r, on_bypass done) {
    impl_->base.post(
        [i = impl_.get(), r = std::move(r), done = std::move(done)] { i->opt_outs.use(r, done); });
}

void steward::session_ended(policy::session_id id) {
    impl_->base.post([i = impl_.get(), id] { i->holds.session_ended(id); });
}

void steward::end_transaction_passes(policy::session_id id) {
    impl_->base.post([i = impl_.get(), id] { i->holds.end_transaction_passes(id); });
}

void steward::vote(hold_vote v, on_answer done) {
    impl_->base.post(
        [i = impl_.get(), v = std::move(v), done = std::move(done)] { i->holds.vote(v, done); });
}

void steward::request_opt_out(policy::opt_out_request r, std::string surface, on_answer done) {
    impl_->base.post([i = impl_.get(), r = std::move(r), surface = std::move(surface),
                      done = std::move(done)] { i->opt_outs.request(r, surface, done); });
}

void steward::vote(opt_out_vote v, on_answer done) {
    impl_->base.post(
        [i = impl_.get(), v = std::move(v), done = std::move(done)] { i->opt_outs.vote(v, done); });
}

void steward::revoke(opt_out_revoke r, on_answer done) {
    impl_->base.post([i = impl_.get(), r = std::move(r), done = std::move(done)] {
        i->opt_outs.revoke(r, done);
    });
}

void steward::withdraw_vote(policy::hold_id id, policy::principal who, std::string surface,
                            on_answer done) {
    impl_->base.post([i = impl_.get(), id, who = std::move(who), surface = std::move(surface),
                      done = std::move(done)] { i->holds.withdraw_vote(id, who, surface, done); });
}

void steward::withdraw_vote(policy::opt_out_id id, policy::principal who, std::string surface,
                            on_answer done) {
    impl_->base.post(
        [i = impl_.get(), id, who = std::move(who), surface = std::move(surface),
         done = std::move(done)] { i->opt_outs.withdraw_vote(id, who, surface, done); });
}

void steward::review(review_verdict v, on_answer done) {
    impl_->base.post(
        [i = impl_.get(), v = std::move(v), done = std::move(done)] { i->reviews.close(v, done); });
}

void steward::set_flag(policy::flag_request r, policy::principal who, std::string surface,
                       on_answer done) {
    impl_->base.post([i = impl_.get(), r = std::move(r), who = std::move(who),
                      surface = std::move(surface),
                      done = std::move(done)] { i->flags.set(r, who, surface, done); });
}

void steward::lift_flag(policy::flag_id id, policy::principal who, std::string reason,
                        std::string surface, on_answer done) {
    impl_->base.post([i = impl_.get(), id, who = std::move(who), reason = std::move(reason),
                      surface = std::move(surface),
                      done = std::move(done)] { i->flags.lift(id, who, reason, surface, done); });
}

void steward::list_reviews(std::optional<policy::review_state> s,
                           std::function<void(std::vector<policy::review>)> f) {
    impl_->base.post([i = impl_.get(), s, f = std::move(f)] { f(i->reviews.list(s)); });
}

void steward::list_flags(bool live, std::function<void(std::vector<policy::flag>)> f) {
    impl_->base.post([i = impl_.get(), live, f = std::move(f)] { f(i->flags.list(live)); });
}

void steward::list_holds(std::optional<policy::hold_state> s,
                         std::function<void(std::vector<policy::hold>)> f) {
    impl_->base.post([i = impl_.get(), s, f = std::move(f)] { f(i->holds.list(s)); });
}

void steward::list_opt_outs(std::optional<policy::opt_out_state> s,
                            std::function<void(std::vector<policy::opt_out>)> f) {
    impl_->base.post([i = impl_.get(), s, f = std::move(f)] { f(i->opt_outs.list(s)); });
}

void steward::get_hold(policy::hold_id id, std::function<void(std::optional<policy::hold>)> f) {
    impl_->base.post([i = impl_.get(), id, f = std::move(f)] { f(i->holds.get(id)); });
}

void steward::get_opt_out(policy::opt_out_id id,
                          std::function<void(std::optional<policy::opt_out>)> f) {
    impl_->base.post([i = impl_.get(), id, f = std::move(f)] { f(i->opt_outs.get(id)); });
}

void steward::with_tokens(std::function<void(store::token_store&)> f,
                          std::function<void(bool)> done) {
    impl_->base.post([i = impl_.get(), f = std::move(f), done = std::move(done)] {
        auto* const tokens = i->base.db().tokens();
        done(tokens != nullptr && i->base.stored([&] { f(*tokens); }));
    });
}

void steward::list_passes(std::function<void(std::vector<policy::pass>)> f) {
    impl_->base.post([i = impl_.get(), f = std::move(f)] { f(i->holds.passes()); });
}

}  // namespace sallyport::proxy::approval
