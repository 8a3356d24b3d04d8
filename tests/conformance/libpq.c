/* Everything libpq offers, through one connection or a few; prints a transcript (see compare.py). */
#include <libpq-fe.h>
#include <libpq/libpq-fs.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static PGconn *c;
static const char *fault;

static void check(const char *name) {
    printf("check %s\n", name);
    fault = NULL;
}
static void done(void) {
    if (fault)
        printf("FAIL %s\n", fault);
    else
        printf("pass\n");
    fflush(stdout);
}
static void require(int ok, const char *what) {
    if (!ok && !fault) fault = what;
}
static void say(const char *format, ...) {
    va_list a;
    va_start(a, format);
    printf("  ");
    vprintf(format, a);
    printf("\n");
    va_end(a);
}

/* One line: no line break of a message ends it. */
static void say_text(const char *label, const char *text) {
    printf("  %s", label);
    for (const char *p = text ? text : "(null)"; *p; ++p) {
        if (*p == '\n')
            printf("\\n");
        else
            putchar(*p);
    }
    printf("\n");
}

static void show_fields(const PGresult *r) {
    static const struct {
        int code;
        const char *name;
    } fields[] = {{PG_DIAG_SEVERITY_NONLOCALIZED, "severity"},
                  {PG_DIAG_SQLSTATE, "sqlstate"},
                  {PG_DIAG_MESSAGE_PRIMARY, "message"},
                  {PG_DIAG_MESSAGE_DETAIL, "detail"},
                  {PG_DIAG_MESSAGE_HINT, "hint"},
                  {PG_DIAG_STATEMENT_POSITION, "position"},
                  {PG_DIAG_INTERNAL_POSITION, "internal position"},
                  {PG_DIAG_INTERNAL_QUERY, "internal query"},
                  {PG_DIAG_CONTEXT, "context"},
                  {PG_DIAG_SCHEMA_NAME, "schema"},
                  {PG_DIAG_TABLE_NAME, "table"},
                  {PG_DIAG_COLUMN_NAME, "column"},
                  {PG_DIAG_DATATYPE_NAME, "type"},
                  {PG_DIAG_CONSTRAINT_NAME, "constraint"},
                  {PG_DIAG_SOURCE_FILE, "file"},
                  {PG_DIAG_SOURCE_LINE, "line"},
                  {PG_DIAG_SOURCE_FUNCTION, "function"}};
    const char *sqlstate = PQresultErrorField(r, PG_DIAG_SQLSTATE);
    for (size_t i = 0; i < sizeof fields / sizeof *fields; ++i) {
        const char *v = PQresultErrorField(r, fields[i].code);
        if (!v) continue;
        /* Sallyport asks the server for a name it does not know by Describe, so the server answers
         * in the same words from another place of its sources. */
        if (!strcmp(sqlstate, "26000") && i >= 14) continue;
        char label[64];
        snprintf(label, sizeof label, "%s: ", fields[i].name);
        say_text(label, v);
    }
}

static void show(const PGresult *r) {
    if (!r) {
        say("(no result)");
        return;
    }
    say("%s [%s] rows=%d columns=%d", PQresStatus(PQresultStatus(r)), PQcmdStatus((PGresult *)r),
        PQntuples(r), PQnfields(r));
    if (PQresultErrorField(r, PG_DIAG_SQLSTATE)) show_fields(r);
    for (int f = 0; f < PQnfields(r); ++f)
        say("column %s type=%u format=%d size=%d mod=%d", PQfname(r, f), PQftype(r, f),
            PQfformat(r, f), PQfsize(r, f), PQfmod(r, f));
    for (int i = 0; i < PQntuples(r) && i < 20; ++i)
        for (int f = 0; f < PQnfields(r); ++f) {
            printf("  [%d,%d] ", i, f);
            if (PQgetisnull(r, i, f)) {
                printf("NULL\n");
                continue;
            }
            const int n = PQgetlength(r, i, f);
            const char *v = PQgetvalue(r, i, f);
            printf("%d bytes ", n);
            for (int k = 0; k < n && k < 64; ++k) {
                if (PQfformat(r, f))
                    printf("%02x", (unsigned char)v[k]);
                else if (v[k] == '\n')
                    printf("\\n");
                else
                    putchar(v[k]);
            }
            printf("\n");
        }
}

