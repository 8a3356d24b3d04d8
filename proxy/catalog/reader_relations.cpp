#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "proxy/catalog/reader_impl.h"

/// Relations, views, and the expressions that stand with them.
namespace sallyport::proxy::catalog {

using policy::catalog::expression_row;

namespace {

// Relations c that are not as the server brought them.
#define TOUCHED                                                                               \
    "(c.oid >= 16384 OR c.oid IN (SELECT g.tgrelid FROM pg_catalog.pg_trigger g WHERE g.oid " \
    ">= 16384) OR c.oid IN (SELECT w.ev_class FROM pg_catalog.pg_rewrite w WHERE w.oid >= "   \
    "16384 AND w.ev_type <> '1'))"

/// Where one kind of expression stands.
struct expression_source {
    expression_row::use what;
    std::string from;      ///< aliased x
    std::string id;        ///< of the text
    std::string relation;  ///< that it belongs to
    std::string column;    ///< its name, an SQL expression
    std::string node;      ///< the pg_node_tree
    std::string where;
};

std::vector<expression_source> expression_sources(int server_version) {
    using use = expression_row::use;
    const std::string defaults =
        "pg_catalog.pg_attrdef x JOIN pg_catalog.pg_attribute a ON a.attrelid = x.adrelid AND "
        "a.attnum = x.adnum";
    std::vector<expression_source> out{
        {use::default_value, defaults, "x.oid", "x.adrelid", "a.attname", "x.adbin",
         "a.attgenerated = ''"},
        {use::generated, defaults, "x.oid", "x.adrelid", "a.attname", "x.adbin",
         "a.attgenerated <> ''"},
        {use::check, "pg_catalog.pg_constraint x", "x.oid", "x.conrelid", "''", "x.conbin",
         "x.contype = 'c'"},
        {use::index, "pg_catalog.pg_index x", "x.indexrelid", "x.indrelid", "''", "x.indexprs",
         "x.indexprs IS NOT NULL"},
        {use::index, "pg_catalog.pg_index x", "x.indexrelid", "x.indrelid", "''", "x.indpred",
         "x.indpred IS NOT NULL"},
        {use::partition_key, "pg_catalog.pg_partitioned_table x", "x.partrelid", "x.partrelid",
         "''", "x.partexprs", "x.partexprs IS NOT NULL"},
        {use::policy_using, "pg_catalog.pg_policy x", "x.oid", "x.polrelid", "''", "x.polqual",
         "x.polqual IS NOT NULL"},
        {use::policy_check, "pg_catalog.pg_policy x", "x.oid", "x.polrelid", "''", "x.polwithcheck",
         "x.polwithcheck IS NOT NULL"},
    };
    if (server_version >= 140000)
        out.push_back({use::statistics, "pg_catalog.pg_statistic_ext x", "x.oid", "x.stxrelid",
                       "''", "x.stxexprs", "x.stxexprs IS NOT NULL"});
    return out;
}

}  // namespace

void reader::read_relations() {
    // A TOAST table, and its index, belong to the table whose rows it keeps.
    each(
        "SELECT c.oid, c.relnamespace, c.relname, c.relkind, c.reltype, c.relrowsecurity, "
        "COALESCE(m.oid, i.indrelid, d.refobjid, 0) "
        "FROM pg_catalog.pg_class c "
        "LEFT JOIN pg_catalog.pg_index i ON i.indexrelid = c.oid "
        "LEFT JOIN pg_catalog.pg_class m ON m.reltoastrelid <> 0 AND m.reltoastrelid = "
        "COALESCE(i.indrelid, c.oid) "
        "LEFT JOIN pg_catalog.pg_depend d ON c.relkind = 'S' AND d.objid = c.oid AND "
        "d.objsubid = 0 AND d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND "
        "d.refclassid = d.classid AND d.refobjsubid > 0 AND d.deptype IN ('a', 'i') "
        "WHERE " TOUCHED " AND c.relnamespace NOT IN " TEMPORARY_SCHEMAS,
        7, [&](const row& r) {
            auto& c = out_.relations.emplace_back();
            c.id = r.number(0);
            c.schema = r.number(1);
            c.name = r.text(2);
            c.kind = r.letter(3);
            c.row_type = r.number(4);
            c.row_security = r.truth(5);
            c.table = r.number(6);
        });
    sort_by_id(out_.relations);
    each(
        "SELECT a.attrelid, a.attname, a.atttypid, a.attgenerated <> '', a.attnum "
        "FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_class c ON c.oid = a.attrelid "
        "WHERE a.attnum > 0 AND NOT a.attisdropped AND c.relkind NOT IN ('i', 'I', 't') "
        "AND " TOUCHED " AND c.relnamespace NOT IN " TEMPORARY_SCHEMAS
        " ORDER BY a.attrelid, a.attnum",
        5, [&](const row& r) {
            if (auto* c = find_by_id(out_.relations, r.number(0)))
                c->columns.push_back({std::string(r.text(1)), r.number(2), r.truth(3),
                                      static_cast<int>(r.number(4))});
        });
}

void reader::read_views() {
    each(
        "SELECT x.ev_class FROM pg_catalog.pg_rewrite x WHERE x.ev_type = '1' AND "
        "x.ev_action::pg_catalog.text ~ ':varattno 0 ' AND " +
            ours("x.ev_class"),
        1, [&](const row& r) {
            if (auto* c = find_by_id(out_.relations, r.number(0))) c->whole_row = true;
        });
    texts t;
    for (const auto& c : out_.relations)
        if (c.kind == 'v' || c.kind == 'm') t.ids.push_back(c.id);
    t.select =
        "SELECT c.oid, pg_catalog.pg_get_viewdef(c.oid) FROM pg_catalog.pg_class c WHERE "
        "c.relkind IN ('v', 'm') AND c.oid";
    t.put = [&](std::size_t i, std::string text) {
        find_by_id(out_.relations, t.ids[i])->definition = std::move(text);
    };
    t.miss = [&](std::size_t i, const std::string& why) {
        find_by_id(out_.relations, t.ids[i])->unreadable = why;
    };
    deparse(t);
    each(
        "SELECT DISTINCT x.ev_class, d.refobjid, COALESCE(a.attname, '') "
        "FROM pg_catalog.pg_rewrite x JOIN pg_catalog.pg_depend d ON d.objid = x.oid AND "
        "d.classid = 'pg_catalog.pg_rewrite'::pg_catalog.regclass AND d.refclassid = "
        "'pg_catalog.pg_class'::pg_catalog.regclass LEFT JOIN pg_catalog.pg_attribute a ON "
        "a.attrelid = d.refobjid AND a.attnum = d.refobjsubid AND d.refobjsubid > 0 "
        "WHERE NOT (d.refobjid = x.ev_class AND d.refobjsubid = 0) AND " +
            ours("x.ev_class"),
        3, [&](const row& r) {
            out_.view_columns.push_back({r.number(0), r.number(1), std::string(r.text(2))});
        });
}

void reader::read_expressions() {
    for (const auto& s : expression_sources(connection_.server_version())) {
        const std::size_t begin = out_.expressions.size();
        const std::string from =
            " FROM " + s.from + " WHERE " + s.where + " AND " + ours(s.relation);
        texts t;
        each("SELECT " + s.id + ", " + s.relation + ", " + s.column + from + " ORDER BY " + s.id, 3,
             [&](const row& r) {
                 t.ids.push_back(r.number(0));
                 auto& e = out_.expressions.emplace_back();
                 e.what = s.what;
                 e.relation = r.number(1);
                 e.column = r.text(2);
             });
        t.select = "SELECT " + s.id + ", pg_catalog.pg_get_expr(" + s.node + ", " + s.relation +
                   ")" + from + " AND " + s.id;
        t.put = [&](std::size_t i, std::string text) {
            out_.expressions[begin + i].text = std::move(text);
        };
        t.miss = [&](std::size_t i, const std::string& why) {
            out_.expressions[begin + i].unreadable = why;
        };
        deparse(t);
    }
}

}  // namespace sallyport::proxy::catalog
