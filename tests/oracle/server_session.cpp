#include "tests/oracle/server_session.h"

#include <stdexcept>

#include <libpq-fe.h>

namespace sallyport::tests::oracle {

namespace {

// Locks of this transaction on relations of the database. Whatever is read or written is locked, by
// its name in a statement, by the planner, in bodies as they run, and a lock is kept to the end of
// its transaction; those on system catalogs are given back at once. The counters of pg_stat_xact_*
// would tell less, and mix in what earlier transactions have not handed over yet.
constexpr const char* touched_relations = R"(
SELECT relation, bool_or(mode NOT IN ('AccessShareLock', 'RowShareLock', 'ShareLock'))
FROM pg_catalog.pg_locks
WHERE pid = pg_catalog.pg_backend_pid() AND locktype = 'relation' AND relation >= 16384
  AND granted AND database = (SELECT oid FROM pg_catalog.pg_database
                              WHERE datname = pg_catalog.current_database())
GROUP BY relation)";

}  // namespace

server_session::server_session(const std::string& connection_string)
    : connection_(PQconnectdb(connection_string.c_str())) {
    if (PQstatus(connection_) != CONNECTION_OK)
        throw std::runtime_error(PQerrorMessage(connection_));
    PQsetNoticeProcessor(
        connection_, [](void*, const char*) {}, nullptr);
}

server_session::~server_session() {
    PQfinish(connection_);
}

answer server_session::run(const std::string& sql) {
    answer out;
    if (PQsendQuery(connection_, sql.c_str()) == 0)
        throw std::runtime_error(PQerrorMessage(connection_));
    while (PGresult* r = PQgetResult(connection_)) {
        const auto status = PQresultStatus(r);
        if (status == PGRES_TUPLES_OK) {
            out.rows.clear();
            for (int row = 0; row < PQntuples(r); ++row) {
                auto& to = out.rows.emplace_back();
                for (int column = 0; column < PQnfields(r); ++column)
                    to.emplace_back(PQgetvalue(r, row, column));
            }
        } else if (status == PGRES_COPY_IN) {
            const std::string data = "1\t1\t1\n";
            PQputCopyData(connection_, data.data(), static_cast<int>(data.size()));
            PQputCopyEnd(connection_, nullptr);
        } else if (status == PGRES_COPY_OUT) {
            char* line = nullptr;
            while (PQgetCopyData(connection_, &line, 0) > 0)
                PQfreemem(line);
        } else if (status != PGRES_COMMAND_OK && status != PGRES_EMPTY_QUERY) {
            const char* state = PQresultErrorField(r, PG_DIAG_SQLSTATE);
            const char* message = PQresultErrorField(r, PG_DIAG_MESSAGE_PRIMARY);
            out.sqlstate = state == nullptr ? "08006" : state;
            out.message = message == nullptr ? PQerrorMessage(connection_) : message;
        }
        PQclear(r);
    }
    if (PQstatus(connection_) != CONNECTION_OK)
        throw std::runtime_error("the server is gone after: " + sql);
    return out;
}

answer server_session::must(const std::string& sql) {
    auto out = run(sql);
    if (!out.fine()) throw std::runtime_error(out.sqlstate + " " + out.message + ": " + sql);
    return out;
}

server_session::outcome server_session::probe(const std::string& sql, const std::string& role) {
    outcome out;
    must("BEGIN; SET LOCAL ROLE " + role);
    out.said = run(sql);
    if (out.said.fine()) {
        // The statement may have become somebody else, or moved the path.
        const auto rows = must(touched_relations).rows;
        for (const auto& row : rows) {
            touch t;
            t.relation = static_cast<std::uint32_t>(std::stoul(row.at(0)));
            t.written = row.at(1) == "t";
            out.touched.push_back(t);
        }
    }
    must("ROLLBACK; DEALLOCATE ALL");
    return out;
}

}  // namespace sallyport::tests::oracle
