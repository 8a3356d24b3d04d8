#include <algorithm>

#include "policy/loader.h"
#include "policy/match.h"

namespace sallyport::policy {

namespace {

void load_relations(loading& l, const YAML::Node& node, const std::string& where, resource& r) {
    const auto written = yaml_reader::member(node, "relations");
    if (!written.IsDefined()) return;
    for (const auto& [at, text] : l.in.list(node, "relations")) {
        relation_pattern p;
        std::string why;
        if (parse_relation_pattern(text, p, why)) {
            r.relations.push_back(std::move(p));
        } else {
            l.in.fail(at, quoted(text) + " is no relation: " + why);
        }
    }
    // An empty list would silently mean the whole target.
    if (written.IsSequence() && written.size() == 0)
        l.in.fail(written,
                  "'relations' of " + where + " is empty; leave it out to mean the whole target");
    if (r.relations.size() > entries_max)
        l.in.fail(written, where + " has more than " + std::to_string(entries_max) + " relations");
}

void load_targets(loading& l, const YAML::Node& node, const std::string& where, resource& r) {
    const std::vector<std::string> known(l.known.targets.begin(), l.known.targets.end());
    for (const auto& [at, text] : l.in.list(node, "target")) {
        if (!known.empty() && !l.known.targets.contains(text))
            l.in.fail(
                at, "unknown target " + quoted(text) + " in " + where + did_you_mean(text, known));
        r.targets.push_back(text);
    }
    const auto written = yaml_reader::member(node, "target");
    if (!written.IsDefined()) {
        l.in.fail(node, where + " lacks 'target'");
    } else if (written.IsSequence() && written.size() == 0) {
        l.in.fail(written, "'target' of " + where + " is empty");
    }
}

}  // namespace

void load_resources(loading& l, const YAML::Node& node) {
    if (!node.IsDefined()) return;
    if (!node.IsMap()) {
        l.in.fail(node, "'resources' must be a map of names and resources");
        return;
    }
    if (node.size() > resources_max) {
        l.in.fail(node, "there are more than " + std::to_string(resources_max) + " resources");
        return;
    }
    for (const auto& entry : node) {
        if (!entry.first.IsScalar()) continue;
        const auto& name = entry.first.Scalar();
        const auto where = "resource " + quoted(name);
        resource r;
        r.name = name;
        if (!is_plain_id(name))
            l.in.fail(entry.first, quoted(name) +
                                       " is no name; use letters, digits, '-', '_', '.', "
                                       "at most 63");
        if (l.in.keys(entry.second, where, {"target", "relations"})) {
            load_targets(l, entry.second, where, r);
            load_relations(l, entry.second, where, r);
        }
        l.out.resources.emplace(name, std::move(r));
    }
}

}  // namespace sallyport::policy
