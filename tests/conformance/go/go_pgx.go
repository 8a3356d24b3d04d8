// pgx v4: its statement cache, batches, COPY, large objects, low-level connection. Prints a
// transcript (see compare.py).
package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"strings"
	"time"

	"github.com/jackc/pgconn"
	"github.com/jackc/pgx/v4"
	"github.com/jackc/pgx/v4/pgxpool"
)

var ctx = context.Background()

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
	var e *pgconn.PgError
	if errors.As(err, &e) {
		say(e.Severity, e.Code, e.Message, e.Detail, e.Hint, e.Position, e.Where, e.SchemaName,
			e.TableName, e.ColumnName, e.ConstraintName)
		return
	}
	say("fault", err)
}

func show(rows pgx.Rows, err error) {
	if err != nil {
		fault(err)
		return
	}
	defer rows.Close()
	for _, f := range rows.FieldDescriptions() {
		say("column", string(f.Name), f.DataTypeOID, f.Format)
	}
	for rows.Next() {
		values, err := rows.Values()
		must(err)
		say(values...)
	}
	if rows.Err() != nil {
		fault(rows.Err())
	}
	say(rows.CommandTag().String())
}

func open(more string) *pgx.Conn {
	c, err := pgx.Connect(ctx, "sslmode=disable "+more)
	must(err)
	return c
}

func check(name string, body func(*pgx.Conn)) {
	fmt.Println("check " + name)
	c := open("")
	defer c.Close(ctx)
	defer func() {
		if r := recover(); r != nil {
			fmt.Println("FAIL", text(fmt.Sprint(r)))
		} else {
			fmt.Println("pass")
		}
	}()
	body(c)
}

