#include "proxy/explain.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "policy/address.h"
#include "policy/catalog/resolve.h"
#include "policy/decide.h"
#include "policy/in_session.h"
#include "policy/sql/analyse.h"
#include "policy/wire_facts.h"
#include "proxy/admin/text.h"
#include "proxy/big_stack.h"
#include "proxy/explain_parts.h"

namespace sallyport::proxy {

namespace {

using admin::explained;
using admin::explained_catalog;

bool runs_what_a_session_made(const policy::facts& f) {
    using what = policy::name_use::action;
    return std::ranges::any_of(f.statements, [](const auto& s) {
        return s.transaction == policy::statement_facts::transaction_control::commit_prepared ||
               std::ranges::any_of(s.names, [](const policy::name_use& u) {
                   return u.what == what::execute || u.what == what::fetch;
               });
    });
}

/// One question on its way to its answer.
class explainer {
  public:
    explainer(const explain_world& w, const explain_catalog& c, const admin::explain_question& q)
        : w_(w), catalog_(c), q_(q) {}

    explained run() {
        if (!find_subject()) return std::move(e_);
        say_question();
        const auto opening = decide(nullptr);
        if (q_.sql.empty()) {
            e_.session = true;
            say_decision(opening);
            return std::move(e_);
        }
        if (opening.effect != policy::effect::allow)
            e_.notes.push_back("opening a session on " + q_.target + " is itself decided: " +
                               policy::to_string(opening.effect) + " by rule " + opening.rule_id);
        use_catalog(opening);
        statement();
        return std::move(e_);
    }

  private:
    bool find_subject() {
        s_.principal.name = q_.user;
        s_.principal.groups = q_.groups;
        if (const auto* known = w_.users.find(q_.user)) {
            s_.principal = known->principal;
            if (!q_.groups.empty()) s_.principal.groups = q_.groups;
        } else if (q_.groups.empty()) {
            e_.error = "user \"" + q_.user + "\" is not in " + w_.config.users_path +
                       "; name the groups to ask for somebody who is not there yet";
            return false;
        }
        const auto at = w_.config.targets.find(q_.target);
        if (at == w_.config.targets.end()) {
            e_.error = "target \"" + q_.target + "\" is not in " + w_.config.path;
            return false;
        }
        target_ = &at->second;
        s_.target = q_.target;
        s_.application = q_.application;
        s_.address = q_.address.empty() ? "127.0.0.1" : q_.address;
        if (!policy::parse_address(s_.address)) {
            e_.error = "\"" + s_.address + "\" is no address; write 192.0.2.7 or 2001:db8::7";
            return false;
        }
        return true;
    }

    void say_question() {
        now_ = q_.at.value_or(w_.now);
        e_.user = s_.principal.name;
        e_.groups = s_.principal.groups;
        e_.target = s_.target;
        e_.application = s_.application;
        e_.address = s_.address;
        e_.at = now_;
        e_.policy_hash = w_.rules.hash;
        e_.default_effect = w_.rules.default_effect;
        e_.opaque_effect = w_.rules.opaque_effect;
        e_.catalog = catalog_.about;
    }

    policy::decision decide(const policy::facts* f) const {
        policy::decide_options options;
        options.explain = true;
        auto d = policy::decide(w_.rules, s_, f, policy::grants{}, now_, options);
        if (f != nullptr) policy::restrict_wire_command(d, *f);
        return d;
    }

    /// What is in a database is for those who may come to it.
    void use_catalog(const policy::decision& opening) {
        newest_ = catalog_.newest;
        if (!newest_ || q_.sees_all || opening.effect != policy::effect::deny) return;
        newest_ = nullptr;
        e_.catalog.how = explained_catalog::state::off;
        e_.catalog.why = "this user may not open a session on the target";
    }

    void statement() {
        policy::sql::analyse_options options;
        options.bytes_max = w_.config.limits.inspect_bytes;
        const auto text = policy::sql::analyse(q_.sql, options);
        e_.text = text->redacted;
        if (!text->literal_sensitive) e_.shape = text->shape;
        if (q_.sql.size() <= options.bytes_max) add_tokens(q_.sql, e_);
        if (q_.search_path) policy::add_search_path(s_, *q_.search_path);
        // A session that has just begun: it has prepared nothing.
        auto named =
            policy::with_names(text, [](const policy::name_use&) { return policy::named_sql{}; });
        named = policy::with_prepared(named, [](const std::string&) { return false; });
        policy::note_search_path(s_, *named, w_.rules);

        auto facts = named;
        bool unknown_name = false;
        if (newest_) {
            say_catalog(*newest_, e_.catalog);
            e_.path = path_of_session(newest_->source(), roles_of(*target_, s_.principal),
                                      q_.search_path);
            policy::catalog::session_names names;
            const std::vector<std::string> no_temporary;
            names.path = &e_.path.schemas;
            names.temporary = &no_temporary;
            names.harmless = &w_.rules.harmless;
            named = policy::with_parsed(named, [&](const policy::facts_ptr& f) {
                return policy::catalog::resolve(*f, *newest_, names).literals_run_code;
            });
            auto found = policy::catalog::resolve(*named, *newest_, names);
            facts = std::move(found.facts);
            unknown_name = found.unknown_name;
        } else {
            if (target_->catalog) facts = policy::without_catalog(named);
            say_path_alone();
        }
        const auto d = decide(facts.get());
        if (newest_) compare_with_any_path(*named, d);
        say_facts(*named, *facts, d, w_.rules, e_);
        say_decision(d);
        say_what_follows(*text, d, unknown_name);
    }