static PGresult *run(const char *sql) { return PQexec(c, sql); }
static void run_show(const char *sql) {
    PGresult *r = PQexec(c, sql);
    say_text("> ", sql);
    show(r);
    PQclear(r);
}
static void drain(void) {
    for (PGresult *r; (r = PQgetResult(c)) != NULL;) {
        show(r);
        PQclear(r);
    }
    say("(end)");
}
static void notice(void *arg, const PGresult *r) {
    (void)arg;
    say("notice:");
    show_fields(r);
}
static const char *transaction(void) {
    static const char *names[] = {"idle", "active", "in transaction", "in error", "unknown"};
    return names[PQtransactionStatus(c)];
}
static PGconn *open_with(const char *more) {
    PGconn *n = PQconnectdb(more);
    if (PQstatus(n) == CONNECTION_OK) PQsetNoticeReceiver(n, notice, NULL);
    return n;
}

static void connection(void) {
    check("parameters of the connection");
    require(PQstatus(c) == CONNECTION_OK, "connected");
    static const char *names[] = {"server_version",    "server_encoding",
                                  "client_encoding",   "application_name",
                                  "is_superuser",      "session_authorization",
                                  "DateStyle",         "IntervalStyle",
                                  "TimeZone",          "integer_datetimes",
                                  "in_hot_standby",    "standard_conforming_strings",
                                  "default_transaction_read_only"};
    for (size_t i = 0; i < sizeof names / sizeof *names; ++i)
        say("%s=%s", names[i], PQparameterStatus(c, names[i]));
    say("db=%s user=%s protocol=%d server=%d key=%d password=%d", PQdb(c), PQuser(c),
        PQprotocolVersion(c), PQserverVersion(c), PQbackendPID(c) != 0,
        PQconnectionUsedPassword(c));
    done();

    static const char *modes[] = {"disable", "allow", "prefer", "require", "verify-ca",
                                  "verify-full"};
    for (size_t i = 0; i < sizeof modes / sizeof *modes; ++i) {
        char name[64], info[1024];
        snprintf(name, sizeof name, "sslmode=%s", modes[i]);
        check(name);
        snprintf(info, sizeof info, "sslmode=%s sslrootcert=%s", modes[i],
                 getenv("CONFORMANCE_CA"));
        PGconn *n = open_with(info);
        require(PQstatus(n) == CONNECTION_OK, "connected");
        say("status=%d tls=%d %s", PQstatus(n), PQsslInUse(n),
            PQsslInUse(n) ? PQsslAttribute(n, "protocol") : "-");
        PGresult *r = PQexec(n, "select repeat('x', 100000)");
        say("%s %d", PQresStatus(PQresultStatus(r)), PQgetlength(r, 0, 0));
        PQclear(r);
        PQfinish(n);
        done();
    }
    check("a certificate of another authority is refused by the client");
    char info[1024];
    snprintf(info, sizeof info, "sslmode=verify-ca sslrootcert=%s",
             getenv("CONFORMANCE_OTHER_CA"));
    PGconn *n = open_with(info);
    require(PQstatus(n) == CONNECTION_BAD, "refused");
    say_text("", PQerrorMessage(n));
    PQfinish(n);
    done();

    /* Where the words are Sallyport's own, only that it fails is compared; its SQLSTATE is by the
     * clients that show it. */
    static const struct {
        const char *name, *info;
        int own_words;
    } wrong[] = {{"wrong password", "password=wrong sslmode=disable"},
                 {"unknown user", "user=nobody password=x sslmode=disable"},
                 {"empty password", "password='' sslmode=disable passfile=/dev/null"},
                 {"unknown database", "dbname=ghost sslmode=disable", 1},
                 {"wrong password over TLS", "password=wrong sslmode=require"},
                 {"unknown startup parameter", "sslmode=disable options='-c no_such_setting=1'", 1},
                 {"bad startup value", "sslmode=disable options='-c datestyle=nonsense'"},
                 {"required authentication", "sslmode=disable channel_binding=disable"}};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; ++i) {
        check(wrong[i].name);
        n = open_with(wrong[i].info);
        say("status=%d needs=%d used=%d", PQstatus(n), PQconnectionNeedsPassword(n),
            PQconnectionUsedPassword(n));
        if (!wrong[i].own_words) say_text("", PQerrorMessage(n));
        PQfinish(n);
        done();
    }
    check("startup parameters take effect");
    n = open_with("application_name=other options='-c statement_timeout=12s -c datestyle=German "
                  "-c search_path=pg_catalog'");
    require(PQstatus(n) == CONNECTION_OK, "connected");
    PGresult *r = PQexec(n, "select current_setting('application_name'), "
                            "current_setting('statement_timeout'), current_setting('datestyle'), "
                            "current_setting('search_path'), date '2024-02-03'");
    show(r);
    PQclear(r);
    PQfinish(n);
    done();

    check("PQping and PQreset");
    say("ping=%d", PQping(""));
    const int old = PQbackendPID(c);
    PQreset(c);
    require(PQstatus(c) == CONNECTION_OK, "connected");
    say("another session: %d", PQbackendPID(c) != old);
    done();
}

