#include "tests/unit/admin/world.h"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace sallyport::proxy::admin::testing {

world::world() {
    people = {{"alice", {"alice", {"dev"}, false}}, {"bob", {"bob", {"dev", "security"}, false}},
              {"carol", {"carol", {"ops"}, false}}, {"dave", {"dave", {"audit"}, false}},
              {"eve", {"eve", {}, false}},          {"ci", {"ci", {"security"}, true}}};
    store::api_token t;
    t.id = 7;
    t.owner = "alice";
    t.made_by = "alice";
    t.name = "old one";
    t.scopes = {"see-holds"};
    t.secret_sha256 = std::string(64, '0');
    t.made_at = time.now();
    t.expires_at = time.now() + std::chrono::hours(24);
    stored_tokens.push_back(t);
    roles.admins.users = {"carol"};
    roles.auditors.groups = {"audit"};
    rules = std::make_shared<policy::rule_set>();
    rules->hash = "abc";
    policy::rule r;
    r.id = "pii-needs-approval";
    r.tier = 20;
    r.effect = policy::effect::hold;
    r.hold.emplace();
    r.hold->who.groups = {"security"};
    r.opt_out.emplace();
    r.opt_out->approved_by.groups = {"security"};
    r.opt_out->max_duration = std::chrono::hours(4);
    rules->rules.push_back(r);
    session_info s;
    s.id = policy::session_id{12};
    s.user = "alice";
    s.target = "shop";
    s.state = "idle";
    sessions.live.push_back(s);
}

policy::hold world::alices_hold() {
    policy::hold h;
    h.id = policy::hold_id{7};
    h.person = "alice";
    h.target = "shop";
    h.rule = "pii-needs-approval";
    h.statement = "select ssn from customers";
    h.who.groups = {"security"};
    h.opened_at = policy::instant(policy::milliseconds(1'772'357'300'000));
    h.expires_at = policy::instant(policy::milliseconds(1'772'358'200'000));
    return h;
}

policy::opt_out world::alices_opt_out() {
    policy::opt_out o;
    o.id = policy::opt_out_id{3};
    o.rule = "pii-needs-approval";
    o.person = "alice";
    o.requested_by = "alice";
    o.reason = "incident";
    o.duration = std::chrono::hours(2);
    return o;
}

policy::flag world::eves_flag() {
    policy::flag f;
    f.id = policy::flag_id{7};
    f.subject = "eve";
    f.until = policy::instant(policy::milliseconds(1'772'961'000'000));
    return f;
}

policy::flag world::restraint(policy::flag_kind kind, policy::flag_on on,
                              const std::string& subject, std::uint64_t id) const {
    policy::flag f;
    f.id = policy::flag_id{id};
    f.kind = kind;
    f.on = on;
    f.subject = subject;
    f.until = time.now() + std::chrono::hours(1);
    f.range = policy::parse_network(subject);
    return f;
}

