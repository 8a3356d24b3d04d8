-- What a tool for dashboards like Metabase asks to learn of tables, fields and keys, and how it looks at
-- the values of a field that nobody guards.
-- next
SELECT nspname FROM pg_namespace WHERE nspname !~ '^pg_' AND nspname <> 'information_schema'
-- next
WITH table_privileges AS (
  SELECT NULL AS role, t.schemaname AS schema, t.objectname AS "table",
    pg_catalog.has_any_column_privilege(current_user,
      '"' || replace(t.schemaname, '"', '""') || '"' || '.' || '"' ||
      replace(t.objectname, '"', '""') || '"', 'update') AS "update",
    pg_catalog.has_table_privilege(current_user,
      '"' || t.schemaname || '"."' || t.objectname || '"', 'SELECT') AS "select",
    pg_catalog.has_table_privilege(current_user,
      '"' || t.schemaname || '"."' || t.objectname || '"', 'DELETE') AS "delete"
  FROM (SELECT schemaname, tablename AS objectname FROM pg_catalog.pg_tables
        UNION SELECT schemaname, viewname FROM pg_catalog.pg_views
        UNION SELECT schemaname, matviewname FROM pg_catalog.pg_matviews) t
  WHERE t.schemaname !~ '^pg_' AND t.schemaname <> 'information_schema'
    AND pg_catalog.has_schema_privilege(current_user, t.schemaname, 'usage'))
SELECT t.* FROM table_privileges AS t
-- next
SELECT n.nspname AS schema, c.relname AS name,
  CASE c.relkind WHEN 'r' THEN 'TABLE' WHEN 'p' THEN 'PARTITIONED TABLE' WHEN 'v' THEN 'VIEW'
       WHEN 'f' THEN 'FOREIGN TABLE' WHEN 'm' THEN 'MATERIALIZED VIEW' ELSE NULL END AS type,
  d.description AS description, NULLIF(stat.n_live_tup, 0) AS estimated_row_count
FROM pg_catalog.pg_class AS c
INNER JOIN pg_catalog.pg_namespace AS n ON c.relnamespace = n.oid
LEFT JOIN pg_catalog.pg_description AS d ON c.oid = d.objoid AND d.objsubid = 0
  AND d.classoid = 'pg_class'::regclass
LEFT JOIN pg_stat_user_tables AS stat ON n.nspname = stat.schemaname AND c.relname = stat.relname
WHERE c.relnamespace = n.oid AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
  AND c.relkind IN ('r', 'p', 'v', 'f', 'm')
ORDER BY type ASC, schema ASC, name ASC
-- next
SELECT c.column_name AS name,
  CASE WHEN c.udt_schema IN ('public', 'pg_catalog') THEN format('%s', c.udt_name)
       ELSE format('"%s"."%s"', c.udt_schema, c.udt_name) END AS "database-type",
  c.ordinal_position - 1 AS "database-position", c.table_schema AS "table-schema",
  c.table_name AS "table-name", pk.column_name IS NOT NULL AS "pk?",
  col_description(CAST(CAST(format('%I.%I', CAST(c.table_schema AS TEXT), CAST(c.table_name AS TEXT))
    AS REGCLASS) AS OID), c.ordinal_position) AS "field-comment",
  ((column_default IS NULL) OR (LOWER(column_default) = 'null')) AND (is_nullable = 'NO')
    AND NOT ((column_default IS NOT NULL AND column_default LIKE '%nextval(%'))
    AS "database-required"
FROM information_schema.columns AS c
LEFT JOIN (
  SELECT tc.table_schema, tc.table_name, kc.column_name
  FROM information_schema.table_constraints AS tc
  INNER JOIN information_schema.key_column_usage AS kc
    ON tc.constraint_name = kc.constraint_name AND tc.table_schema = kc.table_schema
    AND tc.table_name = kc.table_name
  WHERE tc.constraint_type = 'PRIMARY KEY') AS pk
  ON c.table_schema = pk.table_schema AND c.table_name = pk.table_name
  AND c.column_name = pk.column_name
WHERE c.table_schema !~ '^information_schema|catalog_history|pg_' AND c.table_schema IN ('public', 'pii')
UNION ALL
SELECT pa.attname, CASE WHEN ptn.nspname IN ('public', 'pg_catalog') THEN format('%s', pt.typname)
  ELSE format('"%s"."%s"', ptn.nspname, pt.typname) END, pa.attnum - 1, pn.nspname, pc.relname, false,
  NULL, false
