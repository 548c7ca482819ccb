/*
 * effects
 *   reads         catalogs and at most 64 blocks of each of the 50 largest tables of one source, READ ONLY, within a minute
 *   writes        one audit record
 *   locks         none
 *   leaves behind nothing
 *   exit codes    0; 3 a table whose size could not be told
 */
import { zstdCompressSync } from "node:zlib";
import { AppError, MIB, throwIfAborted } from "../kernel/index.ts";
import { platformNamed } from "../manifest/index.ts";
import { sourceNamed } from "../policy/index.ts";
import type { Policy } from "../policy/index.ts";
import { connect, quoteQualified, readPlatform } from "../postgres/index.ts";
import type { Connection } from "../postgres/index.ts";
import { recordAccess } from "./audit-log.ts";
import type { OperationContext } from "./context.ts";
import { connectionUrl } from "./open.ts";

export interface EstimateSourceOptions {
  readonly policy: Policy;
  readonly source?: string;
  /** What the provider asks for what leaves it. Nothing is assumed. */
  readonly price?: EgressPrice;
}

export interface EgressPrice {
  /** Of 10^9 bytes, in whatever currency. */
  readonly perGb: number;
  /** Included in a month, and free for nothing else: what the application sends counts against it too. */
  readonly includedGb: number;
  readonly runsPerMonth: number;
}

/** A figure, and what it comes from. Absent bytes are unknown. */
export interface Figure {
  readonly bytes?: number;
  readonly from: string;
}

export interface SourceEstimate {
  readonly outcome: "complete" | "incomplete";
  readonly source: string;
  readonly tables: number;
  /** Sum over tables with statistics; a table that was never analysed has none. */
  readonly rows: { readonly count: number; readonly tablesWithout: number; readonly from: string };
  readonly read: Figure;
  readonly sent: Figure;
  readonly stored: Figure;
  readonly egress?: EgressPrice & { readonly gbPerRun: number; readonly perMonth: number };
  /** Neither sampled nor counted in what is sent and stored. */
  readonly unknown: readonly { readonly table: string; readonly reason: string }[];
}

interface Table {
  readonly schema: string;
  readonly name: string;
  /** Main fork. */
  readonly heapBytes: number;
  /** With TOAST. */
  readonly tableBytes: number;
  /** -1: no statistics. */
  readonly rows: number;
  readonly readable: boolean;
  readonly [key: string]: unknown;
}

interface Sample {
  readonly heapBytes: number;
  readonly textBytes: number;
  readonly compressedBytes: number;
}

const BLOCK_BYTES = 8192;
const SAMPLED_TABLES = 50;
const SAMPLED_BLOCKS = 64;
const MAX_SAMPLE_BYTES = 16 * MIB;
const TIME_MS = 60_000;
const STATEMENT_TIMEOUT_MS = 10_000;

const TABLES = `
  SELECT n.nspname::text AS schema, c.relname::text AS name, c.reltuples::float8 AS rows,
         pg_relation_size(c.oid)::float8 AS "heapBytes", pg_table_size(c.oid)::float8 AS "tableBytes",
         has_table_privilege(c.oid, 'SELECT') AND has_schema_privilege(n.oid, 'USAGE')
           AND NOT row_security_active(c.oid) AS readable
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
   WHERE c.relkind = 'r' AND c.relpersistence <> 't' AND n.nspname <> 'information_schema' AND n.nspname !~ '^pg_'
     AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')
   ORDER BY pg_table_size(c.oid) DESC, 1, 2`;

/** What a first backup of everything would read, send and store, before it is made. */
export async function estimateSource(
  context: OperationContext,
  { policy, source: named, price }: EstimateSourceOptions,
): Promise<SourceEstimate> {
  const source = sourceNamed(policy, named);
  await recordAccess(context, policy, "estimate", { source: source.name });
  await using connection = await connect({
    url: await connectionUrl(context, source.connection),
    applicationName: "sparekeep estimate",
    readOnly: true,
    statementTimeoutMs: STATEMENT_TIMEOUT_MS,
    signal: context.signal,
  });
  const tables = await capturedTables(connection);
  const { samples, unknown } = await sampleAll(context, connection, tables);
  return result(source.name, tables, { samples, unknown }, price);
}

async function capturedTables(connection: Connection): Promise<readonly Table[]> {
  const platform = await readPlatform(connection);
  const tables = await connection.query<Table>(TABLES);
  if (platform === undefined) return tables;
  const { rowsOf } = platformNamed(platform);
  return tables.filter(({ schema, name }) => {
    const rows = rowsOf(schema, name);
    return typeof rows !== "object" || rows.captured;
  });
}

interface Sampled {
  readonly samples: ReadonlyMap<Table, Sample>;
  readonly unknown: SourceEstimate["unknown"];
}

