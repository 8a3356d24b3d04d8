// lib/pq: database/sql over its own protocol code. Prints a transcript (see compare.py).
package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"hash/crc32"
	"os"
	"strings"
	"time"

	"github.com/lib/pq"
)

func text(v interface{}) string {
	switch x := v.(type) {
	case []byte:
		if len(x) > 400 {
			return fmt.Sprintf("%d bytes, sum %x", len(x), crc32.ChecksumIEEE(x))
		}
		return fmt.Sprintf("%q", x)
	case string:
		if len(x) > 400 {
			return text([]byte(x))
		}
		return strings.ReplaceAll(x, "\n", "\\n")
	case time.Time:
		return x.UTC().Format(time.RFC3339Nano)
	}
	return fmt.Sprintf("%v", v)
}

func say(values ...interface{}) {
	b := " "
	for _, v := range values {
		b += " " + text(v)
	}
	fmt.Println(b)
}

func must(err error) {
	if err != nil {
		panic(err)
	}
}

func fault(err error) {
	var e *pq.Error
	if errors.As(err, &e) {
		say(e.Severity, e.Code, e.Message, e.Detail, e.Hint, e.Position, e.Where, e.Schema, e.Table,
			e.Column, e.Constraint)
		return
	}
	say("fault", err)
}

func show(rows *sql.Rows, err error) {
	if err != nil {
		fault(err)
		return
	}
	defer rows.Close()
	for {
		types, _ := rows.ColumnTypes()
		for _, t := range types {
			say("column", t.Name(), t.DatabaseTypeName())
		}
		for rows.Next() {
			values := make([]interface{}, len(types))
			at := make([]interface{}, len(types))
			for i := range values {
				at[i] = &values[i]
			}
			must(rows.Scan(at...))
			say(values...)
		}
		if !rows.NextResultSet() {
			break
		}
	}
	if rows.Err() != nil {
		fault(rows.Err())
	}
}

func open(more string) *sql.DB {
	db, err := sql.Open("postgres", "sslmode=disable "+more)
	must(err)
	db.SetMaxOpenConns(1)
	return db
}

func check(name string, body func(*sql.DB)) {
	fmt.Println("check " + name)
	db := open("")
	defer db.Close()
	defer func() {
		if r := recover(); r != nil {
			fmt.Println("FAIL", text(fmt.Sprint(r)))
		} else {
			fmt.Println("pass")
		}
	}()
	body(db)
}

