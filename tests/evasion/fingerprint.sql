-- What the catalog says of the protected tables, their schemas and types: a line for each fact.
-- Two of these differ if and only if something about them was changed. The names in colons are
-- arrays of oids.
WITH p(o) AS (SELECT unnest(:'oids'::oid[])), n(o) AS (SELECT unnest(:'namespaces'::oid[])), ty(o)
  AS (SELECT unnest(:'types'::oid[]))
SELECT 'class '||c.oid||' '||relname||' ns='||relnamespace||' own='||relowner||'
  acl='||coalesce(relacl::text,'')||' kind='||relkind::text||relpersistence::text||'
  rls='||relrowsecurity||relforcerowsecurity||' part='||relispartition||'
  rep='||relreplident::text||coalesce(reloptions::text,'')||' ts='||reltablespace FROM pg_class c
  WHERE c.oid IN (SELECT o FROM p)
UNION ALL SELECT 'att '||attrelid||' '||attnum||attname||'
  '||atttypid||attisdropped||attnotnull||atthasdef||attgenerated::text||attidentity::text||coalesce(attacl::text,'')||attstattarget||coalesce(attoptions::text,'')||attislocal||attinhcount||attstorage::text||attcompression::text
  FROM pg_attribute WHERE attrelid IN (SELECT o FROM p) AND attnum>0
UNION ALL SELECT 'def '||adrelid||' '||adnum||pg_get_expr(adbin,adrelid) FROM pg_attrdef WHERE
  adrelid IN (SELECT o FROM p)
UNION ALL SELECT 'con '||conrelid||'
  '||confrelid||conname||contype::text||convalidated||pg_get_constraintdef(oid) FROM pg_constraint
  WHERE conrelid IN (SELECT o FROM p) OR confrelid IN (SELECT o FROM p) OR contypid IN (SELECT o
  FROM ty)
UNION ALL SELECT 'trg '||tgrelid||' '||tgname||tgenabled::text||pg_get_triggerdef(oid) FROM
  pg_trigger WHERE (tgrelid IN (SELECT o FROM p) OR tgconstrrelid IN (SELECT o FROM p)) AND NOT
  tgisinternal
UNION ALL SELECT 'pol '||polrelid||' '||polname||coalesce(pg_get_expr(polqual,polrelid),'') FROM
  pg_policy WHERE polrelid IN (SELECT o FROM p)
UNION ALL SELECT 'rul '||ev_class||' '||rulename||ev_enabled::text FROM pg_rewrite WHERE ev_class
  IN (SELECT o FROM p)
UNION ALL SELECT 'idx '||indrelid||'
  '||indexrelid||indisunique||indisclustered||indisreplident||indisvalid||(SELECT relname FROM
  pg_class WHERE oid=indexrelid) FROM pg_index WHERE indrelid IN (SELECT o FROM p)
UNION ALL SELECT 'inh '||inhrelid||' '||inhparent FROM pg_inherits WHERE inhrelid IN (SELECT o
  FROM p) OR inhparent IN (SELECT o FROM p)
UNION ALL SELECT 'ste '||stxrelid||' '||stxname FROM pg_statistic_ext WHERE stxrelid IN (SELECT o
  FROM p)
UNION ALL SELECT 'pub '||pubname||coalesce(prrelid::text,'')||puballtables FROM pg_publication
  LEFT JOIN pg_publication_rel r ON prpubid=pg_publication.oid WHERE puballtables OR prrelid IN
  (SELECT o FROM p)
UNION ALL SELECT 'pun '||pnpubid||' '||pnnspid FROM pg_publication_namespace WHERE pnnspid IN
  (SELECT o FROM n)
UNION ALL SELECT 'nsp '||oid||nspname||nspowner||coalesce(nspacl::text,'') FROM pg_namespace WHERE
  oid IN (SELECT o FROM n)
UNION ALL SELECT 'dep '||classid||' '||objid||' '||objsubid||' on '||refobjid||'
  '||refobjsubid||deptype::text FROM pg_depend WHERE refclassid='pg_class'::regclass AND refobjid
  IN (SELECT o FROM p)
UNION ALL SELECT 'dee '||classid||' '||objid||' ext '||refobjid||deptype::text FROM pg_depend
  WHERE classid='pg_class'::regclass AND objid IN (SELECT o FROM p)
UNION ALL SELECT 'des '||objoid||' '||objsubid||description FROM pg_description WHERE objoid IN
  (SELECT o FROM p)
UNION ALL SELECT 'enu '||enumtypid||' '||enumlabel||enumsortorder FROM pg_enum WHERE enumtypid IN
  (SELECT o FROM ty)
UNION ALL SELECT 'typ '||oid||' '||typname||typnotnull FROM pg_type WHERE oid IN (SELECT o FROM
  ty)
UNION ALL SELECT 'tya '||attrelid||' '||attname FROM pg_attribute a JOIN pg_type t ON
  t.typrelid=a.attrelid WHERE t.oid IN (SELECT o FROM ty) AND attnum>0
UNION ALL SELECT 'mem '||roleid::regrole||' '||member::regrole FROM pg_auth_members WHERE roleid
  IN (SELECT oid FROM pg_roles WHERE rolname IN ('owner','pg_read_all_data','pg_write_all_data'))
ORDER BY 1
