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

    bool boolean(const char* key) {
        const auto at = find(key);
        if (at == nullptr || at->is_null()) return false;
        if (!at->is_boolean()) fail("\"" + std::string(key) + "\" must be true or false.");
        return at->is_boolean() && at->get<bool>();
    }

    std::optional<policy::instant> time(const char* key) {
        const auto value = text(key, 32);
        if (value.empty()) return std::nullopt;
        auto t = parse_iso_time(value);
        if (!t)
            fail("\"" + std::string(key) + "\" must be a time such as \"2026-03-01T09:30:00Z\".");
        return t;
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

parsed<hold_wish> parse_hold_wish(std::string_view body) {
    body_reader in(body, {"on", "sql", "reason", "application", "for"});
    parsed<hold_wish> out;
    out.value.target = in.text("on", name_bytes_max, true);
    out.value.sql = in.text("sql", 1U << 20U);
    out.value.reason = in.text("reason", reason_bytes_max, true);
    out.value.application = in.text("application", 63);
    out.value.wait = in.duration("for");
    out.error = in.error();
    return out;
}

parsed<assignment_wish> parse_assignment(std::string_view body) {
    body_reader in(body, {"to", "reason"});
    parsed<assignment_wish> out;
    out.value.to = in.text("to", name_bytes_max, true);
    out.value.reason = in.text("reason", reason_bytes_max, true);
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
    body_reader in(body, {"rule", "for", "reason", "ticket", "target", "from", "group",
                          "application", "on", "do", "shape", "break_glass"});
    parsed<opt_out_wish> out;
    auto& w = out.value;
    w.rule = in.text("rule", name_bytes_max, true);
    w.duration = in.duration("for", true).value_or(policy::milliseconds::zero());
    w.reason = in.text("reason", reason_bytes_max, true);
    w.ticket = in.text("ticket", ticket_bytes_max);
    w.target = in.text("target", name_bytes_max);
    w.starts_at = in.time("from");
    w.group = in.text("group", name_bytes_max);
    w.scope.application = in.text("application", name_bytes_max);
    w.scope.resources = in.texts("on");
    w.scope.shape = in.text("shape", 64);
    for (const auto& word : in.texts("do"))
        if (auto why = add_action(w.scope, word); !why.empty()) in.fail(std::move(why));
    if (in.boolean("break_glass")) w.kind = policy::opt_out_kind::break_glass;
    out.error = in.error();
    return out;
}

parsed<extension_wish> parse_extension(std::string_view body) {
    body_reader in(body, {"for", "reason", "ticket"});
    parsed<extension_wish> out;
    out.value.duration = in.duration("for", true).value_or(policy::milliseconds::zero());
    out.value.reason = in.text("reason", reason_bytes_max, true);
    out.value.ticket = in.text("ticket", ticket_bytes_max);
    out.error = in.error();
    return out;
}

parsed<reason_body> parse_note(std::string_view body, reason_is needed) {
    body_reader in(body, {"note"});
    parsed<reason_body> out;
    out.value.reason = in.text("note", reason_bytes_max, needed == reason_is::needed);
    out.error = in.error();
    return out;
}

parsed<policy::flag_request> parse_flag(std::string_view body, policy::flag_kind k) {
    static constexpr const char* subjects[] = {"principal", "application", "address", "target",
                                               "rule"};
    body_reader in(body,
                   {"principal", "application", "address", "target", "rule", "for", "reason"});
    parsed<policy::flag_request> out;
    out.value.kind = k;
    int named = 0;
    for (const auto* key : subjects) {
        auto subject = in.text(key, name_bytes_max);
        if (subject.empty()) continue;
        ++named;
        (void)policy::parse_flag_on(key, out.value.on);
        out.value.subject = std::move(subject);
    }
    if (named != 1)
        in.fail(
            "Name exactly one of \"principal\", \"application\", \"address\", \"target\" and "
            "\"rule\".");
    out.value.lasts = in.duration("for", true).value_or(policy::milliseconds::zero());
    out.value.reason = in.text("reason", reason_bytes_max, true);
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

parsed<std::string> parse_candidate(std::string_view body) {
    body_reader in(body, {"policy"});
    parsed<std::string> out;
    out.value = in.text("policy", 1U << 20U, true);
    out.error = in.error();
    return out;
}

parsed<token_wish> parse_token(std::string_view body) {
    body_reader in(body, {"name", "scopes", "for", "owner"});
    parsed<token_wish> out;
    out.value.name = in.text("name", name_bytes_max, true);
    out.value.scopes = in.texts("scopes");
    out.value.life = in.duration("for", true).value_or(policy::milliseconds::zero());
    out.value.owner = in.text("owner", name_bytes_max);
    out.error = in.error();
    return out;
}

parsed<reason_body> parse_nothing(std::string_view body) {
    const body_reader in(body, {});
    return {.value = {}, .error = in.error()};
}

}  // namespace sallyport::proxy::admin
