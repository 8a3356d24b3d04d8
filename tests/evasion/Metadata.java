import java.sql.*;
import java.util.Properties;

/** Every question of java.sql.DatabaseMetaData, and what surrounds it; see record.py. */
public class Metadata {
  interface Question { ResultSet ask() throws SQLException; }

  static void all(Question q) {
    try (ResultSet r = q.ask()) {
      ResultSetMetaData m = r.getMetaData();
      for (int i = 1; i <= m.getColumnCount(); i++) {
        m.isNullable(i);
        m.isAutoIncrement(i);
        m.getTableName(i);
      }
      while (r.next()) r.getObject(1);
    } catch (SQLException e) {
      System.out.println(e.getMessage());
    }
  }

  public static void main(String[] args) throws Exception {
    Properties p = new Properties();
    p.setProperty("user", "app_user");
    p.setProperty("password", "pw");
    p.setProperty("ApplicationName", "recorded");
    p.setProperty("prepareThreshold", "0");
    try (Connection c = DriverManager.getConnection(args[0], p)) {
      DatabaseMetaData d = c.getMetaData();
      d.getDatabaseProductVersion();
      d.getMaxColumnNameLength();
      d.getSQLKeywords();
      d.getNumericFunctions();
      all(() -> d.getCatalogs());
      all(() -> d.getSchemas());
      all(() -> d.getSchemas(null, "pub%"));
      all(() -> d.getTableTypes());
      all(() -> d.getTypeInfo());
      all(() -> d.getClientInfoProperties());
      for (String[] t : new String[][] {{"public", "orders"}, {"crm", "customers"}, {"pii", "customers"}}) {
        all(() -> d.getTables(null, t[0], t[1], new String[] {"TABLE", "VIEW", "MATERIALIZED VIEW"}));
        all(() -> d.getColumns(null, t[0], t[1], "%"));
        all(() -> d.getPrimaryKeys(null, t[0], t[1]));
        all(() -> d.getImportedKeys(null, t[0], t[1]));
        all(() -> d.getExportedKeys(null, t[0], t[1]));
        all(() -> d.getIndexInfo(null, t[0], t[1], false, true));
        all(() -> d.getTablePrivileges(null, t[0], t[1]));
        all(() -> d.getColumnPrivileges(null, t[0], t[1], "%"));
        all(() -> d.getBestRowIdentifier(null, t[0], t[1], DatabaseMetaData.bestRowSession, true));
        all(() -> d.getVersionColumns(null, t[0], t[1]));
      }
      all(() -> d.getTables(null, null, "%", null));
      all(() -> d.getCrossReference(null, "pii", "customers", null, "public", "orders"));
      all(() -> d.getProcedures(null, "public", "%"));
      all(() -> d.getProcedureColumns(null, "public", "touch_product", "%"));
      all(() -> d.getFunctions(null, "public", "%"));
      all(() -> d.getFunctionColumns(null, "public", "price_of", "%"));
      all(() -> d.getUDTs(null, "public", "%", null));
      all(() -> c.createStatement().executeQuery("SELECT * FROM public.orders"));
      all(() -> c.createStatement().executeQuery("SELECT tier_enum FROM (SELECT 'gold'::public.tier_enum) t"));
    }
  }
}
