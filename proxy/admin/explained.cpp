#include "proxy/admin/explained.h"

#include <algorithm>

#include <nlohmann/json.hpp>

#include "proxy/admin/text.h"

namespace sallyport::proxy::admin {

namespace {

using json = nlohmann::ordered_json;

constexpr std::size_t list_max = 1'000;
constexpr std::size_t text_bytes_max = 16u << 10;
constexpr std::size_t word_bytes_max = 1'024;

json text_or_null(const std::string& text) {
    return text.empty() ? json(nullptr) : json(text);
}

/// Makes the answer and remembers whether anything was left out of it.
class writer {
  public:
    json whole(const explained& e) {
        json j;
        j["effect"] = policy::to_string(e.effect);
        j["rule"] = e.rule;
        j["reasons"] = words(e.reasons);
        j["facts"] = words(e.facts);
        j["policy"] = e.policy_hash;
        j["as"] = {{"user", word(e.user)},
                   {"groups", words(e.groups)},
                   {"application", word(e.application)},
                   {"address", word(e.address)}};
        j["on"] = e.target;
        j["at"] = iso_time(e.at);
        j["text"] = e.session ? json(nullptr)
                              : json{{"redacted", bounded(e.text, text_bytes_max)},
                                     {"shape", text_or_null(e.shape)},
                                     {"token_count", e.token_count},
                                     {"tokens", tokens(e)}};
        j["catalog"] = catalog(e.catalog);
        j["search_path"] = path(e.path);
        j["statements"] = list(e.statements, [&](const auto& s) { return statement(s); });
        j["rules"] = list(e.rules, [&](const auto& r) { return rule(r); });
        j["default"] = policy::to_string(e.default_effect);
        j["opaque"] = policy::to_string(e.opaque_effect);
        j["message"] = text_or_null(e.message);
        j["hold"] = e.hold ? hold(*e.hold) : json(nullptr);
        j["notes"] = words(e.notes);
        j["cut"] = cut_;
        return j;
    }

  private:
    static json tokens(const explained& e) {
        json out = json::array();
        for (const auto& t : e.tokens) {
            json one{{"kind", t.kind}, {"at", t.at}};
            if (!t.text.empty()) one["text"] = t.text;
            out.push_back(std::move(one));
        }
        return out;
    }

    std::string bounded(const std::string& text, std::size_t bytes_max) {
        if (text.size() <= bytes_max) return text;
        cut_ = true;
        auto end = bytes_max;  // not in the middle of a character
        while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0U) == 0x80U)
            --end;
        return text.substr(0, end) + "…";
    }
    std::string word(const std::string& text) { return bounded(text, word_bytes_max); }

    template <class T, class F>
    json list(const std::vector<T>& all, F&& one) {
        json out = json::array();
        for (const auto& x : all) {
            if (out.size() == list_max) {
                cut_ = true;
                break;
            }
            out.push_back(one(x));
        }
        return out;
    }
    json words(const std::vector<std::string>& all) {
        return list(all, [this](const std::string& x) { return word(x); });
    }

    json catalog(const explained_catalog& c) {
        json j;
        j["state"] = to_string(c.how);
        if (!c.why.empty()) j["why"] = word(c.why);
        if (c.how == explained_catalog::state::none) return j;
        j["server"] = c.server;
        j["database"] = c.database;
        if (c.how != explained_catalog::state::followed) return j;
        j["server_version"] = c.server_version;
        j["age_ms"] = c.age ? json(c.age->count()) : json(nullptr);
        j["stale"] = c.stale;
        j["relations"] = c.relations;
        j["functions"] = c.functions;
        j["unreadable"] = c.unreadable;
        return j;
    }

    json path(const explained_path& p) {
        json j;
        j["schemas"] = p.schemas.empty() ? json(nullptr) : words(p.schemas);
        j["from"] = word(p.from);
        j["matters"] = p.matters;
        j["otherwise"] = p.otherwise ? json{{"effect", policy::to_string(*p.otherwise)},
                                            {"rule", p.otherwise_rule}}
                                     : json(nullptr);
        return j;
    }

    json relation(const explained_relation& r) {
        json j;
        j["how"] = r.write ? "write" : "read";
        j["schema"] = text_or_null(word(r.schema));
        j["name"] = word(r.name);
        j["columns"] = r.columns.empty() ? json(nullptr) : words(r.columns);
        j["named"] = r.named;
        j["place"] = text_or_null(word(r.place));
        j["road"] = text_or_null(word(r.road));
        j["rules"] = words(r.rules);
        return j;
    }

    json statement(const explained_statement& s) {
        json j;
        j["command"] = s.command;
        j["kinds"] = words(s.kinds);
        j["relations"] = list(s.relations, [&](const auto& r) { return relation(r); });
        j["functions"] = words(s.functions);
        j["operators"] = words(s.operators);
        j["types"] = words(s.types);
        j["settings"] = words(s.settings);
        j["opaque"] = words(s.opaque);
        return j;
    }

    json rule(const explained_rule& r) {
        json j;
        j["id"] = r.id;
        j["tier"] = r.tier;
        j["effect"] = policy::to_string(r.effect);
        j["state"] = r.state;
        j["why"] = words(r.why);
        return j;
    }

    static json hold(const policy::hold_spec& h) {
        json j;
        j["approvers"] = {
            {"needed", h.who.approvals}, {"users", h.who.users}, {"groups", h.who.groups}};
        if (!h.who.services.empty()) j["approvers"]["services"] = h.who.services;
        j["wait"] = format_duration(h.wait);
        j["clients"] = h.clients == policy::hold_clients::refuse ? "refuse" : "wait";
        j["reason_required"] = h.reason_required;
        return j;
    }

    bool cut_ = false;
};

}  // namespace

const char* to_string(explained_catalog::state s) noexcept {
    switch (s) {
        case explained_catalog::state::followed:
            return "followed";
        case explained_catalog::state::none:
            return "none";
        case explained_catalog::state::off:
            return "off";
        case explained_catalog::state::unreachable:
            return "unreachable";
    }
    return "none";
}

std::string explained_json(const explained& e, int indent) {
    return writer{}.whole(e).dump(indent, ' ', true, json::error_handler_t::replace);
}

}  // namespace sallyport::proxy::admin