dependencies world::make() {
    dependencies d;
    d.authenticate = [this](const std::string& user,
                            std::string_view password) -> std::optional<policy::principal> {
        const auto at = people.find(user);
        if (at == people.end() || password != user + "-password") return std::nullopt;
        return at->second;
    };
    d.find_user = [this](const std::string& user) -> std::optional<policy::principal> {
        const auto at = people.find(user);
        return at == people.end() ? std::nullopt : std::optional(at->second);
    };
    auto& a = d.approval;
    a.list_holds = [this](auto state, auto done) {
        auto all = holds;
        std::erase_if(all, [&](const auto& h) { return state && h.state != *state; });
        done(std::move(all));
    };
    a.list_opt_outs = [this](auto state, auto done) {
        auto all = opt_outs;
        std::erase_if(all, [&](const auto& o) { return state && o.state != *state; });
        done(std::move(all));
    };
    a.get_hold = [this](policy::hold_id id, auto done) {
        for (const auto& h : holds)
            if (h.id == id) return done(h);
        done(std::nullopt);
    };
    a.get_opt_out = [this](policy::opt_out_id id, auto done) {
        for (const auto& o : opt_outs)
            if (o.id == id) return done(o);
        done(std::nullopt);
    };
    a.vote_hold = [this](const approval::steward::hold_vote& v, const auto& done) {
        steward_heard.push_back(v.who.name + (v.approve ? " approves " : " denies ") + "hold " +
                                std::to_string(v.id.value) + " " + policy::to_string(v.scope) +
                                (v.for_ ? " " + std::to_string(v.for_->count()) : "") + " by " +
                                v.surface + ": " + v.reason);
        done(steward_says);
    };
    a.ask_hold = [this](const policy::hold& h, policy::milliseconds, const auto& done) {
        steward_heard.push_back(h.person + " asks ahead for " + h.target + ": " + h.reason);
        approval::steward::asked asked;
        asked.what = approval::steward::asked::state::pending;
        asked.id = {9};
        done(asked);
    };
    a.escalate = [this](policy::hold_id id, const policy::principal& who, bool, const auto& done) {
        steward_heard.push_back(who.name + " escalates hold " + std::to_string(id.value));
        done(steward_says);
    };
    a.reassign = [this](const approval::steward::hold_reassign& r, const auto& done) {
        steward_heard.push_back(r.who.name + " reassigns hold " + std::to_string(r.id.value) +
                                " to " + r.to.name + " by " + r.surface + ": " + r.reason);
        done(steward_says);
    };
    a.request_opt_out = [this](const policy::opt_out_request& r, const std::string& by,
                               const auto& done) {
        steward_heard.push_back(r.person.name + " requests " + r.rule + " for " +
                                std::to_string(r.duration.count()) + " by " + by + ": " + r.reason);
        done(steward_says);
    };
    a.vote_opt_out = [this](const approval::steward::opt_out_vote& v, const auto& done) {
        steward_heard.push_back(v.who.name + (v.approve ? " approves " : " denies ") + "opt-out " +
                                std::to_string(v.id.value) + ": " + v.reason);
        done(steward_says);
    };
    a.revoke_opt_out = [this](const approval::steward::opt_out_revoke& r, const auto& done) {
        steward_heard.push_back(r.who.name + (r.is_admin ? " (admin)" : "") + " revokes opt-out " +
                                std::to_string(r.id.value) + ": " + r.reason);
        done(steward_says);
    };
    a.withdraw_vote = [this](const auto& id, const policy::principal& who, const std::string&,
                             const auto& done) {
        const auto of = std::visit([](auto x) { return x.value; }, id);
        steward_heard.push_back(who.name + " takes the vote on " +
                                (id.index() == 0 ? "hold " : "opt-out ") + std::to_string(of) +
                                " back");
        done(steward_says);
    };
    a.list_reviews = [this](auto state, auto done) {
        auto some = reviews;
        std::erase_if(some, [&](const auto& r) { return state && r.state != *state; });
        done(std::move(some));
    };
    a.review = [this](const approval::steward::review_verdict& v, const auto& done) {
        steward_heard.push_back(v.who.name + " reviews opt-out " + std::to_string(v.id.value) +
                                ": " + policy::to_string(v.to) + " " + v.note);
        done(steward_says);
    };
    a.list_flags = [this](bool, auto done) { done(flags); };
    a.set_flag = [this](const policy::flag_request& r, const policy::principal& who,
                        const std::string&, const auto& done) {
        steward_heard.push_back(who.name + " sets a " + policy::to_string(r.kind) + " on " +
                                policy::to_string(r.on) + " " + r.subject + ": " + r.reason);
        done(steward_says);
    };
    a.lift_flag = [this](policy::flag_id id, const policy::principal& who,
                         const std::string& reason, const std::string&, const auto& done) {
        steward_heard.push_back(who.name + " lifts " + std::to_string(id.value) + ": " + reason);
        done(steward_says);
    };
    a.grants = [this] {
        auto g = std::make_shared<policy::grants>();
        g->flags = flags;
        return g;
    };
    a.healthy = [this] { return healthy; };
    d.sessions = &sessions;
    d.rules = [this] { return rules; };
    d.reload = [this] { return reload_says; };
    d.explain = [](const explain_question& q) {
        explained e;
        e.effect = policy::effect::hold;
        e.rule = "pii-needs-approval";
        e.hold.emplace();
        e.reasons = {"as " + q.user};
        for (const auto& g : q.groups)
            e.reasons.push_back("in " + g);
        e.reasons.push_back("path " + q.search_path.value_or("of the start"));
        if (q.at) e.at = *q.at;
        if (q.sees_all) e.notes.emplace_back("sees all");
        return e;
    };
    d.policies.hits = [] {
        return std::map<std::string, rule_hits>{
            {"pii-needs-approval", {.pass = 2, .bypass = 1, .hold = 4}}, {"default", {.allow = 9}}};
    };
    d.policies.findings = [] { return std::string(R"({"findings":[]})"); };
    d.policies.candidate = [this](const policy_candidate& c) {
        candidates.push_back(c.text + (c.with_audit ? " with the log" : ""));
        if (c.text == "bad") throw std::runtime_error("no threads");
        return std::string(R"({"policy":null})");
    };
    d.report = [](auto, auto) { return std::string("{}"); };
    d.read_audit = [this](const audit::query& q, std::size_t limit, std::uint64_t before) {
        audit_asked = q;
        audit_before = before;
        audit::parsed_line line;
        line.sequence = 42;
        line.event = q.event + "/" + std::to_string(limit) + "/" + std::to_string(before);
        return std::vector{line};
    };
    d.audit.story = [](const audit::story_subject&) {
        audit::story s;
        s.records.emplace_back();
        return s;
    };
    d.audit.bundle = [](const audit::story_subject& s, policy::instant) {
        return "bundle of " + to_string(s) + "\n";
    };
    d.audit.verify = [this] {
        ++verifications;
        return audit::verify_report();
    };
    d.audit.insight = [this](const insight_question&) {
        ++insights_read;
        return std::string("{}");
    };
    d.tokens.load = [this] { return stored_tokens; };
    d.tokens.add = [this](store::api_token t, const auto& done) {
        if (!healthy) return done(std::nullopt);
        t.id = stored_tokens.size() + 7;
        stored_tokens.push_back(t);
        done(t.id);
    };
    d.tokens.revoke = [this](std::uint64_t id, const std::string& by, policy::instant at,
                             const auto& done) {
        for (auto& t : stored_tokens)
            if (t.id == id) {
                t.revoked_by = by;
                t.revoked_at = at;
            }
        done(healthy);
    };
    d.tokens.note_uses = [this](const auto& uses) { noted_uses += uses.size(); };
    d.knows_user = [this](const std::string& user) {
        return people.count(user) != 0 || user == "expired";
    };
    d.find_certificate = [this](const std::string& subject) -> std::optional<policy::principal> {
        const auto at = people.find(subject.substr(subject.find('=') + 1));
        return at == people.end() ? std::nullopt : std::optional(at->second);
    };
    d.record = [this](audit::record r) { records.push_back(std::move(r)); };
    d.time = &time;
    d.roles = roles;
    d.version = "0.1.0";
    return d;
}

