/*
 * effects
 *   reads         the source database, READ ONLY, in sessions named "sparekeep ..."; the files of public keys
 *   writes        one audit record; the encrypted file and its manifest, never over another one; where named a record of the manifest in a repository
 *   locks         ACCESS SHARE on each table until pg_dump has ended; given up, and the dump begun again three times, where others wait for one for longer than lock_patience
 *   leaves behind nothing at the source; ciphertext in a private folder below TMPDIR until it is stored; failed: nothing under the name, or an error that names what the store did not remove
 *   exit codes    0; 1 source or store not reachable; 2 a recipient or a name that cannot be used; 20 what was read back differs; 130
 */
import { AppError } from "../../kernel/index.ts";
import type { Secret } from "../../kernel/index.ts";
import { DUMP_MANIFEST_FORMAT, DUMP_MANIFEST_SUFFIX } from "../../manifest/index.ts";
import type { DumpManifest } from "../../manifest/index.ts";
import type { ObjectStore } from "../../objectstore/index.ts";
import {
  destinationNamed,
  dumpName,
  dumpPlanNamed,
  filesDestinationNamed,
  sourceNamed,
} from "../../policy/index.ts";
import type { DumpPlan, Named, Policy, Source } from "../../policy/index.ts";
import { connect, findClientTools } from "../../postgres/index.ts";
import type { ClientTools } from "../../postgres/index.ts";
import { captureDump } from "../../source/index.ts";
import type { CapturedDump } from "../../source/index.ts";
import { recordAccess } from "../audit-log.ts";
import type { OnProgress, OperationContext } from "../context.ts";
import { operationError } from "../errors.ts";
import { connectionUrl, openDestination, openStore } from "../open.ts";
import { describeEncryption, prepareEncryption } from "./encryption.ts";
import type { Encrypting } from "./encryption.ts";
import { readingLimits } from "../reading-limits.ts";
import { createSpool } from "./spool.ts";
import type { SpooledFile } from "./spool.ts";
import { storeDump } from "./store-dump.ts";

const DUMP_ATTEMPTS = 3;

export interface DumpDatabaseOptions {
  readonly policy: Policy;
  readonly plan?: string;
  readonly onProgress?: OnProgress;
}

export interface DumpResult {
  readonly outcome: "complete";
  readonly plan: string;
  readonly destination: string;
  readonly location: string;
  readonly durationMs: number;
  /** Whether a sealed record of the manifest lies in a repository, and in which. */
  readonly recordedIn?: string;
  readonly manifest: DumpManifest;
  /** Where it gave way, or did with less. */
  readonly notices: readonly string[];
}

export async function dumpDatabase(
  context: OperationContext,
  options: DumpDatabaseOptions,
): Promise<DumpResult> {
  const { policy } = options;
  const startedMs = context.clock.monotonicMs();
  const startedAt = context.clock.now();
  const plan = dumpPlanNamed(policy, options.plan);
  const source = sourceNamed(policy, plan.source);
  const destination = filesDestinationNamed(policy, plan.to);
  const file = dumpName(plan.file, startedAt, policy.timezone ?? "UTC");
  await recordAccess(context, policy, "backup", {
    plan: plan.name,
    source: source.name,
    destination: destination.name,
    file,
  });
  options.onProgress?.({ step: "open", doneBytes: 0, totalBytes: 0 });
  await using encrypting = await prepareEncryption(context, plan.encrypt);
  const store = await openStore(context, destination);
  await demandFree(store, file, context.signal);
  const recordedIn = destination.manifests;
  const records =
    recordedIn === undefined
      ? undefined
      : await openDestination(context, destinationNamed(policy, recordedIn));
  const url = await connectionUrl(context, source.connection);
  const tools = await toolsFor(context, url);
  const reading = { url, tools, encrypting, source, onProgress: options.onProgress };
  await using spooled = await captureAndSpool(context, reading);
  const { captured, ciphertext } = spooled;
  const run = { context, plan, source: source.name, startedAt, file };
  const manifest = manifestOf(run, captured, ciphertext, encrypting);
  options.onProgress?.({ step: "upload and read back", doneBytes: 0, totalBytes: 0 });
  const stored = await storeDump(context, {
    store,
    file,
    ciphertext,
    manifest,
    ...(records === undefined ? {} : { records }),
  });
  return {
    outcome: "complete",
    plan: plan.name,
    destination: destination.name,
    location: store.location,
    durationMs: context.clock.monotonicMs() - startedMs,
    ...(recordedIn === undefined ? {} : { recordedIn }),
    manifest: stored,
    notices: spooled.notices,
  };
}

