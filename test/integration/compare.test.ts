import { Client } from "pg";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { compareImages, readImage } from "../../demo/compare/compare.ts";
import type { DatabaseImage, Difference } from "../../demo/compare/compare.ts";
import { startMarketplace } from "../support/marketplace.ts";
import type { Marketplace } from "../support/marketplace.ts";

/** One change, and the whole of what the comparer must say about it. */
type Case = readonly [change: string, kind: string, object: string, aspect: string];

const ONE_DIFFERENCE: readonly Case[] = [
  [
    "ALTER DATABASE marketplace CONNECTION LIMIT 7",
    "database",
    "this database",
    "connection limit",
  ],
  ["ALTER DATABASE marketplace SET work_mem = '5MB'", "database", "this database", "settings"],
  ["REVOKE CONNECT ON DATABASE marketplace FROM PUBLIC", "database", "this database", "rights"],
  ["COMMENT ON DATABASE marketplace IS 'x'", "comment", "on this database", "text"],
  ["ALTER ROLE api_partner CREATEDB", "role", "api_partner", "create database"],
  ["ALTER ROLE anon BYPASSRLS", "role", "anon", "bypass row security"],
  ["ALTER ROLE anon SET work_mem = '5MB'", "role", "anon", "settings"],
  [
    "ALTER ROLE anon IN DATABASE marketplace SET work_mem = '5MB'",
    "role",
    "anon",
    "settings in this database",
  ],
  ["GRANT api_partner TO anon", "role", "anon", "member of"],
  ["REVOKE ADMIN OPTION FOR api_partner FROM postgres", "role", "postgres", "member of"],
  ["COMMENT ON ROLE api_partner IS 'x'", "comment", "on role api_partner", "text"],
  ["CREATE ROLE newcomer", "role", "newcomer", "exists"],
  ["CREATE SCHEMA more", "schema", "more", "exists"],
  ["ALTER SCHEMA storage OWNER TO postgres", "schema", "storage", "owner+rights"],
  ["REVOKE USAGE ON SCHEMA storage FROM anon", "schema", "storage", "rights"],
  [
    "ALTER DEFAULT PRIVILEGES FOR ROLE postgres IN SCHEMA public REVOKE ALL ON TABLES FROM anon",
    "default privileges",
    "of postgres in public for r",
    "rights",
  ],
  ["COMMENT ON EXTENSION pgcrypto IS NULL", "comment", "on extension pgcrypto", "exists"],
  ["ALTER EXTENSION pgcrypto SET SCHEMA public", "extension", "pgcrypto", "schema"],
  [
    "GRANT EXECUTE ON FUNCTION pg_catalog.pg_reload_conf() TO anon",
    "changed rights",
    "function pg_reload_conf()",
    "exists",
  ],
  [
    "CREATE EVENT TRIGGER e ON ddl_command_end EXECUTE FUNCTION x_event()",
    "event trigger",
    "e",
    "exists",
  ],
  ["CREATE PUBLICATION p FOR TABLE public.offers", "publication", "p", "exists"],
  [
    "ALTER PUBLICATION x_publication ADD TABLE public.offers",
    "publication",
    "x_publication",
    "tables",
  ],
  ["CREATE SERVER s FOREIGN DATA WRAPPER x_wrapper", "foreign server", "s", "exists"],
  [
    "CREATE FUNCTION public.f() RETURNS int LANGUAGE sql AS 'SELECT 1'",
    "function",
    "public.f()",
    "exists",
  ],
  [
    "ALTER FUNCTION public.slugify(text) VOLATILE",
    "function",
    "public.slugify(value text)",
    "definition",
  ],
  [
    "CREATE OR REPLACE FUNCTION public.slugify(value text) RETURNS text LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS 'SELECT value'",
    "function",
    "public.slugify(value text)",
    "definition",
  ],
  [
    "GRANT EXECUTE ON FUNCTION public.handle_new_user() TO anon",
    "function",
    "public.handle_new_user()",
    "rights",
  ],
  [
    "ALTER FUNCTION public.slugify(text) OWNER TO supabase_admin",
    "function",
    "public.slugify(value text)",
    "owner+rights",
  ],
  ["ALTER TYPE public.channel ADD VALUE 'fax'", "type", "public.channel", "labels"],
  ["CREATE TYPE public.colour AS ENUM ('red')", "type", "public.colour", "exists"],
  ["CREATE CAST (text AS public.channel) WITH INOUT", "cast", "text to public.channel", "exists"],
  [
    "ALTER OPERATOR public.~~~ (text, text) SET (RESTRICT = eqsel)",
    "operator",
    "public.~~~(text,text)",
    "restrict",
  ],
  [
    "ALTER COLLATION public.name_order OWNER TO supabase_admin",
    "collation",
    "public.name_order",
    "owner",
  ],
  [
    "ALTER TEXT SEARCH CONFIGURATION public.parts DROP MAPPING FOR email",
    "text search configuration",
    "public.parts",
    "mappings",
  ],
  [
    "CREATE TEXT SEARCH DICTIONARY public.d (TEMPLATE = simple)",
    "text search dictionary",
    "public.d",
    "exists",
  ],
  [
    "CREATE CONVERSION public.c FOR 'LATIN1' TO 'UTF8' FROM iso8859_1_to_utf8",
    "conversion",
    "public.c",
    "exists",
  ],
  [
    "CREATE OPERATOR FAMILY public.of USING btree; CREATE OPERATOR CLASS public.oc FOR TYPE point USING hash FAMILY x_family AS STORAGE point",
    "operator class",
    "public.oc using hash",
    "exists",
  ],
  ["REVOKE USAGE ON LANGUAGE plpgsql FROM PUBLIC", "language", "plpgsql", "rights"],
  ["ALTER TABLE public.offers SET (fillfactor = 70)", "relation", "public.offers", "options"],
  [
    "ALTER TABLE public.offers SET (toast.autovacuum_enabled = false)",
    "relation",
    "public.offers",
    "toast options",
  ],
  [
    "ALTER TABLE public.offers NO FORCE ROW LEVEL SECURITY; ALTER TABLE public.offers DISABLE ROW LEVEL SECURITY",
    "relation",
    "public.offers",
    "row security",
  ],
  [
    "ALTER TABLE public.offers FORCE ROW LEVEL SECURITY",
    "relation",
    "public.offers",
    "forced row security",
  ],
  [
    "ALTER TABLE public.offers REPLICA IDENTITY FULL",
    "relation",
    "public.offers",
    "replica identity",
  ],
  [
    "ALTER TABLE public.heartbeat OWNER TO supabase_admin",
    "relation",
    "public.heartbeat",
    "owner+rights",
  ],
  ["GRANT SELECT ON public.audit_logs TO anon", "relation", "public.audit_logs", "rights"],
  [
    "GRANT SELECT ON public.audit_logs TO service_role WITH GRANT OPTION",
    "relation",
    "public.audit_logs",
    "rights",
  ],
  [
    "ALTER VIEW public.shop_scores SET (security_barrier = true)",
    "relation",
    "public.shop_scores",
    "options",
  ],
  [
    "CREATE OR REPLACE VIEW public.gauteng_requests AS SELECT * FROM public.open_requests WHERE province = 'Limpopo'",
    "relation",
    "public.gauteng_requests",
    "definition",
  ],
  [
    "ALTER TABLE public.dealer_price_list DISABLE TRIGGER ALL; ALTER TABLE public.order_items DISABLE TRIGGER ALL",
    "relation",
    "public.order_items",
    "internal triggers",
  ],
  [
    "ALTER TABLE public.shops ALTER COLUMN verified SET DEFAULT true",
    "column",
    "public.shops.verified",
    "default",
  ],
  [
    "ALTER TABLE public.shops ALTER COLUMN opening_hours SET STORAGE MAIN",
    "column",
    "public.shops.opening_hours",
    "storage",
  ],
  [
    "ALTER TABLE public.shops ALTER COLUMN opening_hours SET STATISTICS 12",
    "column",
    "public.shops.opening_hours",
    "statistics",
  ],
  [
    "ALTER TABLE public.shops ALTER COLUMN opening_hours SET (n_distinct = 5)",
    "column",
    "public.shops.opening_hours",
    "options",
  ],
  [
    "ALTER TABLE public.shops ALTER COLUMN id SET GENERATED BY DEFAULT",
    "column",
    "public.shops.id",
    "identity",
  ],
  [
    "ALTER TABLE public.order_items ALTER COLUMN line_total DROP EXPRESSION",
    "column",
    "public.order_items.line_total",
    "default+generated",
  ],
  [
    "ALTER TABLE public.vehicles ALTER COLUMN owner_id DROP NOT NULL",
    "column",
    "public.vehicles.owner_id",
    "not null",
  ],
  [
    "GRANT UPDATE (bank) ON public.payout_accounts TO authenticated",
    "column",
    "public.payout_accounts.bank",
    "rights",
  ],
  [
    "COMMENT ON COLUMN public.profiles.home IS NULL",
    "comment",
    "on table column public.profiles.home",
    "exists",
  ],
  [
    "COMMENT ON COLUMN public.profiles.home IS 'x'",
    "comment",
    "on table column public.profiles.home",
    "text",
  ],
  [
    "ALTER TABLE public.offers VALIDATE CONSTRAINT offers_price_sane",
    "constraint",
    "public.offers offers_price_sane",
    "definition+valid",
  ],
  [
    "ALTER TABLE public.profiles ALTER CONSTRAINT profiles_default_shop DEFERRABLE INITIALLY IMMEDIATE",
    "constraint",
    "public.profiles profiles_default_shop",
    "definition+deferred",
  ],
  [
    "ALTER TABLE public.vehicles DROP CONSTRAINT vehicles_year_plausible",
    "constraint",
    "public.vehicles vehicles_year_plausible",
    "exists",
  ],
  ["DROP INDEX public.offers_valid", "index", "public.offers_valid", "exists"],
  [
    "UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'public.offers_valid'::regclass",
    "index",
    "public.offers_valid",
    "valid",
  ],
  [
    "ALTER INDEX public.shops_categories SET (fastupdate = on)",
    "index",
    "public.shops_categories",
    "definition",
  ],
  ["ALTER TABLE public.offers SET WITHOUT CLUSTER", "index", "public.offers_request", "clustered"],
  ["ALTER TABLE public.offers ENABLE TRIGGER audit", "trigger", "public.offers audit", "enabled"],
  [
    "DROP TRIGGER on_auth_user_created ON auth.users",
    "trigger",
    "auth.users on_auth_user_created",
    "exists",
  ],
  [
    "CREATE OR REPLACE RULE no_delete AS ON DELETE TO public.price_list DO INSTEAD SELECT 1",
    "rule",
    "public.price_list no_delete",
    "definition",
  ],
  [
    'ALTER POLICY "Own vehicles" ON public.vehicles USING (true)',
    "policy",
    'public.vehicles "Own vehicles"',
    "using",
  ],
  [
    'ALTER POLICY "Own vehicles" ON public.vehicles TO anon',
    "policy",
    'public.vehicles "Own vehicles"',
    "roles",
  ],
  [
    "ALTER STATISTICS public.vehicles_make_model SET STATISTICS 50",
    "statistics object",
    "public.vehicles_make_model",
    "target",
  ],
  ["ALTER SEQUENCE public.invoice_number CACHE 5", "sequence", "public.invoice_number", "cache"],
  [
    "ALTER SEQUENCE public.invoice_number OWNED BY public.orders.notes",
    "sequence",
    "public.invoice_number",
    "owned by",
  ],
  [
    "ALTER SEQUENCE public.invoice_number RESTART 7000000",
    "sequence value",
    "public.invoice_number",
    "value",
  ],
  [
    "ALTER SEQUENCE public.credit_note_number RESTART -18",
    "sequence value",
    "public.credit_note_number",
    "value",
  ],
  ["UPDATE public.shops SET name = name || ' ' WHERE id = 1001", "rows", "public.shops", "hash"],
  [
    "UPDATE public.search_cache SET cached_at = cached_at + interval '1 microsecond' WHERE query = 'query 7'",
    "rows",
    "public.search_cache",
    "hash",
  ],
  [
    "UPDATE auth.users SET phone = '' WHERE email = (SELECT min(email) FROM auth.users WHERE phone IS NULL)",
    "rows",
    "auth.users",
    "hash",
  ],
  ["INSERT INTO public.heartbeat DEFAULT VALUES", "rows", "public.heartbeat", "count+hash"],
  [
    "DELETE FROM public.search_cache WHERE query = 'query 7'",
    "rows",
    "public.search_cache",
    "count+hash",
  ],
  ["SELECT lo_put(48001, 3, '\\x00')", "large object", "48001", "content"],
  ["ALTER LARGE OBJECT 48001 OWNER TO supabase_admin", "large object", "48001", "owner+rights"],
  ["GRANT SELECT ON LARGE OBJECT 48003 TO anon", "large object", "48003", "rights"],
  ["SELECT lo_unlink(48010)", "large object", "48010", "exists"],
];