static void queries(void) {
    check("simple queries");
    run_show("select 1 as one, 'text'::text, null::int, 1.50::numeric(10,2)");
    run_show("");
    run_show(";");
    run_show("-- nothing");
    run_show("select");
    run_show("select 1; select 'two'; ");
    PQsendQuery(c, "select 1; select 2/0; select 3");
    drain();
    PQsendQuery(c, "create temp table t (a int primary key, b text not null, c bytea); "
                   "insert into t values (1, 'one', '\\x00ff'), (2, 'two', null); "
                   "update t set b = b || '!' where a = 2; delete from t where a = 3; select * from t");
    drain();
    done();

    check("fields of errors");
    static const char *wrong[] = {
        "select * from nowhere",
        "selec 1",
        "select 'abc",
        "select 1 + ",
        "select no_such_function(1)",
        "insert into t values (1, 'again')",
        "insert into t (a) values (7)",
        "select 'x'::int",
        "select 1/0",
        "do $$ begin raise exception using errcode = 'ZZ123', message = 'm', detail = 'd', "
        "hint = 'h', table = 'tab', schema = 'sch', column = 'col', constraint = 'con', "
        "datatype = 'typ'; end $$",
        "do $$ begin execute 'select * from nowhere'; end $$",
        "create table t (a int); create table t (a int)",
        "fetch 1 from nocursor",
        "execute nothing",
        "prepare transaction 'x'",
        "select pg_terminate_backend(0), \x01",
        "set datestyle = nonsense",
        "select E'\\xff'"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; ++i) run_show(wrong[i]);
    done();

    check("notices");
    run_show("do $$ begin raise notice 'one'; raise warning 'two' using detail = 'd', hint = 'h', "
             "errcode = '01234'; raise info 'three'; raise log 'unseen'; end $$");
    run_show("set client_min_messages = debug1");
    run_show("create temp table serial_one (a serial primary key)");
    run_show("drop table if exists no_such_table");
    run_show("reset client_min_messages");
    done();

    check("transactions and savepoints");
    static const char *steps[] = {"begin",
                                  "insert into t values (10, 'ten', null)",
                                  "savepoint a",
                                  "insert into t values (10, 'ten', null)",
                                  "select 1",
                                  "commit and chain",
                                  "begin",
                                  "savepoint a",
                                  "select 1/0",
                                  "selec",
                                  "rollback to a",
                                  "release a",
                                  "select count(*) from t",
                                  "commit",
                                  "begin",
                                  "selec",
                                  "commit",
                                  "begin; select 1; commit; select 2; selec",
                                  "begin isolation level serializable read only deferrable",
                                  "create table never (a int)",
                                  "rollback",
                                  "commit",
                                  "rollback"};
    for (size_t i = 0; i < sizeof steps / sizeof *steps; ++i) {
        run_show(steps[i]);
        say("%s", transaction());
    }
    done();

    check("parameters are reported when they change");
    run_show("set application_name = 'renamed'");
    say("%s", PQparameterStatus(c, "application_name"));
    run_show("begin; set local datestyle = 'SQL, DMY'; set timezone = 'Europe/Berlin'");
    say("%s %s", PQparameterStatus(c, "DateStyle"), PQparameterStatus(c, "TimeZone"));
    run_show("rollback");
    say("%s %s", PQparameterStatus(c, "DateStyle"), PQparameterStatus(c, "TimeZone"));
    say("encoding %d", PQsetClientEncoding(c, "LATIN1"));
    run_show("select chr(233) as e, length('\xe9')");
    say("encoding %d %s", PQsetClientEncoding(c, "UTF8"), PQparameterStatus(c, "client_encoding"));
    run_show("set standard_conforming_strings = off");
    run_show("select 'a\\'b'");
    run_show("set standard_conforming_strings = on");
    run_show("select 'a\\', 'b'");
    done();
}