interface Reading {
  readonly url: Secret;
  readonly tools: ClientTools;
  readonly encrypting: Encrypting;
  readonly source: Named<Source>;
  readonly onProgress: OnProgress | undefined;
}

interface Spooled extends AsyncDisposable {
  readonly captured: CapturedDump;
  readonly ciphertext: SpooledFile;
  readonly notices: readonly string[];
}

/** A dump that gave way to a migration begins again, a few times: nothing of it has been stored yet. */
async function captureAndSpool(context: OperationContext, reading: Reading): Promise<Spooled> {
  const begunAgain: string[] = [];
  for (let attempt = 1; ; attempt += 1) {
    try {
      const spooled = await spoolOnce(context, reading);
      return { ...spooled, notices: [...begunAgain, ...spooled.notices] };
    } catch (error) {
      const gaveWay = error instanceof AppError && error.code === "source.ddl_waited";
      if (!gaveWay || attempt === DUMP_ATTEMPTS) throw error;
      begunAgain.push(`dump that began again under a new snapshot: ${error.message}`);
    }
  }
}

async function spoolOnce(
  { clock, log, signal }: OperationContext,
  { url, tools, encrypting, source, onProgress }: Reading,
): Promise<Spooled> {
  const spool = await createSpool();
  try {
    const captured = await captureDump({
      url,
      tools,
      keyring: encrypting.keyring,
      for: encrypting.for,
      write: (piece) => spool.write(piece),
      clock,
      log,
      ...readingLimits(source),
      signal,
      onProgress: (doneBytes) => onProgress?.({ step: "dump", doneBytes, totalBytes: 0 }),
    });
    const ciphertext = await spool.finish();
    const { notices } = captured;
    return {
      captured,
      ciphertext,
      notices,
      [Symbol.asyncDispose]: () => spool[Symbol.asyncDispose](),
    };
  } catch (error) {
    await spool[Symbol.asyncDispose]();
    throw error;
  }
}

/** Asked before anything is dumped; asked again by the store itself when the file is given its name. */
async function demandFree(store: ObjectStore, file: string, signal: AbortSignal): Promise<void> {
  for (const key of [file, `${file}${DUMP_MANIFEST_SUFFIX}`]) {
    if ((await store.stat(key, { signal })) === undefined) continue;
    throw operationError("dump_exists", {
      message: `dump ${file}, of which ${key} is at ${store.location} already`,
      subject: { file: key },
    });
  }
}

async function toolsFor(context: OperationContext, url: Secret): Promise<ClientTools> {
  const { signal } = context;
  await using connection = await connect({
    url,
    applicationName: "sparekeep dump",
    readOnly: true,
    signal,
  });
  return findClientTools(context.toolDirectories, connection.versionNum, { signal });
}

interface Run {
  readonly context: OperationContext;
  readonly plan: Named<DumpPlan>;
  readonly source: string;
  readonly startedAt: Date;
  readonly file: string;
}

/** All but what only the store can prove. */
function manifestOf(
  { context, plan, source, startedAt, file }: Run,
  captured: CapturedDump,
  ciphertext: SpooledFile,
  encrypting: Encrypting,
): Omit<DumpManifest, "completedAt" | "verified"> {
  const { server } = captured;
  return {
    format: DUMP_MANIFEST_FORMAT,
    file,
    plan: plan.name,
    source,
    startedAt: startedAt.toISOString(),
    tool: { name: "sparekeep", version: context.version },
    server: {
      version: server.version,
      versionNum: server.versionNum,
      database: server.databaseName,
      encoding: server.encoding,
      ...(server.systemIdentifier === undefined
        ? {}
        : { systemIdentifier: server.systemIdentifier }),
    },
    pgDump: captured.pgDumpVersion,
    snapshot: { pgSnapshot: captured.pgSnapshot, takenAt: captured.takenAt.toISOString() },
    plaintext: captured.plaintext,
    ciphertext: { sizeBytes: ciphertext.sizeBytes, sha256: ciphertext.sha256 },
    encryption: describeEncryption(ciphertext.head, encrypting),
    tables: captured.tables.map(({ schema, name, rows }) => ({ schema, name, rows: String(rows) })),
    roles: captured.roles,
    ...(captured.leftOut.length === 0 ? {} : { leftOut: captured.leftOut }),
    warnings: captured.warnings,
  };
}
