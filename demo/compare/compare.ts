/**
 * Two databases compared in full: an image of each is taken (every object of the catalogs by name, every table's rows by
 * count and hash, every sequence's value) and the images are compared. It shares nothing with capture or restore: the
 * rows are hashed by the server, over its own text of them. Needs a superuser.
 */
import { Client } from "pg";
import { demoError } from "../errors.ts";
import { CODE_QUERIES } from "./code.ts";
import { DATABASE_QUERIES } from "./database.ts";
import type { CatalogQuery } from "./query.ts";
import { userSchema } from "./query.ts";
import { RELATION_QUERIES } from "./relations.ts";

/** One object: its aspects as JSON texts, so that images can be kept and compared as plain values. */
export interface Fact {
  readonly kind: string;
  readonly object: string;
  readonly aspects: Readonly<Record<string, string>>;
}

export interface DatabaseImage {
  readonly facts: readonly Fact[];
  readonly tables: number;
  readonly rows: bigint;
}

export interface Difference {
  readonly kind: string;
  readonly object: string;
  /** `exists` where one side lacks the object. */
  readonly aspect: string;
  readonly source: string;
  readonly target: string;
}

export interface ImageOptions {
  /** A superuser's. */
  readonly url: string;
  /** Roles that belong to the server and not to the database: a target's bootstrap superuser. */
  readonly ignoreRoles?: readonly string[];
  readonly signal?: AbortSignal | undefined;
  readonly onTable?: (done: number, total: number) => void;
}

const BEGIN = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";
const SETTINGS = `SET search_path = ''; SET datestyle = 'ISO, YMD'; SET intervalstyle = 'postgres';
  SET timezone = 'UTC'; SET extra_float_digits = 3; SET bytea_output = 'hex'; SET row_security = off;
  SET statement_timeout = 0; SET quote_all_identifiers = off; SET client_encoding = 'UTF8'`;

export async function takeImage(options: ImageOptions): Promise<DatabaseImage> {
  options.signal?.throwIfAborted();
  const clients: Client[] = [];
  const end = (): void => void endAll(clients).catch(() => undefined);
  options.signal?.addEventListener("abort", end, { once: true });
  try {
    const client = await open(options, clients);
    const second = await open(options, clients);
    await client.query(BEGIN);
    const exported = await client.query<{ id: string }>("SELECT pg_export_snapshot() AS id");
    await second.query(`${BEGIN}; SET TRANSACTION SNAPSHOT '${exported.rows[0]?.id ?? ""}'`);
    return await readImage(client, { ...options, second });
  } catch (error) {
    options.signal?.throwIfAborted();
    throw error;
  } finally {
    options.signal?.removeEventListener("abort", end);
    await endAll(clients);
  }
}

async function open(options: ImageOptions, clients: Client[]): Promise<Client> {
  const client = new Client({ connectionString: options.url, application_name: "compare" });
  // Ended by us or by a server that is being stopped: the running query rejects, which is what callers see.
  client.on("error", () => undefined);
  // Not to be ended while it connects: pg would leave `connect` without an answer for ever.
  await client.connect();
  clients.push(client);
  options.signal?.throwIfAborted();
  return client;
}

async function endAll(clients: readonly Client[]): Promise<void> {
  for (const client of clients) await client.end();
}

export interface ReadOptions {
  readonly ignoreRoles?: readonly string[];
  readonly onTable?: ((done: number, total: number) => void) | undefined;
  /** A second connection on the same snapshot, to hash tables side by side. */
  readonly second?: Client;
}

/** In the transaction that the connection is in, so with what that has not committed. Changes the session's settings. */
export async function readImage(client: Client, options: ReadOptions = {}): Promise<DatabaseImage> {
  const clients = options.second === undefined ? [client] : [client, options.second];
  for (const each of clients) await each.query(SETTINGS);
  const facts: Fact[] = [];
  for (const query of [...DATABASE_QUERIES, ...CODE_QUERIES, ...RELATION_QUERIES]) {
    facts.push(...(await readFacts(client, query)));
  }
  const ignored = new Set(options.ignoreRoles);
  const kept = facts.filter((fact) => fact.kind !== "role" || !ignored.has(fact.object));
  const hashed = await readTables(clients, options.onTable);
  const tables = hashed.filter(({ isTable }) => isTable).map(({ fact }) => fact);
  const rows = tables.reduce((sum, table) => sum + BigInt(table.aspects["count"] ?? "0"), 0n);
  const all = [...kept, ...hashed.map(({ fact }) => fact), ...(await readSequences(client))];
  return { facts: all, tables: tables.length, rows };
}