static void extended(void) {
    check("parameters in text and binary");
    static const char number[] = {0, 0, 0, 42};
    const char *values[] = {number, "text", NULL, "\x00\x01\xff"};
    const int lengths[] = {4, 0, 0, 3};
    const int formats[] = {1, 0, 0, 1};
    const Oid types[] = {23, 25, 23, 17};
    for (int format = 0; format < 2; ++format) {
        PGresult *r = PQexecParams(c,
                                   "select $1, $2, $3, $4, array[1,2,null], "
                                   "'{\"a\":1}'::jsonb, 1.5::numeric, "
                                   "timestamptz '2024-01-01 00:00 UTC', true, 'x'::char, "
                                   "uuid '00000000-0000-0000-0000-000000000001', "
                                   "int4range(1,5), row(1,'a'), interval '1 day', 1e10::float8",
                                   4, types, values, lengths, formats, format);
        show(r);
        PQclear(r);
    }
    done();

    check("prepare, describe, execute, deallocate");
    PGresult *r = PQprepare(c, "p1", "select $1::int + $2::int as sum, $3::text", 0, NULL);
    show(r);
    PQclear(r);
    r = PQdescribePrepared(c, "p1");
    show(r);
    say("parameters=%d %u %u %u", PQnparams(r), PQparamtype(r, 0), PQparamtype(r, 1),
        PQparamtype(r, 2));
    PQclear(r);
    const char *args[] = {"1", "2", "x"};
    for (int i = 0; i < 7; ++i) {
        r = PQexecPrepared(c, "p1", 3, args, NULL, NULL, i % 2);
        show(r);
        PQclear(r);
    }
    r = PQprepare(c, "p1", "select 1", 0, NULL);
    show(r);
    PQclear(r);
    r = PQexecPrepared(c, "unknown", 0, NULL, NULL, NULL, 0);
    show(r);
    PQclear(r);
    r = PQexecPrepared(c, "p1", 1, args, NULL, NULL, 0);
    show(r);
    PQclear(r);
    r = PQdescribePrepared(c, "unknown");
    show(r);
    PQclear(r);
    run_show("execute p1(3, 4, 'y')");
    run_show("select name, statement, parameter_types from pg_prepared_statements");
    run_show("deallocate p1");
    r = PQexecPrepared(c, "p1", 3, args, NULL, NULL, 0);
    show(r);
    PQclear(r);
    run_show("prepare p2(int) as select $1 * 2");
    r = PQexecPrepared(c, "p2", 1, args, NULL, NULL, 0);
    show(r);
    PQclear(r);
    r = PQprepare(c, "", "select 'unnamed'", 0, NULL);
    PQclear(r);
    r = PQexecPrepared(c, "", 0, NULL, NULL, NULL, 0);
    show(r);
    PQclear(r);
    run_show("select 1");
    r = PQexecPrepared(c, "", 0, NULL, NULL, NULL, 0);
    show(r);
    PQclear(r);
    r = PQprepare(c, "bad", "selec $1", 0, NULL);
    show(r);
    PQclear(r);
    r = PQexecParams(c, "select 1; select 2", 0, NULL, NULL, NULL, NULL, 0);
    show(r);
    PQclear(r);
    r = PQexecParams(c, "", 0, NULL, NULL, NULL, NULL, 0);
    show(r);
    PQclear(r);
    r = PQexecParams(c, "select $1::int", 1, NULL, (const char *[]){"x"}, NULL, NULL, 0);
    show(r);
    PQclear(r);
    run_show("discard all");
    r = PQexecPrepared(c, "p2", 1, args, NULL, NULL, 0);
    show(r);
    PQclear(r);
    done();

    check("cursors and portals");
    run_show("begin");
    run_show("declare cur scroll cursor for select g, repeat('r', g) from generate_series(1, 9) g");
    r = PQdescribePortal(c, "cur");
    show(r);
    PQclear(r);
    run_show("fetch 2 from cur");
    run_show("fetch backward 1 from cur");
    run_show("move absolute 7 in cur");
    run_show("fetch all from cur");
    run_show("declare bin binary cursor for select 258, 'b'::bytea");
    run_show("fetch all from bin");
    run_show("close cur");
    r = PQdescribePortal(c, "cur");
    show(r);
    PQclear(r);
    run_show("rollback");
    run_show("begin; declare held cursor with hold for select generate_series(1,3); commit");
    run_show("fetch 2 from held");
    run_show("close all");
    done();

    check("one row at a time");
    PQsendQuery(c, "select g from generate_series(1, 5) g");
    PQsetSingleRowMode(c);
    drain();
    PQsendQuery(c, "select 10 / (3 - g) from generate_series(1, 5) g");
    PQsetSingleRowMode(c);
    drain();
    PQsendQueryParams(c, "select repeat($1, 10) from generate_series(1, 3)", 1, NULL,
                      (const char *[]){"ab"}, NULL, NULL, 0);
    PQsetSingleRowMode(c);
    drain();
    done();

    check("without blocking");
    PQsetnonblocking(c, 1);
    char *big = malloc(3000001);
    memset(big, 'q', 3000000);
    big[3000000] = 0;
    const char *one[] = {big};
    PQsendQueryParams(c, "select length($1), md5($1)", 1, NULL, one, NULL, NULL, 0);
    for (;;) {
        const int rest = PQflush(c);
        struct pollfd p = {PQsocket(c), POLLIN | (rest > 0 ? POLLOUT : 0), 0};
        if (poll(&p, 1, 20000) <= 0) {
            require(0, "the answer arrives");
            break;
        }
        if (p.revents & POLLIN) PQconsumeInput(c);
        if (rest == 0 && !PQisBusy(c)) break;
    }
    drain();
    PQsetnonblocking(c, 0);
    free(big);
    done();

    check("big values");
    r = PQexec(c, "select string_agg(md5(g::text), '') from generate_series(1, 150000) g");
    require(PQntuples(r) == 1, "a row");
    unsigned long long sum = 5381;
    for (int i = 0; i < PQgetlength(r, 0, 0); ++i)
        sum = sum * 33 + (unsigned char)PQgetvalue(r, 0, 0)[i];
    say("%d bytes, sum %llx", PQgetlength(r, 0, 0), sum);
    const char *again[] = {PQgetvalue(r, 0, 0)};
    PGresult *back = PQexecParams(c, "select md5($1), length($1)", 1, NULL, again, NULL, NULL, 0);
    show(back);
    PQclear(back);
    size_t n = strlen(again[0]) + 64;
    char *sql = malloc(n);
    snprintf(sql, n, "select md5('%s')", again[0]);
    back = PQexec(c, sql);
    show(back);
    PQclear(back);
    free(sql);
    PQclear(r);
    done();
}

