SET ROLE odd_owner;
CREATE SCHEMA types;
CREATE DOMAIN types.positive AS int DEFAULT 1 CONSTRAINT "must be >0" CHECK (VALUE > 0);
CREATE DOMAIN types.nested AS types.positive NOT NULL CHECK (VALUE < 1000);
CREATE DOMAIN types.unchecked AS text;
ALTER DOMAIN types.unchecked ADD CONSTRAINT later CHECK (VALUE <> 'bad') NOT VALID;
CREATE DOMAIN types.many AS int[] CHECK (array_length(VALUE, 1) < 9);
CREATE TYPE types."Mood's" AS ENUM ('sad', 'it''s ok', '', '😀', 'Sad');
ALTER TYPE types."Mood's" ADD VALUE 'first' BEFORE 'sad';
CREATE TYPE types.inner_pair AS (a int, b text COLLATE "C");
CREATE TYPE types.outer_pair AS (p types.inner_pair, m types."Mood's", d types.positive[]);
CREATE TYPE types.empty_row AS ();
CREATE FUNCTION types.distance(a float8, b float8) RETURNS float8 LANGUAGE sql IMMUTABLE AS 'SELECT a - b';
CREATE TYPE types.floats AS RANGE (SUBTYPE = float8, SUBTYPE_DIFF = types.distance);
CREATE TYPE types.words AS RANGE (SUBTYPE = text, COLLATION = "C");
CREATE COLLATION types.plain FROM "C";
CREATE DOMAIN types.pair_domain AS types.inner_pair CHECK ((VALUE).a > 0);
CREATE TABLE types.uses (
  id int PRIMARY KEY, d types.positive, n types.nested DEFAULT 5, m types."Mood's" DEFAULT 'it''s ok', p types.outer_pair,
  f types.floats, w types.words, ps types.inner_pair[], dp types.pair_domain, ds types.positive[], t text COLLATE types.plain,
  arr int[][], ch "char", nm name, b bit(3), vb bit varying(7), tz timestamptz(3), iv interval day to second(2),
  num numeric(5, 2), g point, x xml, j json, jb jsonb, ts tsvector, tq tsquery, mc macaddr8, c cidr, i inet, mo money, lsn pg_lsn,
  rc regclass, e types.empty_row);
INSERT INTO types.uses (id, d, n, m, p, f, w, ps, dp, ds, t, arr, ch, nm, b, vb, tz, iv, num, g, x, j, jb, ts, tq, mc, c, i, mo, lsn, rc, e)
VALUES (1, 7, 8, '😀', ROW(ROW(1, E'a"b\\'), 'sad', '{1,2}'), '[1.5,2.5)', '("a, b",c]', ARRAY[ROW(1, 'x')::types.inner_pair, NULL],
  ROW(3, NULL), '{5}', 'ä', '{{1,2},{3,NULL}}', 'c', 'name', B'101', B'1', '2026-03-29 01:30:00.123+02', '1 day 02:03:04.56', 123.456,
  '(1e-300,NaN)', '<a>&amp;</a>', '{"a" : 1, "a":2}', '{"a": 1e400}', 'a:1 b:2', 'a & !b', '08:00:2b:01:02:03:04:05', '10.0.0.0/8', '::1',
  '12.34', '16/B374D848', 'types.uses', ROW()),
 (2, NULL, 999, '', NULL, 'empty', '(,)', '{}', NULL, NULL, E'\\N', '{}', '', '', B'000', B'', '-infinity', '-00:00:00.01', 'NaN', NULL, NULL, 'null', 'null', '', '', NULL, NULL, NULL,
  '-92233720368547758.08', '0/0', NULL, NULL);
CREATE TABLE types.of_composite OF types.inner_pair (PRIMARY KEY (a));
INSERT INTO types.of_composite VALUES (1, 'a');
CREATE CAST (types.inner_pair AS text) WITH INOUT AS ASSIGNMENT;
CREATE FUNCTION types.eq(types.inner_pair, types.inner_pair) RETURNS boolean LANGUAGE sql IMMUTABLE AS 'SELECT ($1).a = ($2).a';
CREATE OPERATOR types.=== (FUNCTION = types.eq, LEFTARG = types.inner_pair, RIGHTARG = types.inner_pair, COMMUTATOR = OPERATOR(types.===));
CREATE AGGREGATE types.total(int) (SFUNC = int4pl, STYPE = int, INITCOND = '0');
CREATE TEXT SEARCH DICTIONARY types.dict (TEMPLATE = simple, STOPWORDS = english, ACCEPT = false);
CREATE TEXT SEARCH CONFIGURATION types.conf (COPY = simple);
ALTER TEXT SEARCH CONFIGURATION types.conf ALTER MAPPING FOR asciiword WITH types.dict, simple;
RESET ROLE;
