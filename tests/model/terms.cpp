#include "tests/model/terms.h"

#include <algorithm>

#include "proxy/audit/chain.h"

namespace sallyport::model {

namespace {

std::string listed(const std::vector<std::string>& words) {
    std::string out;
    for (const auto& w : words)
        out += (out.empty() ? "" : ", ") + w;
    return "[" + out + "]";
}

std::string ms(milliseconds d) {
    return std::to_string(d.count() / 1000) + "s";
}

/// To the second, as files have it.
std::string written_time(instant t) {
    return proxy::audit::format_time(t).replace(19, 4, "");
}

}  // namespace

bool person::in(const std::string& group) const {
    return std::find(groups.begin(), groups.end(), group) != groups.end();
}
bool person::in_any(const std::vector<std::string>& all) const {
    return std::any_of(all.begin(), all.end(), [&](const auto& g) { return in(g); });
}

namespace {

std::vector<person>& roster() {
    static std::vector<person> all;
    return all;
}

}  // namespace

const std::vector<person>& people() {
    return roster();
}

void enrol() {
    roster() = {
        {"alice", {"dev", "oncall", "security"}},
        {"bob", {"security"}},
        {"carol", {"leads", "security"}},
        {"dave", {"dev", "oncall"}},
        {"erin", {"leads"}},
        {"frank", {"chiefs"}},
        {"ci", {"leads", "oncall", "security"}, true},
    };
}

void transfer(const std::string& name, const std::string& group) {
    auto& groups = std::find_if(roster().begin(), roster().end(), [&](const person& p) {
                       return p.name == name;
                   })->groups;
    if (std::erase(groups, group) == 0) groups.push_back(group);
}

const person& called(const std::string& name) {
    return *std::find_if(people().begin(), people().end(),
                         [&](const person& p) { return p.name == name; });
}

const std::vector<text>& texts() {
    static const std::vector<text> all{
        {"select ssn from pii.people where id = 1", 1, true, false},
        {"select ssn from pii.people where id = 2", 1, true, false},
        {"select name from pii.people", 2, true, false},
        {"update pii.people set ssn = 'x' where id = 3", 3, true, true},
        {"select 1", 4, false, false},
    };
    return all;
}

std::string terms::text() const {
    std::string out =
        "version: 1\ndefault: allow\nopaque: hold\n"
        "flagged: { hold: { approvers: { groups: [security] }, "
        "pass: { statement: true, session: 30m } } }\n"
        "resources:\n  people: { target: shop, relations: [\"pii.*\"] }\n"
        "rules:\n";
    if (exception)
        out += std::string("  - { id: ") + spared +
               ", tier: 10, on: [people], do: [read], who: { applications: [" + reporter +
               "] }, effect: allow, reason: the reports, review_by: 2031-06-30 }\n";
    if (holds) {
        out += std::string("  - id: ") + guarded +
               "\n    tier: 20\n    on: [people]\n    do: [read, write]\n    effect: hold\n"
               "    hold:\n      approvers: { groups: " +
               listed(approvers) + ", approvals: " + std::to_string(approvals) + " }\n";
        out += "      pass: { statement: true";
        if (shape) out += ", shape: " + ms(*shape);
        if (transaction) out += ", transaction: " + ms(*transaction);
        if (session) out += ", session: " + ms(*session);
        out += " }\n";
        if (escalates) out += "      escalate: { after: 5m, approvers: { groups: [chiefs] } }\n";
        if (opt_outs) {
            out += "    opt_out:\n      who: { groups: [" + who +
                   "] }\n      approvers: { groups: " + listed(opt_approvers) +
                   ", approvals: " + std::to_string(opt_approvals) +
                   " }\n      max_duration: " + ms(longest) + "\n";
            if (uses > 0) out += "      max_uses: " + std::to_string(uses) + "\n";
            const auto bounds = [&out](const char* key,
                                       std::initializer_list<std::pair<const char*, int>> all) {
                std::string list;
                for (const auto& [what, most] : all)
                    if (most > 0)
                        list += (list.empty() ? "" : ", ") + std::string(what) + ": " +
                                std::to_string(most);
                if (!list.empty()) out += std::string("      ") + key + ": { " + list + " }\n";
            };
            bounds("max_live", {{"per_person", live_per_person}, {"in_all", live_in_all}});
            bounds("per_month",
                   {{"per_person", per_month}, {"per_team", of_team}, {"in_all", of_all}});
            if (extensions > 0) out += "      max_extensions: " + std::to_string(extensions) + "\n";
            if (cool_down > milliseconds(0)) out += "      cool_down: " + ms(cool_down) + "\n";
            out += std::string("      review: { within: 3h") +
                   (overdue_blocks ? ", overdue: block" : "") + " }\n";
            if (glass)
                out +=
                    "      break_glass: { who: { groups: [oncall] }, max_duration: 20m, "
                    "announce: { groups: [security] } }\n";
        }
    } else {
        out += "  - { id: nothing, tier: 90, who: { users: [nobody] }, effect: allow }\n";
    }
    if (!file.empty()) out += "opt_outs:\n";
    for (const auto& w : file)
        out += "  - { who: " + w.who + ", rule: " + guarded + ", reason: \"" + w.reason() +
               "\", target: shop, from: \"" + written_time(w.from) + "\", until: \"" +
               written_time(w.until) + "\", approved_by: " + listed(w.approved_by) + " }\n";
    return out;
}

policy::loaded_policy terms::load() const {
    policy::known_names known;
    known.targets = {"shop"};
    for (const auto& p : people()) {
        known.users.insert(p.name);
        if (p.service) known.services.insert(p.name);
        for (const auto& g : p.groups) {
            known.groups.insert(g);
            known.members[g].insert(p.name);
        }
    }
    known.users.insert("nobody");
    return policy::load_policy_text(text(), "policy.yaml", known);
}

bool terms::takes(const written& w) const {
    return holds && opt_outs && called(w.who).in(who) && w.until - w.from <= longest &&
           static_cast<int>(w.approved_by.size()) >= opt_approvals &&
           std::all_of(w.approved_by.begin(), w.approved_by.end(), [&](const auto& name) {
               return name != w.who && !called(name).service && called(name).in_any(opt_approvers);
           });
}

}  // namespace sallyport::model
