#include <algorithm>
#include <set>
#include <utility>

#include "policy/loader.h"
#include "policy/sha256.h"
#include "policy/written.h"

namespace sallyport::policy {

namespace {

constexpr std::size_t written_max = 1'000;

/// What is known of a person of the users file.
principal person_of(const known_names& known, const std::string& name) {
    principal p;
    p.name = name;
    for (const auto& [group, members] : known.members)
        if (members.contains(name)) p.groups.push_back(group);
    p.service = known.services.contains(name);
    return p;
}

class entry_reader {
  public:
    entry_reader(loading& l, const YAML::Node& node) : l_(l), node_(node) {}

    /// The entry; its faults are in the reader, and then the value means nothing.
    written_opt_out read() {
        out_.file = l_.out.path;
        out_.line = node_.Mark().line + 1;
        auto& r = out_.request;
        r.kind = opt_out_kind::file;
        read_person();
        r.rule = needed("rule", "the rule that it is an exception from");
        r.reason = needed("reason", "why it must be");
        r.ticket = l_.in.text(node_, "ticket").value_or("");
        r.group = l_.in.text(node_, "group").value_or("");
        read_target();
        read_scope();
        read_window();
        if (const auto n = l_.in.integer(node_, "max_uses", 1, 1'000'000'000))
            out_.max_uses = static_cast<std::uint64_t>(*n);
        return std::move(out_);
    }

    void check(written_opt_out& w) {
        auto& r = w.request;
        const auto* rule = l_.out.find_rule(r.rule);
        // Only with a rule to judge by; an unknown one is a fault by itself.
        if (rule != nullptr && rule->opt_out) {
            const auto& spec = *rule->opt_out;
            if (r.duration > spec.max_duration)
                return l_.in.fail(at("until"), "'until' is " + format_duration(r.duration) +
                                                   " after 'from', and rule " + quoted(r.rule) +
                                                   " allows " + format_duration(spec.max_duration) +
                                                   " at most");
            if (spec.max_uses && w.max_uses > *spec.max_uses)
                return l_.in.fail(at("max_uses"), "rule " + quoted(r.rule) + " allows " +
                                                      std::to_string(*spec.max_uses) +
                                                      " uses at most");
            check_approvals(w, spec);
        }
        if (const auto why = check_bounds(l_.out, r, {}, r.starts_at); !why.empty())
            l_.in.fail(place_of(rule), why);
    }

  private:
    [[nodiscard]] YAML::Node at(const char* key) const {
        const auto found = yaml_reader::member(node_, key);
        return found.IsDefined() ? found : node_;
    }

    std::string needed(const char* key, const char* what) {
        auto text = l_.in.text(node_, key);
        if (!text && !yaml_reader::member(node_, key).IsDefined())
            l_.in.fail(node_, "this opt-out lacks " + quoted(key) + ": " + what);
        return text.value_or("");
    }

    void read_person() {
        const auto name = needed("who", "the person whom it lets through");
        const auto& users = l_.known.users;
        if (!name.empty() && !users.empty() && !users.contains(name))
            l_.in.fail(at("who"), "there is no user " + quoted(name) +
                                      did_you_mean(name, {users.begin(), users.end()}));
        out_.request.person = person_of(l_.known, name);
    }

    void read_target() {
        auto& target = out_.request.target;
        target = l_.in.text(node_, "target").value_or("");
        const auto& targets = l_.known.targets;
        if (!target.empty() && !targets.empty() && !targets.contains(target))
            l_.in.fail(at("target"), "there is no target " + quoted(target) +
                                         did_you_mean(target, {targets.begin(), targets.end()}));
    }

    void read_scope() {
        auto& scope = out_.request.scope;
        scope.application = l_.in.text(node_, "application").value_or("");
        scope.resources = l_.in.texts(node_, "resources");
        scope.shape = l_.in.text(node_, "shape").value_or("");
        load_actions(l_, node_, scope.kinds, scope.commands);
    }

    std::optional<instant> moment(const char* key) {
        const auto text = l_.in.text(node_, key);
        if (!text) return {};
        auto when = parse_instant(*text);
        if (!when) when = parse_date(*text);
        if (!when)
            l_.in.fail(at(key), quoted(key) +
                                    " must be an instant such as 2027-03-31T18:00:00Z, or a day "
                                    "such as 2027-03-31, which begins at 00:00 UTC");
        return when;
    }

    void read_window() {
        for (const auto* key : {"from", "until"})
            if (!yaml_reader::member(node_, key).IsDefined())
                l_.in.fail(node_, key == std::string_view("until")
                                      ? "this opt-out lacks 'until': there is none without an "
                                        "end; write until: 2027-03-31T18:00:00Z"
                                      : "this opt-out lacks 'from': the instant at which it "
                                        "begins, such as 2027-03-31T14:00:00Z");
        const auto from = moment("from");
        const auto until = moment("until");
        if (!from || !until) return;
        if (*until <= *from) {
            l_.in.fail(at("until"), "'until' must be later than 'from'");
            return;
        }
        out_.request.starts_at = *from;
        out_.request.duration = *until - *from;
    }

    void check_approvals(written_opt_out& w, const opt_out_spec& spec) {
        opt_out asked;
        asked.person = asked.requested_by = w.request.person.name;
        asked.group = w.request.group;
        std::set<std::string> distinct;
        const auto faults_before = l_.in.faults().size();
        for (const auto& [place, name] : l_.in.list(node_, "approved_by")) {
            const auto& users = l_.known.users;
            if (!users.empty() && !users.contains(name)) {
                l_.in.fail(place, "there is no user " + quoted(name) +
                                      did_you_mean(name, {users.begin(), users.end()}));
                continue;
            }
            auto voter = person_of(l_.known, name);
            auto why = check_voter(spec.approved_by, voter, asked);
            // Without the users file, who is in which group is not known.
            if (users.empty() && !name.empty() && name != asked.person) why.clear();
            if (!why.empty()) {
                l_.in.fail(place, why);
            } else if (!distinct.insert(name).second) {
                l_.in.fail(place, quoted(name) + " counts once");
            } else {
                w.approved_by.push_back(std::move(voter));
            }
        }
        const auto wanted = std::max(spec.approved_by.approvals, 1);
        if (l_.in.faults().size() == faults_before &&
            static_cast<int>(w.approved_by.size()) < wanted)
            l_.in.fail(at("approved_by"), "this opt-out needs " + std::to_string(wanted) +
                                              " approval(s); name in 'approved_by' who has "
                                              "reviewed it");
    }

    /// Where a fault of the bounds is shown.
    [[nodiscard]] YAML::Node place_of(const rule* rule) const {
        return rule == nullptr || !rule->opt_out ? at("rule") : node_;
    }

    loading& l_;
    const YAML::Node& node_;
    written_opt_out out_;
};

/// The same for the same content, whatever its place in the file.
std::string key_of(const written_opt_out& w) {
    const auto& r = w.request;
    std::string all;
    const auto add = [&](std::string_view text) {
        all += std::to_string(text.size()) + ":" + std::string(text);
    };
    for (const auto* text : {&r.person.name, &r.rule, &r.reason, &r.ticket, &r.target, &r.group,
                             &r.scope.application, &r.scope.shape})
        add(*text);
    for (const auto& name : r.scope.resources)
        add("resource " + name);
    for (const auto k : r.scope.kinds)
        add("kind " + std::string(to_string(k)));
    for (const auto& name : r.scope.commands)
        add("command " + name);
    for (const auto& p : w.approved_by)
        add("approver " + p.name);
    add(std::to_string(r.starts_at.time_since_epoch().count()));
    add(std::to_string(r.duration.count()));
    add(std::to_string(w.max_uses));
    return sha256_hex(all);
}

void read_entry(loading& l, const YAML::Node& node, written_opt_outs& out) {
    if (!l.in.keys(node, "an opt-out",
                   {"who", "group", "rule", "reason", "ticket", "approved_by", "from", "until",
                    "target", "application", "resources", "do", "shape", "max_uses"}))
        return;
    const auto before = l.in.faults().size();
    entry_reader reader(l, node);
    auto w = reader.read();
    if (l.in.faults().size() != before) return;
    // Who approved it then may have left since: of what is over nothing more is asked.
    if (l.known.now && w.until() <= *l.known.now) {
        l.warn(node,
               "this opt-out of " + quoted(w.request.person.name) +
                   " has ended; take it out of the file",
               "opt-out-ended");
    } else {
        reader.check(w);
    }
    if (l.in.faults().size() != before) return;
    w.key = key_of(w);
    const bool twice = std::any_of(out.all.begin(), out.all.end(),
                                   [&](const written_opt_out& x) { return x.key == w.key; });
    if (twice) return l.in.fail(node, "this opt-out stands here twice");
    out.all.push_back(std::move(w));
}

}  // namespace

void load_written(loading& l, const YAML::Node& node) {
    if (!node.IsDefined() || node.IsNull()) return;  // the last entry was taken out
    if (!node.IsSequence())
        return l.in.fail(node,
                         "'opt_outs' must be a list of opt-outs, each with who, rule, "
                         "reason, approved_by, from and until");
    if (node.size() > written_max)
        return l.in.fail(node, "'opt_outs' has more than " + std::to_string(written_max) +
                                   " entries; take out those that have ended");
    auto out = std::make_shared<written_opt_outs>();
    if (l.out.opt_outs) out->all = l.out.opt_outs->all;
    for (const auto& entry : node)
        read_entry(l, entry, *out);
    l.out.opt_outs = std::move(out);
}

loaded_opt_outs load_opt_outs_text(std::string_view text, const std::string& path,
                                   const rule_set& rules, const known_names& known) {
    loaded_opt_outs result;
    auto with = rules;
    with.path = path;
    yaml_reader in(path, text);
    loading l{in, known, with, result.warnings};
    if (in.root().IsDefined() && !in.root().IsNull() &&
        in.keys(in.root(), "the file of opt-outs", {"opt_outs"}))
        load_written(l, yaml_reader::member(in.root(), "opt_outs"));
    result.faults = std::move(in.faults());
    if (result.faults.empty())
        result.opt_outs =
            with.opt_outs ? with.opt_outs : std::make_shared<const written_opt_outs>();
    return result;
}

}  // namespace sallyport::policy
