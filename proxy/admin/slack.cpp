#include "proxy/admin/slack.h"

#include <charconv>

#include <nlohmann/json.hpp>

#include "proxy/admin/login_table.h"
#include "proxy/notify/sign.h"

namespace sallyport::proxy::admin {
namespace {

constexpr std::string_view payload_key = "payload=";
constexpr std::size_t name_max = 64;

int hex_digit(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
}

/// application/x-www-form-urlencoded; nullopt for a bad escape.
std::optional<std::string> form_decoded(std::string_view text) {
    std::string out;
    out.reserve(text.size());
    for (std::size_t i = 0; i < text.size(); ++i) {
        if (text[i] != '%') {
            out += text[i] == '+' ? ' ' : text[i];
            continue;
        }
        const int high = i + 2 < text.size() ? hex_digit(text[i + 1]) : -1;
        const int low = i + 2 < text.size() ? hex_digit(text[i + 2]) : -1;
        if (high < 0 || low < 0) return std::nullopt;
        out += static_cast<char>(high * 16 + low);
        i += 2;
    }
    return out;
}

std::string text_at(const nlohmann::json& j, const char* key) {
    const auto found = j.is_object() ? j.find(key) : j.end();
    if (!j.is_object() || found == j.end() || !found->is_string()) return {};
    auto text = found->get<std::string>();
    return text.size() <= name_max ? text : std::string();
}

}  // namespace

bool replay_guard::first_time(const std::string& signature, policy::instant now) {
    const std::lock_guard lock(mutex_);
    std::erase_if(seen_, [now](const auto& entry) { return entry.second <= now; });
    if (seen_.size() >= remembered_max) return false;
    // Twice the window: a timestamp may lie that much ahead.
    return seen_.emplace(signature, now + 2 * slack_window).second;
}

std::string check_slack_signature(std::string_view secret, std::string_view timestamp,
                                  std::string_view signature, std::string_view body,
                                  policy::instant now) {
    std::int64_t seconds = 0;
    const auto* const end = timestamp.data() + timestamp.size();
    const auto read = std::from_chars(timestamp.data(), end, seconds);
    if (secret.empty() || timestamp.size() > 12 || read.ec != std::errc{} || read.ptr != end)
        return "The request has no timestamp of Slack's.";
    const auto at = policy::instant(policy::seconds(seconds));
    if (at < now - slack_window || at > now + slack_window)
        return "The request is too old, or the clocks differ.";
    std::string text = "v0:" + std::string(timestamp) + ":";
    text += body;
    if (!same_secret("v0=" + notify::hmac_sha256_hex(secret, text), signature))
        return "The request is not signed by the Slack app that is configured.";
    return {};
}

std::optional<slack_click> parse_slack_click(std::string_view body) {
    if (!body.starts_with(payload_key)) return std::nullopt;
    body.remove_prefix(payload_key.size());
    const auto text = form_decoded(body.substr(0, body.find('&')));
    if (!text) return std::nullopt;
    const auto j = nlohmann::json::parse(*text, nullptr, false);
    if (!j.is_object() || text_at(j, "type") != "block_actions" || !j.contains("user") ||
        !j.contains("actions") || !j["actions"].is_array() || j["actions"].empty())
        return std::nullopt;
    slack_click c{text_at(j["user"], "id"), text_at(j["actions"][0], "value")};
    if (c.user.empty() || c.subject.empty()) return std::nullopt;
    return c;
}

std::string slack_answer(const std::string& text) {
    const nlohmann::ordered_json j{
        {"response_type", "ephemeral"}, {"replace_original", false}, {"text", text}};
    return j.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

}  // namespace sallyport::proxy::admin
