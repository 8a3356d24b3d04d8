#include "proxy/notify/render.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdio>

#include <nlohmann/json.hpp>

#include "proxy/visible.h"

namespace sallyport::proxy::notify {
namespace {

using json = nlohmann::ordered_json;
using policy::notice;
using policy::notice_about;
using policy::notice_event;

constexpr std::size_t chat_statement_max = 600;  // characters
constexpr std::size_t chat_value_max = 300;
constexpr std::size_t chat_headline_max = 140;
constexpr std::size_t slack_fields_max = 10;

std::string flat(std::string_view text) {
    return visible(text, line_breaks::escape);
}

/// "2026-03-01 09:30 UTC" for people; ISO 8601 for programs.
std::string time_text(policy::instant t, bool iso) {
    const auto day = std::chrono::floor<std::chrono::days>(t);
    const std::chrono::year_month_day d(day);
    const std::chrono::hh_mm_ss of_day(t - day);
    std::array<char, 48> text{};
    const auto n = [](auto count) { return static_cast<int>(count); };
    std::snprintf(text.data(), text.size(),
                  iso ? "%04d-%02u-%02uT%02d:%02d:%02d.%03dZ" : "%04d-%02u-%02u %02d:%02d:%02d UTC",
                  n(static_cast<int>(d.year())), static_cast<unsigned>(d.month()),
                  static_cast<unsigned>(d.day()), n(of_day.hours().count()),
                  n(of_day.minutes().count()), n(of_day.seconds().count()),
                  n(of_day.subseconds().count()));
    return text.data();
}

std::string by(const notice& n) {
    return n.by.empty() ? std::string() : " by " + flat(n.by);
}

std::string of_hold(const notice& n) {
    const auto name = "Hold " + std::to_string(n.id) + " of " + flat(n.person);
    switch (n.event) {
        case notice_event::requested:
            return flat(n.person) + " waits for approval on " + flat(n.target) + " (hold " +
                   std::to_string(n.id) + ")";
        case notice_event::approved:
            return name + " was approved" + by(n);
        case notice_event::denied:
            return name + " was denied" + by(n);
        case notice_event::expired:
            return name + " expired: nobody decided in time";
        case notice_event::escalated:
            return name + " was escalated" + by(n) + ": it still waits for approval";
        case notice_event::reassigned:
            return name + " was reassigned to " + flat(n.asked) + by(n);
        default:
            return name + " was withdrawn";
    }
}

std::string of_opt_out(const notice& n) {
    const auto number = "opt-out " + std::to_string(n.id);
    const auto name =
        "Opt-out " + std::to_string(n.id) + " of " + flat(n.person) + " from rule " + flat(n.rule);
    switch (n.event) {
        case notice_event::requested:
            return flat(n.person) + " asks for an opt-out from rule " + flat(n.rule) + " (" +
                   number + ")";
        case notice_event::approved:
            return name + " was approved" + by(n);
        case notice_event::denied:
            return name + " was denied" + by(n);
        case notice_event::expired:
            return name + " lapsed: nobody decided in time";
        case notice_event::first_use:
            return name + " was used for the first time" + by(n);
        case notice_event::break_glass:
            return flat(n.person) + " broke glass: " + number + " from rule " + flat(n.rule) +
                   " is active without an approval";
        case notice_event::break_glass_use:
            return "Broken glass was used" + by(n) + ": " + number + ", use " +
                   std::to_string(n.uses);
        case notice_event::near_end:
            return name + " ends soon";
        case notice_event::ended:
            return name + " has ended";
        case notice_event::revoked:
            return name + " was revoked" + by(n);
        default:
            return name + " was withdrawn" + by(n);
    }
}

std::string of_review(const notice& n) {
    const auto name = "the review of opt-out " + std::to_string(n.id) + " of " + flat(n.person);
    switch (n.event) {
        case notice_event::overdue:
            return "Overdue: " + name;
        case notice_event::signed_off:
            return "Signed off" + by(n) + ": " + name;
        case notice_event::finding:
            return "A finding was raised" + by(n) + ": " + name;
        default:
            return "Due: " + name;
    }
}

std::string of_flag(const notice& n) {
    const auto name = flat(n.kind) + " " + std::to_string(n.id) + " on " + flat(n.what);
    switch (n.event) {
        case notice_event::lifted:
            return "Lifted" + by(n) + ": " + name;
        case notice_event::ended:
            return "Ended by itself: " + name;
        default:
            return "Set" + by(n) + ": " + name;
    }
}

void add(json& j, const char* name, const std::string& value) {
    if (!value.empty()) j[name] = flat(value);
}

std::string generic(const notice& n, const std::string& key, const std::string& base) {
    json j{{"delivery", key},
           {"event", policy::to_string(n.event)},
           {"subject", {{"kind", policy::to_string(n.about)}, {"id", n.id}}},
           {"at", time_text(n.at, true)},
           {"text", headline(n)},
           {"link", link_to(base, n)}};
    add(j, "person", n.person);
    add(j, "by", n.by);
    add(j, "rule", n.rule);
    add(j, "target", n.target);
    add(j, "reason", n.reason);
    add(j, "ticket", n.ticket);
    add(j, "note", n.note);
    add(j, "kind", n.kind);
    add(j, "what", n.what);
    add(j, "asked", n.asked);
    add(j, "application", n.application);
    add(j, "address", n.address);
    if (n.until != policy::instant{}) j["until"] = time_text(n.until, true);
    if (n.uses != 0) j["uses"] = n.uses;
    if (!n.statement.empty()) {
        j["statement"] = visible(n.statement, line_breaks::keep);
        j["statement_cut"] = n.statement.size() < n.statement_bytes;
    }
    return j.dump();
}

bool decides(const notice& n) {
    return n.event == notice_event::requested || n.event == notice_event::escalated ||
           n.event == notice_event::reassigned || n.event == notice_event::review_due ||
           n.event == notice_event::overdue;
}

const char* button(const notice& n) {
    if (n.about == notice_about::review && decides(n)) return "Open to review";
    return decides(n) ? "Open to decide" : "Open";
}

/// What a chat message has of a statement: a beginning, and a note when there is more.
std::string chat_statement(const notice& n) {
    const auto text = visible(n.statement, line_breaks::keep);
    auto shown = cut_text(text, chat_statement_max);
    if (shown.size() < text.size() || n.statement.size() < n.statement_bytes)
        shown += "\n(cut: " + std::to_string(n.statement_bytes) + " bytes in all; see the page)";
    return shown;
}

json plain(std::string text) {
    return {{"type", "plain_text"}, {"text", std::move(text)}, {"emoji", false}};
}

std::size_t characters(std::string_view text) {
    return static_cast<std::size_t>(std::count_if(text.begin(), text.end(), [](char c) {
        return (static_cast<unsigned char>(c) & 0xC0U) != 0x80U;
    }));
}

/// slack_text() within Slack's bound, which counts entities as they are written.
std::string slack_fit(std::string_view text, std::size_t most) {
    auto out = slack_text(text);
    for (auto room = most; characters(out) > most; room = room * 3 / 4)
        out = slack_text(cut_text(text, room));
    return out;
}

std::string slack(const notice& n, const std::string& key, const std::string& base) {
    const auto title = cut_text(headline(n), chat_headline_max);
    json blocks = json::array();
    blocks.push_back({{"type", "header"}, {"text", plain(slack_fit(title, 150))}});
    json fields = json::array();
    for (const auto& [label, value] : facts_of(n))
        if (label != "Statement" && fields.size() < slack_fields_max)
            fields.push_back(plain(label + ": " + slack_text(cut_text(value, chat_value_max))));
    if (!fields.empty()) blocks.push_back({{"type", "section"}, {"fields", std::move(fields)}});
    if (!n.statement.empty())
        blocks.push_back(
            {{"type", "section"}, {"text", plain(slack_fit(chat_statement(n), 3000))}});
    // The button opens the page: a click decides nothing.
    json open{{"type", "button"},
              {"action_id", "sallyport_open"},
              {"value", n.subject()},
              {"text", plain(button(n))},
              {"url", link_to(base, n)}};
    if (decides(n)) open["style"] = "primary";
    blocks.push_back(
        {{"type", "actions"}, {"block_id", "sallyport:" + key}, {"elements", json::array({open})}});
    const json message{{"text", slack_text(title)},
                       {"mrkdwn", false},
                       {"unfurl_links", false},
                       {"unfurl_media", false},
                       {"blocks", std::move(blocks)}};
    return message.dump();
}

/// A RichTextBlock takes its text as it is: unlike a TextBlock or a FactSet it reads no markdown.
json rich(std::initializer_list<std::pair<std::string, bool>> runs) {
    json inlines = json::array();
    for (const auto& [text, bold] : runs) {
        json run{{"type", "TextRun"}, {"text", text}};
        if (bold) run["weight"] = "Bolder";
        inlines.push_back(std::move(run));
    }
    return {{"type", "RichTextBlock"}, {"inlines", std::move(inlines)}};
}

std::string teams(const notice& n, const std::string& base) {
    json body = json::array();
    const auto title = tame(cut_text(headline(n), chat_headline_max));
    body.push_back(rich({{title, true}}));
    for (const auto& [label, value] : facts_of(n))
        if (label != "Statement")
            body.push_back(
                rich({{label + ": ", true}, {tame(cut_text(value, chat_value_max)), false}}));
    if (!n.statement.empty()) body.push_back(rich({{tame(chat_statement(n)), false}}));
    json card{
        {"$schema", "http://adaptivecards.io/schemas/adaptive-card.json"},
        {"type", "AdaptiveCard"},
        {"version", "1.4"},
        {"fallbackText", title},
        {"body", std::move(body)},
        {"actions",
         json::array(
             {{{"type", "Action.OpenUrl"}, {"title", button(n)}, {"url", link_to(base, n)}}})}};
    const json message{
        {"type", "message"},
        {"attachments", json::array({{{"contentType", "application/vnd.microsoft.card.adaptive"},
                                      {"contentUrl", nullptr},
                                      {"content", std::move(card)}}})}};
    return message.dump();
}

char lower(char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}

bool begins_with(std::string_view text, std::string_view word) {
    return text.size() >= word.size() && std::equal(word.begin(), word.end(), text.begin(),
                                                    [](char a, char b) { return a == lower(b); });
}

}  // namespace

std::string headline(const notice& n) {
    switch (n.about) {
        case notice_about::hold:
            return of_hold(n);
        case notice_about::opt_out:
            return of_opt_out(n);
        case notice_about::review:
            return of_review(n);
        case notice_about::flag:
            return of_flag(n);
        case notice_about::policy:
        case notice_about::count_:
            break;
    }
    return "A reload was refused; what was in force stays in force";
}

std::vector<std::pair<std::string, std::string>> facts_of(const notice& n) {
    std::vector<std::pair<std::string, std::string>> all;
    const auto put = [&all](const char* label, const std::string& value) {
        if (!value.empty()) all.emplace_back(label, flat(value));
    };
    const bool waits = decides(n);
    put("Reason", n.reason);
    put("Ticket", n.ticket);
    put(n.about == notice_about::policy ? "Fault" : "Note", n.note);
    if (n.until != policy::instant{})
        put(waits ? "Decide until" : "Until", time_text(n.until, false));
    put(n.event == notice_event::break_glass ? "Announced to" : "Who can", n.asked);
    put("Rule", n.rule);
    put("Target", n.target);
    if (n.about != notice_about::flag) put("What", n.what);
    if (n.uses != 0) put("Uses", std::to_string(n.uses));
    put("Application", n.application);
    put("Address", n.address);
    if (!n.statement.empty())
        all.emplace_back("Statement", visible(n.statement, line_breaks::keep));
    return all;
}

std::string link_to(const std::string& base, const notice& n) {
    const auto number = "/" + std::to_string(n.id);
    switch (n.about) {
        case notice_about::hold:
            return base + "/holds" + number;
        case notice_about::opt_out:
            return base + "/opt-outs" + number;
        case notice_about::review:
            return base + "/reviews" + number;
        case notice_about::flag:
            return base + "/flags";
        case notice_about::policy:
        case notice_about::count_:
            break;
    }
    return base + "/";
}

std::string render(form f, const notice& n, const std::string& key, const std::string& base) {
    switch (f) {
        case form::slack:
            return slack(n, key, base);
        case form::teams:
            return teams(n, base);
        case form::generic:
            break;
    }
    return generic(n, key, base);
}

std::string tame(std::string_view given) {
    static constexpr std::array<std::string_view, 4> everybody{"here", "channel", "everyone",
                                                               "team"};
    const auto text = visible(given, line_breaks::keep);
    const std::string_view view = text;
    std::string out;
    out.reserve(text.size() + 16);
    for (std::size_t i = 0; i < view.size(); ++i) {
        const auto rest = view.substr(i);
        const bool mention = rest.front() == '@' &&
                             std::any_of(everybody.begin(), everybody.end(),
                                         [&](auto w) { return begins_with(rest.substr(1), w); });
        if (mention) {
            out += "(at)";
        } else if (rest.starts_with("://")) {
            out += "[:]//";
            i += 2;
        } else if (begins_with(rest, "www.")) {
            out += "www[.]";
            i += 3;
        } else if (begins_with(rest, "mailto:")) {
            out += "mailto[:]";
            i += 6;
        } else {
            out += rest.front();
        }
    }
    return out;
}

std::string slack_text(std::string_view text) {
    std::string out;
    for (const char c : tame(text)) {
        if (c == '&')
            out += "&amp;";
        else if (c == '<')
            out += "&lt;";
        else if (c == '>')
            out += "&gt;";
        else
            out += c;
    }
    return out;
}

std::string cut_text(std::string_view text, std::size_t characters) {
    std::size_t seen = 0;
    for (std::size_t i = 0; i < text.size(); ++i) {
        if ((static_cast<unsigned char>(text[i]) & 0xC0U) == 0x80U) continue;
        if (seen++ < characters) continue;
        return std::string(text.substr(0, i)) + "…";
    }
    return std::string(text);
}

}  // namespace sallyport::proxy::notify