FROM pg_catalog.pg_class AS pc
INNER JOIN pg_catalog.pg_namespace AS pn ON pn.oid = pc.relnamespace
INNER JOIN pg_catalog.pg_attribute AS pa ON pa.attrelid = pc.oid
INNER JOIN pg_catalog.pg_type AS pt ON pt.oid = pa.atttypid
INNER JOIN pg_catalog.pg_namespace AS ptn ON ptn.oid = pt.typnamespace
WHERE pc.relkind = 'm' AND pa.attnum >= 1
ORDER BY "table-schema", "table-name", "database-position"
-- next
SELECT fk_ns.nspname AS "fk-table-schema", fk_table.relname AS "fk-table-name",
  fk_column.attname AS "fk-column-name", pk_ns.nspname AS "pk-table-schema",
  pk_table.relname AS "pk-table-name", pk_column.attname AS "pk-column-name"
FROM pg_constraint AS c
INNER JOIN pg_class AS fk_table ON c.conrelid = fk_table.oid
INNER JOIN pg_namespace AS fk_ns ON c.connamespace = fk_ns.oid
INNER JOIN pg_attribute AS fk_column ON c.conrelid = fk_column.attrelid
INNER JOIN pg_class AS pk_table ON c.confrelid = pk_table.oid
INNER JOIN pg_namespace AS pk_ns ON pk_table.relnamespace = pk_ns.oid
INNER JOIN pg_attribute AS pk_column ON c.confrelid = pk_column.attrelid
WHERE c.contype = 'f'::char AND fk_column.attnum = ANY(c.conkey)
  AND pk_column.attnum = ANY(c.confkey) AND fk_ns.nspname !~ '^information_schema|pg_'
-- next
SELECT tmp.table_schema AS "table-schema", tmp.table_name AS "table-name",
  trim(BOTH '"' FROM pg_catalog.pg_get_indexdef(tmp.ci_oid, tmp.pos, false)) AS "field-name"
FROM (SELECT n.nspname AS table_schema, ct.relname AS table_name, ci.oid AS ci_oid,
        (information_schema._pg_expandarray(i.indkey)).n AS pos
      FROM pg_catalog.pg_class AS ct
      INNER JOIN pg_catalog.pg_namespace AS n ON ct.relnamespace = n.oid
      INNER JOIN pg_catalog.pg_index AS i ON ct.oid = i.indrelid
      INNER JOIN pg_catalog.pg_class AS ci ON ci.oid = i.indexrelid
      WHERE pg_catalog.pg_get_expr(i.indpred, i.indrelid) IS NULL
        AND n.nspname !~ '^information_schema|pg_') AS tmp
WHERE tmp.pos = 1
-- next
SELECT pg_type.typname, nspname FROM pg_catalog.pg_type
INNER JOIN pg_catalog.pg_namespace ON pg_type.typnamespace = pg_namespace.oid
WHERE pg_type.typtype = 'e'
-- next
SHOW TIMEZONE
-- next
SET SESSION TIMEZONE TO 'UTC'
-- next
SELECT true AS "_" FROM "public"."products" WHERE 1 <> 1 LIMIT 0
-- next
-- Metabase:: userID: 1 queryType: MBQL queryHash: 0a1b2c
SELECT COUNT(*) AS "count", COUNT(DISTINCT "public"."products"."name") AS "count_2"
FROM "public"."products"
-- next
SELECT SUBSTRING("public"."products"."name", 1, 1234) AS "substring1" FROM "public"."products" LIMIT 10000
-- next
SELECT DATE_TRUNC('month', "public"."events"."day") AS "day", COUNT(*) AS "count"
FROM "public"."events" GROUP BY DATE_TRUNC('month', "public"."events"."day")
ORDER BY DATE_TRUNC('month', "public"."events"."day") ASC
-- next
SELECT "source"."name" AS "name", SUM("source"."price") AS "sum"
FROM (SELECT "public"."products"."id", "public"."products"."name", "public"."products"."price"
      FROM "public"."products" LEFT JOIN "public"."orders" AS "O" ON "public"."products"."id" = "O"."product_id")
  AS "source"
GROUP BY "source"."name" ORDER BY "source"."name" ASC