    void say_path_alone() {
        if (q_.search_path) {
            e_.path.schemas = s_.search_path_schemas;
            e_.path.from = "the question";
        } else {
            e_.path.from = "not known: a bare name may be in any schema";
        }
    }

    /// Where the server cannot be asked for the path, every schema counts.
    void compare_with_any_path(const policy::facts& named, const policy::decision& d) {
        policy::catalog::session_names names;
        names.harmless = &w_.rules.harmless;
        const auto anywhere = policy::catalog::resolve(named, *newest_, names);
        e_.path.matters = anywhere.path_matters;
        if (!anywhere.path_matters) return;
        const auto other = decide(anywhere.facts.get());
        if (other.effect == d.effect && other.rule_id == d.rule_id) return;
        e_.path.otherwise = other.effect;
        e_.path.otherwise_rule = other.rule_id;
    }

    void say_decision(const policy::decision& d) {
        e_.effect = d.effect;
        e_.rule = d.rule_id;
        e_.reasons = d.reasons;
        if (d.rule != nullptr) e_.message = d.rule->message;
        if (d.hold != nullptr) e_.hold = *d.hold;
        for (const auto& s : d.standings) {
            const auto& r = w_.rules.rules[s.rule];
            e_.rules.push_back({r.id, r.tier, r.effect, policy::to_string(s.how), s.why});
        }
        for (const auto* r : d.observed)
            e_.notes.push_back("rule " + r->id + " only observes: enforced, it would " +
                               (r->effect == policy::effect::deny ? "deny" : "hold") + " this");
        for (const auto& x : d.excepted)
            e_.notes.push_back("rule " + x.by->id + " is an exception from " +
                               policy::ids_of(x.over) + " (" + x.by->reason + "); it ends " +
                               admin::iso_time(*x.by->review_by));
        if (d.effect == policy::effect::hold && d.hold == nullptr)
            e_.notes.emplace_back("nobody can approve it (no hold: with approvers): refused");
        const bool offered = d.rule != nullptr && d.rule->opt_out;
        if (d.effect == policy::effect::hold)
            e_.notes.push_back(std::string("passes") + (offered ? " and opt-outs" : "") +
                               " that the user may have are not looked at");
    }

    void say_what_follows(const policy::facts& text, const policy::decision& d, bool unknown_name) {
        using state = explained_catalog::state;
        auto& notes = e_.notes;
        if (q_.sql.size() > w_.config.limits.inspect_bytes && d.effect == policy::effect::hold &&
            d.rule_id == policy::opaque_rule_id)
            notes.emplace_back("longer than limits.inspect_bytes: refused at once (54000)");
        if (text.syntax_error && d.effect != policy::effect::allow)
            notes.emplace_back(
                "the proxy asks the server to parse the text, which runs nothing: if the server "
                "finds the error too, the client gets that error, and nobody is asked");
        if (unknown_name && d.effect != policy::effect::allow)
            notes.emplace_back(
                "a name is not in the catalog: the proxy looks at the catalog once more, then "
                "asks the server to parse the text, which runs nothing. If the server does not "
                "know the name, the client gets the server's error; if it does, the decision "
                "stands");
        if (!target_->unapproved_role.empty() && d.effect != policy::effect::deny)
            notes.push_back("without a pass or an opt-out behind it, it runs as the role " +
                            target_->unapproved_role +
                            ": what that may not do, the server refuses");
        if (runs_what_a_session_made(text))
            notes.emplace_back(
                "explained for a session that has just begun: what another session prepared, or "
                "this one in earlier statements, is not known here");
        if (e_.catalog.how == state::none)
            notes.push_back("target " + q_.target +
                            " has no catalog: login, so only names count: what a view, a function "
                            "or a trigger reaches is not seen, and a bare name is matched in "
                            "every schema");
        if (e_.catalog.how == state::unreachable || e_.catalog.how == state::off)
            notes.emplace_back(
                "explained from the text alone, as the proxy decides while it cannot read the "
                "catalog: a bare name is matched in every schema, what a view or a trigger "
                "reaches is not seen, and a call of a function outside pg_catalog is opaque");
        if (e_.catalog.how == state::followed && e_.catalog.stale)
            notes.emplace_back("the catalog is from before: its newest check failed");
    }

    const explain_world& w_;
    const explain_catalog& catalog_;
    const admin::explain_question& q_;
    explained e_;
    policy::subject s_;
    policy::instant now_;
    const target_settings* target_ = nullptr;
    policy::catalog::snapshot_ptr newest_;
};

}  // namespace

explained explain(const explain_world& world, const explain_catalog& catalog,
                  const admin::explain_question& question) {
    explained result;
    run_on_big_stack([&] { result = explainer(world, catalog, question).run(); });
    return result;
}

}  // namespace sallyport::proxy