async function readFacts(client: Client, query: CatalogQuery): Promise<Fact[]> {
  const result = await client.query<{ object: string; aspects: Record<string, unknown> }>(
    query.sql,
  );
  return result.rows.map((row) => ({
    kind: query.kind,
    object: row.object,
    aspects: Object.fromEntries(
      Object.entries(row.aspects).map(([name, value]) => [name, JSON.stringify(value)]),
    ),
  }));
}

interface HashedTable {
  readonly fact: Fact;
  /** A table, and not a materialised view. */
  readonly isTable: boolean;
}

async function readTables(
  clients: readonly Client[],
  onTable: ReadOptions["onTable"],
): Promise<HashedTable[]> {
  const tables = await clients[0]?.query<{ name: string; is_table: boolean }>(
    `SELECT c.oid::regclass::text AS name, c.relkind = 'r' AS is_table
       FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
      WHERE c.relkind IN ('r', 'm') AND c.relispopulated AND ${userSchema("n.nspname")} ORDER BY pg_table_size(c.oid) DESC, 1`,
  );
  const left = [...(tables?.rows ?? [])];
  const total = left.length;
  const hashed: HashedTable[] = [];
  const work = async (client: Client): Promise<void> => {
    for (let table = left.shift(); table !== undefined; table = left.shift()) {
      hashed.push({ fact: await hashRows(client, table.name), isTable: table.is_table });
      onTable?.(hashed.length, total);
    }
  };
  await Promise.all(clients.map(work));
  return hashed;
}

/** Order does not matter, duplicates count: the sum of both halves of each row's MD5. */
async function hashRows(client: Client, name: string): Promise<Fact> {
  const result = await client.query<{ count: string; hash: string }>(
    `SELECT count(*)::text AS count, md5(format('%s %s',
        sum(('x' || left(hash, 16))::bit(64)::bigint), sum(('x' || right(hash, 16))::bit(64)::bigint))) AS hash
       FROM (SELECT md5(t::text) AS hash FROM ONLY ${name} AS t) AS hashes`,
  );
  const [row] = result.rows;
  if (row === undefined) throw demoError("script", { message: `rows of ${name}: no answer` });
  return { kind: "rows", object: name, aspects: { count: row.count, hash: row.hash } };
}

async function readSequences(client: Client): Promise<Fact[]> {
  const names = await client.query<{ name: string }>(
    `SELECT c.oid::regclass::text AS name FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
      WHERE c.relkind = 'S' AND ${userSchema("n.nspname")} ORDER BY 1`,
  );
  const facts: Fact[] = [];
  for (const { name } of names.rows) {
    const result = await client.query<{ last_value: string; is_called: boolean }>(
      `SELECT last_value::text, is_called FROM ${name}`,
    );
    for (const row of result.rows) {
      const value = `${row.last_value}${row.is_called ? "" : ", not yet used"}`;
      facts.push({ kind: "sequence value", object: name, aspects: { value } });
    }
  }
  return facts;
}

export function compareImages(source: DatabaseImage, target: DatabaseImage): Difference[] {
  const targets = new Map(target.facts.map((fact) => [keyOf(fact), fact]));
  const sources = new Set(source.facts.map(keyOf));
  const differences: Difference[] = [];
  for (const fact of source.facts) {
    const other = targets.get(keyOf(fact));
    if (other === undefined) differences.push(absence(fact, "present", "missing"));
    else differences.push(...compareFacts(fact, other));
  }
  for (const fact of target.facts) {
    if (!sources.has(keyOf(fact))) differences.push(absence(fact, "missing", "present"));
  }
  return differences;
}

function keyOf(fact: Fact): string {
  return `${fact.kind}\0${fact.object}`;
}

function absence(fact: Fact, source: string, target: string): Difference {
  return { kind: fact.kind, object: fact.object, aspect: "exists", source, target };
}

function compareFacts(source: Fact, target: Fact): Difference[] {
  const names = new Set([...Object.keys(source.aspects), ...Object.keys(target.aspects)]);
  return [...names]
    .filter((name) => source.aspects[name] !== target.aspects[name])
    .map((name) => ({
      kind: source.kind,
      object: source.object,
      aspect: name,
      source: source.aspects[name] ?? "absent",
      target: target.aspects[name] ?? "absent",
    }));
}

export function formatDifference(difference: Difference): string {
  const { kind, object, aspect, source, target } = difference;
  return `${kind} ${object}: ${aspect}: ${source} became ${target}`;
}