func main() {
	ctx := context.Background()
	check("TLS modes and logins", func(*sql.DB) {
		for _, mode := range []string{"disable", "require", "verify-ca", "verify-full"} {
			db := open("host=localhost sslmode=" + mode + " sslrootcert=" + os.Getenv("CONFORMANCE_CA"))
			say(mode)
			show(db.Query("select 1 as one"))
			db.Close()
		}
		fault(open("password=wrong").Ping())
		fault(open("user=nobody").Ping())
		var e *pq.Error
		errors.As(open("dbname=ghost").Ping(), &e)
		say(e.Code)
		fault(open("datestyle=nonsense").Ping())
		db := open("application_name=mine search_path=x,public statement_timeout=7000")
		show(db.Query("select current_setting('application_name'), current_setting('search_path'), " +
			"current_setting('statement_timeout')"))
		db.Close()
	})
	for _, binary := range []string{"no", "yes"} {
		check("types, binary parameters "+binary, func(*sql.DB) {
			db := open("binary_parameters=" + binary)
			defer db.Close()
			show(db.Query("select 1::int4, 2::int8, 1.5::float8, 'x'::text, true, null::int, " +
				"'\\x00ff'::bytea, array[1,2,null], timestamptz '2024-02-29 12:00+00', " +
				"date '2024-02-29', '{\"a\":1}'::json, 1.50::numeric, 'u'::char(3), " +
				"uuid '12345678-1234-5678-1234-567812345678'"))
			show(db.Query("select $1::int, $2::text, $3::bytea, $4::timestamptz, $5::int[], $6::bool",
				7, "it's \\", []byte{0, 255}, time.Unix(0, 0), pq.Array([]int{1, 2}), nil))
			for i := 0; i < 3; i++ {
				show(db.Query("select $1::text || 'x'", "a"))
			}
			show(db.Query("select 1; select 2"))
			_, err := db.Exec("")
			say(err)
		})
	}
	check("errors and transactions", func(db *sql.DB) {
		_, err := db.Exec("create table t (a int primary key, b text not null, check (a < 100))")
		must(err)
		for _, q := range []string{"selec", "select * from nowhere", "insert into t values (1)",
			"select 1/0", "insert into t values (200, 'x')"} {
			_, err = db.Exec(q)
			fault(err)
			_, err = db.Query(q + " -- $1")
			fault(err)
		}
		_, err = db.Query("select 10 / $1::int", 0)
		fault(err)
		tx, err := db.BeginTx(ctx, &sql.TxOptions{Isolation: sql.LevelSerializable})
		must(err)
		r, err := tx.Exec("insert into t values ($1, $2)", 1, "one")
		must(err)
		n, _ := r.RowsAffected()
		say(n)
		_, err = tx.Exec("savepoint s")
		must(err)
		_, err = tx.Exec("insert into t values ($1, $2)", 1, "again")
		fault(err)
		_, err = tx.Exec("select 1")
		fault(err)
		_, err = tx.Exec("rollback to s")
		must(err)
		must(tx.Commit())
		tx, _ = db.BeginTx(ctx, &sql.TxOptions{ReadOnly: true})
		_, err = tx.Exec("delete from t")
		fault(err)
		fault(tx.Commit())
		show(db.Query("select * from t"))
		_, err = db.Exec("drop table t")
		must(err)
	})
	check("prepared statements", func(db *sql.DB) {
		p, err := db.Prepare("select $1::int + 1 as n")
		must(err)
		for i := 0; i < 7; i++ {
			show(p.Query(i))
		}
		must(p.Close())
		_, err = db.Prepare("selec")
		fault(err)
	})
	check("COPY in", func(db *sql.DB) {
		tx, err := db.Begin()
		must(err)
		_, err = tx.Exec("create table t (a int, b text, c bytea)")
		must(err)
		p, err := tx.Prepare(pq.CopyIn("t", "a", "b", "c"))
		must(err)
		for i := 0; i < 20000; i++ {
			_, err = p.Exec(i, fmt.Sprintf("value\t%d\n", i), []byte{0, 255})
			must(err)
		}
		_, err = p.Exec()
		must(err)
		must(p.Close())
		show(tx.Query("select count(*), sum(length(b)) from t"))
		p, err = tx.Prepare(pq.CopyIn("t", "a"))
		must(err)
		_, err = p.Exec("bad")
		must(err)
		_, err = p.Exec()
		fault(err)
		must(tx.Rollback())
	})
	check("notifications and notices", func(db *sql.DB) {
		l := pq.NewListener("sslmode=disable", time.Second, time.Minute, nil)
		must(l.Listen("news"))
		_, err := db.Exec("notify news, 'hello'")
		must(err)
		select {
		case n := <-l.Notify:
			say(n.Channel, n.Extra)
		case <-time.After(20 * time.Second):
			panic("no notification")
		}
		must(l.Ping())
		must(l.Close())
		base, err := pq.NewConnector("sslmode=disable")
		must(err)
		with := sql.OpenDB(pq.ConnectorWithNoticeHandler(base, func(e *pq.Error) {
			say("notice", e.Severity, e.Message)
		}))
		_, err = with.Exec("do $$ begin raise notice 'seen'; raise warning 'too'; end $$")
		must(err)
		with.Close()
	})
	check("cancel and timeout", func(db *sql.DB) {
		short, stop := context.WithTimeout(ctx, 200*time.Millisecond)
		_, err := db.ExecContext(short, "select pg_sleep(30)")
		stop()
		fault(err)
		show(db.Query("select 'still there'"))
		_, err = db.Exec("set statement_timeout = 50")
		must(err)
		_, err = db.Exec("select pg_sleep(30)")
		fault(err)
	})
	check("big values", func(db *sql.DB) {
		show(db.Query("select $1::bytea", []byte(strings.Repeat("\x00\xff", 1500000))))
		show(db.Query("select repeat('é', 2000000)"))
	})
	fmt.Println("end")
}
