#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "proxy/catalog/reader_impl.h"

/// What is no relation: functions, types, triggers, links, settings.
namespace sallyport::proxy::catalog {

void reader::read_functions() {
    const bool has_bodies = connection_.server_version() >= 140000;
    std::vector<policy::catalog::oid> with_defaults;
    each(
        "SELECT p.oid, p.pronamespace, p.proname, p.prokind, l.lanname, p.prosrc, p.proconfig, "
        "pg_catalog.array_to_string(COALESCE(p.proallargtypes, "
        "p.proargtypes::pg_catalog.oid[]), ','), p.prorettype, e.extname, p.prosecdef, "
        "p.prorettype IN (2279, 3838), p.proargdefaults IS NOT NULL, " +
            std::string(has_bodies ? "p.prosqlbody IS NOT NULL" : "false") +
            " FROM pg_catalog.pg_proc p JOIN pg_catalog.pg_namespace n ON n.oid = "
            "p.pronamespace JOIN pg_catalog.pg_language l ON l.oid = p.prolang" +
            with_extension("pg_proc", "p.oid") +
            " WHERE (p.oid >= 16384 OR n.nspname NOT IN ('pg_catalog', 'information_schema') OR "
            "(p.prokind <> 'a' AND l.lanname NOT IN ('internal', 'c'))) AND p.pronamespace NOT "
            "IN " TEMPORARY_SCHEMAS,
        14, [&](const row& r) {
            auto& f = out_.functions.emplace_back();
            f.id = r.number(0);
            f.schema = r.number(1);
            f.name = r.text(2);
            f.kind = r.letter(3);
            f.language = r.text(4);
            f.source = r.text(5);
            f.settings = parse_array(r.text(6));
            f.argument_types = parse_ids(r.text(7));
            f.return_type = r.number(8);
            f.extension = r.text(9);
            f.security_definer = r.truth(10);
            f.trigger = r.truth(11);
            if (r.truth(12)) with_defaults.push_back(f.id);
            f.atomic = r.truth(13);
        });
    sort_by_id(out_.functions);
    std::sort(with_defaults.begin(), with_defaults.end());
    texts t;
    t.ids = std::move(with_defaults);
    t.select =
        "SELECT p.oid, pg_catalog.pg_get_expr(p.proargdefaults, 0) FROM pg_catalog.pg_proc p "
        "WHERE p.proargdefaults IS NOT NULL AND p.oid";
    t.put = [&](std::size_t i, std::string text) {
        find_by_id(out_.functions, t.ids[i])->defaults = std::move(text);
    };
    t.miss = [&](std::size_t i, const std::string& why) {
        find_by_id(out_.functions, t.ids[i])->unreadable = why;
    };
    deparse(t);
    if (has_bodies) {
        t.ids.clear();
        for (const auto& f : out_.functions)
            if (f.atomic) t.ids.push_back(f.id);
        t.select =
            "SELECT p.oid, pg_catalog.pg_get_function_sqlbody(p.oid) FROM pg_catalog.pg_proc p "
            "WHERE p.prosqlbody IS NOT NULL AND p.oid";
        t.put = [&](std::size_t i, std::string text) {
            find_by_id(out_.functions, t.ids[i])->source = std::move(text);
        };
        deparse(t);
    }
    each(
        "SELECT p.oid, p.proname, CASE WHEN l.lanname = 'internal' THEN p.prosrc ELSE '' END FROM "
        "pg_catalog.pg_proc p JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace JOIN "
        "pg_catalog.pg_language l ON l.oid = p.prolang WHERE p.oid < 16384 AND n.nspname IN "
        "('pg_catalog', 'information_schema')",
        3, [&](const row& r) {
            out_.builtins.push_back({r.number(0), std::string(r.text(1)), std::string(r.text(2))});
            out_.builtin_functions.emplace_back(r.text(1));
        });
    auto& names = out_.builtin_functions;
    std::sort(names.begin(), names.end());
    names.erase(std::unique(names.begin(), names.end()), names.end());
}

void reader::read_aggregates() {
    each(
        "SELECT a.aggfnoid::pg_catalog.oid, pg_catalog.concat_ws(',', "
        "a.aggtransfn::pg_catalog.oid, a.aggfinalfn::pg_catalog.oid, "
        "a.aggcombinefn::pg_catalog.oid, a.aggserialfn::pg_catalog.oid, "
        "a.aggdeserialfn::pg_catalog.oid, a.aggmtransfn::pg_catalog.oid, "
        "a.aggminvtransfn::pg_catalog.oid, a.aggmfinalfn::pg_catalog.oid) "
        "FROM pg_catalog.pg_aggregate a",
        2, [&](const row& r) {
            if (find_by_id(out_.functions, r.number(0)) != nullptr)
                out_.aggregates.push_back({r.number(0), parse_ids(r.text(1))});
        });
    each(
        "SELECT x.oid, x.oprnamespace, x.oprname, pg_catalog.concat_ws(',', "
        "x.oprcode::pg_catalog.oid, x.oprrest::pg_catalog.oid, x.oprjoin::pg_catalog.oid, "
        "y.oprcode::pg_catalog.oid, z.oprcode::pg_catalog.oid), e.extname FROM "
        "pg_catalog.pg_operator x LEFT JOIN pg_catalog.pg_operator y ON y.oid = x.oprnegate "
        "LEFT JOIN pg_catalog.pg_operator z ON z.oid = x.oprcom" +
            with_extension("pg_operator", "x.oid") +
            " WHERE x.oid >= 16384 AND x.oprnamespace NOT IN " TEMPORARY_SCHEMAS,
        5, [&](const row& r) {
            out_.operators.push_back({r.number(0), r.number(1), std::string(r.text(2)),
                                      parse_ids(r.text(3)), std::string(r.text(4))});
        });
    sort_by_id(out_.operators);
    each("SELECT x.castsource, x.casttarget, x.castfunc, e.extname FROM pg_catalog.pg_cast x" +
             with_extension("pg_cast", "x.oid") + " WHERE x.oid >= 16384",
         4, [&](const row& r) {
             out_.casts.push_back({r.number(0), r.number(1), r.number(2), std::string(r.text(3))});
         });
}

void reader::read_types() {
    const bool since_14 = connection_.server_version() >= 140000;
    each(
        "SELECT x.oid, x.typnamespace, x.typname, x.typtype, x.typbasetype, "
        "COALESCE(NULLIF(x.typelem, 0), g.rngsubtype, " +
            std::string(since_14 ? "m.rngtypid, " : "") +
            "0), x.typrelid, pg_catalog.concat_ws(',', x.typinput::pg_catalog.oid, "
            "x.typoutput::pg_catalog.oid, x.typreceive::pg_catalog.oid, "
            "x.typsend::pg_catalog.oid, x.typmodin::pg_catalog.oid, "
            "x.typmodout::pg_catalog.oid, x.typanalyze::pg_catalog.oid, "
            "g.rngcanonical::pg_catalog.oid, g.rngsubdiff::pg_catalog.oid" +
            (since_14 ? ", x.typsubscript::pg_catalog.oid" : "") +
            "), e.extname FROM pg_catalog.pg_type x LEFT JOIN pg_catalog.pg_range g ON "
            "g.rngtypid = x.oid" +
            (since_14 ? " LEFT JOIN pg_catalog.pg_range m ON m.rngmultitypid = x.oid" : "") +
            with_extension("pg_type", "x.oid") +
            " WHERE x.oid >= 16384 AND x.typnamespace NOT IN " TEMPORARY_SCHEMAS,
        9, [&](const row& r) {
            auto& t = out_.types.emplace_back();
            t.id = r.number(0);
            t.schema = r.number(1);
            t.name = r.text(2);
            t.kind = r.letter(3);
            t.base = r.number(4);
            t.element = r.number(5);
            t.relation = r.number(6);
            t.functions = parse_ids(r.text(7));
            t.extension = r.text(8);
        });
    sort_by_id(out_.types);
}

void reader::read_domains() {
    std::vector<policy::catalog::oid> types;  // by text
    texts t;
    t.put = [&](std::size_t i, std::string text) {
        find_by_id(out_.types, types[i])->expressions.push_back(std::move(text));
    };
    t.miss = [&](std::size_t i, const std::string& why) {
        find_by_id(out_.types, types[i])->unreadable = why;
    };
    const auto read = [&](const std::string& list, std::string select) {
        t.ids.clear();
        types.clear();
        each(list, 2, [&](const row& r) {
            if (find_by_id(out_.types, r.number(1)) == nullptr) return;
            t.ids.push_back(r.number(0));
            types.push_back(r.number(1));
        });
        t.select = std::move(select);
        deparse(t);
    };
    read(
        "SELECT x.oid, x.contypid FROM pg_catalog.pg_constraint x WHERE x.contypid <> 0 AND "
        "x.contype = 'c' ORDER BY x.oid",
        "SELECT x.oid, pg_catalog.pg_get_expr(x.conbin, 0) FROM pg_catalog.pg_constraint x WHERE "
        "x.contypid <> 0 AND x.contype = 'c' AND x.oid");
    read(
        "SELECT x.oid, x.oid FROM pg_catalog.pg_type x WHERE x.typdefaultbin IS NOT NULL ORDER BY "
        "x.oid",
        "SELECT x.oid, pg_catalog.pg_get_expr(x.typdefaultbin, 0) FROM pg_catalog.pg_type x WHERE "
        "x.typdefaultbin IS NOT NULL AND x.oid");
}

void reader::read_triggers() {
    // pg_trigger.tgtype: ROW 1, BEFORE 2, INSERT 4, DELETE 8, UPDATE 16, TRUNCATE 32. What
    // PostgreSQL made for a foreign key is in foreign_keys.
    texts t;
    std::vector<std::size_t> index;  // of the text's trigger
    each(
        "SELECT x.oid, x.tgname, x.tgrelid, x.tgfoid, x.tgtype, x.tgqual IS NOT NULL, "
        "x.tgdeferrable, COALESCE(x.tgoldtable, x.tgnewtable) IS NOT NULL "
        "FROM pg_catalog.pg_trigger x WHERE NOT (x.tgisinternal AND x.tgfoid < 16384) AND (" +
            ours("x.tgrelid") + " OR (x.tgrelid < 16384 AND x.oid >= 16384)) ORDER BY x.oid",
        8, [&](const row& r) {
            if (r.truth(5)) {
                t.ids.push_back(r.number(0));
                index.push_back(out_.triggers.size());
            }
            const auto type = r.number(4);
            auto& g = out_.triggers.emplace_back();
            g.name = r.text(1);
            g.relation = r.number(2);
            g.function = r.number(3);
            g.on_insert = (type & 4u) != 0;
            g.on_delete = (type & 8u) != 0;
            g.on_update = (type & 16u) != 0;
            g.on_truncate = (type & 32u) != 0;
            g.before = (type & 2u) != 0;
            g.deferrable = r.truth(6);
            g.transition = r.truth(7);
            g.sees_rows = (type & 1u) != 0 || g.transition;
        });
    t.select =
        "SELECT x.oid, pg_catalog.pg_get_triggerdef(x.oid) FROM pg_catalog.pg_trigger x WHERE "
        "x.tgqual IS NOT NULL AND x.oid";
    t.put = [&](std::size_t i, std::string text) {
        auto& g = out_.triggers[index[i]];
        g.condition = when_of(text);
        if (g.condition.empty()) g.unreadable = "its WHEN was not found";
    };
    t.miss = [&](std::size_t i, const std::string& why) {
        out_.triggers[index[i]].unreadable = why;
    };
    deparse(t);
    each("SELECT x.evtname, x.evtfoid FROM pg_catalog.pg_event_trigger x", 2, [&](const row& r) {
        auto& g = out_.triggers.emplace_back();
        g.name = r.text(0);
        g.function = r.number(1);
    });

    t.ids.clear();
    each(
        "SELECT x.oid, x.ev_class, x.ev_type FROM pg_catalog.pg_rewrite x WHERE x.ev_type <> '1' "
        "AND (" +
            ours("x.ev_class") + " OR (x.ev_class < 16384 AND x.oid >= 16384)) ORDER BY x.oid",
        3, [&](const row& r) {
            t.ids.push_back(r.number(0));
            auto& g = out_.rules.emplace_back();
            g.relation = r.number(1);
            g.event = r.letter(2);
        });
    t.select =
        "SELECT x.oid, pg_catalog.pg_get_ruledef(x.oid) FROM pg_catalog.pg_rewrite x WHERE "
        "x.ev_type <> '1' AND x.oid";
    t.put = [&](std::size_t i, std::string text) { out_.rules[i].definition = std::move(text); };
    t.miss = [&](std::size_t i, const std::string& why) { out_.rules[i].unreadable = why; };
    deparse(t);
}

void reader::read_links() {
    each("SELECT x.inhrelid, x.inhparent FROM pg_catalog.pg_inherits x WHERE " + ours("x.inhrelid"),
         2, [&](const row& r) {
             out_.inheritance.push_back({r.number(0), r.number(1)});
         });
    each(
        "SELECT x.conrelid, x.confrelid, (SELECT pg_catalog.array_agg(a.attname ORDER BY k.place) "
        "FROM pg_catalog.unnest(x.confkey) WITH ORDINALITY k(number, place) JOIN "
        "pg_catalog.pg_attribute a ON a.attrelid = x.confrelid AND a.attnum = k.number), "
        "x.confupdtype IN ('c', 'n', 'd'), x.confdeltype IN ('c', 'n', 'd') "
        "FROM pg_catalog.pg_constraint x WHERE x.contype = 'f' AND " +
            ours("x.conrelid"),
        5, [&](const row& r) {
            out_.foreign_keys.push_back(
                {r.number(0), r.number(1), parse_array(r.text(2)), r.truth(3), r.truth(4)});
        });
}

void reader::read_settings() {
    each(
        "SELECT COALESCE(o.rolname, ''), x.setdatabase <> 0, x.setconfig "
        "FROM pg_catalog.pg_db_role_setting x LEFT JOIN pg_catalog.pg_roles o ON o.oid = "
        "x.setrole WHERE (x.setrole = 0 OR o.rolname IS NOT NULL) AND x.setdatabase IN (0, "
        "(SELECT d.oid FROM pg_catalog.pg_database d WHERE d.datname = "
        "pg_catalog.current_database()))",
        3, [&](const row& r) {
            for (const auto& entry : parse_array(r.text(2))) {
                const auto equals = entry.find('=');
                if (entry.substr(0, equals) != "search_path") continue;
                out_.settings.push_back(
                    {std::string(r.text(0)), r.truth(1), "search_path", entry.substr(equals + 1)});
            }
        });
}

void reader::read_supports() {
    // The functions of each family: those that compare, and those of its operators.
    const std::string members =
        "(SELECT p.oid, p.amprocfamily AS family, p.amproclefttype AS a, p.amprocrighttype AS b, "
        "p.amproc::pg_catalog.oid AS function FROM pg_catalog.pg_amproc p UNION ALL "
        "SELECT m.oid, m.amopfamily, m.amoplefttype, m.amoprighttype, o.oprcode::pg_catalog.oid "
        "FROM pg_catalog.pg_amop m JOIN pg_catalog.pg_operator o ON o.oid = m.amopopr)";
    each("SELECT DISTINCT t.type, f.function FROM " + members +
             " f CROSS JOIN LATERAL (VALUES (f.a), (f.b)) t(type) WHERE f.oid >= 16384 AND "
             "f.function >= 16384",
         2, [&](const row& r) {
             out_.supports.push_back({0, r.number(0), r.number(1)});
         });
    each(
        "SELECT DISTINCT g.rngtypid, f.function FROM pg_catalog.pg_range g JOIN "
        "pg_catalog.pg_opclass c ON c.oid = g.rngsubopc JOIN " +
            members + " f ON f.family = c.opcfamily WHERE f.function >= 16384",
        2, [&](const row& r) {
            out_.supports.push_back({0, r.number(0), r.number(1)});
        });
    each(
        "SELECT DISTINCT x.relation, f.function FROM (SELECT i.indrelid AS relation, "
        "pg_catalog.unnest(i.indclass::pg_catalog.oid[]) AS class FROM pg_catalog.pg_index i "
        "UNION ALL SELECT k.partrelid, pg_catalog.unnest(k.partclass::pg_catalog.oid[]) FROM "
        "pg_catalog.pg_partitioned_table k) x JOIN pg_catalog.pg_opclass c ON c.oid = x.class "
        "JOIN " +
            members + " f ON f.family = c.opcfamily WHERE f.function >= 16384 AND " +
            ours("x.relation"),
        2, [&](const row& r) {
            out_.supports.push_back({r.number(0), 0, r.number(1)});
        });
}

void reader::read_foreign_tables() {
    each(
        "SELECT x.ftrelid, s.srvname, w.fdwname, x.ftoptions, s.srvoptions "
        "FROM pg_catalog.pg_foreign_table x JOIN pg_catalog.pg_foreign_server s ON s.oid = "
        "x.ftserver JOIN pg_catalog.pg_foreign_data_wrapper w ON w.oid = s.srvfdw WHERE " +
            ours("x.ftrelid"),
        5, [&](const row& r) {
            out_.foreign_tables.push_back({r.number(0), std::string(r.text(1)),
                                           std::string(r.text(2)), parse_array(r.text(3)),
                                           parse_array(r.text(4))});
        });
}

}  // namespace sallyport::proxy::catalog