async function sampleAll(
  { clock, signal }: OperationContext,
  connection: Connection,
  tables: readonly Table[],
): Promise<Sampled> {
  const samples = new Map<Table, Sample>();
  const unknown: { table: string; reason: string }[] = [];
  const endMs = clock.monotonicMs() + TIME_MS;
  const filled = tables.filter(({ heapBytes }) => heapBytes > 0);
  for (const [index, table] of filled.entries()) {
    const display = `${table.schema}.${table.name}`;
    if (!table.readable)
      unknown.push({ table: display, reason: "the role does not read it whole" });
    else if (index < SAMPLED_TABLES && clock.monotonicMs() < endMs) {
      const sample = await sampleOrReason(connection, table, signal);
      if (typeof sample === "string") unknown.push({ table: display, reason: sample });
      else samples.set(table, sample);
    }
  }
  return { samples, unknown };
}

async function sampleOrReason(
  connection: Connection,
  table: Table,
  signal: AbortSignal,
): Promise<Sample | string> {
  try {
    return await sampleOf(connection, table);
  } catch (thrown) {
    throwIfAborted(signal);
    const isPassing = thrown instanceof AppError && thrown.code !== "postgres.connection_lost";
    if (!isPassing || thrown.kind === "bug") throw thrown;
    return thrown.message;
  }
}

/** The same blocks twice: how many they are, and their rows as COPY sends them. */
async function sampleOf(connection: Connection, table: Table): Promise<Sample | string> {
  const blocks = table.heapBytes / BLOCK_BYTES;
  const percent = Math.min(100, (100 * SAMPLED_BLOCKS) / blocks);
  const from = `FROM ONLY ${quoteQualified(table.schema, table.name)} AS t TABLESAMPLE SYSTEM (${percent}) REPEATABLE (1)`;
  const chunks: Uint8Array[] = [];
  let textBytes = 0;
  for await (const chunk of connection.copyOut(`COPY (SELECT t.* ${from}) TO STDOUT`)) {
    chunks.push(chunk);
    textBytes += chunk.byteLength;
    if (textBytes > MAX_SAMPLE_BYTES) return "its sample is larger than 16 MiB";
  }
  const seen =
    percent === 100
      ? blocks
      : ((
          await connection.query<{ blocks: number }>(
            `SELECT count(DISTINCT (t.ctid::text::point)[0])::float8 AS blocks ${from}`,
          )
        )[0]?.blocks ?? 0);
  if (seen === 0) return "its sample was empty";
  const compressed = zstdCompressSync(Buffer.concat(chunks)).byteLength;
  return { heapBytes: seen * BLOCK_BYTES, textBytes, compressedBytes: compressed };
}

function result(
  source: string,
  tables: readonly Table[],
  { samples, unknown }: Sampled,
  price: EgressPrice | undefined,
): SourceEstimate {
  const hidden = new Set(unknown.map(({ table }) => table));
  const counted = tables.filter(({ schema, name }) => !hidden.has(`${schema}.${name}`));
  const average = sumOf([...samples.values()]);
  const scaled = (of: (sample: Sample) => number): number | undefined => {
    let bytes = 0;
    for (const table of counted) {
      const sample = samples.get(table) ?? average;
      if (table.heapBytes > 0 && sample.heapBytes === 0) return undefined;
      if (table.heapBytes > 0) bytes += (table.heapBytes * of(sample)) / sample.heapBytes;
    }
    return Math.round(bytes);
  };
  const sent = scaled(({ textBytes }) => textBytes);
  const stored = scaled(({ compressedBytes }) => compressedBytes);
  const filled = counted.filter(({ heapBytes }) => heapBytes > 0).length;
  const sampled = `samples of ${samples.size} of ${filled} tables with rows${samples.size < filled ? ", the others by their average" : ""}`;
  const withRows = tables.filter(({ rows }) => rows >= 0);
  const known = sent !== undefined && unknown.length === 0;
  return {
    outcome: known ? "complete" : "incomplete",
    source,
    tables: tables.length,
    rows: {
      count: Math.round(withRows.reduce((all, { rows }) => all + rows, 0)),
      tablesWithout: tables.length - withRows.length,
      from: "planner statistics (pg_class.reltuples), as old as the last ANALYZE",
    },
    read: {
      bytes: tables.reduce((all, { tableBytes }) => all + tableBytes, 0),
      from: "pg_table_size, with dead rows and free space",
    },
    sent: { ...given(sent), from: `COPY text, ${sampled}` },
    stored: {
      ...given(stored),
      from: `zstd of the ${sampled}; before deduplication, which later runs gain most by`,
    },
    ...(price === undefined || sent === undefined ? {} : { egress: egressOf(sent, price) }),
    unknown,
  };
}

function given(bytes: number | undefined): { readonly bytes?: number } {
  return bytes === undefined ? {} : { bytes };
}

function sumOf(samples: readonly Sample[]): Sample {
  return samples.reduce<Sample>(
    (all, one) => ({
      heapBytes: all.heapBytes + one.heapBytes,
      textBytes: all.textBytes + one.textBytes,
      compressedBytes: all.compressedBytes + one.compressedBytes,
    }),
    { heapBytes: 0, textBytes: 0, compressedBytes: 0 },
  );
}

const GB = 1e9;

function egressOf(sentBytes: number, price: EgressPrice): NonNullable<SourceEstimate["egress"]> {
  const gbPerRun = sentBytes / GB;
  const beyond = Math.max(0, gbPerRun * price.runsPerMonth - price.includedGb);
  return { ...price, gbPerRun, perMonth: beyond * price.perGb };
}
