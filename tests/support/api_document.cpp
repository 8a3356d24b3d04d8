#include "tests/support/api_document.h"

#include <algorithm>
#include <regex>
#include <set>

namespace sallyport::tests {
namespace {

using nlohmann::json;

bool is_type(const std::string& type, const json& v) {
    if (type == "object") return v.is_object();
    if (type == "array") return v.is_array();
    if (type == "string") return v.is_string();
    if (type == "integer") return v.is_number_integer();
    if (type == "number") return v.is_number();
    if (type == "boolean") return v.is_boolean();
    return type == "null" && v.is_null();
}

bool is_one_of(const json& types, const json& v) {
    if (types.is_string()) return is_type(types.get<std::string>(), v);
    return std::any_of(types.begin(), types.end(),
                       [&](const json& t) { return is_type(t.get<std::string>(), v); });
}

bool has_form(const std::string& text, const char* form) {
    return std::regex_search(text, std::regex(form));
}

/// The keywords that check_at() and check_object() look at, and those that say nothing to check.
const std::set<std::string>& known_keywords() {
    static const std::set<std::string> all{"$ref",
                                           "type",
                                           "enum",
                                           "const",
                                           "anyOf",
                                           "minimum",
                                           "maximum",
                                           "minLength",
                                           "maxLength",
                                           "pattern",
                                           "format",
                                           "items",
                                           "minItems",
                                           "maxItems",
                                           "properties",
                                           "required",
                                           "contentEncoding",
                                           "additionalProperties",
                                           "description",
                                           "x-event-data"};
    return all;
}

}  // namespace

bool api_document::operation::lets_in(const std::string& role) const {
    if (!about.contains("x-sallyport-roles")) return open();
    const auto& roles = about.at("x-sallyport-roles");
    return std::find(roles.begin(), roles.end(), json(role)) != roles.end();
}

std::vector<api_document::operation> api_document::operations() const {
    std::vector<operation> out;
    for (const auto& [path, methods] : document_.at("paths").items())
        for (const auto& [method, about] : methods.items()) {
            std::string upper = method;
            std::transform(upper.begin(), upper.end(), upper.begin(),
                           [](unsigned char c) { return static_cast<char>(std::toupper(c)); });
            out.push_back({upper, path, about});
        }
    return out;
}

std::vector<std::string> api_document::problems() const {
    std::vector<std::string> out;
    for (const auto& [type, about] : document_.at("x-sallyport-problems").items())
        out.push_back(type.substr(type.rfind(':') + 1));
    return out;
}

const json& api_document::schema(const std::string& name) const {
    return document_.at("components").at("schemas").at(name);
}

const json& api_document::resolved(const json& node) const {
    if (!node.contains("$ref")) return node;
    return document_.at(json::json_pointer(node.at("$ref").get<std::string>().substr(1)));
}

std::vector<std::string> api_document::check(const json& schema, const json& value) const {
    std::vector<std::string> faults;
    check_at(schema, value, "", faults);
    return faults;
}

void api_document::check_at(const json& schema, const json& value, const std::string& place,
                            std::vector<std::string>& faults) const {
    const auto fail = [&](const std::string& what) {
        faults.push_back((place.empty() ? "the body" : place) + ": " + what + ": " +
                         value.dump(-1, ' ', true, json::error_handler_t::replace).substr(0, 200));
    };
    for (const auto& [keyword, operand] : schema.items())
        if (!known_keywords().count(keyword)) fail("unknown keyword " + keyword);
    if (schema.contains("$ref")) check_at(resolved(schema), value, place, faults);
    if (schema.contains("type") && !is_one_of(schema.at("type"), value))
        return fail("is not of type " + schema.at("type").dump());
    if (schema.contains("const") && value != schema.at("const"))
        fail("is not " + schema.at("const").dump());
    if (schema.contains("enum")) {
        const auto& all = schema.at("enum");
        if (std::find(all.begin(), all.end(), value) == all.end())
            fail("is not one of " + all.dump());
    }
    if (schema.contains("anyOf")) {
        const auto& all = schema.at("anyOf");
        if (std::none_of(all.begin(), all.end(),
                         [&](const json& one) { return check(one, value).empty(); })) {
            fail("fits none of anyOf");
            for (const auto& one : all)
                check_at(one, value, place + "?", faults);
        }
    }
    if (value.is_number()) {
        if (schema.contains("minimum") && value < schema.at("minimum")) fail("is too small");
        if (schema.contains("maximum") && value > schema.at("maximum")) fail("is too large");
    }
    if (value.is_string()) {
        const auto text = value.get<std::string>();
        if (schema.contains("minLength") && text.size() < schema.at("minLength")) fail("too short");
        if (schema.contains("maxLength") && text.size() > schema.at("maxLength")) fail("too long");
        if (schema.contains("pattern") &&
            !has_form(text, schema.at("pattern").get<std::string>().c_str()))
            fail("does not fit the pattern");
        if (schema.contains("format")) {
            if (schema.at("format") != "date-time") fail("unknown format");
            if (!has_form(text, R"(^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$)")) fail("no time");
        }
    }
    if (value.is_array()) {
        if (schema.contains("minItems") && value.size() < schema.at("minItems")) fail("too few");
        if (schema.contains("maxItems") && value.size() > schema.at("maxItems")) fail("too many");
        if (schema.contains("items"))
            for (std::size_t i = 0; i < value.size(); ++i)
                check_at(schema.at("items"), value.at(i), place + "/" + std::to_string(i), faults);
    }
    if (value.is_object()) check_object(schema, value, place, faults);
}

void api_document::check_object(const json& schema, const json& value, const std::string& place,
                                std::vector<std::string>& faults) const {
    if (schema.contains("required"))
        for (const auto& key : schema.at("required"))
            if (!value.contains(key.get<std::string>()))
                faults.push_back(place + ": " + key.dump() + " is missing");
    const bool whole = schema.contains("type") && schema.contains("properties");
    for (const auto& [key, member] : value.items()) {
        const auto at = place + "/" + key;
        if (schema.contains("properties") && schema.at("properties").contains(key))
            check_at(schema.at("properties").at(key), member, at, faults);
        else if (schema.contains("additionalProperties") &&
                 schema.at("additionalProperties").is_object())
            check_at(schema.at("additionalProperties"), member, at, faults);
        else if (whole)
            faults.push_back(at + ": the document does not name this member");
    }
}

std::vector<std::string> api_document::check(const std::string& method, const std::string& path,
                                             const http_response& answer) const {
    std::string lower = method;
    std::transform(lower.begin(), lower.end(), lower.begin(),
                   [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    const auto& responses = document_.at("paths").at(path).at(lower).at("responses");
    const auto status = std::to_string(answer.status);
    if (!responses.contains(status))
        return {method + " " + path + ": status " + status + " is not described: " + answer.body};
    const auto& response = resolved(responses.at(status));
    std::vector<std::string> faults;
    if (response.contains("headers"))
        for (const auto& [name, about] : response.at("headers").items()) {
            std::string key = name;
            std::transform(key.begin(), key.end(), key.begin(),
                           [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
            const auto found = answer.headers.find(key);
            if (found != answer.headers.end())
                check_at(about.at("schema"), found->second, name, faults);
            else if (about.value("required", false))
                faults.push_back("the header " + name + " is missing");
        }
    const auto type = answer.headers.find("content-type");
    const auto media = type == answer.headers.end() ? std::string() : type->second;
    if (!response.contains("content")) return faults;
    const auto& content = response.at("content");
    if (!content.contains(media)) {
        faults.push_back("the media type " + media + " is not described");
        return faults;
    }
    const bool is_json = media.find("json") != std::string::npos && media != "application/jsonl";
    const auto body = is_json ? json::parse(answer.body, nullptr, false) : json(answer.body);
    if (body.is_discarded())
        faults.push_back("the body is no JSON: " + answer.body.substr(0, 200));
    else
        check_at(content.at(media).at("schema"), body, "", faults);
    for (auto& f : faults)
        f = method + " " + path + " " + status + ": " + f;
    return faults;
}

}  // namespace sallyport::tests
