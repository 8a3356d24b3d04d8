#include "proxy/catalog/reader.h"

#include <algorithm>
#include <charconv>
#include <utility>

#include "proxy/catalog/reader_impl.h"

namespace sallyport::proxy::catalog {

namespace {

using namespace policy::catalog;
using std::chrono::milliseconds;
using std::chrono::steady_clock;

std::string milliseconds_text(milliseconds t) {
    return std::to_string(t.count());
}

/// A transaction that sees one state of the catalog and ends with its scope.
class read_transaction {
  public:
    read_transaction(connection& c, const read_limits& limits) : connection_(c), limits_(limits) {
        run("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY");
        // Behind a pooler the server session may be another one each time: LOCAL, each time.
        run("SET LOCAL search_path = ''");
        run("SET LOCAL statement_timeout = " + milliseconds_text(limits.query_timeout));
        run("SET LOCAL lock_timeout = " + milliseconds_text(limits.lock_timeout));
        run("SET LOCAL idle_in_transaction_session_timeout = " +
            milliseconds_text(limits.total_timeout));
        run("SET LOCAL jit = off");
        run("SET LOCAL quote_all_identifiers = off");
        run("SET LOCAL standard_conforming_strings = on");
    }
    ~read_transaction() {
        if (!connection_.usable()) return;
        try {
            run("ROLLBACK");
        } catch (const failure&) {  // the next look finds the connection as it is
        }
    }
    read_transaction(const read_transaction&) = delete;
    read_transaction& operator=(const read_transaction&) = delete;

