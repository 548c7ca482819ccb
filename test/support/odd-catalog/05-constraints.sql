SET ROLE odd_owner;
CREATE SCHEMA rules;
CREATE TABLE rules.booking (room int, during tstzrange, cancelled boolean DEFAULT false,
  CONSTRAINT "no overlap" EXCLUDE USING gist (room WITH =, during WITH &&) WHERE (NOT cancelled) DEFERRABLE INITIALLY DEFERRED);
INSERT INTO rules.booking VALUES (1, '[2026-01-01,2026-01-02)'), (1, '[2026-01-02,2026-01-03)');
INSERT INTO rules.booking VALUES (1, '[2026-01-01,2026-01-09)', true);
-- Each refers to the other; neither can be filled first.
CREATE TABLE rules.hen (id int PRIMARY KEY, egg int NOT NULL);
CREATE TABLE rules.egg (id int PRIMARY KEY, hen int NOT NULL REFERENCES rules.hen DEFERRABLE INITIALLY DEFERRED);
ALTER TABLE rules.hen ADD FOREIGN KEY (egg) REFERENCES rules.egg DEFERRABLE INITIALLY IMMEDIATE;
BEGIN;
SET CONSTRAINTS ALL DEFERRED;
INSERT INTO rules.hen VALUES (1, 1), (2, 2);
INSERT INTO rules.egg VALUES (1, 2), (2, 1);
COMMIT;
CREATE TABLE rules.node (id int PRIMARY KEY, parent int REFERENCES rules.node ON DELETE SET NULL ON UPDATE CASCADE);
INSERT INTO rules.node VALUES (1, NULL), (2, 1), (3, 3);
-- Rows that break what was never validated.
CREATE TABLE rules.loose (id int, ref int, v int);
INSERT INTO rules.loose VALUES (-1, 99, -5), (2, 1, 5);
ALTER TABLE rules.loose ADD CONSTRAINT positive CHECK (v > 0) NOT VALID;
ALTER TABLE rules.loose ADD CONSTRAINT to_hen FOREIGN KEY (ref) REFERENCES rules.hen MATCH FULL NOT VALID;
ALTER TABLE rules.loose ADD CONSTRAINT positive_id CHECK (id <> 0) NO INHERIT;
CREATE TABLE rules.keys (a int UNIQUE DEFERRABLE INITIALLY DEFERRED, b int, c text, UNIQUE (b, c) INCLUDE (a));
ALTER TABLE rules.keys REPLICA IDENTITY FULL;
CREATE UNIQUE INDEX keys_partial ON rules.keys (lower(c) text_pattern_ops DESC NULLS LAST) WHERE b > 0;
CREATE INDEX keys_brin ON rules.keys USING brin (a) WITH (pages_per_range = 4);
CREATE INDEX keys_statistics ON rules.keys ((a + b));
ALTER INDEX rules.keys_statistics ALTER COLUMN 1 SET STATISTICS 77;
ALTER TABLE rules.keys CLUSTER ON keys_statistics;
CREATE STATISTICS rules.stats (ndistinct, mcv) ON a, b FROM rules.keys;
ALTER STATISTICS rules.stats SET STATISTICS 33;
INSERT INTO rules.keys SELECT i, i, 'C' || i FROM generate_series(1, 20) i;
CREATE TABLE rules.identity_by_index (a int NOT NULL, b int);
CREATE UNIQUE INDEX identity_index ON rules.identity_by_index (a);
ALTER TABLE rules.identity_by_index REPLICA IDENTITY USING INDEX identity_index;
RESET ROLE;
