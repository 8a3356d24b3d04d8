#include <string>

#include "proxy/catalog/reader.h"
#include "proxy/catalog/reader_impl.h"

/// Whether the catalog changed.
namespace sallyport::proxy::catalog {

namespace {

// Temporary schemas, and pg_toast, whose tables come and go with TRUNCATE and REFRESH under names
// that stay.
#define PASSING_SCHEMAS                                                                       \
    "(SELECT n.oid FROM pg_catalog.pg_namespace n WHERE n.nspname ~ '^pg_(toast_)?temp_' OR " \
    "n.nspname = 'pg_toast')"
#define PASSING_RELATIONS \
    "(SELECT r.oid FROM pg_catalog.pg_class r WHERE r.relnamespace IN " PASSING_SCHEMAS ")"

/// One catalog, or the part of it that matters.
struct part {
    const char* name;
    const char* from;   ///< aliased x
    const char* what;   ///< what is hashed of a row, arguments of concat_ws; "" = its version
    const char* where;  ///< which rows
};

// The server's own functions in languages 12 (internal) and 13 (c) are not read, the others are.
// A row's version (ctid, xmin) is another one after each UPDATE; where routine work updates rows,
// their contents stand in its place.
constexpr part parts[] = {
    {"pg_namespace", "pg_catalog.pg_namespace x", "", "x.oid NOT IN " PASSING_SCHEMAS},
    {"pg_class", "pg_catalog.pg_class x",
     "x.oid, x.relname, x.relnamespace, x.relkind, x.reltype, x.relrowsecurity, "
     "x.relforcerowsecurity",
     "x.oid >= 16384 AND x.relnamespace NOT IN " PASSING_SCHEMAS},
    {"pg_attribute", "pg_catalog.pg_attribute x", "",
     "x.attrelid >= 16384 AND x.attnum > 0 AND x.attrelid NOT IN " PASSING_RELATIONS},
    {"pg_attrdef", "pg_catalog.pg_attrdef x", "", "x.adrelid NOT IN " PASSING_RELATIONS},
    {"pg_index", "pg_catalog.pg_index x", "x.indexrelid, x.indrelid, x.indclass",
     "x.indexrelid >= 16384 AND x.indrelid NOT IN " PASSING_RELATIONS},
    {"pg_constraint", "pg_catalog.pg_constraint x", "",
     "x.oid >= 16384 AND x.conrelid NOT IN " PASSING_RELATIONS},
    {"pg_inherits", "pg_catalog.pg_inherits x", "", "x.inhrelid NOT IN " PASSING_RELATIONS},
    {"pg_partitioned_table", "pg_catalog.pg_partitioned_table x", "",
     "x.partrelid NOT IN " PASSING_RELATIONS},
    {"pg_statistic_ext", "pg_catalog.pg_statistic_ext x", "",
     "x.stxrelid NOT IN " PASSING_RELATIONS},
    {"pg_policy", "pg_catalog.pg_policy x", "", "x.polrelid NOT IN " PASSING_RELATIONS},
    {"pg_rewrite", "pg_catalog.pg_rewrite x", "",
     "x.oid >= 16384 AND x.ev_class NOT IN " PASSING_RELATIONS},
    {"pg_trigger", "pg_catalog.pg_trigger x", "", "x.tgrelid NOT IN " PASSING_RELATIONS},
    {"pg_event_trigger", "pg_catalog.pg_event_trigger x", "", "true"},
    {"pg_proc", "pg_catalog.pg_proc x", "",
     "(x.oid >= 16384 OR x.prolang NOT IN (12, 13)) AND x.pronamespace NOT IN " PASSING_SCHEMAS},
    {"pg_aggregate", "pg_catalog.pg_aggregate x", "", "x.aggfnoid::pg_catalog.oid >= 16384"},
    {"pg_operator", "pg_catalog.pg_operator x", "",
     "x.oid >= 16384 AND x.oprnamespace NOT IN " PASSING_SCHEMAS},
    {"pg_cast", "pg_catalog.pg_cast x", "", "x.oid >= 16384"},
    {"pg_opclass", "pg_catalog.pg_opclass x", "", "x.oid >= 16384"},
    {"pg_amproc", "pg_catalog.pg_amproc x", "", "x.oid >= 16384"},
    {"pg_amop", "pg_catalog.pg_amop x", "", "x.oid >= 16384"},
    {"pg_type", "pg_catalog.pg_type x", "",
     "x.oid >= 16384 AND x.typnamespace NOT IN " PASSING_SCHEMAS},
    {"pg_range", "pg_catalog.pg_range x", "", "x.rngtypid >= 16384"},
    {"pg_extension", "pg_catalog.pg_extension x", "", "true"},
    {"pg_foreign_server", "pg_catalog.pg_foreign_server x", "", "true"},
    {"pg_foreign_data_wrapper", "pg_catalog.pg_foreign_data_wrapper x", "", "true"},
    {"pg_foreign_table", "pg_catalog.pg_foreign_table x", "",
     "x.ftrelid NOT IN " PASSING_RELATIONS},
    // Members of extensions and owned sequences: nothing but this row says so.
    {"pg_depend", "pg_catalog.pg_depend x", "",
     "x.deptype = 'e' OR (x.deptype IN ('a', 'i') AND x.classid = "
     "'pg_catalog.pg_class'::pg_catalog.regclass AND x.refclassid = x.classid AND x.objid IN "
     "(SELECT s.oid FROM pg_catalog.pg_class s WHERE s.relkind = 'S' AND s.relnamespace NOT "
     "IN " PASSING_SCHEMAS "))"},
    {"pg_db_role_setting",
     "pg_catalog.pg_db_role_setting x LEFT JOIN pg_catalog.pg_roles o ON o.oid = x.setrole",
     "x.setdatabase, x.setrole, o.rolname, x.setconfig",
     "x.setdatabase IN (0, (SELECT d.oid FROM pg_catalog.pg_database d WHERE d.datname = "
     "pg_catalog.current_database()))"},
};

#undef PASSING_RELATIONS
#undef PASSING_SCHEMAS

std::string fingerprint_sql(std::uint64_t seed) {
    const std::string number = std::to_string(static_cast<std::int64_t>(seed));
    std::string sql =
        "SELECT 'database', 1, d.oid::pg_catalog.text FROM pg_catalog.pg_database d WHERE "
        "d.datname = pg_catalog.current_database()";
    for (const auto& p : parts) {
        const std::string what = *p.what == '\0' ? "x.ctid, x.xmin" : p.what;
        sql += std::string(" UNION ALL SELECT '") + p.name +
               "', pg_catalog.count(*), "
               "pg_catalog.sum(pg_catalog.hashtextextended(pg_catalog.concat_ws('|', " +
               what + "), " + number + "))::pg_catalog.text FROM " + p.from + " WHERE " + p.where;
    }
    return sql;
}

}  // namespace

look take_look(connection& c, const read_limits& limits) {
    // A standby knows its transactions less exactly; what it has replayed says the rest.
    const std::string snapshot = c.server_version() >= 130000
                                     ? "pg_catalog.pg_current_snapshot()"
                                     : "pg_catalog.txid_current_snapshot()";
    look out;
    bool answered = false;
    c.query("SELECT pg_catalog.pg_postmaster_start_time()::pg_catalog.text, " + snapshot +
                "::pg_catalog.text, pg_catalog.pg_last_wal_replay_lsn()::pg_catalog.text",
            3, limits.look_timeout, [&](const row& r) {
                answered = true;
                out.server = r.text(0);
                out.transactions = std::string(r.text(1)) + " " + std::string(r.text(2));
            });
    if (!answered) throw failure("an answer without a row");
    return out;
}

std::string read_fingerprint(connection& c, std::uint64_t seed, const read_limits& limits) {
    std::string out;
    c.query(fingerprint_sql(seed), 3, limits.query_timeout, [&](const row& r) {
        if (out.size() > 16384) throw failure("a fingerprint without an end");
        for (int i = 0; i < 3; ++i)
            out.append(r.text(i)).append(i < 2 ? ":" : "\n");
    });
    return out;
}

}  // namespace sallyport::proxy::catalog