actor world::as(const std::string& name, const std::string& surface) const {
    actor a;
    a.who = people.at(name);
    a.role = roles_of(roles, a.who);
    a.address = "127.0.0.1";
    a.surface = surface;
    return a;
}

std::vector<std::string> world::events() const {
    std::vector<std::string> out;
    for (const auto& r : records) {
        auto text = r.event;
        for (const auto& [key, value] : r.fields)
            if (key == "user" || key == "action" || key == "outcome") text += " " + value;
        out.push_back(std::move(text));
    }
    return out;
}

api_world::api_world() {
    context = std::make_shared<api_context>();
    context->business = std::make_shared<desk>(make());
    context->run_blocking = [](const std::function<void()>& f) {
        f();
        return true;
    };
    context->tokens.load(context->world().tokens.load());
    surface = std::make_unique<api>(context);
}

http_response api_world::send(const std::string& method, const std::string& target,
                              std::vector<std::pair<std::string, std::string>> headers,
                              const std::string& body) {
    http_request r;
    r.method = method;
    r.target = target;
    r.headers = std::move(headers);
    if (r.header_count("host") == 0) r.headers.emplace_back("Host", "localhost:6480");
    if (method == "POST" && r.header_count("content-type") == 0)
        r.headers.emplace_back("Content-Type", "application/json");
    r.body = body;
    r.address = address;
    r.certificate = certificate;
    std::optional<http_response> answer;
    surface->handle(std::move(r), [&](http_response a) {
        EXPECT_FALSE(answer.has_value()) << "answered twice";
        answer = std::move(a);
    });
    EXPECT_TRUE(answer.has_value()) << method << " " << target << " was not answered";
    return answer.value_or(http_response{});
}

http_response api_world::log_in(const std::string& user, const std::string& password) {
    return send("POST", "/api/v1/login", {},
                nlohmann::json{{"user", user}, {"password", password}}.dump());
}

std::string api_world::token_of(const std::string& user) {
    auto& token = tokens[user];
    if (token.empty()) token = json_member(log_in(user, user + "-password").body, "token");
    EXPECT_FALSE(token.empty()) << user << " could not log in";
    return token;
}

http_response api_world::send_as(const std::string& user, const std::string& method,
                                 const std::string& target, const std::string& body) {
    return send(method, target, {{"Authorization", "Bearer " + token_of(user)}}, body);
}

std::string json_member(const std::string& body, const std::string& name) {
    const auto j = nlohmann::json::parse(body, nullptr, false);
    if (!j.is_object() || !j.contains(name)) return {};
    return j[name].is_string() ? j[name].get<std::string>() : j[name].dump();
}

std::string header_of(const http_response& r, const std::string& name) {
    for (const auto& [key, value] : r.headers)
        if (key == name) return value;
    return {};
}

}  // namespace sallyport::proxy::admin::testing
