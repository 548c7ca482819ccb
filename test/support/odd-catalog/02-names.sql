SET ROLE odd_owner;
CREATE SCHEMA "Sch.ema ""q"" '1'; --";
CREATE SCHEMA "äöü🚗";
CREATE SCHEMA a63456789_123456789_123456789_123456789_123456789_123456789_123;
CREATE TABLE "Sch.ema ""q"" '1'; --"."Ta.ble "" $$ ' \ {}" (
  "Id" int PRIMARY KEY, "a.b" text NOT NULL DEFAULT 'x', "with ""quote""" text, "sp ace" int, "select" int, "UPPER" int,
  "lower" int, "🚗 emoji" text, "tab	in" int, "back\slash" text, "per%cent" int, "new
line" text);
INSERT INTO "Sch.ema ""q"" '1'; --"."Ta.ble "" $$ ' \ {}"
  SELECT i, 'a.b ' || i, 'q"' || i, i, i, i, i, '🚗' || i, i, E'\\' || i, i, E'l1\nl2\t\r' || i FROM generate_series(1, 50) i;
CREATE INDEX "In.dex ""q"" 😀" ON "Sch.ema ""q"" '1'; --"."Ta.ble "" $$ ' \ {}" ("🚗 emoji", ("a.b" || "back\slash"));
COMMENT ON TABLE "Sch.ema ""q"" '1'; --"."Ta.ble "" $$ ' \ {}" IS 'it''s "a" comment; -- \ with
two lines 😀';
COMMENT ON COLUMN "Sch.ema ""q"" '1'; --"."Ta.ble "" $$ ' \ {}"."a.b" IS '';
CREATE TABLE "äöü🚗"."таблица" ("столбец" text PRIMARY KEY, "列" text);
INSERT INTO "äöü🚗"."таблица" VALUES ('ключ', '値'), ('', NULL), (E'\\N', E'\\.');
CREATE TABLE "äöü🚗"."Parts" (a int);
CREATE TABLE "äöü🚗"."parts" (a int);
CREATE TABLE "äöü🚗"."PARTS" (a int);
INSERT INTO "äöü🚗"."Parts" VALUES (1);
INSERT INTO "äöü🚗"."parts" VALUES (2), (3);
CREATE TABLE a63456789_123456789_123456789_123456789_123456789_123456789_123.b63456789_123456789_123456789_123456789_123456789_123456789_123 (
  c63456789_123456789_123456789_123456789_123456789_123456789_123 serial PRIMARY KEY,
  d63456789_123456789_123456789_123456789_123456789_123456789_123 int UNIQUE CHECK (d63456789_123456789_123456789_123456789_123456789_123456789_123 > 0));
INSERT INTO a63456789_123456789_123456789_123456789_123456789_123456789_123.b63456789_123456789_123456789_123456789_123456789_123456789_123 (d63456789_123456789_123456789_123456789_123456789_123456789_123)
  SELECT generate_series(1, 20);
-- 63 bytes of four-byte characters and one of three.
CREATE TABLE "🚗🚗🚗🚗🚗🚗🚗🚗🚗🚗🚗🚗🚗🚗🚗車" ("🚗🚗🚗🚗🚗🚗🚗🚗🚗🚗🚗🚗🚗🚗🚗車" text);
INSERT INTO "🚗🚗🚗🚗🚗🚗🚗🚗🚗🚗🚗🚗🚗🚗🚗車" VALUES ('one');
-- Names that a file system or a shell would take for something else.
CREATE TABLE ".." (a int);
CREATE TABLE "a/b" (a int);
CREATE TABLE "$(id)" (a int);
CREATE TABLE "CON" (a int);
CREATE TABLE " lead and trail " (a int);
INSERT INTO ".." VALUES (1);
INSERT INTO "a/b" VALUES (2);
INSERT INTO "$(id)" VALUES (3);
RESET ROLE;
