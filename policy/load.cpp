#include "policy/load.h"

#include <algorithm>
#include <cctype>
#include <cstdint>
#include <fstream>
#include <set>
#include <utility>

#include "policy/loader.h"
#include "policy/match.h"
#include "policy/sha256.h"

namespace sallyport::policy {

namespace {

void add_all(std::vector<std::string>& to, const std::vector<std::string>& from) {
    for (const auto& x : from)
        if (std::find(to.begin(), to.end(), x) == to.end()) to.push_back(x);
}

/// Who approves what no rule names: everybody who approves something.
std::optional<hold_spec> union_of_approvers(const rule_set& p) {
    hold_spec spec;
    bool any = false;
    for (const auto& r : p.rules) {
        if (!r.hold) continue;
        any = true;
        add_all(spec.who.users, r.hold->who.users);
        add_all(spec.who.groups, r.hold->who.groups);
        add_all(spec.who.services, r.hold->who.services);
    }
    return any ? std::optional<hold_spec>(spec) : std::nullopt;
}

effect effect_of(std::string_view word) {
    return word == "allow" ? effect::allow : word == "hold" ? effect::hold : effect::deny;
}

/// `default:` and `opaque:`: a word, or a map with the word and who approves.
struct fallback {
    policy::effect effect = policy::effect::deny;
    std::optional<hold_spec> hold;
};

fallback load_fallback(loading& l, const YAML::Node& root, const char* key) {
    fallback f;
    const auto node = yaml_reader::member(root, key);
    if (!node.IsMap()) {
        if (const auto w = l.in.word(root, key, {"allow", "hold", "deny"}))
            f.effect = effect_of(*w);
        return f;
    }
    if (!l.in.keys(node, quoted(key), {"effect", "hold"})) return f;
    if (const auto w = l.in.word(node, "effect", {"allow", "hold", "deny"})) {
        f.effect = effect_of(*w);
    } else if (!yaml_reader::member(node, "effect").IsDefined()) {
        l.in.fail(node, quoted(key) + " lacks 'effect' (allow, hold or deny)");
    }
    const auto hold = yaml_reader::member(node, "hold");
    if (!hold.IsDefined()) return f;
    if (f.effect != effect::hold)
        l.in.fail(hold, "'hold' is for effect hold only; " + quoted(key) + " has effect " +
                            to_string(f.effect));
    f.hold = load_hold(l, hold, quoted(key));
    return f;
}

/// Who lets a flagged person's session in.
void load_flagged(loading& l, const YAML::Node& node) {
    if (!node.IsDefined() || !l.in.keys(node, "'flagged'", {"hold"})) return;
    const auto hold = yaml_reader::member(node, "hold");
    if (!hold.IsDefined())
        l.in.fail(node, "'flagged' lacks 'hold' with the approvers of flagged sessions");
    else
        l.out.flagged_hold = load_hold(l, hold, "'flagged'");
}

void load_fallbacks(loading& l, const YAML::Node& root) {
    auto d = load_fallback(l, root, "default");
    l.out.default_effect = d.effect;
    l.out.default_hold = std::move(d.hold);
    if (yaml_reader::member(root, "opaque").IsDefined()) {
        auto o = load_fallback(l, root, "opaque");
        l.out.opaque_effect = o.effect;
        l.out.opaque_hold = std::move(o.hold);
    }
    if (l.out.opaque_effect == effect::hold && !l.out.opaque_hold)
        l.out.opaque_hold = union_of_approvers(l.out);
    if (l.out.default_effect == effect::hold && !l.out.default_hold)
        l.out.default_hold = union_of_approvers(l.out);
    load_flagged(l, yaml_reader::member(root, "flagged"));
    if (!l.out.flagged_hold) l.out.flagged_hold = union_of_approvers(l.out);
}

/// What the catalog cannot follow, and the policy's authors have read themselves.
void load_harmless(loading& l, const YAML::Node& node) {
    struct entry {
        const char* key;
        const char* prefix;
        bool qualified;
    };
    static constexpr entry entries[] = {{"languages", "language:", false},
                                        {"extensions", "extension:", false},
                                        {"functions", "function:", true},
                                        {"foreign_servers", "server:", false}};
    if (!node.IsDefined() ||
        !l.in.keys(node, "'harmless'", {"languages", "extensions", "functions", "foreign_servers"}))
        return;
    for (const auto& e : entries)
        for (const auto& [at, name] : l.in.list(node, e.key)) {
            const auto dot = name.find('.');
            if (e.qualified && (dot == std::string::npos || dot == 0 || dot + 1 == name.size()))
                l.in.fail(at, quoted(name) + " must be schema.function");
            else if (e.prefix == std::string_view{"language:"} &&
                     (name == "c" || name == "internal" || name == "sql" || name == "plpgsql"))
                l.in.fail(at, "the language " + name +
                                  " is nothing to be trusted as a whole; name the functions or "
                                  "the extension");
            else
                l.out.harmless.push_back(e.prefix + name);
        }
    std::ranges::sort(l.out.harmless);
}

void load_root(loading& l) {
    const auto& root = l.in.root();
    if (!l.in.keys(root, "the policy",
                   {"version", "default", "opaque", "flagged", "log", "log_literals", "harmless",
                    "resources", "rules", "opt_outs", "tests"}))
        return;
    const auto version = l.in.integer(root, "version", 1, 1);
    if (!version && !yaml_reader::member(root, "version").IsDefined())
        l.in.fail(root, "'version' is missing; write version: 1");
    if (!yaml_reader::member(root, "default").IsDefined())
        l.in.fail(root,
                  "'default' is missing; write what happens to what no rule matches: default: "
                  "allow, hold or deny");
    if (const auto w = l.in.word(root, "log", {"none", "all"}))
        l.out.log = *w == "all" ? log_mode::all : log_mode::none;
    l.out.log_literals = l.in.boolean(root, "log_literals").value_or(false);
    load_harmless(l, yaml_reader::member(root, "harmless"));
    load_resources(l, yaml_reader::member(root, "resources"));
    load_rules(l, yaml_reader::member(root, "rules"));
    load_exceptions(l);
    load_fallbacks(l, root);
    load_written(l, yaml_reader::member(root, "opt_outs"));
    load_tests(l, yaml_reader::member(root, "tests"));
}

void sort_by_place(std::vector<fault>& faults) {
    std::stable_sort(faults.begin(), faults.end(), [](const fault& a, const fault& b) {
        return std::pair(a.line, a.column) < std::pair(b.line, b.column);
    });
}

}  // namespace

std::string to_string(const fault& f) {
    return f.file + ":" + std::to_string(f.line) + ":" + std::to_string(f.column) + ": " + f.what;
}

std::string quoted(std::string_view text) {
    std::string out = "'";
    for (const char c : text.substr(0, 64))
        out += static_cast<std::uint8_t>(c) < 0x20 || c == 0x7f ? '?' : c;
    return out + (text.size() > 64 ? "…'" : "'");
}

bool is_plain_id(std::string_view text) noexcept {
    if (text.empty() || text.size() > 63 || std::isalnum(static_cast<std::uint8_t>(text[0])) == 0)
        return false;
    return std::all_of(text.begin(), text.end(), [](char c) {
        return std::isalnum(static_cast<std::uint8_t>(c)) != 0 || c == '-' || c == '_' || c == '.';
    });
}

std::optional<milliseconds> duration_up_to(yaml_reader& in, const YAML::Node& map, const char* key,
                                           milliseconds max) {
    const auto d = in.duration(map, key);
    if (!d || *d <= max) return d;
    in.fail(yaml_reader::member(map, key),
            quoted(key) + " must be at most " + format_duration(max));
    return {};
}

void loading::warn(const YAML::Node& at, std::string what, std::string code) const {
    const auto mark = at.Mark();
    warnings.push_back({out.path, std::max(mark.line, 0) + 1, std::max(mark.column, 0) + 1,
                        std::move(what), std::move(code)});
}

loaded_policy load_policy_text(std::string_view text, const std::string& path,
                               const known_names& known) {
    loaded_policy result;
    auto rules = std::make_shared<rule_set>();
    rules->path = path;
    rules->hash = sha256_hex(text);
    yaml_reader in(path, text);
    // Without a sound tree every key would look missing: one fault is the truth then.
    const bool sound = in.root().IsDefined() && !in.root().IsNull();
    loading l{in, known, *rules, result.warnings};
    if (sound) {
        load_root(l);
    } else if (in.ok()) {
        in.fail(in.root(), "the policy is empty; it needs at least version, default and rules");
    }
    result.faults = std::move(in.faults());
    sort_by_place(result.faults);
    if (result.faults.empty()) {
        lint(*rules, known, result.warnings);
        rules->compiled = compile(*rules);
        result.rules = std::move(rules);
    }
    sort_by_place(result.warnings);
    return result;
}

loaded_policy load_policy(const std::string& path, const known_names& known) {
    constexpr std::size_t bytes_max = yaml_limits{}.bytes_max;
    loaded_policy result;
    std::ifstream in(path, std::ios::binary);
    std::string text(bytes_max + 1, '\0');
    if (in) in.read(text.data(), static_cast<std::streamsize>(text.size()));
    if (!in && !in.eof()) {
        result.faults.push_back({path, 1, 1, "cannot be read; check the path and its permissions"});
        return result;
    }
    text.resize(static_cast<std::size_t>(in.gcount()));
    return load_policy_text(text, path, known);
}

}  // namespace sallyport::policy
