/** A table of every built-in type that has a text form worth breaking, and rows that try. */
export const HOSTILE_TABLE = String.raw`
CREATE TYPE mood AS ENUM ('sad, "so"', 'ok
two', 'null');
CREATE TYPE pair AS (a int, b text);
CREATE DOMAIN label AS text;
CREATE SCHEMA "Sales.One";
CREATE TABLE "Sales.One"."Odd ""t"", x" (
  id bigint GENERATED ALWAYS AS IDENTITY,
  sign int GENERATED ALWAYS AS (sign(n8)::int) STORED,
  n2 smallint, n4 int, n8 bigint, num numeric, num2 numeric(12,3), r real, d double precision, cash money,
  flag boolean, c char(5), "Char" "char", vc varchar(40), txt text, nm name, bin bytea,
  dt date, tm time, tmz timetz, ts timestamp, tsz timestamptz, iv interval,
  u uuid, j json, jb jsonb, x xml, arr int[], tarr text[][], m mood, p pair, dom label,
  ip inet, net cidr, mac macaddr, mac8 macaddr8, b bit(5), vb bit varying,
  pt point, ln line, sg lseg, bx box, pth path, pg polygon, ci circle,
  tsv tsvector, tsq tsquery, rng int4range, mrng datemultirange, o oid, lsn pg_lsn, snap txid_snapshot, jp jsonpath,
  rc regclass, "a,""b" text, "\." text
);
INSERT INTO "Sales.One"."Odd ""t"", x"
  (n2,n4,n8,num,num2,r,d,cash,flag,c,"Char",vc,txt,nm,bin,dt,tm,tmz,ts,tsz,iv,u,j,jb,x,arr,tarr,m,p,dom,
   ip,net,mac,mac8,b,vb,pt,ln,sg,bx,pth,pg,ci,tsv,tsq,rng,mrng,o,lsn,snap,jp,rc,"a,""b","\.")
VALUES
 (1,-2147483648,9223372036854775807,'123456789012345678901234567890.00000000000000000001',1.5,
  '3.4028235e38','-0','$1,234.56',true,'a','"','x,y',E'tab\there',E'n"m',E'\\x00ff0a5c','2024-02-29','24:00','12:00+05:30',
  '4713-01-01 00:00:00 BC','infinity','1 year -2 mons +3 days 04:05:06.789','a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11',
  E'{"a":\n  1, "a": "\\u0001", "n": 12345678901234567890.10}','{"z": null, "e": "\n\"\\"}','<a b="c">&amp;
</a>','{1,NULL,3}',E'{{"a,\\"b","NULL"},{"","\\\\"}}','ok
two','(1,"q""uo,te")','','::1/64','10.0.0.0/8','08:00:2b:01:02:03','08:00:2b:01:02:03:04:05','10101','1',
  '(1.5,-0)','{1,2,3}','[(0,0),(1,1)]','(1,1),(0,0)','((0,0),(1,1))','((0,0),(1,1),(2,0))','<(0,0),1>',
  $$'a''b':1A c$$,$$'a' & !'b c'$$,'[1,10)','{[2024-01-01,2024-02-01)}',4294967295,'16/B374D848','10:20:10,14,15','$.a[*] ? (@ > 1)',
  'pg_class','=cmd|''/c calc''!A1',E'\\.'),
 (NULL,0,9007199254740993,'NaN','-0.000','NaN','Infinity','-$0.01',false,'',' ','','','','',
  '-infinity','00:00:00.000001','00:00-15:59','-infinity','0001-12-31 23:59:59.999999+00 BC','-00:00:01',NULL,'null','null',NULL,
  '{}','{}','null','(,)','\N',NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,'','',
  'empty','{}',0,'0/0','1:1:','$','-','\N','\N'),
 (0,1,-1,'Infinity',NULL,'-Infinity','5e-324','$0.00',NULL,'é',E'\n',E'\\.',E'\r\n\\.\r\n\n\\.\n','x',
  decode(repeat('5c6e', 3000),'hex'),'5874897-12-31','23:59:59.999999','00:00:00+00','294276-12-31 23:59:59.999999','2024-06-01 12:00:00+02','0',
  NULL,'[1,[2,{"k":[]}],"]"]','"\ud83d\ude00"',NULL,NULL,NULL,NULL,NULL,E'"',NULL,NULL,NULL,NULL,NULL,'',
  NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,'(,)',NULL,NULL,NULL,NULL,NULL,NULL,E'😀 \u2028\u0001\u007f \\N \\\\ \\',E'\t\n\r\b\f\v'),
 (NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,
  NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "Sales.One"."Odd ""t"", x" (txt, jb, bin)
  SELECT repeat(E'"\n,\\ é', 150000), to_jsonb(repeat(E'"\n', 200000)), decode(repeat('00', 600000), 'hex');
CREATE TABLE big AS SELECT i, 'row ' || i AS t, CASE WHEN i % 3 = 0 THEN NULL ELSE md5(i::text) END AS h FROM generate_series(1, 200000) i;
CREATE TABLE none (a int, b text);
CREATE TABLE no_columns ();
INSERT INTO no_columns DEFAULT VALUES;
INSERT INTO no_columns DEFAULT VALUES;
CREATE TABLE lonely (v text);
INSERT INTO lonely VALUES (NULL), (''), ('\.'), (E'a\n\\.\nb'), ('\N'), (E'\n');
CREATE TABLE attack (v text);
INSERT INTO attack VALUES ('ROLLBACK; CREATE TABLE public.pwned(); --'), ('\! touch pwned'), ('COMMIT; CREATE TABLE public.pwned2();');
`;

export const HOSTILE_NAME = '"Sales.One"."Odd ""t"", x"';