static void pipelines(void) {
    check("pipeline: many queries, then one Sync");
    require(PQenterPipelineMode(c), "entered");
    for (int i = 0; i < 5; ++i) {
        char t[16];
        snprintf(t, sizeof t, "%d", i);
        require(PQsendQueryParams(c, "select $1::int * 2", 1, NULL, (const char *[]){t}, NULL,
                                  NULL, 0),
                "sent");
    }
    PQpipelineSync(c);
    for (int i = 0; i < 6; ++i) drain();
    say("left %d", PQexitPipelineMode(c));
    done();

    check("pipeline: an error aborts up to the Sync");
    run_show("create temp table pipe (a int primary key)");
    PQenterPipelineMode(c);
    PQsendQueryParams(c, "insert into pipe values (1)", 0, NULL, NULL, NULL, NULL, 0);
    PQsendQueryParams(c, "insert into pipe values (1)", 0, NULL, NULL, NULL, NULL, 0);
    PQsendQueryParams(c, "insert into pipe values (2)", 0, NULL, NULL, NULL, NULL, 0);
    PQpipelineSync(c);
    PQsendQueryParams(c, "insert into pipe values (3)", 0, NULL, NULL, NULL, NULL, 0);
    PQsendQueryParams(c, "selec 3", 0, NULL, NULL, NULL, NULL, 0);
    PQsendQueryParams(c, "insert into pipe values (4)", 0, NULL, NULL, NULL, NULL, 0);
    PQpipelineSync(c);
    PQsendQueryParams(c, "insert into pipe values (5)", 0, NULL, NULL, NULL, NULL, 0);
    PQpipelineSync(c);
    for (int i = 0; i < 10; ++i) {
        say("status %d", PQpipelineStatus(c));
        drain();
    }
    PQexitPipelineMode(c);
    run_show("select * from pipe order by a");
    done();

    check("pipeline: prepare, describe, execute and transactions");
    PQenterPipelineMode(c);
    PQsendQueryParams(c, "begin", 0, NULL, NULL, NULL, NULL, 0);
    PQsendPrepare(c, "ps", "insert into pipe values ($1) returning a", 0, NULL);
    PQsendDescribePrepared(c, "ps");
    for (int i = 10; i < 14; ++i) {
        char t[16];
        snprintf(t, sizeof t, "%d", i);
        PQsendQueryPrepared(c, "ps", 1, (const char *[]){t}, NULL, NULL, 1);
    }
    PQsendQueryParams(c, "declare pc cursor for select a from pipe order by a", 0, NULL, NULL, NULL,
                      NULL, 0);
    PQsendDescribePortal(c, "pc");
    PQsendQueryParams(c, "fetch 2 from pc", 0, NULL, NULL, NULL, NULL, 0);
    PQsendQueryParams(c, "commit", 0, NULL, NULL, NULL, NULL, 0);
    PQpipelineSync(c);
    for (int i = 0; i < 12; ++i) drain();
    say("left %d", PQexitPipelineMode(c));
    done();

    check("pipeline: answers after a Flush, before any Sync");
    PQenterPipelineMode(c);
    PQsendQueryParams(c, "select 'first'", 0, NULL, NULL, NULL, NULL, 0);
    PQsendFlushRequest(c);
    PQflush(c);
    drain();
    PQsendQueryParams(c, "select 'second' where false", 0, NULL, NULL, NULL, NULL, 0);
    PQsendFlushRequest(c);
    PQflush(c);
    drain();
    PQpipelineSync(c);
    drain();
    PQexitPipelineMode(c);
    done();

    check("pipeline: a thousand statements, single rows");
    PQenterPipelineMode(c);
    for (int i = 0; i < 1000; ++i)
        PQsendQueryParams(c, "select repeat('p', 200), $1::int", 1, NULL, (const char *[]){"5"},
                          NULL, NULL, 0);
    PQpipelineSync(c);
    int rows = 0, results = 0, syncs = 0;
    for (;;) {
        PGresult *r = PQgetResult(c);
        if (!r) {
            PQsetSingleRowMode(c);
            continue;
        }
        ++results;
        rows += PQntuples(r);
        syncs += PQresultStatus(r) == PGRES_PIPELINE_SYNC;
        PQclear(r);
        if (syncs) break;
    }
    say("rows=%d results=%d", rows, results);
    PQexitPipelineMode(c);
    done();

    check("pipeline: COPY and simple queries are refused");
    PQenterPipelineMode(c);
    say("exec %d", PQsendQuery(c, "select 1"));
    say_text("", PQerrorMessage(c));
    PQpipelineSync(c);
    drain();
    PQexitPipelineMode(c);
    done();
}

