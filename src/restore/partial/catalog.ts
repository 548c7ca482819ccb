/**
 * What is read of the target's catalog about one table, by its oid (`$1`). Each gives one JSON `item` a row. The session's
 * search path is `pg_catalog, pg_temp`, so expressions come out with every other name qualified.
 */

export const TABLE = `
SELECT c.oid::text AS oid, pg_has_role(c.relowner, 'USAGE') AS owned, row_security_active(c.oid) AS "rowsHidden",
       json_build_object('select', has_table_privilege(c.oid, 'SELECT'), 'insert', has_table_privilege(c.oid, 'INSERT'),
         'update', has_table_privilege(c.oid, 'UPDATE'), 'delete', has_table_privilege(c.oid, 'DELETE')) AS rights,
       coalesce((SELECT json_agg(p.pubname ORDER BY p.pubname) FROM pg_publication_tables AS p
                  WHERE p.schemaname = n.nspname AND p.tablename = c.relname), '[]') AS publications,
       coalesce((SELECT json_agg(x.conname ORDER BY x.conname) FROM pg_constraint AS x
                  WHERE x.conrelid = c.oid AND x.contype = 'x' AND x.condeferrable), '[]') AS unchecked
  FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
 WHERE c.oid = to_regclass($1) AND c.relkind = 'r'`;

export const COLUMNS = `
SELECT json_build_object('name', a.attname, 'type', format_type(a.atttypid, a.atttypmod), 'notNull', a.attnotnull,
         'filled', a.atthasdef OR a.attidentity <> '', 'generated', a.attgenerated <> '',
         'identityAlways', a.attidentity = 'a') AS item
  FROM pg_attribute AS a
 WHERE a.attrelid = $1::oid AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum`;

/** The equality of the index's own operator class: a name alone may mean another one elsewhere. */
const INDEX_OPERATOR = `
(SELECT format('OPERATOR(%I.%s)', n.nspname, o.oprname)
   FROM pg_opclass AS k
   JOIN pg_amop AS m ON m.amopfamily = k.opcfamily AND m.amopstrategy = 3
        AND m.amoplefttype = k.opcintype AND m.amoprighttype = k.opcintype
   JOIN pg_operator AS o ON o.oid = m.amopopr JOIN pg_namespace AS n ON n.oid = o.oprnamespace
  WHERE k.oid = i.indclass[g.at - 1])`;

export const UNIQUES = `
SELECT json_build_object('name', c.relname, 'primary', i.indisprimary, 'immediate', i.indimmediate,
         'predicate', pg_get_expr(i.indpred, i.indrelid),
         'isKey', i.indpred IS NULL AND i.indexprs IS NULL AND NOT EXISTS (
            SELECT FROM generate_series(1, i.indnkeyatts) AS g(at) JOIN pg_attribute AS a
                ON a.attrelid = i.indrelid AND a.attnum = i.indkey[g.at - 1] WHERE NOT a.attnotnull),
         'parts', (SELECT json_agg(json_build_object(
              'expression', pg_get_indexdef(i.indexrelid, g.at, false), 'column', a.attname,
              'operator', ${INDEX_OPERATOR}) ORDER BY g.at)
            FROM generate_series(1, i.indnkeyatts) AS g(at) LEFT JOIN pg_attribute AS a
              ON a.attrelid = i.indrelid AND a.attnum = i.indkey[g.at - 1] AND a.attnum > 0),
         'columns', (SELECT json_agg(a.attname) FROM pg_attribute AS a WHERE a.attrelid = i.indrelid AND a.attnum > 0
            AND (a.attnum = ANY (i.indkey::int2[]) OR a.attnum IN (
              SELECT d.refobjsubid FROM pg_depend AS d WHERE d.classid = 'pg_class'::regclass AND d.objid = i.indexrelid
                 AND d.refclassid = 'pg_class'::regclass AND d.refobjid = i.indrelid)))) AS item
  FROM pg_index AS i JOIN pg_class AS c ON c.oid = i.indexrelid
 WHERE i.indrelid = $1::oid AND i.indisunique AND i.indisvalid AND i.indislive
 ORDER BY i.indisprimary DESC, c.relname`;

export const CHECKS = `
SELECT json_build_object('name', x.conname, 'expression', pg_get_expr(x.conbin, x.conrelid),
         'columns', coalesce((SELECT json_agg(a.attname) FROM pg_attribute AS a
                      WHERE a.attrelid = x.conrelid AND a.attnum = ANY (x.conkey)), '[]')) AS item
  FROM pg_constraint AS x WHERE x.conrelid = $1::oid AND x.contype = 'c' ORDER BY x.conname`;