func main() {
	check("TLS modes and logins", func(*pgx.Conn) {
		for _, mode := range []string{"disable", "allow", "prefer", "require", "verify-ca", "verify-full"} {
			c, err := pgx.Connect(ctx, "host=localhost sslmode="+mode+" sslrootcert="+
				os.Getenv("CONFORMANCE_CA"))
			must(err)
			say(mode, c.PgConn().ParameterStatus("server_version"))
			show(c.Query(ctx, "select 1 as one"))
			c.Close(ctx)
		}
		for _, wrong := range []string{"password=wrong", "user=nobody", "datestyle=nonsense"} {
			_, err := pgx.Connect(ctx, "sslmode=disable "+wrong)
			fault(err)
		}
		_, err := pgx.Connect(ctx, "sslmode=disable dbname=ghost")
		var e *pgconn.PgError
		errors.As(err, &e)
		say(e.Code)
	})
	for _, mode := range []string{"statement_cache_mode=prepare", "statement_cache_mode=describe",
		"statement_cache_capacity=0", "statement_cache_capacity=2"} {
		check("queries with "+mode, func(*pgx.Conn) {
			c := open(mode)
			defer c.Close(ctx)
			for i := 0; i < 4; i++ {
				show(c.Query(ctx, "select $1::int + 1, $2::text, $3::bytea, $4::timestamptz, $5::int[]",
					i, "it's \\", []byte{0, 255}, time.Unix(0, 0), []int32{1, 2}))
				show(c.Query(ctx, fmt.Sprintf("select %d, $1::text", i), "x"))
				show(c.Query(ctx, "select 10 / (2 - $1::int)", i))
			}
			show(c.Query(ctx, "select 1::int4, 2::int8, 1.5::float8, 'x'::text, true, null::int, "+
				"'\\x00ff'::bytea, array['a','b'], timestamptz '2024-02-29 12:00+00', "+
				"date '2024-02-29', '{\"a\":1}'::jsonb, inet '10.0.0.1', interval '1 day'"))
			show(c.Query(ctx, "select $1::int, $2::text", pgx.QuerySimpleProtocol(true), 1, "it's"))
			show(c.Query(ctx, "select g from generate_series(1, 3) g",
				pgx.QueryResultFormats{pgx.TextFormatCode}))
			_, err := c.Exec(ctx, "create temp table s (a int)")
			must(err)
			show(c.Query(ctx, "select * from s"))
			_, err = c.Exec(ctx, "alter table s add b int; insert into s values (1, 2)")
			must(err)
			for i := 0; i < 3; i++ {
				show(c.Query(ctx, "select * from s"))
			}
			_, err = c.Exec(ctx, "")
			say(err)
		})
	}
	check("errors and transactions", func(c *pgx.Conn) {
		_, err := c.Exec(ctx, "create temp table t (a int primary key, b text not null)")
		must(err)
		for _, q := range []string{"selec", "select * from nowhere", "insert into t values (1)", "select 1/0"} {
			_, err = c.Exec(ctx, q)
			fault(err)
		}
		tx, err := c.BeginTx(ctx, pgx.TxOptions{IsoLevel: pgx.Serializable, DeferrableMode: pgx.Deferrable})
		must(err)
		_, err = tx.Exec(ctx, "insert into t values ($1, $2)", 1, "one")
		must(err)
		inner, err := tx.Begin(ctx)
		must(err)
		_, err = inner.Exec(ctx, "insert into t values ($1, $2)", 1, "again")
		fault(err)
		must(inner.Rollback(ctx))
		must(tx.Commit(ctx))
		tx, _ = c.Begin(ctx)
		_, err = tx.Exec(ctx, "selec")
		fault(err)
		fault(tx.Commit(ctx))
		show(c.Query(ctx, "select * from t"))
	})
	check("prepared statements", func(c *pgx.Conn) {
		d, err := c.Prepare(ctx, "add", "select $1::int + 1 as n")
		must(err)
		say(d.ParamOIDs, len(d.Fields))
		for i := 0; i < 7; i++ {
			show(c.Query(ctx, "add", i))
		}
		must(c.Deallocate(ctx, "add"))
		_, err = c.Prepare(ctx, "broken", "selec")
		fault(err)
		_, err = c.Exec(ctx, "execute add(1)")
		fault(err)
	})
	check("more parameters than a Bind can give", func(c *pgx.Conn) {
		b := strings.Builder{}
		for i := 1; i <= 65536; i++ {
			fmt.Fprintf(&b, ", ($%d::int)", i)
		}
		d, err := c.PgConn().Prepare(ctx, "many", "values "+b.String()[2:], nil)
		must(err)
		say(len(d.ParamOIDs), len(d.Fields))
		show(c.Query(ctx, "select 'still there'"))
	})
	check("batches", func(c *pgx.Conn) {
		_, err := c.Exec(ctx, "create temp table t (a int primary key)")
		must(err)
		b := &pgx.Batch{}
		for i := 0; i < 200; i++ {
			b.Queue("insert into t values ($1)", i)
		}
		b.Queue("select count(*) from t")
		r := c.SendBatch(ctx, b)
		for i := 0; i < 200; i++ {
			_, err := r.Exec()
			must(err)
		}
		show(r.Query())
		must(r.Close())
		b = &pgx.Batch{}
		b.Queue("insert into t values (1000)")
		b.Queue("insert into t values (1)")
		b.Queue("insert into t values (1001)")
		r = c.SendBatch(ctx, b)
		for i := 0; i < 3; i++ {
			_, err := r.Exec()
			fault(err)
		}
		fault(r.Close())
		show(c.Query(ctx, "select count(*) from t"))
		show(c.Query(ctx, "select 1"))
	})
	check("a batch of a hundred thousand statements", func(c *pgx.Conn) {
		b := &pgconn.Batch{}
		for i := 0; i < 100000; i++ {
			b.ExecParams("select $1::text", [][]byte{[]byte("x")}, nil, nil, nil)
		}
		r, err := c.PgConn().ExecBatch(ctx, b).ReadAll()
		must(err)
		say(len(r))
	})
	check("COPY both ways", func(c *pgx.Conn) {
		_, err := c.Exec(ctx, "create temp table t (a int, b text, c timestamptz)")
		must(err)
		rows := [][]interface{}{}
		for i := 0; i < 20000; i++ {
			rows = append(rows, []interface{}{int32(i), fmt.Sprintf("value\t%d\n", i), time.Unix(0, 0)})
		}
		n, err := c.CopyFrom(ctx, pgx.Identifier{"t"}, []string{"a", "b", "c"}, pgx.CopyFromRows(rows))
		must(err)
		say(n)
		var out bytes.Buffer
		tag, err := c.PgConn().CopyTo(ctx, &out, "copy (select * from t order by a) to stdout")
		must(err)
		say(tag.String(), out.Bytes())
		_, err = c.PgConn().CopyFrom(ctx, strings.NewReader("bad\n"), "copy t from stdin")
		fault(err)
		broken, writer := io.Pipe()
		writer.CloseWithError(errors.New("the program's own"))
		_, err = c.PgConn().CopyFrom(ctx, broken, "copy t from stdin")
		fault(err)
		show(c.Query(ctx, "select count(*) from t"))
	})
	check("notifications", func(c *pgx.Conn) {
		_, err := c.Exec(ctx, "listen news")
		must(err)
		other := open("")
		_, err = other.Exec(ctx, "notify news, 'hello'")
		must(err)
		late, stop := context.WithTimeout(ctx, 20*time.Second)
		n, err := c.WaitForNotification(late)
		stop()
		must(err)
		say(n.Channel, n.Payload, n.PID == other.PgConn().PID())
		other.Close(ctx)
	})
	check("large objects", func(c *pgx.Conn) {
		tx, err := c.Begin(ctx)
		must(err)
		l := tx.LargeObjects()
		id, err := l.Create(ctx, 0)
		must(err)
		o, err := l.Open(ctx, id, pgx.LargeObjectModeRead|pgx.LargeObjectModeWrite)
		must(err)
		n, err := o.Write(bytes.Repeat([]byte("abc"), 50000))
		say(n, err)
		at, err := o.Seek(10, io.SeekStart)
		say(at, err)
		b := make([]byte, 1000)
		n, err = o.Read(b)
		say(n, err, b)
		must(o.Truncate(5))
		must(l.Unlink(ctx, id))
		must(tx.Commit(ctx))
	})
	check("low level: several results, cancel, timeout", func(c *pgx.Conn) {
		r, err := c.PgConn().Exec(ctx, "select 1; select 1/0; select 3").ReadAll()
		say(len(r))
		fault(err)
		res := c.PgConn().ExecParams(ctx, "select $1::text", [][]byte{[]byte("x")}, nil, nil, nil).Read()
		say(res.Rows, res.CommandTag.String(), res.Err)
		done := make(chan error)
		go func() {
			_, err := c.PgConn().Exec(ctx, "select pg_sleep(31)").ReadAll()
			done <- err
		}()
		other := open("")
		for n := 0; n == 0; {
			must(other.QueryRow(ctx, "select count(*) from pg_stat_activity where "+
				"query = 'select pg_sleep(31)' and wait_event = 'PgSleep'").Scan(&n))
		}
		other.Close(ctx)
		must(c.PgConn().CancelRequest(ctx))
		fault(<-done)
		_, err = c.PgConn().Exec(ctx, "set statement_timeout = 50; select pg_sleep(30)").ReadAll()
		fault(err)
		short, stop := context.WithTimeout(ctx, 100*time.Millisecond)
		_, err = open("").Exec(short, "select pg_sleep(2)")
		stop()
		say(err != nil)
	})
	check("pool", func(*pgx.Conn) {
		p, err := pgxpool.Connect(ctx, "sslmode=disable pool_max_conns=3")
		must(err)
		sums := make(chan int, 40)
		for i := 0; i < 40; i++ {
			go func(i int) {
				n := 0
				if p.QueryRow(ctx, "select $1::int * 2", i).Scan(&n) != nil {
					n = -1000000
				}
				sums <- n
			}(i)
		}
		sum := 0
		for i := 0; i < 40; i++ {
			sum += <-sums
		}
		say(sum)
		p.Close()
	})
	check("big values", func(c *pgx.Conn) {
		show(c.Query(ctx, "select $1::bytea", bytes.Repeat([]byte{0, 255}, 1500000)))
		show(c.Query(ctx, "select repeat('é', 2000000)"))
	})
	fmt.Println("end")
}