static void copying(void) {
    check("COPY in and out");
    run_show("create temp table copied (a int primary key, b text, c bytea)");
    PGresult *r = run("copy copied from stdin");
    show(r);
    say("binary=%d", PQbinaryTuples(r));
    PQclear(r);
    const char *lines = "1\tone\t\\\\x00ff\n2\ttwo\\tthree\t\\N\n3\t\\N\t\n";
    for (const char *p = lines; *p; ++p) require(PQputCopyData(c, p, 1) == 1, "put");
    say("end %d", PQputCopyEnd(c, NULL));
    drain();
    for (int f = 0; f < 3; ++f) {
        static const char *texts[] = {"copy copied to stdout", "copy copied to stdout csv header",
                                      "copy (select a, b from copied) to stdout binary"};
        PQsendQuery(c, texts[f]);
        show(r = PQgetResult(c));
        PQclear(r);
        char *row;
        int n;
        while ((n = PQgetCopyData(c, &row, 0)) > 0) {
            printf("  %d:", n);
            for (int i = 0; i < n; ++i) printf(" %02x", (unsigned char)row[i]);
            printf("\n");
            PQfreemem(row);
        }
        say("%d", n);
        drain();
    }
    done();

    check("COPY that fails");
    r = run("copy copied from stdin");
    PQclear(r);
    PQputCopyData(c, "4\tfour\n", 7);
    PQputCopyEnd(c, NULL);
    drain();
    r = run("copy copied from stdin");
    PQclear(r);
    PQputCopyData(c, "5\tfive\t\n", 8);
    PQputCopyEnd(c, "the client has changed its mind");
    drain();
    r = run("copy copied from stdin");
    PQclear(r);
    for (int i = 0; i < 20000; ++i) PQputCopyData(c, "x\tbad number in a long stream\t\n", 31);
    PQputCopyEnd(c, NULL);
    drain();
    run_show("copy copied to stdout (format nothing)");
    run_show("copy nowhere from stdin");
    run_show("select count(*) from copied");
    say("%s", transaction());
    done();

    check("COPY by the extended protocol, and several in one query");
    PQsendQueryParams(c, "copy copied (a, b) from stdin csv", 0, NULL, NULL, NULL, NULL, 0);
    show(r = PQgetResult(c));
    PQclear(r);
    PQputCopyData(c, "7,seven\n", 8);
    PQputCopyEnd(c, NULL);
    drain();
    r = run("copy copied (a) from stdin; copy copied (a) from stdin; select count(*) from copied");
    show(r);
    PQclear(r);
    PQputCopyData(c, "20\n", 3);
    PQputCopyEnd(c, NULL);
    show(r = PQgetResult(c));
    PQclear(r);
    show(r = PQgetResult(c));
    PQclear(r);
    PQputCopyData(c, "21\n", 3);
    PQputCopyEnd(c, NULL);
    drain();
    done();

    check("a big COPY both ways");
    run_show("create temp table wide (a int, b text)");
    r = run("copy wide from stdin");
    PQclear(r);
    char line[2048];
    for (int i = 0; i < 5000; ++i) {
        const int n = snprintf(line, sizeof line, "%d\t%01000d\n", i, i);
        PQputCopyData(c, line, n);
    }
    PQputCopyEnd(c, NULL);
    drain();
    PQsendQuery(c, "copy wide to stdout");
    PQclear(PQgetResult(c));
    char *row;
    int n, rows = 0;
    long long bytes = 0;
    while ((n = PQgetCopyData(c, &row, 0)) > 0) {
        ++rows;
        bytes += n;
        PQfreemem(row);
    }
    say("%d rows %lld bytes", rows, bytes);
    drain();
    done();
}

