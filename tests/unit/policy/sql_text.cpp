#include "tests/unit/policy/sql_text.h"

#include <algorithm>
#include <fstream>

#include <nlohmann/json.hpp>

namespace sallyport::policy::sql {
namespace {

std::string qualified(const std::string& schema, const std::string& name) {
    return schema.empty() ? name : schema + "." + name;
}

std::string join(const std::vector<std::string>& parts, const char* between) {
    std::string out;
    for (const auto& p : parts)
        out += (out.empty() ? "" : between) + p;
    return out;
}

std::string to_text(const relation_use& r, bool with_columns) {
    std::string out = r.how == access::write ? "write " : "read ";
    out += qualified(r.schema, r.name);
    if (with_columns && !r.columns.empty()) out += "(" + join(r.columns, ",") + ")";
    return out;
}

const char* word(name_use::action a) {
    switch (a) {
        case name_use::action::prepare:
            return "prepare";
        case name_use::action::execute:
            return "execute";
        case name_use::action::deallocate:
            return "deallocate";
        case name_use::action::deallocate_all:
            return "deallocate all";
        case name_use::action::declare:
            return "declare";
        case name_use::action::fetch:
            return "fetch";
        case name_use::action::close:
            return "close";
        case name_use::action::close_all:
            return "close all";
        case name_use::action::discard_all:
            return "discard all";
    }
    return "?";
}

std::string to_text(const statement_facts& s) {
    std::vector<std::string> kinds, relations, functions, settings, names, parts;
    for (const auto k : s.kinds)
        kinds.emplace_back(to_string(k));
    for (const auto& r : s.relations) {
        std::string text = to_text(r, true);
        if (std::ranges::find(relations, text) == relations.end())
            relations.push_back(std::move(text));
    }
    for (const auto& f : s.functions)
        functions.push_back("fn " + qualified(f.schema, f.name));
    for (const auto& o : s.operators)
        if (!o.schema.empty()) functions.push_back("op " + qualified(o.schema, o.name));
    for (const auto& x : s.settings)
        settings.push_back((x.local ? "set local " : "set ") + x.name + "=" + x.value);
    for (const auto& n : s.names)
        names.push_back(std::string{word(n.what)} + (n.name.empty() ? "" : " " + n.name) +
                        (n.inner ? " {" + sql::to_text(*n.inner) + "}" : ""));
    for (const auto* list : {&kinds, &relations, &functions, &settings, &names})
        if (!list->empty()) parts.push_back(join(*list, list == &kinds ? ", " : "; "));
    return s.command + ": " + join(parts, " | ");
}

std::string relations_text(const facts& f, bool with_columns) {
    std::vector<std::string> out;
    for (const auto& s : f.statements)
        for (const auto& r : s.relations) {
            std::string text = to_text(r, with_columns);
            if (std::ranges::find(out, text) == out.end()) out.push_back(std::move(text));
        }
    return join(out, "; ");
}

}  // namespace

std::string to_text(const facts& f) {
    std::vector<std::string> out;
    for (const auto& s : f.statements)
        out.push_back(to_text(s));
    return join(out, " / ");
}

std::string names_text(const facts& f) {
    std::vector<std::string> out;
    for (const auto& s : f.statements) {
        for (const auto& x : s.functions)
            out.push_back("fn " + qualified(x.schema, x.name));
        for (const auto& x : s.operators)
            out.push_back("op " + qualified(x.schema, x.name));
        for (const auto& x : s.types)
            out.push_back("type " + qualified(x.schema, x.name));
        for (const auto& x : s.attributes)
            out.push_back("attr " +
                          (x.relation.empty() ? "" : qualified(x.schema, x.relation) + ".") +
                          x.name);
    }
    return join(out, "; ");
}

std::string relations_text(const facts& f) {
    return relations_text(f, false);
}

std::string columns_text(const facts& f) {
    return relations_text(f, true);
}

std::vector<std::string> json_lines(const std::string& path) {
    std::vector<std::string> out;
    std::ifstream in{path};
    for (std::string line; std::getline(in, line);)
        if (!line.empty()) out.push_back(nlohmann::json::parse(line).get<std::string>());
    return out;
}

}  // namespace sallyport::policy::sql
