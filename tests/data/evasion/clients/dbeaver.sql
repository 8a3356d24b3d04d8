-- What a tree of database objects like DBeaver's asks, in its shape: whole catalog rows with their
-- comments, by schema, and the text of every object when it is opened.
-- next
SET SESSION CHARACTERISTICS AS TRANSACTION ISOLATION LEVEL READ COMMITTED
-- next
SET search_path = public,public,"$user"
-- next
SELECT current_schema(), session_user
-- next
SHOW search_path
-- next
SELECT version()
-- next
SELECT db.oid, db.* FROM pg_catalog.pg_database db WHERE datallowconn ORDER BY db.datname
-- next
SELECT n.oid, n.*, d.description
FROM pg_catalog.pg_namespace n
LEFT OUTER JOIN pg_catalog.pg_description d ON d.objoid = n.oid AND d.objsubid = 0
  AND d.classoid = 'pg_namespace'::regclass
ORDER BY nspname
-- next
SELECT t.oid, t.*, c.relkind, format_type(nullif(t.typbasetype, 0), t.typtypmod) AS base_type_name,
  d.description
FROM pg_catalog.pg_type t
LEFT OUTER JOIN pg_catalog.pg_class c ON c.oid = t.typrelid
LEFT OUTER JOIN pg_catalog.pg_description d ON t.oid = d.objoid
WHERE t.typname IS NOT NULL AND (c.relkind IS NULL OR c.relkind = 'c') ORDER BY t.oid
-- next
SELECT c.oid, c.*, d.description, pg_catalog.pg_get_expr(c.relpartbound, c.oid) AS partition_expr,
  pg_catalog.pg_get_partkeydef(c.oid) AS partition_key
FROM pg_catalog.pg_class c
LEFT OUTER JOIN pg_catalog.pg_description d ON d.objoid = c.oid AND d.objsubid = 0
  AND d.classoid = 'pg_class'::regclass
WHERE c.relnamespace = 'pii'::regnamespace AND c.relkind NOT IN ('i', 'I', 'c')
-- next
SELECT c.relname, a.*, pg_catalog.pg_get_expr(ad.adbin, ad.adrelid, true) AS def_value,
  dsc.description, dep.objid
FROM pg_catalog.pg_attribute a
INNER JOIN pg_catalog.pg_class c ON (a.attrelid = c.oid)
LEFT OUTER JOIN pg_catalog.pg_attrdef ad ON (a.attrelid = ad.adrelid AND a.attnum = ad.adnum)
LEFT OUTER JOIN pg_catalog.pg_description dsc ON (c.oid = dsc.objoid AND a.attnum = dsc.objsubid)
LEFT OUTER JOIN pg_depend dep ON dep.refobjid = a.attrelid AND dep.deptype = 'i'
  AND dep.refobjsubid = a.attnum AND dep.classid = dep.refclassid
WHERE NOT a.attisdropped AND c.relkind NOT IN ('i', 'I', 'c') AND c.oid = {{oid:pii.customers}}
ORDER BY a.attnum
-- next
SELECT c.oid, c.*, t.relname AS tabrelname, rt.relnamespace AS refnamespace, d.description,
  null AS consrc_copy
FROM pg_catalog.pg_constraint c
INNER JOIN pg_catalog.pg_class t ON t.oid = c.conrelid
LEFT OUTER JOIN pg_catalog.pg_class rt ON rt.oid = c.confrelid
LEFT OUTER JOIN pg_catalog.pg_description d ON d.objoid = c.oid AND d.objsubid = 0
  AND d.classoid = 'pg_constraint'::regclass
WHERE c.conrelid = {{oid:pii.customers}} ORDER BY c.oid
-- next
SELECT i.*, i.indkey AS keys, c.relname, c.relnamespace, c.relam, c.reltablespace,
  tc.relname AS tabrelname, dsc.description, pg_catalog.pg_get_expr(i.indpred, i.indrelid) AS pred_expr,
  pg_catalog.pg_get_expr(i.indexprs, i.indrelid, true) AS expr,
  pg_catalog.pg_relation_size(i.indexrelid) AS index_rel_size,
  pg_catalog.pg_stat_get_numscans(i.indexrelid) AS index_num_scans