static void large_objects(void) {
    check("large objects");
    run_show("begin");
    const Oid id = lo_creat(c, INV_READ | INV_WRITE);
    require(id != 0, "created");
    int fd = lo_open(c, id, INV_READ | INV_WRITE);
    require(fd >= 0, "opened");
    static char data[300000], back[300000];
    for (size_t i = 0; i < sizeof data; ++i) data[i] = (char)(i * 7);
    say("write %d", lo_write(c, fd, data, sizeof data));
    say("tell %lld", (long long)lo_tell64(c, fd));
    say("seek %lld", (long long)lo_lseek64(c, fd, 100, SEEK_SET));
    say("read %d", lo_read(c, fd, back, 1000));
    say("same %d", memcmp(back, data + 100, 1000) == 0);
    say("truncate %d", lo_truncate64(c, fd, 5000));
    say("end %lld", (long long)lo_lseek64(c, fd, 0, SEEK_END));
    say("close %d", lo_close(c, fd));
    run_show("commit");
    run_show("begin");
    say("export %d", lo_export(c, id, "object"));
    const Oid other = lo_import(c, "object");
    require(other != 0, "imported");
    fd = lo_open(c, other, INV_READ);
    say("read %d", lo_read(c, fd, back, sizeof back));
    say("same %d", memcmp(back, data, 5000) == 0);
    say("write to read-only %d", lo_write(c, fd, data, 10));
    say_text("", PQerrorMessage(c));
    say("%s", transaction());
    run_show("rollback");
    say("unlink %d", lo_unlink(c, id));
    say("unlink %d", lo_unlink(c, 4000000000u));
    say_text("", PQerrorMessage(c));
    done();

    check("functions by number");
    PQArgBlock arguments[2] = {{4, 1, {.integer = 20}}, {4, 1, {.integer = 22}}};
    int answer = 0, length = 0;
    PGresult *r = PQfn(c, 177, &answer, &length, 1, arguments, 2); /* int4pl */
    show(r);
    say("%d, %d bytes", answer, length);
    PQclear(r);
    r = PQfn(c, 154, &answer, &length, 1, (PQArgBlock[]){{4, 1, {.integer = 1}},
                                                         {4, 1, {.integer = 0}}}, 2); /* int4div */
    show(r);
    PQclear(r);
    r = PQfn(c, 99999999, &answer, &length, 1, arguments, 2);
    show(r);
    PQclear(r);
    say("%s", transaction());
    done();
}

static int wait_for_notification(PGconn *n) {
    for (;;) {
        PQconsumeInput(n);
        PGnotify *got = PQnotifies(n);
        if (got) {
            say("%s: %s, from the other session %d", got->relname, got->extra,
                got->be_pid == PQbackendPID(c));
            PQfreemem(got);
            return 1;
        }
        struct pollfd p = {PQsocket(n), POLLIN, 0};
        if (poll(&p, 1, 20000) <= 0) return 0;
    }
}

