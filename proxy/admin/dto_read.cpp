#include <set>

#include <nlohmann/json.hpp>
#include <openssl/crypto.h>

#include "proxy/admin/dto.h"
#include "proxy/admin/text.h"

namespace sallyport::proxy::admin {
namespace {

using nlohmann::json;

/// Reads members of one JSON object and keeps the first fault.
class body_reader {
  public:
    body_reader(std::string_view body, std::vector<std::string> known) : known_(std::move(known)) {
        read(body);
    }

    std::string text(const char* key, std::size_t bytes_max, bool needed = false) {
        const auto at = find(key);
        if (at == nullptr || at->is_null()) {
            if (needed) fail("\"" + std::string(key) + "\" is missing.");
            return {};
        }
        if (!at->is_string()) {
            fail("\"" + std::string(key) + "\" must be a string.");
            return {};
        }
        auto value = at->get<std::string>();
        if (value.size() > bytes_max) {
            fail("\"" + std::string(key) + "\" is longer than " + std::to_string(bytes_max) +
                 " bytes.");
            return {};
        }
        if (needed && blank(value)) fail("\"" + std::string(key) + "\" is empty.");
        return value;
    }

    std::vector<std::string> texts(const char* key) {
        std::vector<std::string> out;
        const auto at = find(key);
        if (at == nullptr || at->is_null()) return out;
        if (!at->is_array() || at->size() > 256) {
            fail("\"" + std::string(key) + "\" must be a list of at most 256 strings.");
            return out;
        }
        for (const auto& item : *at) {
            if (!item.is_string() || item.get_ref<const std::string&>().size() > name_bytes_max) {
                fail("\"" + std::string(key) + "\" must be a list of short strings.");
                return {};
            }
            out.push_back(item.get<std::string>());
        }
        return out;
    }

    std::optional<policy::milliseconds> duration(const char* key, bool needed = false) {
        const auto value = text(key, 32, needed);
        if (value.empty()) return std::nullopt;
        auto d = parse_duration(value);
        if (!d) fail("\"" + std::string(key) + "\" must be a duration such as \"30m\" or \"2h\".");
        return d;
    }

    void fail(std::string why) {
        if (error_.empty()) error_ = std::move(why);
    }
    [[nodiscard]] const std::string& error() const { return error_; }

    /// Wipes the copies of a secret member.
    void wipe(const char* key) {
        const auto at = root_.is_object() ? root_.find(key) : root_.end();
        if (at == root_.end() || !at->is_string()) return;
        auto& value = at->get_ref<std::string&>();
        OPENSSL_cleanse(value.data(), value.size());
    }

  private:
    void read(std::string_view body) {
        if (blank(body)) {
            root_ = json::object();
            return;
        }
        std::set<std::string> seen;
        bool doubled = false;
        const json::parser_callback_t watch = [&](int depth, json::parse_event_t event,
                                                  json& value) {
            if (event == json::parse_event_t::key && depth == 1)
                doubled = !seen.insert(value.get<std::string>()).second || doubled;
            return true;
        };
        root_ = json::parse(body.begin(), body.end(), watch, false);
        if (root_.is_discarded()) return fail("The body is not valid JSON in UTF-8.");
        if (!root_.is_object()) return fail("The body must be one JSON object.");
        if (doubled) return fail("A member of the body is there twice.");
        for (const auto& [key, value] : root_.items())
            check_known(key);
    }

    const json* find(const char* key) {
        if (!error_.empty() || !root_.is_object()) return nullptr;
        const auto at = root_.find(key);
        return at == root_.end() ? nullptr : &*at;
    }

    void check_known(const std::string& key) {
        for (const auto& k : known_)
            if (k == key) return;
        auto why = "The body has a member that is not known here";
        if (key.size() > 64) return fail(std::string(why) + ".");
        const auto near = nearest(key, known_);
        fail(std::string(why) + ": \"" + key + "\"" +
             (near.empty() ? "." : " (did you mean \"" + near + "\"?)."));
    }

    std::vector<std::string> known_;
    json root_;
    std::string error_;
};

}  // namespace

parsed<credentials> parse_login(std::string_view body) {
    body_reader in(body, {"user", "password"});
    parsed<credentials> out;
    out.value.user = in.text("user", name_bytes_max, true);
    out.value.password = in.text("password", 1024);
    in.wipe("password");
    out.error = in.error();
    return out;
}

parsed<hold_ballot> parse_approval(std::string_view body) {
    body_reader in(body, {"reason", "pass", "for"});
    parsed<hold_ballot> out;
    out.value.approve = true;
    out.value.reason = in.text("reason", reason_bytes_max);
    const auto pass = in.text("pass", 32);
    if (!pass.empty() && !policy::parse_pass_scope(pass, out.value.scope))
        in.fail("\"pass\" must be statement, shape, transaction or session.");
    out.value.for_ = in.duration("for");
    out.error = in.error();
    return out;
}

parsed<reason_body> parse_reason(std::string_view body, reason_is needed) {
    body_reader in(body, {"reason"});
    parsed<reason_body> out;
    out.value.reason = in.text("reason", reason_bytes_max, needed == reason_is::needed);
    out.error = in.error();
    return out;
}

parsed<opt_out_wish> parse_opt_out(std::string_view body) {
    body_reader in(body, {"rule", "for", "reason", "ticket", "target"});
    parsed<opt_out_wish> out;
    out.value.rule = in.text("rule", name_bytes_max, true);
    out.value.duration = in.duration("for", true).value_or(policy::milliseconds::zero());
    out.value.reason = in.text("reason", reason_bytes_max, true);
    out.value.ticket = in.text("ticket", ticket_bytes_max);
    out.value.target = in.text("target", name_bytes_max);
    out.error = in.error();
    return out;
}

parsed<explain_question> parse_explain(std::string_view body) {
    body_reader in(body,
                   {"as", "groups", "on", "sql", "application", "address", "search_path", "at"});
    parsed<explain_question> out;
    out.value.user = in.text("as", name_bytes_max);
    out.value.groups = in.texts("groups");
    out.value.target = in.text("on", name_bytes_max, true);
    out.value.sql = in.text("sql", 1U << 20U);
    out.value.application = in.text("application", name_bytes_max);
    out.value.address = in.text("address", 64);
    if (auto path = in.text("search_path", 4096); !path.empty())
        out.value.search_path = std::move(path);
    if (const auto at = in.text("at", 32); !at.empty()) {
        out.value.at = parse_iso_time(at);
        if (!out.value.at) in.fail("\"at\" must be a time such as \"2026-03-01T09:30:00Z\".");
    }
    out.error = in.error();
    return out;
}

parsed<reason_body> parse_nothing(std::string_view body) {
    const body_reader in(body, {});
    return {.value = {}, .error = in.error()};
}

}  // namespace sallyport::proxy::admin