/** What some changes need and a marketplace has not. */
const EXTRAS = `
  CREATE FUNCTION x_event() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN END';
  CREATE PUBLICATION x_publication;
  CREATE FOREIGN DATA WRAPPER x_wrapper;
  CREATE OPERATOR FAMILY x_family USING hash;
`;

describe("the comparer", () => {
  let marketplace: Marketplace;
  let client: Client;
  let before: DatabaseImage;

  beforeAll(async () => {
    marketplace = await startMarketplace({ scale: 0.005 });
    await marketplace.cluster.psql(EXTRAS, marketplace.database);
    client = new Client({ connectionString: marketplace.cluster.url(marketplace.database) });
    await client.connect();
    before = await readImage(client);
  });
  afterAll(async () => {
    await client.end();
    await marketplace[Symbol.asyncDispose]();
  });

  async function differencesAfter(change: string): Promise<Difference[]> {
    await client.query("BEGIN; SET LOCAL search_path = public, extensions");
    try {
      await client.query(change);
      return compareImages(before, await readImage(client));
    } finally {
      await client.query("ROLLBACK");
    }
  }

  test("sees no difference where there is none", async () => {
    expect(await differencesAfter("SELECT 1")).toEqual([]);
    expect(before.rows).toBeGreaterThan(4000n);
  });

  test("compares every kind of object that it knows", () => {
    const known = new Set(before.facts.map((fact) => fact.kind));
    const tried = new Set(ONE_DIFFERENCE.map(([, kind]) => kind));
    expect([...known].filter((kind) => !tried.has(kind))).toEqual([]);
  });

  test.for(ONE_DIFFERENCE)("%s", async ([change, kind, object, aspect]) => {
    const found = await differencesAfter(change);
    const objects = new Set(found.map((difference) => `${difference.kind} ${difference.object}`));
    expect([...objects]).toEqual([`${kind} ${object}`]);
    expect(found.map((difference) => difference.aspect).toSorted()).toEqual(
      aspect.split("+").toSorted(),
    );
  });
});
