#include <nlohmann/json.hpp>

#include "proxy/cli/table.h"
#include "proxy/cli/views.h"
#include "proxy/visible.h"

namespace sallyport::proxy::cli {
namespace {

using json = nlohmann::ordered_json;

/// Members that stand in the first line of a record, or say nothing to a person.
bool stands_apart(const std::string& name) {
    for (const auto* known : {"seq", "time", "event", "user", "statement", "prev", "hash",
                              "statement_sha256", "policy"})
        if (name == known) return true;
    return false;
}

std::string word(const json& value) {
    return value.is_string() ? visible(value.get_ref<const std::string&>(), line_breaks::escape)
           : value.is_primitive() ? value.dump()
                                  : std::string();
}

std::string member_of(const json& record, const char* name) {
    const auto at = record.find(name);
    return at == record.end() ? std::string() : word(*at);
}

void add_wrapped(std::string& out, const std::string& text, const std::string& indent,
                 std::size_t width) {
    for (const auto& line : wrap(text, width > indent.size() + 20 ? width - indent.size() : 20))
        out += indent + line + "\n";
}

}  // namespace

std::string show_story(const std::string& body, const screen& s) {
    const auto j = json::parse(body, nullptr, false);
    if (!j.is_object() || !j.contains("records") || !j.at("records").is_array())
        return "The answer is not the JSON that was expected.\n";
    std::string out = "the story of " + member_of(j, "about") + "\n";
    for (const auto& r : j.at("records")) {
        if (!r.is_object()) continue;
        const auto user = member_of(r, "user");
        out += "\n" + member_of(r, "seq") + "  " + member_of(r, "time") + "  " +
               member_of(r, "event") + (user.empty() ? "" : "  " + user) + "\n";
        std::string rest;
        for (const auto& [name, value] : r.items())
            if (const auto text = word(value); !stands_apart(name) && !text.empty())
                rest +=
                    (rest.empty() ? "" : ", ") + visible(name, line_breaks::escape) + " " + text;
        if (!rest.empty()) add_wrapped(out, rest, "    ", s.width);
        if (const auto statement = member_of(r, "statement"); !statement.empty())
            add_wrapped(out, statement, "    | ", s.width);
    }
    if (j.contains("cut") && j.at("cut") == true)
        out += "\nThere are more records; the log's files have them all.\n";
    return out;
}

}  // namespace sallyport::proxy::cli
