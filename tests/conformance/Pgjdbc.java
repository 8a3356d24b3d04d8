import java.io.*;
import java.math.BigDecimal;
import java.nio.charset.StandardCharsets;
import java.sql.*;
import java.util.*;
import org.postgresql.PGConnection;
import org.postgresql.PGNotification;
import org.postgresql.PGStatement;
import org.postgresql.copy.CopyIn;
import org.postgresql.copy.CopyManager;
import org.postgresql.largeobject.LargeObject;
import org.postgresql.largeobject.LargeObjectManager;
import org.postgresql.util.PSQLException;
import org.postgresql.util.ServerErrorMessage;
import org.postgresql.xa.PGXADataSource;
import javax.sql.XAConnection;
import javax.transaction.xa.XAResource;
import javax.transaction.xa.Xid;

/** pgjdbc: thresholds of prepared statements, batches, autosave, XA. Prints a transcript. */
public class Pgjdbc {
  interface Body { void run(Connection c) throws Exception; }
  interface Action { void run() throws Exception; }

  static String line(Object v) throws Exception {
    if (v instanceof byte[]) {
      byte[] b = (byte[]) v;
      return "bytes of " + b.length + " sum " + Arrays.hashCode(b);
    }
    if (v instanceof java.sql.Array) {
      return Arrays.deepToString((Object[]) ((java.sql.Array) v).getArray());
    }
    if (v instanceof SQLXML) return ((SQLXML) v).getString();
    String s = String.valueOf(v);
    if (s.length() > 400) return "text of " + s.length() + " sum " + s.hashCode();
    return s.replace("\n", "\\n");
  }

  static void say(Object... values) throws Exception {
    StringBuilder b = new StringBuilder(" ");
    for (Object v : values) b.append(' ').append(line(v));
    System.out.println(b);
  }

  static void show(ResultSet r) throws Exception {
    ResultSetMetaData m = r.getMetaData();
    while (r.next()) {
      Object[] row = new Object[m.getColumnCount()];
      for (int i = 0; i < row.length; i++) row[i] = r.getObject(i + 1);
      say(row);
    }
    r.close();
  }

  static void fault(Action a) throws Exception {
    try {
      a.run();
      say("no error");
    } catch (SQLException e) {
      for (SQLException at = e; at != null; at = at.getNextException()) {
        ServerErrorMessage m =
            at instanceof PSQLException ? ((PSQLException) at).getServerErrorMessage() : null;
        if (m == null) {
          say(at.getClass().getSimpleName(), at.getSQLState(), at.getMessage());
        } else {
          say(at.getClass().getSimpleName(), m.getSQLState(), m.getSeverity(), m.getMessage(),
              m.getDetail(), m.getHint(), m.getPosition(), m.getWhere(), m.getSchema(),
              m.getTable(), m.getColumn(), m.getConstraint());
        }
      }
    }
  }

  static String url(String more) {
    return "jdbc:postgresql://localhost:" + System.getenv("PGPORT") + "/shop?user=alice&" + more;
  }

  static Connection open(String more) throws SQLException {
    return DriverManager.getConnection(url("password=alice-secret&" + more));
  }

  static void check(String name, String more, Body body) {
    System.out.println("check " + name);
    try (Connection c = open(more)) {
      body.run(c);
      System.out.println("pass");
    } catch (Exception e) {
      System.out.println("FAIL " + String.valueOf(e).replace("\n", " "));
      e.printStackTrace();
    }
    System.out.flush();
  }

  static Xid xid(int n) {
    return new Xid() {
      public int getFormatId() { return 1; }
      public byte[] getGlobalTransactionId() { return new byte[] {(byte) n}; }
      public byte[] getBranchQualifier() { return new byte[] {7}; }
    };
  }

