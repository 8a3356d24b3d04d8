-- What trees of objects like pgAdmin's and DataGrip's ask, in their shape.
-- next
SET DateStyle=ISO; SET client_min_messages=notice; SELECT set_config('bytea_output','hex',false) FROM pg_settings WHERE name = 'bytea_output'; SET client_encoding='UTF8'
-- next
SELECT roles.oid AS id, roles.rolname AS name, roles.rolsuper AS is_superuser,
  CASE WHEN roles.rolsuper THEN true ELSE false END AS can_signal_backend
FROM pg_catalog.pg_roles AS roles WHERE rolname = current_user
-- next
SELECT db.oid AS did, db.datname AS name, ta.spcname AS spcname, db.datallowconn,
  pg_catalog.has_database_privilege(db.oid, 'CREATE') AS cancreate, datdba AS owner,
  (SELECT pg_catalog.pg_encoding_to_char(encoding) FROM pg_database WHERE datname = db.datname)
FROM pg_catalog.pg_database db
LEFT OUTER JOIN pg_catalog.pg_tablespace ta ON db.dattablespace = ta.oid WHERE db.oid > 16383::OID
-- next
SELECT rel.oid, rel.relname AS name,
  (SELECT count(*) FROM pg_catalog.pg_trigger WHERE tgrelid = rel.oid AND tgisinternal = FALSE)
    AS triggercount,
  pg_catalog.obj_description(rel.oid, 'pg_class') AS description
FROM pg_catalog.pg_class rel
WHERE rel.relkind IN ('r', 's', 't', 'p') AND rel.relnamespace = 'pii'::regnamespace
  AND NOT rel.relispartition ORDER BY rel.relname
-- next
SELECT DISTINCT att.attname AS name, att.attnum AS oid, pg_catalog.format_type(ty.oid, NULL) AS datatype,
  pg_catalog.format_type(ty.oid, att.atttypmod) AS displaytypname, att.attnotnull AS not_null,
  CASE WHEN att.atthasdef OR att.attidentity != '' THEN true ELSE false END AS has_default_val,
  des.description, seq.seqtypid
FROM pg_catalog.pg_attribute att
JOIN pg_catalog.pg_type ty ON ty.oid = atttypid
LEFT OUTER JOIN pg_catalog.pg_description des ON (des.objoid = att.attrelid
  AND des.objsubid = att.attnum AND des.classoid = 'pg_class'::regclass)
LEFT OUTER JOIN (pg_catalog.pg_depend JOIN pg_catalog.pg_class cs ON classid = 'pg_class'::regclass
  AND objid = cs.oid AND cs.relkind = 'S') ON refobjid = att.attrelid AND refobjsubid = att.attnum
LEFT OUTER JOIN pg_catalog.pg_sequence seq ON cs.oid = seq.seqrelid
WHERE att.attrelid = {{oid:pii.customers}} AND att.attnum > 0 AND att.attisdropped IS FALSE
ORDER BY att.attnum
-- next
SELECT 'session_stats' AS chart_name, pg_catalog.row_to_json(t) AS chart_data
FROM (SELECT (SELECT count(*) FROM pg_catalog.pg_stat_activity) AS "Total",
  (SELECT count(*) FROM pg_catalog.pg_stat_activity WHERE state = 'active') AS "Active") t
UNION ALL
SELECT 'tps_stats', pg_catalog.row_to_json(t)
FROM (SELECT (SELECT sum(xact_commit) + sum(xact_rollback) FROM pg_catalog.pg_stat_database)
  AS "Transactions") t
-- next
SELECT indexrelid::regclass, pg_catalog.pg_get_indexdef(indexrelid, 0, true) FROM pg_catalog.pg_index
WHERE indrelid = {{oid:pii.customers}}
-- next
SELECT L.transactionid::varchar::bigint AS transaction_id FROM pg_catalog.pg_locks L
WHERE L.transactionid IS NOT NULL ORDER BY pg_catalog.age(L.transactionid) DESC LIMIT 1
-- next
SELECT N.oid::bigint AS id, datname AS name, D.description, datistemplate AS is_template,
  pg_catalog.pg_get_userbyid(N.datdba) AS "owner"
FROM pg_catalog.pg_database N LEFT JOIN pg_catalog.pg_shdescription D ON N.oid = D.objoid
ORDER BY CASE WHEN datname = pg_catalog.current_database() THEN -1::bigint ELSE N.oid::bigint END
-- next
WITH T AS (SELECT T.oid AS table_id, T.relname AS table_name FROM pg_catalog.pg_class T
           WHERE T.relnamespace = 'public'::regnamespace AND T.relkind IN ('r', 'm', 'v', 'f', 'p'))
SELECT T.table_id, C.attnum AS column_position, C.attname AS column_name, C.xmin AS column_state_number,
  C.atttypmod AS type_mod, C.attndims AS dimensions_number,
  pg_catalog.format_type(C.atttypid, C.atttypmod) AS type_spec, C.attnotnull AS mandatory,
  pg_catalog.pg_get_expr(D.adbin, T.table_id) AS column_default_expression
FROM T JOIN pg_catalog.pg_attribute C ON T.table_id = C.attrelid
LEFT JOIN pg_catalog.pg_attrdef D ON (C.attrelid, C.attnum) = (D.adrelid, D.adnum)
WHERE attnum > 0 ORDER BY table_id, attnum
-- next
SELECT T.oid AS view_id, pg_catalog.pg_get_viewdef(T.oid, true) AS source_text
FROM pg_catalog.pg_class T JOIN pg_catalog.pg_namespace N ON T.relnamespace = N.oid
WHERE N.nspname = 'public' AND T.relkind IN ('m', 'v')
-- next
WITH system_languages AS (SELECT oid AS lang FROM pg_catalog.pg_language
                          WHERE lanname IN ('c', 'internal'))
SELECT PC.oid AS id, PC.pronargs AS in_args, pg_catalog.pg_get_function_sqlbody(PC.oid) AS body, PC.prosrc
FROM pg_catalog.pg_proc PC
WHERE PC.pronamespace = 'public'::regnamespace AND NOT PC.prolang IN (SELECT lang FROM system_languages)
-- next
SELECT 1; COMMIT
