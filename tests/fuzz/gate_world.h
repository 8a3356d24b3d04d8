#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>

#include "policy/catalog/resolve.h"
#include "policy/load.h"
#include "policy/sql/analyse.h"
#include "protocol/frame.h"
#include "proxy/session/gate.h"
#include "tests/fuzz/check.h"

namespace sallyport::proxy::audit {
class fake_receipts {
  public:
    static std::unique_ptr<receipt> make() { return std::unique_ptr<receipt>(new receipt(1)); }
};
}  // namespace sallyport::proxy::audit

namespace sallyport::proxy::auth {
/// What is random to the gate comes in order from here on: a run can be repeated.
void begin_anew();
}  // namespace sallyport::proxy::auth

/// What the gate stands in when it is fuzzed: rules, facts, a clock, a catalog.
namespace sallyport::fuzz {

inline policy::rule_set_ptr rules_with(const std::string& effect) {
    const auto loaded = policy::load_policy_text(R"(version: 1
default: allow
opaque: hold
resources:
  pii: { target: shop, relations: ["pii.*"] }
rules:
  - { id: no-drop, tier: 10, do: ["drop table"], effect: deny }
  - id: pii
    tier: 20
    on: [pii]
    do: [read, write]
)" + effect + R"(
  - id: no-wait
    tier: 20
    do: [truncate]
    effect: hold
    hold: { approvers: { groups: [security] }, clients: refuse }
)",
                                                 "policy.yaml", {});
    require(loaded.rules != nullptr, "the policy is good");
    return loaded.rules;
}

inline policy::rule_set_ptr rules(bool strict) {
    static const auto held = rules_with(R"(    effect: hold
    hold: { approvers: { groups: [security] }, wait: 15m }
    opt_out: { approvers: { groups: [security] }, max_duration: 4h })");
    static const auto denied = rules_with("    effect: deny");
    return strict ? denied : held;
}

/// Facts are a matter of the text alone, and finding them takes most of the time.
inline policy::facts_ptr facts_of(std::string_view sql, bool conforming) {
    static std::unordered_map<std::string, policy::facts_ptr> known[2];
    if (sql.size() > 2048) sql = "(";  // the fuzzer's stack is smaller than analyse() asks for
    auto& cache = known[conforming ? 1 : 0];
    if (cache.size() > 4096) cache.clear();
    auto& f = cache[std::string(sql)];
    if (!f) f = policy::sql::analyse(sql, {.standard_conforming_strings = conforming});
    return f;
}

class fixed_clock final : public proxy::clock {
  public:
    [[nodiscard]] policy::instant now() const noexcept override { return at; }
    policy::instant at{std::chrono::hours(24 * 365 * 56)};
};

class sometimes_facts final : public proxy::session::facts_source {
  public:
    bool elsewhere = false;
    policy::facts_ptr find(std::string_view sql, bool conforming) override {
        return elsewhere ? nullptr : facts_of(sql, conforming);
    }
};

class two_tables final : public proxy::session::catalog_source {
  public:
    two_tables() {
        policy::catalog::rows r;
        r.database = "shop";
        r.schemas = {{16'384, "pii"}, {16'385, "public"}};
        policy::catalog::relation_row row;
        row.id = 16'386;
        row.schema = 16'384;
        row.name = "customers";
        r.relations.push_back(row);
        row.id = 16'387;
        row.schema = 16'385;
        row.name = "t";
        r.relations.push_back(row);
        map_ = policy::catalog::build(std::move(r));
    }
    look_result look(std::string_view) override { return {true, false, map_}; }
    policy::catalog::resolution resolve(const policy::facts_ptr& f,
                                        const policy::catalog::snapshot_ptr& s,
                                        const policy::catalog::session_names& names) override {
        return policy::catalog::resolve(*f, *s, names);
    }

  private:
    policy::catalog::snapshot_ptr map_;
};

inline two_tables& catalog() {
    static two_tables c;
    return c;
}

inline std::shared_ptr<const protocol::frame_limits> client_limits() {
    static const auto l =
        std::make_shared<const protocol::frame_limits>(protocol::make_frontend_limits());
    return l;
}

/// Where the messages of one direction end.
class framing {
  public:
    explicit framing(const protocol::frame_limits& limits) : splitter_(limits) {}
    [[nodiscard]] bool between() const { return head_.empty() && !splitter_.in_body(); }
    void take(protocol::bytes data) {
        head_ += data;
        protocol::bytes rest = head_;
        while (!rest.empty()) {
            const auto p = splitter_.next(rest);
            if (p.error == protocol::errc::need_more) break;
            require(p.error == protocol::errc::ok, "what is sent is messages");
        }
        head_.erase(0, head_.size() - rest.size());
    }

  private:
    protocol::frame_splitter splitter_;
    std::string head_;  ///< of a message, up to four bytes
};

struct question {
    enum class kind { facts, catalog, hold, outcome, record } what = kind::facts;
    std::string text;  ///< the statement; or the rule that holds
    std::uint32_t ticket = 0;
    policy::hold_id hold;
};

}  // namespace sallyport::fuzz
