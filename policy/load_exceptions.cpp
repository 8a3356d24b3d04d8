#include <algorithm>
#include <string>
#include <utility>

#include "policy/exceptions.h"
#include "policy/loader.h"
#include "policy/overlap.h"

// A rule that allows what a later one would hold or deny is a bypass without an end, unless it says
// why it stands and until when.
namespace sallyport::policy {

namespace {

constexpr std::size_t named_max = 4;

std::string what_it_excepts(const rule_set& p, const std::vector<std::size_t>& places) {
    std::string out;
    for (std::size_t i = 0; i < places.size() && i < named_max; ++i) {
        const auto& r = p.rules[places[i]];
        out += (i == 0 ? "" : ", ") + quoted(r.id) + " (tier " + std::to_string(r.tier) + ", " +
               to_string(r.effect) + ")";
    }
    if (places.size() > named_max) out += " and others";
    return out;
}

void demand(loading& l, const rule& r, const std::vector<std::size_t>& places) {
    if (!r.reason.empty() && r.review_by) return;
    const std::string lacks = !r.reason.empty() ? "'review_by'"
                              : r.review_by     ? "'reason'"
                                                : "'reason' and 'review_by'";
    YAML::Mark at;
    at.line = r.line - 1;
    at.column = r.column - 1;
    l.in.fail_at(at,
                 "rule " + quoted(r.id) + " (tier " + std::to_string(r.tier) +
                     ") takes those whom it allows out of rule " + what_it_excepts(l.out, places) +
                     ": a standing exception, and it lacks " + lacks +
                     "; write reason: why it must be, and review_by: a day at most a year "
                     "away, such as 2027-03-31, from which on it no longer applies. If it is "
                     "not meant as one, give it a later tier, or narrow its who, do or on",
                 "standing-exception");
}

std::string named(const rule& r) {
    return "rule " + quoted(r.id) +
           (r.is_exception() ? ", an exception from rule " + quoted(r.excepts.front()) + "," : "");
}

void warn_of_end(const std::string& path, const rule& r, instant now, std::vector<fault>& out) {
    const auto add = [&](std::string what) {
        out.push_back({path, r.line, r.column, std::move(what), "exception-ends"});
    };
    if (r.ended_at(now)) {
        add(named(r) +
            " no longer applies: its 'review_by' has passed; review it and set a new "
            "day, or remove the rule");
    } else if (*r.review_by - now <= exception_warned) {
        const auto days = std::chrono::ceil<std::chrono::days>(*r.review_by - now).count();
        add(named(r) + " applies for " + std::to_string(days) +
            (days == 1 ? " more day" : " more days") +
            ": review it and set a new 'review_by', or it ends by itself");
    }
}

}  // namespace

void load_review(loading& l, const YAML::Node& node, const std::string& where, rule& r) {
    for (const auto* key : {"reason", "review_by"})
        if (const auto at = yaml_reader::member(node, key);
            at.IsDefined() && r.effect != effect::allow)
            l.in.fail(at, quoted(key) + " is for a rule that allows; " + where + " has effect " +
                              to_string(r.effect));
    r.reason = l.in.text(node, "reason").value_or("");
    const auto reason = yaml_reader::member(node, "reason");
    if (r.reason.size() > message_bytes_max || r.reason.find('\n') != std::string::npos)
        l.in.fail(reason, "'reason' must be one line of at most " +
                              std::to_string(message_bytes_max) + " bytes");
    if (reason.IsDefined() && r.reason.find_first_not_of(' ') == std::string::npos)
        l.in.fail(reason, "'reason' says nothing; write why " + where + " must be");
    const auto until = l.in.text(node, "review_by");
    if (!until) return;
    const auto at = yaml_reader::member(node, "review_by");
    r.review_by = parse_date(*until);
    if (!r.review_by) r.review_by = parse_instant(*until);
    if (!r.review_by) {
        r.review_by = instant::max();  // one fault is enough
        l.in.fail(at,
                  "'review_by' must be a day such as 2027-03-31, or an instant such as "
                  "2027-03-31T18:00:00Z");
    } else if (l.known.now && *r.review_by - *l.known.now > exception_max) {
        l.in.fail(at, "'review_by' of " + where + " is more than a year away; choose a nearer day");
    }
}

void load_exceptions(loading& l) {
    const auto found = find_excepted(l.out, excepts_max);
    for (std::size_t i = 0; i < l.out.rules.size(); ++i) {
        auto& r = l.out.rules[i];
        for (const auto k : found[i])
            r.excepts.push_back(l.out.rules[k].id);
        if (!found[i].empty()) demand(l, r, found[i]);
    }
    if (!l.known.now) return;
    for (auto& w : exceptions_that_end(l.out, *l.known.now))
        l.warnings.push_back(std::move(w));
}

std::vector<fault> exceptions_that_end(const rule_set& p, instant now) {
    std::vector<fault> out;
    for (const auto& r : p.rules)
        if (r.review_by) warn_of_end(p.path, r, now, out);
    return out;
}

}  // namespace sallyport::policy