  public static void main(String[] args) throws Exception {
    String ca = System.getenv("CONFORMANCE_CA");
    check("TLS modes and logins", "", c -> {
      for (String mode : new String[] {"disable", "allow", "prefer", "require", "verify-ca",
                                       "verify-full"}) {
        try (Connection n = open("sslmode=" + mode + "&sslrootcert=" + ca)) {
          say(mode, n.isValid(5), n.getMetaData().getDatabaseProductVersion());
        }
      }
      fault(() -> open("sslmode=verify-full&sslrootcert=" + System.getenv("CONFORMANCE_OTHER_CA"))
          .close());
      fault(() -> DriverManager.getConnection(url("password=wrong")).close());
      fault(() -> DriverManager.getConnection(url("password=wrong&sslmode=require")).close());
      for (String more : new String[] {"ApplicationName=mine&currentSchema=x,public",
                                       "options=-c%20statement_timeout=7s", "readOnly=true",
                                       "assumeMinServerVersion=15", "gssEncMode=disable",
                                       "preferQueryMode=extended", "tcpKeepAlive=true"}) {
        try (Connection n = open(more)) {
          show(n.createStatement().executeQuery("select current_setting('application_name'), "
              + "current_setting('search_path'), current_setting('statement_timeout'), "
              + "current_setting('extra_float_digits'), current_setting('timezone')"));
        }
      }
    });
    for (String mode : new String[] {"simple", "extended", "extendedForPrepared",
                                     "extendedCacheEverything"}) {
      for (String threshold : new String[] {"0", "1", "3", "-1"}) {
        check("queries, " + mode + ", threshold " + threshold,
            "preferQueryMode=" + mode + "&prepareThreshold=" + threshold, c -> {
              Statement s = c.createStatement();
              s.execute("drop table if exists t; create table t (a int primary key, b text)");
              PreparedStatement p = c.prepareStatement("insert into t values (?, ?)");
              for (int i = 0; i < 8; i++) {
                p.setInt(1, i);
                p.setString(2, "b" + i);
                say(p.executeUpdate());
              }
              p = c.prepareStatement("select a, b, a / ?::int from t where a >= ? order by a");
              for (int i = 6; i >= 0; i--) {
                p.setInt(1, i == 2 ? 0 : 1);
                p.setInt(2, i);
                PreparedStatement q = p;
                fault(() -> show(q.executeQuery()));
              }
              s.execute("select 1; select 2; insert into t values (100, 'x'); select 3");
              boolean more = true;
              while (true) {
                if (s.getResultSet() != null) show(s.getResultSet());
                else if (s.getUpdateCount() < 0) break;
                else say("updated", s.getUpdateCount());
                s.getMoreResults();
              }
              fault(() -> s.execute("select 1; selec; select 3"));
              fault(() -> s.execute("select 1; select 1/0; select 3"));
              say(s.execute(""));
              show(s.executeQuery("select '{\"a\":1}'::jsonb #>> '{a}', 'a''b\\', \"a\" from t "
                  + "where a = 1"));
              say(s.executeUpdate("insert into t values (200, 'k')",
                  Statement.RETURN_GENERATED_KEYS));
              show(s.getGeneratedKeys());
              s.execute("alter table t add c int default 5");
              PreparedStatement all = c.prepareStatement("select * from t where a = ?");
              for (int i = 0; i < 4; i++) {
                all.setInt(1, 1);
                fault(() -> show(all.executeQuery()));
                if (i == 2) s.execute("alter table t add d int default 6");
              }
            });
      }
    }
    check("types in text and binary", "prepareThreshold=-1&binaryTransfer=true", c -> {
      for (String t : new String[] {"true", "1::int2", "2::int4", "3::int8", "1.5::float4",
          "1e300::float8", "123456789.123456789::numeric", "'NaN'::float8", "'t'::text",
          "'\\x00ff'::bytea", "date '2024-02-29'", "time '12:34:56.789'",
          "timestamp '2024-02-29 12:34:56.789012'", "timestamptz '2024-02-29 12:34:56+00'",
          "interval '1 day 2 hours'", "uuid '12345678-1234-5678-1234-567812345678'",
          "'{\"a\": 1}'::json", "array[1,2,null]", "array['a','b']", "null::int",
          "point(1,2)", "'<a/>'::xml", "money '1.50'", "hstore_like.x",
          "int4range(1,4)", "1::oid", "B'1'::bit", "B'101'::varbit", "inet '10.0.0.1'"}) {
        String sql = t.startsWith("hstore") ? "select x from (values (1)) hstore_like(x)"
            : "select " + t;
        try (PreparedStatement p = c.prepareStatement(sql)) {
          for (int i = 0; i < 2; i++) {
            ResultSet r = p.executeQuery();
            r.next();
            say(t, r.getObject(1) == null ? "null" : r.getObject(1).getClass().getSimpleName(),
                r.getObject(1), r.getMetaData().getColumnTypeName(1));
          }
        }
      }
      PreparedStatement p = c.prepareStatement("select ?, ?, ?, ?, ?, ?, ?, ?");
      p.setInt(1, 1);
      p.setString(2, "it's \\");
      p.setBigDecimal(3, new BigDecimal("1.10"));
      p.setBytes(4, new byte[] {0, -1});
      p.setTimestamp(5, Timestamp.valueOf("2024-01-02 03:04:05.006"));
      p.setNull(6, Types.INTEGER);
      p.setArray(7, c.createArrayOf("text", new String[] {"a", null}));
      p.setObject(8, UUID.fromString("12345678-1234-5678-1234-567812345678"));
      for (int i = 0; i < 3; i++) show(p.executeQuery());
    });
    for (boolean rewrite : new boolean[] {false, true}) {
      check("batches, rewritten " + rewrite, "reWriteBatchedInserts=" + rewrite, c -> {
        Statement s = c.createStatement();
        s.execute("drop table if exists t; create table t (a int primary key, b text)");
        PreparedStatement p = c.prepareStatement("insert into t values (?, ?)",
            rewrite ? Statement.NO_GENERATED_KEYS : Statement.RETURN_GENERATED_KEYS);
        for (int i = 0; i < 2000; i++) {
          p.setInt(1, i);
          p.setString(2, "x".repeat(i % 300));
          p.addBatch();
        }
        say(Arrays.stream(p.executeBatch()).sum());
        for (int i : new int[] {5000, 1, 5001}) {
          p.setInt(1, i);
          p.setString(2, "y");
          p.addBatch();
        }
        try {
          p.executeBatch();
        } catch (BatchUpdateException e) {
          say(Arrays.toString(e.getUpdateCounts()), e.getSQLState());
        }
        s.addBatch("insert into t values (6000, 'z')");
        s.addBatch("update t set b = '' where a < 10");
        s.addBatch("delete from t where a > 6000");
        say(Arrays.toString(s.executeBatch()));
        show(s.executeQuery("select count(*), sum(length(b)) from t"));
        c.setAutoCommit(false);
        s.addBatch("insert into t values (7000, 'z')");
        s.addBatch("selec");
        s.addBatch("insert into t values (7001, 'z')");
        fault(() -> s.executeBatch());
        c.rollback();
        show(s.executeQuery("select count(*) from t"));
        c.commit();
      });
    }
    for (String mode : new String[] {"never", "conservative", "always"}) {
      for (String cleanup : new String[] {"false", "true"}) {
        check("autosave " + mode + ", cleanup " + cleanup,
            "autosave=" + mode + "&cleanupSavepoints=" + cleanup, c -> {
              Statement s = c.createStatement();
              s.execute("drop table if exists t; create table t (a int primary key)");
              c.setAutoCommit(false);
              s.execute("insert into t values (1)");
              fault(() -> s.execute("insert into t values (1)"));
              fault(() -> s.execute("insert into t values (2)"));
              fault(() -> s.execute("selec"));
              PreparedStatement p = c.prepareStatement("select * from t order by a");
              for (int i = 0; i < 8; i++) fault(() -> show(p.executeQuery()));
              fault(() -> s.execute("alter table t add b int"));
              fault(() -> show(p.executeQuery()));
              fault(() -> s.execute("deallocate all"));
              fault(() -> show(p.executeQuery()));
              fault(() -> c.commit());
              c.rollback();
              c.setAutoCommit(true);
              show(s.executeQuery("select count(*) from t"));
            });
      }
    }
    check("transactions and savepoints", "", c -> {
      Statement s = c.createStatement();
      s.execute("drop table if exists t; create table t (a int primary key)");
      c.setAutoCommit(false);
      s.execute("insert into t values (1)");
      Savepoint one = c.setSavepoint("one");
      fault(() -> s.execute("insert into t values (1)"));
      fault(() -> s.execute("select 1"));
      c.rollback(one);
      Savepoint two = c.setSavepoint();
      s.execute("insert into t values (2)");
      c.releaseSavepoint(two);
      c.commit();
      for (int level : new int[] {Connection.TRANSACTION_SERIALIZABLE,
          Connection.TRANSACTION_REPEATABLE_READ, Connection.TRANSACTION_READ_UNCOMMITTED}) {
        c.setTransactionIsolation(level);
        show(s.executeQuery("show transaction_isolation"));
        c.commit();
      }
      c.setReadOnly(true);
      fault(() -> s.execute("delete from t"));
      c.rollback();
      c.setReadOnly(false);
      s.execute("insert into t values (3)");
      fault(() -> s.execute("selec"));
      fault(() -> c.commit());
      c.setAutoCommit(true);
      show(s.executeQuery("select * from t"));
    });
    check("cursors and fetch size", "defaultRowFetchSize=7", c -> {
      c.setAutoCommit(false);
      Statement s = c.createStatement();
      ResultSet r = s.executeQuery("select g from generate_series(1, 100) g");
      int sum = 0;
      while (r.next()) sum += r.getInt(1);
      say(sum);
      PreparedStatement p = c.prepareStatement("select g, 1 / (50 - g) from generate_series(1, ?) g");
      p.setFetchSize(10);
      p.setInt(1, 60);
      ResultSet q = p.executeQuery();
      fault(() -> { while (q.next()) { if (q.getInt(1) % 10 == 0) say(q.getInt(1)); } });
      c.rollback();
      Statement scroll = c.createStatement(ResultSet.TYPE_SCROLL_INSENSITIVE,
          ResultSet.CONCUR_UPDATABLE);
      s.execute("drop table if exists t; create table t (a int primary key, b text)");
      s.execute("insert into t select g, 'b' from generate_series(1, 20) g");
      ResultSet u = scroll.executeQuery("select a, b from t order by a");
      u.absolute(5);
      u.updateString(2, "changed");
      u.updateRow();
      u.moveToInsertRow();
      u.updateInt(1, 100);
      u.updateString(2, "new");
      u.insertRow();
      u.first();
      u.deleteRow();
      show(s.executeQuery("select * from t where b <> 'b' or a < 3 order by a"));
      p = c.prepareStatement("select g from generate_series(1, 100) g");
      p.setMaxRows(3);
      show(p.executeQuery());
      s.execute("create function cur() returns refcursor language plpgsql as $$ declare r refcursor"
          + " := 'rc'; begin open r for select 1, 'x'; return r; end $$");
      CallableStatement call = c.prepareCall("{? = call cur()}");
      call.registerOutParameter(1, Types.REF_CURSOR);
      call.execute();
      show((ResultSet) call.getObject(1));
      s.execute("create procedure pr(inout x int) language plpgsql as $$ begin x := x + 1; end $$");
      call = c.prepareCall("call pr(?)");
      call.setInt(1, 41);
      call.registerOutParameter(1, Types.INTEGER);
      call.execute();
      say(call.getInt(1));
      c.rollback();
    });
    check("COPY both ways", "", c -> {
      CopyManager m = c.unwrap(PGConnection.class).getCopyAPI();
      Statement s = c.createStatement();
      s.execute("drop table if exists t; create table t (a int, b text)");
      StringBuilder b = new StringBuilder();
      for (int i = 0; i < 20000; i++) b.append(i).append("\tvalue ").append(i).append('\n');
      say(m.copyIn("copy t from stdin", new StringReader(b.toString())));
      ByteArrayOutputStream out = new ByteArrayOutputStream();
      say(m.copyOut("copy (select * from t order by a) to stdout csv", out), out.toByteArray());
      CopyIn in = m.copyIn("copy t from stdin");
      byte[] row = "5\tx\n".getBytes();
      in.writeToCopy(row, 0, row.length);
      in.cancelCopy();
      fault(() -> m.copyIn("copy t from stdin", new StringReader("bad\n")));
      fault(() -> m.copyOut("copy nowhere to stdout", out));
      show(s.executeQuery("select count(*) from t"));
    });
    check("large objects", "", c -> {
      c.setAutoCommit(false);
      LargeObjectManager m = c.unwrap(PGConnection.class).getLargeObjectAPI();
      long id = m.createLO();
      LargeObject o = m.open(id, LargeObjectManager.READWRITE);
      byte[] data = new byte[300000];
      for (int i = 0; i < data.length; i++) data[i] = (byte) (i * 7);
      o.write(data);
      o.seek64(100, LargeObject.SEEK_SET);
      say(o.tell64(), o.read(1000), o.size64());
      o.truncate64(5000);
      say(o.size64());
      o.close();
      o = m.open(id, LargeObjectManager.READ);
      say(new ByteArrayInputStream(o.getInputStream().readAllBytes()).readAllBytes());
      o.close();
      m.delete(id);
      fault(() -> m.open(id, LargeObjectManager.READ));
      c.rollback();
      Statement s = c.createStatement();
      s.execute("drop table if exists t; create table t (a oid)");
      PreparedStatement p = c.prepareStatement("insert into t values (?)");
      p.setBlob(1, new ByteArrayInputStream(data));
      p.execute();
      ResultSet r = s.executeQuery("select a from t");
      r.next();
      say(r.getBlob(1).getBytes(1, 10));
      c.rollback();
    });
    check("notifications and notices", "", c -> {
      PGConnection pg = c.unwrap(PGConnection.class);
      Statement s = c.createStatement();
      s.execute("do $$ begin raise notice 'seen'; raise warning 'too' using errcode='01234'; end $$");
      for (SQLWarning w = s.getWarnings(); w != null; w = w.getNextWarning())
        say(w.getSQLState(), w.getMessage());
      s.execute("listen news");
      try (Connection other = open("")) {
        other.createStatement().execute("notify news, 'hello'");
        PGNotification[] got = pg.getNotifications(20000);
        for (PGNotification n : got)
          say(n.getName(), n.getParameter(),
              n.getPID() == other.unwrap(PGConnection.class).getBackendPID());
      }
    });
    check("cancel and timeouts", "", c -> {
      Statement s = c.createStatement();
      s.setQueryTimeout(1);
      fault(() -> s.execute("select pg_sleep(30)"));
      s.setQueryTimeout(0);
      show(s.executeQuery("select 'still there'"));
      Thread t = new Thread(() -> {
        try (Connection other = open("")) {
          ResultSet r;
          do {
            r = other.createStatement().executeQuery("select count(*) from pg_stat_activity where "
                + "query = 'select pg_sleep(31)' and state = 'active' and wait_event = 'PgSleep'");
            r.next();
          } while (r.getInt(1) == 0);
          s.cancel();
        } catch (SQLException e) {
          e.printStackTrace();
        }
      });
      t.start();
      fault(() -> s.execute("select pg_sleep(31)"));
      t.join();
      s.execute("set statement_timeout = 50");
      fault(() -> s.execute("select pg_sleep(30)"));
      c.setNetworkTimeout(Runnable::run, 20000);
      s.execute("set statement_timeout = 0");
      show(s.executeQuery("select 'still there'"));
      say(c.isValid(5));
    });
    check("two-phase commit by XA", "", c -> {
      Statement s = c.createStatement();
      s.execute("drop table if exists t; create table t (a int)");
      PGXADataSource d = new PGXADataSource();
      d.setUrl(url("password=alice-secret"));
      XAConnection x = d.getXAConnection();
      XAResource r = x.getXAResource();
      for (int i = 0; i < 2; i++) {
        Xid id = xid(i);
        r.start(id, XAResource.TMNOFLAGS);
        x.getConnection().createStatement().execute("insert into t values (" + i + ")");
        r.end(id, XAResource.TMSUCCESS);
        say(r.prepare(id), r.recover(XAResource.TMSTARTRSCAN).length);
        if (i == 0) r.commit(id, false);
        else r.rollback(id);
      }
      x.close();
      show(s.executeQuery("select * from t"));
    });
    check("catalogue", "", c -> {
      Statement s = c.createStatement();
      s.execute("drop table if exists t; create table t (a int primary key, b text not null)");
      DatabaseMetaData m = c.getMetaData();
      show(m.getColumns(null, "public", "t", null));
      show(m.getPrimaryKeys(null, "public", "t"));
      show(m.getIndexInfo(null, "public", "t", false, false));
      show(m.getTables(null, "public", "%", new String[] {"TABLE"}));
      show(m.getSchemas());
      show(m.getTypeInfo());
      say(m.getSQLKeywords(), m.getMaxColumnNameLength());
    });
    check("big values", "", c -> {
      byte[] big = new byte[3000000];
      Arrays.fill(big, (byte) 0x41);
      PreparedStatement p = c.prepareStatement("select ?::bytea, ?::text");
      p.setBytes(1, big);
      p.setString(2, "é".repeat(1000000));
      show(p.executeQuery());
      show(c.createStatement().executeQuery("select repeat('z', 5000000)"));
    });
    check("a session that is ended", "", c -> {
      Connection other = open("");
      PreparedStatement p = c.prepareStatement("select pg_terminate_backend(?, 10000)");
      p.setInt(1, other.unwrap(PGConnection.class).getBackendPID());
      show(p.executeQuery());
      fault(() -> other.createStatement().execute("select 1"));
      say(other.isClosed());
    });
    System.out.println("end");
  }
}