FROM pg_catalog.pg_index i
INNER JOIN pg_catalog.pg_class c ON c.oid = i.indexrelid
INNER JOIN pg_catalog.pg_class tc ON tc.oid = i.indrelid
LEFT OUTER JOIN pg_catalog.pg_description dsc ON i.indexrelid = dsc.objoid
WHERE i.indrelid = {{oid:public.orders}} ORDER BY tabrelname, c.relname
-- next
SELECT x.oid, x.*, p.pronamespace AS func_schema_id, d.description
FROM pg_catalog.pg_trigger x
LEFT OUTER JOIN pg_catalog.pg_proc p ON p.oid = x.tgfoid
LEFT OUTER JOIN pg_catalog.pg_description d ON d.objoid = x.oid AND d.objsubid = 0
WHERE x.tgrelid = {{oid:public.orders}} AND NOT x.tgisinternal
-- next
SELECT DISTINCT dep.deptype, dep.classid, dep.objid, cl.relkind, attr.attname,
  pg_get_expr(ad.adbin, ad.adrelid) adefval,
  CASE WHEN cl.relkind IS NOT NULL THEN cl.relkind::text || COALESCE(dep.objsubid::text, '')
       WHEN tg.oid IS NOT NULL THEN 'T'::text WHEN ty.oid IS NOT NULL THEN 'y'::text
       WHEN ns.oid IS NOT NULL THEN 'n'::text WHEN pr.oid IS NOT NULL THEN 'p'::text
       WHEN rw.oid IS NOT NULL THEN 'R'::text ELSE '' END AS type,
  COALESCE(coc.relname, clrw.relname) AS ownertable,
  COALESCE(cl.relname, tg.tgname, ty.typname, pr.proname, ns.nspname, rw.rulename) AS refname
FROM pg_depend dep
LEFT JOIN pg_class cl ON dep.objid = cl.oid
LEFT JOIN pg_attribute attr ON dep.objid = attr.attrelid AND dep.objsubid = attr.attnum
LEFT JOIN pg_namespace ns ON dep.objid = ns.oid
LEFT JOIN pg_proc pr ON dep.objid = pr.oid
LEFT JOIN pg_trigger tg ON dep.objid = tg.oid
LEFT JOIN pg_type ty ON dep.objid = ty.oid
LEFT JOIN pg_rewrite rw ON dep.objid = rw.oid
LEFT JOIN pg_class coc ON tg.tgrelid = coc.oid
LEFT JOIN pg_class clrw ON clrw.oid = rw.ev_class
LEFT JOIN pg_attrdef ad ON ad.adrelid = attr.attrelid AND ad.adnum = attr.attnum
WHERE dep.refobjid = {{oid:pii.customers}} ORDER BY type
-- next
SELECT pg_catalog.pg_get_viewdef({{oid:public.v_customers}}, true)
-- next
SELECT pg_get_functiondef('public.price_of(int)'::regprocedure)
-- next
SELECT pg_catalog.pg_get_constraintdef(oid) FROM pg_catalog.pg_constraint
WHERE conrelid = 'public.orders'::regclass
-- next
SELECT c.oid, c.relname, pg_total_relation_size(c.oid) AS total_rel_size,
  pg_relation_size(c.oid) AS rel_size
FROM pg_class c WHERE c.relnamespace = 'public'::regnamespace
-- next
SELECT i.inhrelid, i.inhseqno, c.relname, c.relnamespace
FROM pg_catalog.pg_inherits i, pg_catalog.pg_class c
WHERE i.inhparent = {{oid:finance.payroll}} AND c.oid = i.inhrelid
-- next
SELECT a.oid, a.*, pd.description, pg_catalog.pg_get_userbyid(a.roleid) AS rolname
FROM pg_catalog.pg_auth_members m
CROSS JOIN LATERAL (SELECT r.oid, r.oid AS roleid, r.rolname AS name FROM pg_catalog.pg_roles r
                    WHERE r.oid = m.member) a
LEFT JOIN pg_catalog.pg_shdescription pd ON pd.objoid = a.oid
-- next
SELECT * FROM pg_catalog.pg_settings
-- next
SELECT * FROM pg_catalog.pg_enum ORDER BY enumsortorder
-- next
SELECT pid, usename, application_name, state FROM pg_catalog.pg_stat_activity
-- next
SELECT x.* FROM public.products x
-- next
EXPLAIN (FORMAT JSON) SELECT x.* FROM public.products x WHERE price > 10
-- next
SELECT count(*) FROM public.products
