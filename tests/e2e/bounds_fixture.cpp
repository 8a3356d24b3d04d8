#include "tests/e2e/bounds_fixture.h"

#include <chrono>
#include <cstdio>
#include <utility>

#include <gmock/gmock.h>

namespace sallyport::tests {
namespace {

using nlohmann::json;
using ::testing::HasSubstr;

std::string console_literal(const std::string& text) {
    return "'" + text + "'";
}

/// The clauses of the console for a wish.
std::string console_clauses(const json& wish) {
    std::string out = " RULE \"" + wish.at("rule").get<std::string>() + "\"";
    for (const auto& [member, word] :
         {std::pair{"for", "FOR"}, std::pair{"reason", "REASON"}, std::pair{"ticket", "TICKET"},
          std::pair{"target", "TARGET"}, std::pair{"from", "FROM"}, std::pair{"group", "GROUP"}})
        if (const auto text = wish.value(member, ""); !text.empty())
            out += std::string(" ") + word + " " + console_literal(text);
    return out;
}

std::vector<std::string> cli_options(const json& wish) {
    std::vector<std::string> out;
    for (const auto* member : {"rule", "for", "reason", "ticket", "target", "from", "group"})
        if (const auto text = wish.value(member, ""); !text.empty()) {
            out.push_back(std::string("--") + member);
            out.push_back(text);
        }
    return out;
}

}  // namespace

std::string bounded::changed(std::string text, const std::string& from, const std::string& to) {
    const auto at = text.find(from);
    EXPECT_NE(at, std::string::npos) << from;
    return at == std::string::npos ? text : text.replace(at, from.size(), to);
}

void bounded::load(const std::string& policy) const {
    proxy->set_policy(policy);
    const auto answer = api("root").post("/api/v1/reload", "{}");
    EXPECT_EQ(answer.status, 200) << answer.body;
}

wire_client bounded::refusing(const std::string& user, const std::string& target) const {
    auto o = login_as(user, target);
    o.more.emplace_back("options", "-c sallyport.on_hold=refuse");
    wire_client c(proxy->port());
    c.login(o);
    return c;
}

json bounded::wish(const json& changes) {
    json w{{"rule", "pii-needs-approval"},
           {"for", "1h"},
           {"reason", "checkout is down"},
           {"ticket", "INC-1"}};
    if (changes.is_object()) w.update(changes);
    return w;
}

std::uint64_t bounded::accepted(const json& changes, const std::string& user) const {
    const auto answer = ask_for(changes, user);
    EXPECT_EQ(answer.status, 201) << user << ": " << answer.body;
    return answer.status == 201 ? json::parse(answer.body).at("id").get<std::uint64_t>() : 0;
}

void bounded::approve_opt_out(std::uint64_t id, const std::string& user) const {
    post(user, "/api/v1/opt-outs/" + std::to_string(id) + "/approve", {{"reason", "on call"}});
}

void bounded::revoke_opt_out(std::uint64_t id, const std::string& user) const {
    post(user, "/api/v1/opt-outs/" + std::to_string(id) + "/revoke", {{"reason", "over"}});
}

std::uint64_t bounded::spend(const json& changes, const std::string& user) const {
    const auto id = accepted(changes, user);
    approve_opt_out(id);
    revoke_opt_out(id);
    return id;
}

void bounded::refused_everywhere(const json& changes, const std::string& why,
                                 const std::string& user) const {
    const auto w = wish(changes);
    const bool glass = w.value("break_glass", false);
    auto arguments = cli_options(w);
    arguments.insert(arguments.begin(), {"opt-out", glass ? "break-glass" : "request"});
    refused_everywhere(user, api(user).post("/api/v1/opt-outs", w.dump()), std::move(arguments),
                       (glass ? "BREAK GLASS" : "REQUEST OPT OUT") + console_clauses(w), why);
}

void bounded::extension_refused_everywhere(std::uint64_t id, const std::string& why,
                                           const std::string& user) const {
    const auto number = std::to_string(id);
    refused_everywhere(user,
                       api(user).post("/api/v1/opt-outs/" + number + "/extend",
                                      R"({"for":"1h","reason":"not done"})"),
                       {"opt-out", "extend", number, "--for", "1h", "--reason", "not done"},
                       "EXTEND OPT OUT " + number + " FOR '1h' REASON 'not done'", why);
}

void bounded::refused_everywhere(const std::string& user, const http_response& answer,
                                 std::vector<std::string> arguments, const std::string& command,
                                 const std::string& why) const {
    EXPECT_EQ(answer.status / 100, 4) << answer.body;
    EXPECT_THAT(detail_of(answer), HasSubstr(why)) << "the API to " << user;

    const auto typed = proxy->cli(user, std::move(arguments));
    EXPECT_NE(typed.exit_code, 0) << typed.out;
    EXPECT_THAT(typed.out + typed.err, HasSubstr(why)) << "the command line to " << user;

    const auto said = client_as(user, "sallyport").ask(command);
    ASSERT_EQ(said.errors.size(), 1u) << command;
    EXPECT_THAT(said.errors[0].at('M'), HasSubstr(why)) << "the console to " << user;
}

std::string bounded::detail_of(const http_response& answer) {
    const auto body = json::parse(answer.body, nullptr, false);
    return body.is_object() ? body.value("detail", "") : answer.body;
}

std::string time_in(std::int64_t ms) {
    using std::chrono::milliseconds;
    const auto at =
        std::chrono::floor<milliseconds>(std::chrono::system_clock::now()) + milliseconds(ms);
    const auto day = std::chrono::floor<std::chrono::days>(at);
    const std::chrono::year_month_day date(day);
    const std::chrono::hh_mm_ss time(at - day);
    char text[40];
    std::snprintf(
        text, sizeof text, "%04d-%02u-%02uT%02d:%02d:%02d.%03dZ", static_cast<int>(date.year()),
        static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()),
        static_cast<int>(time.hours().count()), static_cast<int>(time.minutes().count()),
        static_cast<int>(time.seconds().count()), static_cast<int>(time.subseconds().count()));
    return text;
}

}  // namespace sallyport::tests
