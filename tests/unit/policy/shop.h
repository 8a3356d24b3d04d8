#pragma once

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include "policy/catalog/resolve.h"
#include "policy/sql/analyse.h"

/// A small catalog for tests, and questions to it.
namespace sallyport::policy::catalog {

inline constexpr oid public_schema = 2200;
inline constexpr oid pii = 16'400;
inline constexpr oid crm = 16'401;

/// Rows of a small shop, and short ways to add to them.
struct shop {
    rows r;
    oid next = 17'000;

    shop() {
        r.database = "shop";
        r.schemas = {{11, "pg_catalog"}, {public_schema, "public"}, {pii, "pii"}, {crm, "crm"}};
        r.builtin_functions = {"count", "lower", "now", "sum", "upper"};
        r.builtins = {{177, "int4pl", "int4pl"}};
        table(pii, "customers", {"id", "name", "ssn"});
        table(crm, "customers", {"id", "name"});
        table(public_schema, "orders", {"id", "customer_id"});
    }
    oid relation(oid schema, const std::string& name, char kind,
                 const std::vector<std::string>& columns = {}) {
        relation_row t;
        t.id = next++;
        t.schema = schema;
        t.name = name;
        t.kind = kind;
        t.row_type = next++;
        for (const auto& c : columns)
            t.columns.push_back({c, 25, false});
        r.relations.push_back(t);
        return t.id;
    }
    oid table(oid schema, const std::string& name, const std::vector<std::string>& columns) {
        return relation(schema, name, 'r', columns);
    }
    oid view(oid schema, const std::string& name, const std::string& definition,
             const std::vector<std::string>& columns = {}) {
        const oid id = relation(schema, name, 'v', columns);
        r.relations.back().definition = definition;
        return id;
    }
    oid function(oid schema, const std::string& name, const std::string& language,
                 const std::string& source) {
        function_row f;
        f.id = next++;
        f.schema = schema;
        f.name = name;
        f.language = language;
        f.source = source;
        r.functions.push_back(f);
        return f.id;
    }
    [[nodiscard]] oid id_of(const std::string& name, oid schema = public_schema) const {
        for (const auto& t : r.relations)
            if (t.name == name && t.schema == schema) return t.id;
        return 0;
    }
};

/// A statement under a path, against a snapshot.
struct question {
    snapshot_ptr map;
    std::vector<std::string> path{"pg_catalog", "public"};
    bool path_known = true;
    bool strings_conform = true;
    own_objects own;
    std::vector<std::string> harmless;
    std::vector<std::string> temporary;

    [[nodiscard]] resolution ask(const std::string& sql) const {
        session_names names;
        if (path_known) names.path = &path;
        names.own = &own;
        names.harmless = &harmless;
        names.temporary = &temporary;
        names.strings_conform = strings_conform;
        return resolve(*sql::analyse(sql, {}), *map, names);
    }
    /// "read pii.customers(ssn)", "opaque" … of the first statement, sorted.
    [[nodiscard]] std::vector<std::string> reaches(const std::string& sql) const {
        std::vector<std::string> out;
        const auto found = ask(sql);
        for (const auto& s : found.facts->statements) {
            for (const auto& u : s.relations) {
                std::string text = u.how == access::read ? "read " : "write ";
                text += u.schema.empty() ? u.name : u.schema + "." + u.name;
                out.push_back(text);
            }
            if (s.has(kind::opaque)) out.emplace_back("opaque");
        }
        std::ranges::sort(out);
        return out;
    }
    [[nodiscard]] bool finds(const std::string& sql, const std::string& what) const {
        const auto all = reaches(sql);
        return std::ranges::find(all, what) != all.end();
    }
};

inline question about(const shop& s) {
    question q;
    q.map = build(s.r);
    return q;
}

}  // namespace sallyport::policy::catalog