static void asynchronous(void) {
    check("LISTEN and NOTIFY");
    PGconn *listener = open_with("");
    PQclear(PQexec(listener, "listen news; listen \"Other News\""));
    run_show("notify news, 'hello'");
    require(wait_for_notification(listener), "an idle client is told");
    run_show("begin");
    run_show("select pg_notify('Other News', repeat('n', 7999))");
    run_show("notify news");
    run_show("commit");
    require(wait_for_notification(listener), "first");
    require(wait_for_notification(listener), "second");
    PQclear(PQexec(listener, "unlisten *"));
    run_show("notify news, 'unheard'");
    PGresult *r = PQexec(listener, "select count(*) from pg_listening_channels()");
    show(r);
    PQclear(r);
    say("nothing more %d", PQnotifies(listener) == NULL);
    PQfinish(listener);
    done();

    check("cancel");
    PGcancel *cancel = PQgetCancel(c);
    char error[256] = "";
    PQsendQuery(c, "select pg_sleep(60)");
    PGconn *other = open_with("");
    for (int i = 0; i < 2000; ++i) { /* it must be running before it is cancelled */
        r = PQexec(other, "select count(*) from pg_stat_activity "
                          "where query = 'select pg_sleep(60)' and state = 'active'");
        const int running = strcmp(PQgetvalue(r, 0, 0), "1") == 0;
        PQclear(r);
        if (running) break;
        usleep(5000);
    }
    PQfinish(other);
    say("sent %d %s", PQcancel(cancel, error, sizeof error), error);
    drain();
    run_show("select 'still there'");
    say("sent while idle %d", PQcancel(cancel, error, sizeof error));
    PQfreeCancel(cancel);
    PGresult *after = PQexec(c, "select 'next'");
    PQclear(after);
    run_show("set statement_timeout = 50; select pg_sleep(60)");
    run_show("set statement_timeout = 0");
    run_show("begin; set local lock_timeout = 50; set local "
             "idle_in_transaction_session_timeout = 0; commit");
    done();

    check("the session is ended by an administrator");
    other = open_with("");
    char sql[64];
    r = PQexec(other, "select pg_backend_pid()");
    snprintf(sql, sizeof sql, "select pg_terminate_backend(%s, 10000)", PQgetvalue(r, 0, 0));
    PQclear(r);
    r = PQexec(c, sql);
    say("%s", PQgetvalue(r, 0, 0));
    PQclear(r);
    r = PQexec(other, "select 1");
    show(r);
    PQclear(r);
    say("bad %d", PQstatus(other) == CONNECTION_BAD);
    say_text("", PQerrorMessage(other));
    PQfinish(other);
    other = open_with("options='-c idle_session_timeout=50'");
    require(PQstatus(other) == CONNECTION_OK, "connected");
    struct pollfd p = {PQsocket(other), POLLIN, 0};
    require(poll(&p, 1, 20000) > 0, "told when idle for too long");
    r = PQexec(other, "select 1");
    show(r);
    say_text("", PQerrorMessage(other));
    PQclear(r);
    PQfinish(other);
    done();

    check("two-phase commit");
    static const char *steps[] = {"create table two (a int)",
                                  "begin",
                                  "insert into two values (1)",
                                  "prepare transaction 'first'",
                                  "begin",
                                  "insert into two values (2)",
                                  "prepare transaction 'second'",
                                  "select gid, owner, database from pg_prepared_xacts order by 1",
                                  "commit prepared 'first'",
                                  "rollback prepared 'second'",
                                  "commit prepared 'third'",
                                  "select * from two"};
    for (size_t i = 0; i < sizeof steps / sizeof *steps; ++i) {
        run_show(steps[i]);
        say("%s", transaction());
    }
    done();

    check("the client's password helper and escapes");
    char *e = PQescapeLiteral(c, "it's \\ x", 8);
    say("%s", e);
    PQfreemem(e);
    e = PQescapeIdentifier(c, "a \"name\"", 8);
    say("%s", e);
    PQfreemem(e);
    e = PQencryptPasswordConn(c, "secret", "alice", "md5");
    say("%s", e);
    PQfreemem(e);
    e = PQencryptPasswordConn(c, "secret", "alice", NULL);
    say("%.18s", e ? e : "(null)");
    PQfreemem(e);
    done();
}

int main(void) {
    c = open_with("");
    connection();
    queries();
    extended();
    pipelines();
    copying();
    large_objects();
    asynchronous();
    PQfinish(c);
    printf("end\n");
    return 0;
}
