/**
 * A portable dump brought back into a throwaway PostgreSQL and counted (docs/spec/dump.md §drill):
 *
 * 1. a cluster of the source's major version, its superuser under a random name
 * 2. the roles that the source had, without a right to anything; a database owned by an ordinary role
 * 3. plaintext into pg_restore as that role: nothing in the dump runs as a superuser (engine-traps 23)
 * 4. every table of the manifest is counted; one that is missing or has other rows fails the drill
 */
import { createHash } from "node:crypto";
import { throwIfAborted, toHex } from "../kernel/index.ts";
import type { Bytes, Clock, RandomBytes } from "../kernel/index.ts";
import type { DumpManifest } from "../manifest/index.ts";
import {
  clientProgramText,
  cleanText,
  connect,
  quoteIdentifier,
  quoteLiteral,
  quoteQualified,
} from "../postgres/index.ts";
import type { ClientTools, Connection } from "../postgres/index.ts";
import { drillError } from "./errors.ts";
import { startThrowaway } from "./throwaway-cluster.ts";
import type { ThrowawayCluster } from "./throwaway-cluster.ts";
import type { ServerUser } from "./server-user.ts";

export interface RestoreDumpOptions {
  readonly manifest: DumpManifest;
  /** Decrypted as it comes; read once. Throws where gpg does not vouch for it. */
  readonly plaintext: AsyncIterable<Bytes>;
  readonly tools: ClientTools;
  readonly user: ServerUser | undefined;
  readonly clock: Clock;
  readonly random: RandomBytes;
  readonly signal: AbortSignal;
  readonly onStep?: (step: string, doneBytes: number) => void;
}

export interface RestoredTable {
  readonly schema: string;
  readonly name: string;
  readonly expectedRows: bigint;
  /** `undefined`: the table did not come back. */
  readonly rows: bigint | undefined;
}

export interface RestoredDump {
  readonly tables: readonly RestoredTable[];
  /** What pg_restore could not make as an ordinary role: event triggers, extensions that are not here. */
  readonly refused: readonly string[];
  readonly serverVersion: string;
}

const DATABASE = "drill";

export async function restoreDump(options: RestoreDumpOptions): Promise<RestoredDump> {
  const { manifest, onStep } = options;
  onStep?.("start PostgreSQL", 0);
  await using cluster = await startThrowaway({ ...options, encoding: manifest.server.encoding });
  const builder = {
    name: `restore_${toHex(options.random(8))}`,
    password: toHex(options.random(24)),
  };
  const serverVersion = await prepare(cluster, builder, options);
  const refused = await restoreAll(cluster, builder, options);
  onStep?.("count rows", 0);
  await using session = await openSession(cluster, options.signal);
  return { tables: await countTables(session, manifest), refused, serverVersion };
}

function openSession(
  cluster: ThrowawayCluster,
  signal: AbortSignal,
  database = DATABASE,
): Promise<Connection> {
  const url = cluster.url(database);
  return connect({ url, applicationName: "sparekeep drill", readOnly: false, signal });
}

async function prepare(
  cluster: ThrowawayCluster,
  builder: { readonly name: string; readonly password: string },
  { manifest, signal }: RestoreDumpOptions,
): Promise<string> {
  await using session = await openSession(cluster, signal, "postgres");
  const owner = quoteIdentifier(builder.name);
  await session.query(
    `CREATE ROLE ${owner} LOGIN NOSUPERUSER NOCREATEROLE NOCREATEDB PASSWORD ${quoteLiteral(builder.password)}`,
  );
  for (const role of manifest.roles) {
    // Policies name them. A role that could log in, or do anything, none of them is.
    if (!/^pg_/i.test(role)) await session.query(`CREATE ROLE ${quoteIdentifier(role)} NOLOGIN`);
  }
  await session.query(`CREATE DATABASE ${DATABASE} OWNER ${owner} TEMPLATE template0`);
  const [row] = await session.query<{ version: string }>("SELECT version() AS version");
  await using inside = await openSession(cluster, signal);
  // As in a new database of the source's version: what the dump says of it, its owner may do.
  await inside.query(`ALTER SCHEMA public OWNER TO ${owner}`);
  return row?.version ?? "";
}

/** Its errors, one a line, where it could make all but some things; throws where it gave up. */
async function restoreAll(
  cluster: ThrowawayCluster,
  builder: { readonly name: string; readonly password: string },
  options: RestoreDumpOptions,
): Promise<readonly string[]> {
  const { manifest, plaintext, signal, tools, onStep } = options;
  const hash = createHash("sha256");
  let sizeBytes = 0;
  let ended = false;
  const tapped = async function* (): AsyncGenerator<Bytes, void, undefined> {
    for await (const piece of plaintext) {
      hash.update(piece);
      sizeBytes += piece.byteLength;
      onStep?.("restore", sizeBytes);
      yield piece;
    }
    ended = true;
  };
  const content = tapped();
  const refused: string[] = [];
  try {
    await clientProgramText(
      {
        program: tools.pgRestore,
        args: RESTORE_ARGUMENTS,
        url: cluster.url(DATABASE, builder),
        stdin: content,
        signal,
        tolerate: (exit, stderr) => exit.code === 1 && wentOn(stderr, refused),
      },
      MAX_OUTPUT_BYTES,
    );
  } finally {
    // Where pg_restore gave up in the middle, gpg is ended with it.
    await content.return();
  }
  throwIfAborted(signal);
  if (!ended || hash.digest("hex") !== manifest.plaintext.sha256) {
    throw drillError("restore_failed", {
      message: `plaintext of ${sizeBytes} bytes, which is not what pg_dump wrote`,
    });
  }
  return refused;
}

const RESTORE_ARGUMENTS = [
  "--no-owner",
  "--no-privileges",
  "--no-publications",
  "--no-subscriptions",
  "--no-security-labels",
  "--no-password",
];
const MAX_OUTPUT_BYTES = 1024 * 1024;

/** pg_restore goes on past what it cannot make, and counts it at its end; then its exit code is 1 all the same. */
function wentOn(stderr: string, refused: string[]): boolean {
  const total = /errors ignored on restore: (\d+)/.exec(stderr)?.[1];
  if (total === undefined) return false;
  const mark = /^pg_restore: error: (?:could not execute query: )?/;
  const lines = stderr.split("\n").filter((line) => mark.test(line));
  refused.push(...lines.map((line) => cleanText(line.replace(mark, ""))));
  // Only the end of what it says is kept; nothing of it is passed over in silence.
  const lost = Number(total) - lines.length;
  if (lost > 0) refused.push(`${lost} more of them`);
  return true;
}

async function countTables(
  session: Connection,
  manifest: DumpManifest,
): Promise<readonly RestoredTable[]> {
  const tables: RestoredTable[] = [];
  for (const { schema, name, rows } of manifest.tables) {
    const table = quoteQualified(schema, name);
    const [there] = await session.query<{ there: boolean }>(
      "SELECT to_regclass($1) IS NOT NULL AS there",
      [table],
    );
    const counted =
      there?.there === true
        ? await session.query<{ rows: string }>(`SELECT count(*)::text AS rows FROM ONLY ${table}`)
        : [];
    const found = counted[0]?.rows;
    const expectedRows = BigInt(rows);
    tables.push({
      schema,
      name,
      expectedRows,
      rows: found === undefined ? undefined : BigInt(found),
    });
  }
  return tables;
}
