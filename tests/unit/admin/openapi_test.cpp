#include "proxy/admin/openapi.h"

#include <filesystem>
#include <fstream>
#include <regex>
#include <set>
#include <sstream>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "proxy/admin/endpoints.h"
#include "tests/unit/admin/world.h"

/// The document of the API against the table of routes, the table of roles and the sources.
namespace sallyport::proxy::admin::testing {
namespace {

using nlohmann::json;

const json& document() {
    static const json parsed = json::parse(openapi_document);
    return parsed;
}

/// "GET /api/v1/holds/{}" of a route or a path of the document.
std::string key_of(const std::string& method, const std::string& path) {
    static const std::regex parameter(R"(\{[^}]*\})");
    return method + " " + std::regex_replace(path, parameter, "{}");
}

std::string upper(std::string text) {
    for (auto& c : text)
        if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 'a' + 'A');
    return text;
}

std::map<std::string, json> operations() {
    std::map<std::string, json> out;
    for (const auto& [path, methods] : document().at("paths").items())
        for (const auto& [method, operation] : methods.items())
            out.emplace(key_of(upper(method), path), operation);
    return out;
}

const json* resolve(const std::string& reference) {
    if (reference.rfind("#/", 0) != 0) return nullptr;
    const json::json_pointer at(reference.substr(1));
    return document().contains(at) ? &document().at(at) : nullptr;
}

void collect_references(const json& node, std::set<std::string>& out) {
    if (node.is_object() && node.contains("$ref")) out.insert(node.at("$ref").get<std::string>());
    for (const auto& child : node)
        if (child.is_structured()) collect_references(child, out);
}

/// The web page is no part of the API.
bool serves_page(const route& r) {
    return r.run == endpoints::page || r.run == endpoints::asset;
}

TEST(openapi, every_route_is_described_and_everything_described_is_a_route) {
    std::set<std::string> of_table;
    std::set<std::string> of_document;
    for (const auto& r : routes())
        if (!serves_page(r)) of_table.insert(key_of(std::string(r.method), std::string(r.pattern)));
    for (const auto& [key, operation] : operations())
        of_document.insert(key);

    EXPECT_EQ(of_table, of_document);
}

TEST(openapi, actions_and_roles_are_those_of_the_table) {
    const std::vector<std::pair<std::string, roles>> people{{"user", {}},
                                                            {"approver", {}},
                                                            {"monitor", {.monitor = true}},
                                                            {"auditor", {.auditor = true}},
                                                            {"admin", {.admin = true}}};
    const auto described = operations();
    for (const auto& r : routes()) {
        if (serves_page(r)) continue;
        const auto key = key_of(std::string(r.method), std::string(r.pattern));
        ASSERT_TRUE(described.count(key)) << key;
        const auto& operation = described.at(key);
        if (r.guard == gate::open) {
            EXPECT_EQ(operation.at("security"), json::array()) << key;
            EXPECT_FALSE(operation.contains("x-sallyport-action")) << key;
            continue;
        }
        EXPECT_EQ(operation.at("x-sallyport-action"), std::string(to_string(r.needs))) << key;
        auto allowed = json::array();
        for (const auto& [name, role] : people)
            if (check_action(r.needs, role).empty()) allowed.push_back(name);
        EXPECT_EQ(operation.at("x-sallyport-roles"), allowed) << key;
        EXPECT_FALSE(operation.at("security").empty()) << key;
    }
}

TEST(openapi, every_parameter_of_a_path_is_described) {
    static const std::regex parameter(R"(\{([^}]*)\})");
    for (const auto& [path, methods] : document().at("paths").items())
        for (const auto& [method, operation] : methods.items()) {
            std::set<std::string> named;
            for (std::sregex_iterator at(path.begin(), path.end(), parameter), end; at != end; ++at)
                named.insert((*at)[1]);
            std::set<std::string> described;
            if (operation.contains("parameters"))
                for (const auto& p : operation.at("parameters"))
                    if (p.at("in") == "path") described.insert(p.at("name").get<std::string>());
            EXPECT_EQ(named, described) << method << " " << path;
        }
}

TEST(openapi, every_reference_leads_somewhere_and_every_component_is_used) {
    std::set<std::string> used;
    collect_references(document(), used);
    for (const auto& reference : used)
        EXPECT_NE(resolve(reference), nullptr) << reference;

    for (const auto* kind : {"schemas", "responses"})
        for (const auto& [name, component] : document().at("components").at(kind).items())
            EXPECT_TRUE(used.count("#/components/" + std::string(kind) + "/" + name)) << name;
}

/// STATUS and kind of every problem that the sources of the surface make.
std::set<std::pair<unsigned, std::string>> problems_of_sources() {
    static const std::regex made(R"re(\{\s*(4\d\d|5\d\d),\s*"([a-z-]+)",)re");
    std::set<std::pair<unsigned, std::string>> out;
    const std::filesystem::path folder(SALLYPORT_SOURCE_DIR "/proxy/admin");
    for (const auto& entry : std::filesystem::directory_iterator(folder)) {
        if (entry.path().extension() != ".cpp") continue;
        std::ifstream file(entry.path());
        std::ostringstream text;
        text << file.rdbuf();
        const auto all = text.str();
        for (std::sregex_iterator at(all.begin(), all.end(), made), end; at != end; ++at)
            out.emplace(static_cast<unsigned>(std::stoul((*at)[1])), (*at)[2]);
    }
    // Made with its faults beside it (dto.cpp).
    out.emplace(422U, "reload");
    return out;
}

TEST(openapi, its_problems_are_those_that_the_sources_make) {
    const std::string front = "urn:sallyport:problem:";
    std::set<std::string> described;
    for (const auto& [type, about] : document().at("x-sallyport-problems").items())
        described.insert(type);
    std::set<std::string> made;
    for (const auto& [status, kind] : problems_of_sources())
        made.insert(front + kind);
    std::set<std::string> in_schema;
    for (const auto& type : document()
                                .at("components")
                                .at("schemas")
                                .at("Problem")
                                .at("properties")
                                .at("type")
                                .at("enum"))
        in_schema.insert(type.get<std::string>());

    EXPECT_EQ(made, described);
    EXPECT_EQ(made, in_schema);
    ASSERT_GT(made.size(), 20U);
}

TEST(openapi, is_served_to_everybody_byte_for_byte) {
    api_world w;

    const auto answer = w.send("GET", "/api/v1/openapi.json");

    EXPECT_EQ(answer.status, 200U);
    EXPECT_EQ(answer.body, openapi_document);
    EXPECT_EQ(document().at("openapi"), "3.1.0");
}

}  // namespace
}  // namespace sallyport::proxy::admin::testing
