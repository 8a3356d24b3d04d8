#include <gtest/gtest.h>

#include "tests/e2e/api_fixture.h"

/// The audit log as the API tells it: stories, bundles, the chain, numbers over time.
namespace sallyport::tests {
namespace {

using nlohmann::json;

class api_story : public described_api {
  protected:
    /// An opt-out of alice's from its request to its review; its number.
    std::uint64_t play_opt_out() {
        const auto id = active_opt_out();
        EXPECT_EQ(client_as("alice").ask(held_sql).types(), "TDCZ");
        EXPECT_EQ(client_as("alice").ask(held_sql).types(), "TDCZ");
        EXPECT_EQ(client_as("erin").ask("SELECT 1").types(), "TDCZ");
        post("root", "/api/v1/opt-outs/" + std::to_string(id) + "/revoke", {{"reason", "over"}});
        post("bob", "/api/v1/reviews/" + std::to_string(id) + "/sign-off", {{"note", "fine"}});
        return id;
    }
    [[nodiscard]] static bool has(const json& records, const std::string& event) {
        return std::any_of(records.begin(), records.end(),
                           [&](const json& r) { return r.at("event") == event; });
    }
};

TEST_F(api_story, opt_out_is_told_from_request_to_review_and_its_bundle_verifies_offline) {
    start_described();
    const auto id = std::to_string(play_opt_out());
    json told;
    ASSERT_TRUE(eventually([&] {
        told = get("otto", "/api/v1/audit/story?opt_out=" + id).at("records");
        return has(told, "review.signed_off");
    }));
    for (const auto* event : {"opt_out.requested", "opt_out.vote", "opt_out.activated", "bypass",
                              "opt_out.revoked", "review.opened", "review.signed_off"})
        EXPECT_TRUE(has(told, event)) << event << "\n" << told.dump(1);
    for (std::size_t i = 1; i < told.size(); ++i)
        EXPECT_LT(told[i - 1].at("seq"), told[i].at("seq"));

    const auto bundle = send("otto", "GET", "/api/v1/audit/bundle?opt_out=" + id);
    ASSERT_EQ(bundle.status, 200) << bundle.body;
    const temp_dir elsewhere("sallyport-bundle");
    const auto verify = [&](const std::string& text) {
        write_file(elsewhere.file("story.bundle"), text, 0600);
        return proxy->run_tool({"audit", "verify-bundle", elsewhere.file("story.bundle"),
                                "--public-key", proxy->audit_public_key()});
    };
    const auto good = verify(bundle.body);
    EXPECT_EQ(good.exit_code, 0) << good.out << good.err;
    EXPECT_NE(good.out.find("OK: opt_out " + id), std::string::npos) << good.out;
    auto forged = bundle.body;
    forged.replace(forged.find("\"user\":\"alice\""), 14, "\"user\":\"carol\"");
    EXPECT_EQ(verify(forged).exit_code, 1);
    EXPECT_TRUE(eventually([&] { return audit_records("audit.exported").size() == 1; }));
}

TEST_F(api_story, command_line_tells_it_and_keeps_its_bundle) {
    start_described();
    const auto id = std::to_string(play_opt_out());
    ASSERT_TRUE(eventually([&] { return !audit_records("review.signed_off").empty(); }));

    const auto told = cli("otto", {"audit", "story", "opt-out", id});
    EXPECT_NE(told.find("the story of opt_out " + id), std::string::npos) << told;
    EXPECT_LT(told.find("opt_out.requested"), told.find("bypass")) << told;
    EXPECT_LT(told.find("bypass"), told.find("review.signed_off")) << told;
    const auto same = json::parse(cli("otto", {"audit", "story", "opt-out", id, "--json"}));
    EXPECT_TRUE(has(same.at("records"), "bypass"));

    const temp_dir elsewhere("sallyport-bundle");
    const auto file = elsewhere.file("kept.bundle");
    const auto said = cli("otto", {"audit", "bundle", "opt-out", id, "-o", file});
    EXPECT_NE(said.find("verify-bundle"), std::string::npos) << said;
    const auto good = proxy->run_tool(
        {"audit", "verify-bundle", file, "--public-key", proxy->audit_public_key()});
    EXPECT_EQ(good.exit_code, 0) << good.out << good.err;
    EXPECT_EQ(cli("otto", {"audit", "bundle", "opt-out", id, "-o", "-"}).find("{\"bundle\""), 0U);
    // What is there stays, and what is nobody's is refused in words.
    EXPECT_EQ(proxy->cli("otto", {"audit", "bundle", "opt-out", id, "-o", file}).exit_code, 1);
    const auto none = proxy->cli("otto", {"audit", "story", "hold", "4711"});
    EXPECT_EQ(none.exit_code, 1);
    EXPECT_NE(none.err.find("no record of hold 4711"), std::string::npos) << none.err;
    EXPECT_EQ(proxy->cli("bob", {"audit", "story", "opt-out", id}).exit_code, 1);
}

TEST_F(api_story, chain_is_verified_and_damage_has_its_place) {
    start_described();
    play_opt_out();
    EXPECT_EQ(get("otto", "/api/v1/audit/verify").at("state"), "verified");
    proxy->stop();
    const auto path = proxy->audit_directory() + "/audit-000001.jsonl";
    auto text = read_file(path);
    const auto at = text.find("\"event\":\"bypass\"");
    ASSERT_NE(at, std::string::npos);
    proxy->start();
    forget_login("otto");
    // Edited while the proxy runs: it would not start on a damaged log.
    text = read_file(path);
    text.replace(at, 16, "\"event\":\"bypasz\"");
    write_file(path, text, 0600);

    const auto answer = send("otto", "GET", "/api/v1/audit/verify");

    ASSERT_EQ(answer.status, 200) << answer.body;
    EXPECT_EQ(document->check("GET", "/api/v1/audit/verify", answer), std::vector<std::string>());
    const auto chain = json::parse(answer.body);
    EXPECT_EQ(chain.at("state"), "broken") << chain;
    EXPECT_EQ(chain.at("damage").at("what"), "edited") << chain;
    EXPECT_EQ(chain.at("damage").at("file"), "audit-000001.jsonl");
}

TEST_F(api_story, insight_counts_what_happened) {
    start_described();
    play_opt_out();
    auto c = client_as("erin");
    c.send(wire::query(held_sql));
    approve(pending_hold_of("erin"));
    EXPECT_EQ(c.read_exchange().types(), "TDCZ");
    ASSERT_TRUE(eventually([&] { return !audit_records("hold.released").empty(); }));

    const auto answer = send("otto", "GET", "/api/v1/insight?step=1h");

    ASSERT_EQ(answer.status, 200) << answer.body;
    EXPECT_EQ(document->check("GET", "/api/v1/insight", answer), std::vector<std::string>());
    const auto told = json::parse(answer.body);
    const auto& total = told.at("total");
    EXPECT_EQ(total.at("holds_opened"), 1);
    EXPECT_EQ(total.at("approved"), 1);
    EXPECT_EQ(total.at("bypasses"), 2);
    EXPECT_TRUE(total.at("p50_ms").is_number());
    EXPECT_EQ(told.at("series").size(), 24U);
    EXPECT_EQ(told.at("series").back().at("opt_outs_live"), 1);
    EXPECT_EQ(told.at("rules").at(0).at("rule"), "pii-needs-approval");
    EXPECT_EQ(told.at("rules").at(0).at("bypasses"), 2);
    std::map<std::string, json> people;
    for (const auto& p : told.at("people"))
        people[p.at("user").get<std::string>()] = p;
    EXPECT_EQ(people.at("alice").at("bypasses"), 2);
    EXPECT_EQ(people.at("erin").at("holds"), 1);
    EXPECT_EQ(people.at("bob").at("votes"), 1);
}

}  // namespace
}  // namespace sallyport::tests
