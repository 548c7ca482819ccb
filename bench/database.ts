/**
 * A database as an application has it: keys, text, JSON, timestamps, indexes, constraints. About a GB at scale 1. Rows lie
 * in the order in which they were born, as they do where nothing rewrites them.
 */
export function databaseSql(scale: number): string {
  const shops = Math.round(5000 * scale);
  const profiles = Math.round(120_000 * scale);
  const requests = Math.round(450_000 * scale);
  const offers = Math.round(1_300_000 * scale);
  const messages = Math.round(2_200_000 * scale);
  const audits = Math.round(900_000 * scale);
  return `
SET client_min_messages = warning;
SET ROLE app_owner;
SELECT setseed(0.42);
CREATE TYPE state AS ENUM ('open', 'quoted', 'accepted', 'shipped', 'closed');
CREATE TABLE words AS SELECT ARRAY['brake','caliper','front','rear','left','Toyota','Hilux','Ranger','engine','gearbox',
  'alternator','bumper','mirror','radiator','clutch','used','good','original','contact','seller','Durban','Pretoria',
  'warranty','thirty','days','urgent','quote','available','today','please','collect','price'] AS w;
CREATE FUNCTION say(n int) RETURNS text LANGUAGE sql VOLATILE AS $$
  SELECT string_agg(w[1 + floor(random() * 32)::int], ' ') FROM words, generate_series(1, n) $$;
CREATE TABLE sentences AS SELECT i, say(4 + i % 14) AS s FROM generate_series(0, 19999) i;
CREATE TABLE shops (id bigint PRIMARY KEY, name text NOT NULL, city text, rating numeric(3,2), created_at timestamptz);
CREATE TABLE profiles (id uuid PRIMARY KEY, email text NOT NULL, phone text, settings jsonb, created_at timestamptz);
CREATE TABLE requests (id bigint PRIMARY KEY, profile uuid NOT NULL, title text, body text, state state, created_at timestamptz);
CREATE TABLE offers (id bigint PRIMARY KEY, request bigint NOT NULL, shop bigint NOT NULL, price numeric(10,2) CHECK (price >= 0),
  note text, token uuid, created_at timestamptz);
CREATE TABLE messages (id bigint PRIMARY KEY, offer bigint NOT NULL, sender uuid, body text NOT NULL, read_at timestamptz,
  created_at timestamptz NOT NULL);
CREATE TABLE audit_log (id bigint PRIMARY KEY, actor uuid, action text, detail jsonb, at timestamptz);
INSERT INTO shops SELECT i, initcap(s), (ARRAY['Durban','Cape Town','Pretoria'])[1 + i % 3], 1 + random() * 4, now() - i * interval '1 hour'
  FROM generate_series(1, ${shops}) i JOIN sentences USING (i);
INSERT INTO profiles SELECT gen_random_uuid(), 'user' || i || '@example.com', '+27' || floor(random() * 1e9)::bigint,
  jsonb_build_object('theme', 'dark', 'radius', i % 100, 'news', i % 2 = 0), now() - i * interval '1 minute'
  FROM generate_series(1, ${profiles}) i;
CREATE TEMP TABLE people AS SELECT row_number() OVER () - 1 AS n, id FROM profiles;
CREATE UNIQUE INDEX ON people (n);
INSERT INTO requests SELECT g, p.id, left(s, 40), s, (enum_range(NULL::state))[1 + g % 5], timestamptz '2026-01-01' + g * interval '20 s'
  FROM generate_series(1, ${requests}) g JOIN sentences ON i = (g * 7919::bigint) % 20000 JOIN people p ON n = (g * 31) % ${profiles} ORDER BY g;
INSERT INTO offers SELECT g, 1 + (g * 17) % ${requests}, 1 + (g * 13) % ${shops}, (random() * 9000)::numeric(10,2),
  s, gen_random_uuid(), timestamptz '2026-01-01' + g * interval '7 s'
  FROM generate_series(1, ${offers}) g JOIN sentences ON i = (g * 104729::bigint) % 20000 ORDER BY g;
INSERT INTO messages SELECT g, 1 + (g * 23) % ${offers}, p.id, s || ' ' || md5(random()::text),
  CASE WHEN g % 3 > 0 THEN timestamptz '2026-01-01' + g * interval '4 s' END, timestamptz '2026-01-01' + g * interval '4 s'
  FROM generate_series(1, ${messages}) g JOIN sentences ON i = (g * 15485863::bigint) % 20000 JOIN people p ON n = (g * 37) % ${profiles} ORDER BY g;
INSERT INTO audit_log SELECT g, p.id, 'offer.' || (enum_range(NULL::state))[1 + g % 5],
  jsonb_build_object('ip', '10.' || g % 256 || '.' || g % 199 || '.7', 'request', md5(g::text), 'agent', left(s, 60)),
  timestamptz '2026-01-01' + g * interval '9 s'
  FROM generate_series(1, ${audits}) g JOIN sentences ON i = (g * 7919::bigint) % 20000 JOIN people p ON n = (g * 41) % ${profiles} ORDER BY g;
DROP TABLE sentences;
DROP FUNCTION say(int);
DROP TABLE words;
CREATE INDEX ON requests (profile);
CREATE INDEX ON requests (created_at) WHERE state = 'open';
CREATE INDEX ON offers (request);
CREATE INDEX ON offers (shop, price);
CREATE INDEX ON messages (offer, created_at);
CREATE INDEX ON audit_log (at);
CREATE UNIQUE INDEX ON profiles (lower(email));
ALTER TABLE requests ADD FOREIGN KEY (profile) REFERENCES profiles;
ALTER TABLE offers ADD FOREIGN KEY (request) REFERENCES requests;
ALTER TABLE offers ADD FOREIGN KEY (shop) REFERENCES shops;
ALTER TABLE messages ADD FOREIGN KEY (offer) REFERENCES offers;
VACUUM ANALYZE;
`;
}

export const TABLES = ["shops", "profiles", "requests", "offers", "messages", "audit_log"] as const;

/** A day later: the newest one in a hundred rows of each large table. */
export const CHANGE_NEWEST = ["requests", "offers", "messages", "audit_log"]
  .map((table) => changed(table, `id > (SELECT max(id) * 0.99 FROM ${table})`))
  .join("\n");

/** One row in a hundred, anywhere. */
export const CHANGE_SCATTERED = ["requests", "offers", "messages", "audit_log"]
  .map((table) => changed(table, "hashint8(id) % 100 = 0"))
  .join("\n");

function changed(table: string, where: string): string {
  const column = table === "audit_log" ? "at" : "created_at";
  return `UPDATE ${table} SET ${column} = ${column} + interval '1 s' WHERE ${where};`;
}