  private:
    void run(const std::string& sql) { connection_.execute(sql, limits_.look_timeout); }
    connection& connection_;
    const read_limits& limits_;
};

}  // namespace

void reader::each(const std::string& sql, int columns,
                  const std::function<void(const row&)>& on_row) {
    const auto left = std::chrono::ceil<milliseconds>(until_ - steady_clock::now());
    if (left.count() <= 0) throw failure("reading the catalog took too long");
    connection_.query(sql, columns, std::min(left, limits_.query_timeout), [&](const row& r) {
        for (int i = 0; i < columns; ++i)
            bytes_ += r.text(i).size();
        if (bytes_ > limits_.bytes_max)
            throw failure("the catalog is larger than " + std::to_string(limits_.bytes_max >> 20) +
                          " MiB");
        if (++rows_ > limits_.rows_max)
            throw failure("the catalog has more than " + std::to_string(limits_.rows_max) +
                          " rows");
        on_row(r);
    });
}

void reader::deparse(const texts& t) {
    if (!t.ids.empty()) deparse_range(t, 0, t.ids.size());
}

bool reader::still_tries() const {
    return failures_ == 0 || (failures_ < limits_.failures_max &&
                              steady_clock::now() < first_failure_ + limits_.failing_timeout);
}

void reader::deparse_range(const texts& t, std::size_t first, std::size_t count) {
    std::string why = "not tried: too many others could not be read";
    if (still_tries()) {
        connection_.execute("SAVEPOINT text", limits_.look_timeout);
        std::vector<std::optional<std::string>> found(count);
        try {
            each(t.select + " BETWEEN " + std::to_string(t.ids[first]) + " AND " +
                     std::to_string(t.ids[first + count - 1]),
                 2, [&](const row& r) {
                     const auto begin = t.ids.begin() + static_cast<std::ptrdiff_t>(first);
                     const auto end = begin + static_cast<std::ptrdiff_t>(count);
                     const auto at = std::lower_bound(begin, end, r.number(0));
                     if (at == end || *at != r.number(0) || r.null(1)) return;
                     found[static_cast<std::size_t>(at - begin)] = r.text(1);
                 });
            connection_.execute("RELEASE SAVEPOINT text", limits_.look_timeout);
            for (std::size_t i = 0; i < count; ++i) {
                if (found[i])
                    t.put(first + i, std::move(*found[i]));
                else
                    t.miss(first + i, "it was dropped while it was read");
            }
            return;
        } catch (const failure& e) {
            if (e.sqlstate().empty()) throw;
            if (failures_++ == 0) first_failure_ = steady_clock::now();
            why = e.what();
        }
        connection_.execute("ROLLBACK TO SAVEPOINT text", limits_.look_timeout);
        connection_.execute("RELEASE SAVEPOINT text", limits_.look_timeout);
        if (count > 1) {
            deparse_range(t, first, count / 2);
            deparse_range(t, first + count / 2, count - count / 2);
            return;
        }
    }
    for (std::size_t i = 0; i < count; ++i)
        t.miss(first + i, why);
}

void reader::read_identity() {
    std::string database;
    bool may = false;
    each(
        "SELECT d.datname, d.oid::pg_catalog.text, pg_catalog.has_function_privilege("
        "'pg_catalog.pg_control_system()', 'EXECUTE') FROM pg_catalog.pg_database d WHERE "
        "d.datname = pg_catalog.current_database()",
        3, [&](const row& r) {
            out_.database = r.text(0);
            database = r.text(1);
            may = r.text(2) == "t";
        });
    // Asked for apart: a function that one may not call fails even where it is not called.
    if (!may) return;
    each("SELECT s.system_identifier::pg_catalog.text FROM pg_catalog.pg_control_system() s", 1,
         [&](const row& r) { out_.identity = std::string(r.text(0)) + "/" + database; });
}

policy::catalog::rows reader::run() {
    out_.server_version = static_cast<std::uint64_t>(connection_.server_version());
    read_identity();
    each(
        "SELECT x.oid, x.nspname FROM pg_catalog.pg_namespace x WHERE x.oid NOT "
        "IN " TEMPORARY_SCHEMAS " ORDER BY x.oid",
        2, [&](const row& r) {
            out_.schemas.push_back({r.number(0), std::string(r.text(1))});
        });
    read_relations();
    read_views();
    read_expressions();
    read_functions();
    read_aggregates();
    read_types();
    read_domains();
    read_triggers();
    read_links();
    read_settings();
    read_foreign_tables();
    read_supports();
    return std::move(out_);
}

std::string ours(const std::string& relation) {
    return relation + " >= 16384 AND " + relation +
           " NOT IN (SELECT q.oid FROM pg_catalog.pg_class q WHERE q.relnamespace "
           "IN " TEMPORARY_SCHEMAS ")";
}

std::string with_extension(const std::string& catalog, const std::string& id) {
    return " LEFT JOIN pg_catalog.pg_depend de ON de.deptype = 'e' AND de.objsubid = 0 AND "
           "de.classid = 'pg_catalog." +
           catalog + "'::pg_catalog.regclass AND de.objid = " + id +
           " LEFT JOIN pg_catalog.pg_extension e ON e.oid = de.refobjid";
}

std::vector<policy::catalog::oid> parse_ids(std::string_view text) {
    std::vector<policy::catalog::oid> out;
    const char* at = text.data();
    const char* const end = at + text.size();
    while (at < end) {
        policy::catalog::oid value = 0;
        const auto parsed = std::from_chars(at, end, value);
        if (parsed.ec == std::errc() && value != 0) out.push_back(value);
        at = std::find(parsed.ptr, end, ',');
        if (at < end) ++at;
    }
    return out;
}

reading read_if_changed(connection& c, std::uint64_t seed, std::string_view known,
                        const read_limits& limits) {
    if (c.server_version() < 120000)
        throw failure("PostgreSQL " + std::to_string(c.server_version() / 10000) +
                      " is too old; the catalog is read from PostgreSQL 12 on");
    const read_transaction transaction(c, limits);
    reading out;
    out.began = steady_clock::now();
    out.fingerprint = read_fingerprint(c, seed, limits);
    out.fingerprint_took = steady_clock::now() - out.began;
    if (out.fingerprint != known) out.rows = reader(c, limits).run();
    return out;
}

}  // namespace sallyport::proxy::catalog