/** Not those that enforce a constraint of the table itself. Rules rewrite what is written, so they count. */
export const TRIGGERS = `
SELECT json_build_object('kind', 'trigger', 'name', t.tgname, 'enabled', t.tgenabled) AS item
  FROM pg_trigger AS t WHERE t.tgrelid = $1::oid AND (NOT t.tgisinternal OR t.tgconstraint = 0)
UNION ALL
SELECT json_build_object('kind', 'rule', 'name', r.rulename, 'enabled', r.ev_enabled)
  FROM pg_rewrite AS r WHERE r.ev_class = $1::oid AND r.ev_type <> '1'`;

/** Of identity columns, serials, and whatever a default takes its numbers from. */
export const SEQUENCES = `
SELECT DISTINCT ON (n.nspname, c.relname, a.attname) json_build_object('schema', n.nspname, 'name', c.relname,
         'column', a.attname, 'ascending', q.seqincrement > 0,
         'usable', has_sequence_privilege(c.oid, 'SELECT') AND has_sequence_privilege(c.oid, 'UPDATE')) AS item
  FROM (SELECT d.objid AS seq, d.refobjid AS rel, d.refobjsubid AS num FROM pg_depend AS d
         WHERE d.classid = 'pg_class'::regclass AND d.refclassid = 'pg_class'::regclass AND d.deptype IN ('a', 'i')
        UNION ALL
        SELECT d.refobjid, f.adrelid, f.adnum FROM pg_depend AS d JOIN pg_attrdef AS f ON f.oid = d.objid
         WHERE d.classid = 'pg_attrdef'::regclass AND d.refclassid = 'pg_class'::regclass) AS used
  JOIN pg_sequence AS q ON q.seqrelid = used.seq JOIN pg_class AS c ON c.oid = used.seq
  JOIN pg_namespace AS n ON n.oid = c.relnamespace
  JOIN pg_attribute AS a ON a.attrelid = used.rel AND a.attnum = used.num
 WHERE used.rel = $1::oid AND a.atttypid IN ('int2'::regtype, 'int4'::regtype, 'int8'::regtype)`;

const COLUMNS_OF = (keys: string, relation: string): string =>
  `(SELECT json_agg(a.attname ORDER BY k.at) FROM unnest(${keys}) WITH ORDINALITY AS k(num, at)
     JOIN pg_attribute AS a ON a.attrelid = ${relation} AND a.attnum = k.num)`;

/** A constraint that a partitioned table hands down to what refers to its parts is no other one. */
const foreignKeys = (where: string): string => `
SELECT json_build_object('id', x.oid::text, 'name', x.conname, 'validated', x.convalidated,
         'matchFull', x.confmatchtype = 'f',
         'child', json_build_object('schema', cn.nspname, 'name', c.relname, 'partitioned', c.relkind = 'p'),
         'parent', json_build_object('schema', pn.nspname, 'name', p.relname, 'partitioned', p.relkind = 'p'),
         'columns', ${COLUMNS_OF("x.conkey", "x.conrelid")},
         'parentColumns', ${COLUMNS_OF("x.confkey", "x.confrelid")},
         'operators', (SELECT json_agg(format('OPERATOR(%I.%s)', n.nspname, o.oprname) ORDER BY k.at)
            FROM unnest(x.conpfeqop) WITH ORDINALITY AS k(op, at)
            JOIN pg_operator AS o ON o.oid = k.op JOIN pg_namespace AS n ON n.oid = o.oprnamespace)) AS item
  FROM pg_constraint AS x
  JOIN pg_class AS c ON c.oid = x.conrelid JOIN pg_namespace AS cn ON cn.oid = c.relnamespace
  JOIN pg_class AS p ON p.oid = x.confrelid JOIN pg_namespace AS pn ON pn.oid = p.relnamespace
  LEFT JOIN pg_constraint AS up ON up.oid = x.conparentid
 WHERE x.contype = 'f' AND ${where} ORDER BY cn.nspname, c.relname, x.conname`;

export const FOREIGN_KEYS = {
  from: foreignKeys("x.conrelid = $1::oid AND (up.oid IS NULL OR up.conrelid <> x.conrelid)"),
  to: foreignKeys(
    "x.conparentid = 0 AND (x.confrelid = $1::oid OR x.confrelid IN (SELECT relid FROM pg_partition_ancestors($1::oid::regclass)))",
  ),
};
