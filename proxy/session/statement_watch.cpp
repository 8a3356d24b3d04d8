#include "proxy/session/statement_watch.h"

#include <algorithm>

namespace sallyport::proxy::session {

using protocol::expect;
using protocol::reply_event;
using telemetry::statement_span;
using telemetry::wall_time;

namespace {

wall_time now() noexcept {
    return std::chrono::system_clock::now();
}

constexpr std::size_t frames_kept = 8;         // of an idle session
constexpr std::size_t bind_distance_max = 64;  // to its Execute, in statements

}  // namespace

statement_watch::statement_watch(telemetry::statement_sink& sink, telemetry::session_identity who)
    : sink_(sink), who_(std::make_shared<const telemetry::session_identity>(std::move(who))) {}

statement_watch::~statement_watch() {
    abandon();
}

void statement_watch::region_began() {
    if (began_ == wall_time{}) began_ = now();
}

statement_watch::considered* statement_watch::find(std::size_t frame) {
    const auto at = std::ranges::lower_bound(region_, frame, {}, &considered::frame);
    return at == region_.end() || at->frame != frame ? nullptr : &*at;
}

const statement_watch::considered* statement_watch::find(std::size_t frame) const {
    return const_cast<statement_watch*>(this)->find(frame);
}

statement_watch::considered* statement_watch::find_bind(const void* portal) {
    if (portal == nullptr) return nullptr;
    const auto from = region_.size() - std::min(region_.size(), bind_distance_max);
    for (auto i = region_.size(); i-- > from;)
        if (region_[i].tag == 'B' && region_[i].portal == portal && !region_[i].taken)
            return &region_[i];
    return nullptr;
}

void statement_watch::consider(std::size_t frame, char tag, const void* portal,
                               std::string_view sql, bool conform) {
    if (auto* known = find(frame)) {
        known->portal = portal;
        return;
    }
    considered c;
    c.frame = frame;
    c.tag = tag;
    c.portal = portal;
    // Of a portal's Bind and its Execute in one batch, the second is the statement, and what
    // happened to the first happened to it.
    if (auto* bound = tag == 'E' ? find_bind(portal) : nullptr) {
        bound->taken = true;
        c.ids = bound->ids;
        c.outcome = bound->outcome;
        c.rule = bound->rule;
        c.holds = bound->holds;
    } else {
        const auto parent = telemetry::find_trace_context(sql, conform);
        c.ids = telemetry::make_span_ids(parent);
        if (!parent) c.ids.sampled = sink_.samples(c.ids.trace);
    }
    region_.insert(std::ranges::lower_bound(region_, frame, {}, &considered::frame), std::move(c));
}

void statement_watch::denied(std::size_t frame, const char* outcome, const std::string& rule) {
    auto* c = find(frame);
    if (c == nullptr) return;
    c->outcome = outcome;
    c->rule = rule;
}

void statement_watch::held(std::size_t frame, const policy::facts_ptr& facts, policy::hold_id id,
                           const std::string& rule) {
    auto* c = find(frame);
    if (c == nullptr) return;
    c->outcome = "refuse";  // until it goes
    c->rule = rule;
    c->facts = facts;
    c->holds.push_back({id, now(), {}, policy::hold_state::withdrawn});
}

void statement_watch::hold_ended(policy::hold_id id, policy::hold_state how) {
    for (auto& c : region_)
        for (auto& h : c.holds)
            if (h.id == id && h.to == wall_time{}) {
                h.to = now();
                h.ended = how;
            }
}

void statement_watch::add_ids(std::size_t frame, audit::record& r) const {
    const auto* c = find(frame);
    if (c == nullptr) return;
    r.with("trace_id", telemetry::to_hex(c->ids.trace))
        .with("span_id", telemetry::to_hex(c->ids.span));
}

void statement_watch::add_ids(std::size_t frame, policy::hold& h) const {
    const auto* c = find(frame);
    if (c == nullptr) return;
    h.trace_id = telemetry::to_hex(c->ids.trace);
    h.span_id = telemetry::to_hex(c->ids.span);
}

std::uint32_t statement_watch::begin(considered c, const policy::facts_ptr& facts) {
    if (!c.ids.sampled) return 0;
    auto span = std::make_unique<statement_span>();
    span->ids = std::move(c.ids);
    span->who = who_;
    span->facts = facts;
    span->start = began_;
    span->outcome = c.outcome;
    span->rule = std::move(c.rule);
    span->holds = std::move(c.holds);
    const auto number = next_++;
    if (next_ == 0) next_ = 1;
    running_.push_back({number, std::move(span)});
    return number;
}

std::uint32_t statement_watch::sent(std::size_t frame, char tag, const policy::facts_ptr& facts,
                                    std::string_view outcome, std::string_view rule) {
    if ((tag != 'Q' && tag != 'E' && tag != 'F') || !facts || facts->statements.empty()) return 0;
    auto* c = find(frame);
    if (c == nullptr) return 0;
    auto number = begin(std::move(*c), facts);
    if (number == 0) return 0;
    auto& span = *running_.back().span;
    span.outcome = outcome;
    if (!rule.empty()) span.rule = rule;
    return number;
}

std::uint32_t statement_watch::refused(std::size_t frame, const policy::facts_ptr& facts,
                                       const std::string& sqlstate) {
    auto* c = find(frame);
    if (c == nullptr) return 0;
    const auto number = begin(std::move(*c), facts);
    if (number == 0) return 0;
    auto& span = *running_.back().span;
    span.error = sqlstate;
    if (span.outcome.empty()) span.outcome = "refuse";
    return number;
}

void statement_watch::answered_ahead(std::size_t frame, const policy::facts_ptr& facts) {
    const auto number = sent(frame, 'Q', facts, "", "");
    if (auto* r = find_running(number)) r->span->error = unparsed_;
    finish(number);
}

void statement_watch::forget() {
    began_ = {};
    region_.clear();
    if (region_.capacity() > frames_kept) std::vector<considered>().swap(region_);
}

statement_watch::running* statement_watch::find_running(std::uint32_t number) {
    const auto at = std::find_if(running_.begin(), running_.end(),
                                 [&](const running& r) { return r.number == number; });
    return at == running_.end() ? nullptr : &*at;
}

void statement_watch::replied(const protocol::reply_event& e) {
    const auto number = e.who.statement;
    if (e.what == reply_event::type::completed) {
        if (auto* r = find_running(number)) r->span->end = now();
        if (e.who.what == expect::execute) finish(number);
    } else if (e.what == reply_event::type::ready) {
        finish(number);
    }
}

void statement_watch::failed(const protocol::expected_reply& who, std::string_view sqlstate) {
    if (auto* r = find_running(who.statement)) {
        r->span->end = now();
        if (r->span->error.empty()) r->span->error = sqlstate.empty() ? "error" : sqlstate;
    }
    if (who.what == expect::execute) finish(who.statement);
}

void statement_watch::skipped(std::uint32_t number) {
    auto* r = find_running(number);
    if (r == nullptr) return;
    if (r->span->error.empty()) r->span->error = "skipped";
    finish(number);
}

void statement_watch::finish(std::uint32_t number) {
    const auto at = std::find_if(running_.begin(), running_.end(),
                                 [&](const running& r) { return r.number == number; });
    if (at == running_.end()) return;
    auto span = std::move(at->span);
    running_.erase(at);
    give(std::move(span));
}

void statement_watch::give(std::unique_ptr<statement_span> span) {
    const auto at = now();
    if (span->end == wall_time{}) span->end = at;
    span->end = std::max(span->end, span->start);  // the clock may have been set back
    for (auto& h : span->holds)
        if (h.to == wall_time{}) h.to = at;
    sink_.put(std::move(span));
}

void statement_watch::abandon() {
    for (auto& c : region_) {
        const bool waits = std::any_of(c.holds.begin(), c.holds.end(),
                                       [](const auto& h) { return h.to == wall_time{}; });
        if (!waits || c.taken) continue;
        const auto facts = c.facts;
        if (begin(std::move(c), facts) != 0) running_.back().span->error = "withdrawn";
    }
    region_.clear();
    while (!running_.empty()) {
        auto span = std::move(running_.front().span);
        running_.pop_front();
        if (span->error.empty()) span->error = "connection_lost";
        give(std::move(span));
    }
}

void statement_watch::application(const std::string& name) {
    if (who_->application == name) return;
    auto changed = *who_;
    changed.application = name;
    who_ = std::make_shared<const telemetry::session_identity>(std::move(changed));
}

}  // namespace sallyport::proxy::session
