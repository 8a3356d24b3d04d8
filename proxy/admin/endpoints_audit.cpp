#include <algorithm>

#include "proxy/admin/dto.h"
#include "proxy/admin/endpoint_parts.h"
#include "proxy/admin/endpoints.h"
#include "proxy/admin/text.h"

/// Stories, bundles, the state of the chain, and numbers over time.
namespace sallyport::proxy::admin::endpoints {
namespace {

http_response no_log(const std::string& why) {
    return to_response(problem{503, "unavailable", why,
                               "See /readyz and the proxy's log; `sallyport audit` reads the files "
                               "themselves."});
}

http_response nothing_of(const audit::story_subject& s) {
    return to_response(problem{404, "not-found", "The log has no record of " + to_string(s) + ".",
                               "Search the audit log for its number."});
}

/// ?hold=N or ?opt_out=N; answers and returns nullopt for anything else.
std::optional<audit::story_subject> subject_of(const call& c) {
    if (auto why = check_keys(c, {"hold", "opt_out"}); !why.empty()) {
        c.done(bad_query(why));
        return std::nullopt;
    }
    audit::story_subject s;
    const bool hold = c.query.count("hold") != 0;
    const auto id = parse_id(value_of(c, hold ? "hold" : "opt_out"));
    if (!id || c.query.size() != 1) {
        c.done(bad_query("Give exactly one of hold=NUMBER and opt_out=NUMBER."));
        return std::nullopt;
    }
    s.what = hold ? audit::story_subject::kind::hold : audit::story_subject::kind::opt_out;
    s.id = *id;
    return s;
}

/// Runs `f` elsewhere; a log that cannot be read is a problem of its own.
void read_log(const call& c, std::function<http_response()> f) {
    elsewhere(c, [f = std::move(f)] {
        try {
            return f();
        } catch (const std::runtime_error& e) {
            return no_log(e.what());
        }
    });
}

std::optional<insight_question> question_of(const call& c) {
    const auto fail = [&](const std::string& why) -> std::optional<insight_question> {
        c.done(bad_query(why));
        return std::nullopt;
    };
    if (auto why = check_keys(c, {"from", "to", "step"}); !why.empty()) return fail(why);
    insight_question q;
    // Whole minutes, so that a page that asks again is answered from the cache.
    q.to = std::chrono::ceil<std::chrono::minutes>(c.context->business->now());
    for (const auto& [key, field] : {std::pair{"to", &q.to}, std::pair{"from", &q.from}}) {
        const auto text = value_of(c, key);
        if (text.empty()) {
            if (field == &q.from) q.from = q.to - std::chrono::hours(24);
            continue;
        }
        const auto t = parse_iso_time(text);
        if (!t) return fail("Times look like 2026-03-01T09:30:00Z, in UTC.");
        *field = *t;
    }
    q.step = std::max<policy::milliseconds>((q.to - q.from) / 24, std::chrono::seconds(1));
    if (const auto text = value_of(c, "step"); !text.empty()) {
        const auto step = parse_duration(text);
        if (!step) return fail("\"step\" must be a duration such as 1h.");
        q.step = *step;
    }
    if (auto why = check(q); !why.empty()) return fail(why);
    return q;
}

}  // namespace

void audit_story(call c) {
    const auto s = subject_of(c);
    if (!s) return;
    read_log(c, [context = c.context, s = *s] {
        const auto& read = context->world().audit.story;
        if (!read) return no_log("The log cannot be read here.");
        const auto found = read(s);
        return found.records.empty() ? nothing_of(s) : json_response(story_json(s, found));
    });
}

void audit_bundle(call c) {
    const auto s = subject_of(c);
    if (!s) return;
    read_log(c, [context = c.context, s = *s, a = c.actor] {
        const auto& make = context->world().audit.bundle;
        if (!make) return no_log("The log cannot be read here.");
        auto text = make(s, context->business->now());
        if (text.empty()) return nothing_of(s);
        // Others' lines leave the house with it: that belongs on record.
        audit::record r;
        r.event = "audit.exported";
        r.with("user", a.who.name)
            .with("address", a.address)
            .with("surface", a.surface)
            .with("about", to_string(s))
            .with("bytes", std::to_string(text.size()));
        context->business->record(std::move(r));
        http_response out;
        out.content_type = "application/jsonl";
        auto name = "sallyport-" + to_string(s) + ".bundle";
        std::replace(name.begin(), name.end(), ' ', '-');
        out.headers.emplace_back("Content-Disposition", "attachment; filename=\"" + name + "\"");
        out.body = std::move(text);
        return out;
    });
}

void verify_audit(call c) {
    if (auto why = check_keys(c, {}); !why.empty()) return c.done(bad_query(why));
    const auto context = c.context;
    const auto& verify = context->world().audit.verify;
    if (!verify) return c.done(no_log("The log cannot be read here."));
    if (!context->chain.begin(context->business->now()))
        return c.done(json_response(verification_json(context->chain.now())));
    const bool taken = context->run_blocking([context, verify, done = c.done] {
        std::optional<audit::verify_report> report;
        std::string why;
        try {
            report = verify();
        } catch (const std::exception& e) {
            why = e.what();
        }
        context->chain.finish(std::move(report), context->business->now());
        if (!why.empty()) return done(no_log(why));
        done(json_response(verification_json(context->chain.now())));
    });
    if (taken) return;
    context->chain.finish(std::nullopt, context->business->now());
    c.done(json_response(verification_json(context->chain.now())));
}

void insight(call c) {
    const auto q = question_of(c);
    if (!q) return;
    const auto now = c.context->business->now();
    if (auto known = c.context->insights.find(*q, now); !known.empty())
        return c.done(json_response(std::move(known)));
    read_log(c, [context = c.context, q = *q] {
        const auto& read = context->world().audit.insight;
        if (!read) return no_log("The log cannot be read here.");
        auto text = read(q);
        context->insights.put(q, text, context->business->now());
        return json_response(std::move(text));
    });
}

}  // namespace sallyport::proxy::admin::endpoints
