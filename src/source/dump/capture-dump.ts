/**
 * One portable dump (docs/spec/dump.md):
 *
 *   pg_dump -Fc ──┬─> pg_restore -f -   to the end, its output thrown away
 *                 └─> gpg ──> the caller
 *
 * 1. export one snapshot; read identity, roles and tables under it
 * 2. pg_dump under it; as soon as it writes, it holds its locks: no table was rewritten until then
 * 3. meanwhile each table is counted under the same snapshot
 *    a statement that waits for one of these locks for too long ends the dump: it cannot let go of one table alone
 * 4. all of them ended well, and both readers saw the end of what pg_dump wrote; else nothing of it counts
 */
import { createHash } from "node:crypto";
import { AppError, throwIfAborted, toAppError } from "../../kernel/index.ts";
import type { Bytes, Clock, Log, Secret } from "../../kernel/index.ts";
import type { ServerIdentity } from "../../manifest/index.ts";
import { clientProgramText, runClientProgram } from "../../postgres/index.ts";
import type { ClientTools } from "../../postgres/index.ts";
import type { EncryptOptions, Keyring } from "../../program/index.ts";
import { DEFAULT_BUDGET, watchBudget } from "../database/budget.ts";
import { readRelations } from "../database/relations.ts";
import type { Relation } from "../database/relations.ts";
import { readRoles } from "../database/roles.ts";
import { readServerIdentity } from "../database/server-identity.ts";
import { createNotices } from "../database/notices.ts";
import { createPace } from "../database/pace.ts";
import { exportSnapshot, openSession, underSnapshot } from "../database/snapshot.ts";
import type { ExportedSnapshot, SessionOptions } from "../database/snapshot.ts";
import { roomForConnections } from "../database/connection-room.ts";
import { ControlSession } from "../database/control.ts";
import { DEFAULT_LOCK_PATIENCE_MS, watchLocks } from "../database/lock-watch.ts";
import type { LockHolder, LockWatch } from "../database/lock-watch.ts";
import { sourceError } from "../errors.ts";
import { broadcast } from "./broadcast.ts";
import { countedRelations, countRows, demandUnrewritten } from "./count-rows.ts";
import { readLeftOut } from "./left-out.ts";
import type { DumpLeftOut } from "./left-out.ts";
import type { CountedTable } from "./count-rows.ts";

export interface CaptureDumpOptions {
  readonly url: Secret;
  readonly tools: ClientTools;
  readonly keyring: Pick<Keyring, "encrypt">;
  readonly for: EncryptOptions["for"];
  /** The encrypted bytes, in order; the next ones come when it resolves. */
  readonly write: (ciphertext: Bytes) => Promise<void>;
  readonly clock: Clock;
  readonly log: Log;
  /** Of what pg_dump writes, which is compressed; unbounded where left out. */
  readonly readBytesPerSecond?: number;
  /** How long others wait for a lock of ours before the dump ends with `source.ddl_waited`; 5 s. */
  readonly lockPatienceMs?: number;
  readonly signal: AbortSignal;
  readonly onProgress?: (plaintextBytes: number) => void;
}

export interface CapturedDump {
  readonly server: ServerIdentity;
  readonly pgDumpVersion: string;
  readonly pgSnapshot: string;
  readonly takenAt: Date;
  readonly plaintext: { readonly sizeBytes: number; readonly sha256: string };
  readonly tables: readonly CountedTable[];
  /** Names of the server's roles, its own left out: policies and grants in the dump may name them. */
  readonly roles: readonly string[];
  /** As of a capture. */
  readonly notices: readonly string[];
  /** Of a platform's own, what the role may not read. */
  readonly leftOut: DumpLeftOut["said"];
  /** What pg_dump said though it ended well. */
  readonly warnings: readonly string[];
}

const LOCK_TIMEOUT_MS = 10_000;
const VERSION_MAX_BYTES = 1_000;

export async function captureDump(options: CaptureDumpOptions): Promise<CapturedDump> {
  throwIfAborted(options.signal);
  const failed = new AbortController();
  const signal = AbortSignal.any([failed.signal, options.signal]);
  const session = { url: options.url, lockTimeoutMs: LOCK_TIMEOUT_MS, signal };
  const text = await clientProgramText(
    { program: options.tools.pgDump, args: ["--version"], signal },
    VERSION_MAX_BYTES,
  );
  const notices = createNotices(options.log);
  await using snapshot = await exportSnapshot(session);
  const takenAt = snapshot.standby?.at ?? options.clock.now();
  await using control = new ControlSession(session, "watch");
  await using _watch = watchBudget({
    budget: DEFAULT_BUDGET,
    clock: options.clock,
    control,
    holderPid: snapshot.holderPid,
    onSpent: (error) => failed.abort(error),
  });
  await using locks = watchLocks({
    patienceMs: options.lockPatienceMs ?? DEFAULT_LOCK_PATIENCE_MS,
    clock: options.clock,
    notices,
    control,
    snapshotPid: snapshot.holderPid,
  });
  // pg_dump, and the session that reads the catalogs and later counts.
  await control.run((watch) => roomForConnections(watch, { fixed: 1, wanted: 1, notices }));
  const catalog = await readCatalog(session, snapshot);
  const run = { options, session, snapshot, signal, failed, locks };
  const captured = await runAll(run, catalog);
  return {
    server: catalog.server,
    pgDumpVersion: text.trim(),
    pgSnapshot: snapshot.pgSnapshot,
    takenAt,
    roles: catalog.roles,
    leftOut: catalog.leftOut.said,
    notices: notices.said,
    ...captured,
  };
}

interface Catalog {
  readonly server: ServerIdentity;
  readonly roles: readonly string[];
  readonly tables: readonly Relation[];
  readonly leftOut: DumpLeftOut;
}

async function readCatalog(options: SessionOptions, snapshot: ExportedSnapshot): Promise<Catalog> {
  await using session = await openSession(options, "catalog");
  return await underSnapshot(session, snapshot.id, async () => {
    const relations = await readRelations(session);
    const leftOut = await readLeftOut(session, relations);
    const dumped = relations.filter((one) => !leftOut.tables.includes(one));
    return {
      server: await readServerIdentity(session),
      roles: (await readRoles(session)).map(({ name }) => name),
      tables: countedRelations(dumped),
      leftOut,
    };
  });
}

interface Run {
  readonly options: CaptureDumpOptions;
  readonly session: SessionOptions;
  readonly snapshot: ExportedSnapshot;
  readonly signal: AbortSignal;
  readonly failed: AbortController;
  readonly locks: LockWatch;
}

/** Whoever waits for that session for too long ends the whole dump. */
function holdLocks({ locks, failed }: Run, holder: LockHolder): Disposable {
  const held = locks.hold(holder);
  held.signal.addEventListener("abort", () => failed.abort(held.signal.reason), { once: true });
  return held;
}

type Captured = Pick<CapturedDump, "plaintext" | "tables" | "warnings">;

/** The first of them that fails ends the others, and is what the caller is told. */
async function runAll(run: Run, { tables, leftOut }: Catalog): Promise<Captured> {
  const { options, failed } = run;
  const warnings: string[] = [];
  using _held = holdLocks(run, { applicationName: nameOf(run) });
  const dump = startDump(run, leftOut.args, (text) => warnings.push(text));
  const writing = Promise.withResolvers<void>();
  const hash = createHash("sha256");
  let sizeBytes = 0;
  const pace = createPace(options.readBytesPerSecond, options.clock);
  const plaintext = tapped(dump, async (piece) => {
    writing.resolve();
    hash.update(piece);
    sizeBytes += piece.byteLength;
    options.onProgress?.(sizeBytes);
    await pace(piece.byteLength, run.signal);
  });
  const [forArchive, forGpg] = broadcast(plaintext, 2).map(untilItsEnd);
  if (forArchive === undefined || forGpg === undefined)
    throw sourceError("dump_unread", { message: "dump without readers" });
  const failure: { first?: { readonly thrown: unknown } } = {};
  const orStopAll = async <Result>(work: Promise<Result>): Promise<Result> => {
    try {
      return await work;
    } catch (thrown) {
      failure.first ??= { thrown };
      failed.abort(thrown);
      writing.resolve();
      throw thrown;
    }
  };
  const lanes = [
    orStopAll(readArchive(run, forArchive.pieces)),
    orStopAll(encryptAll(run, forGpg.pieces)),
  ];
  const counting = orStopAll(countAll(run, tables, writing.promise));
  try {
    await Promise.allSettled([...lanes, counting]);
    throwIfAborted(options.signal);
    // The one that failed first rejects with its own words.
    if (failure.first !== undefined) throw toAppError(failure.first.thrown);
    if (!forArchive.ended() || !forGpg.ended()) {
      throw sourceError("dump_unread", { message: "a dump of which not everything was read" });
    }
    return {
      plaintext: { sizeBytes, sha256: hash.digest("hex") },
      tables: await counting,
      warnings,
    };
  } finally {
    // Ended in the middle: its private files go with it.
    await dump.return();
  }
}

function nameOf({ snapshot }: Run): string {
  return `sparekeep pg_dump for ${snapshot.holderPid}`;
}

function startDump(
  run: Run,
  leaveOut: readonly string[],
  onWarning: (text: string) => void,
): AsyncGenerator<Bytes, void, undefined> {
  const { options, session, snapshot, signal } = run;
  return runClientProgram({
    program: options.tools.pgDump,
    args: [
      "--format=custom",
      "--no-sync",
      "--no-password",
      "--encoding=UTF8",
      `--snapshot=${snapshot.id}`,
      `--lock-wait-timeout=${session.lockTimeoutMs}`,
      ...leaveOut,
    ],
    url: options.url,
    applicationName: nameOf(run),
    settings: { timezone: "UTC", lc_monetary: "C", default_transaction_read_only: "on" },
    signal,
    onWarning,
  });
}

async function* tapped(
  source: AsyncIterable<Bytes>,
  see: (piece: Bytes) => Promise<void>,
): AsyncGenerator<Bytes, void, undefined> {
  for await (const piece of source) {
    await see(piece);
    yield piece;
  }
}

function untilItsEnd(source: AsyncIterable<Bytes>): {
  readonly pieces: AsyncIterable<Bytes>;
  readonly ended: () => boolean;
} {
  let ended = false;
  const pieces = async function* (): AsyncGenerator<Bytes, void, undefined> {
    yield* source;
    ended = true;
  };
  return { pieces: pieces(), ended: () => ended };
}

/** Engine-traps 24: `--list` returns 0 on an archive that is cut to half; this reads all of it. */
async function readArchive({ options, signal }: Run, pieces: AsyncIterable<Bytes>): Promise<void> {
  const { pgRestore } = options.tools;
  try {
    const output = runClientProgram({
      program: pgRestore,
      args: ["-f", "-"],
      stdin: pieces,
      signal,
    });
    for await (const _sql of output);
  } catch (thrown) {
    const ofReader =
      thrown instanceof AppError &&
      thrown.code === "postgres.program_failed" &&
      thrown.subject["program"] === "pg_restore";
    if (!ofReader) throw thrown;
    throw sourceError("dump_unreadable", {
      message: `dump that pg_restore does not read to its end: ${thrown.message}`,
      cause: thrown,
    });
  }
}

async function encryptAll({ options, signal }: Run, pieces: AsyncIterable<Bytes>): Promise<void> {
  const ciphertext = options.keyring.encrypt(pieces, { for: options.for, signal });
  for await (const piece of ciphertext) await options.write(piece);
}

async function countAll(
  run: Run,
  tables: readonly Relation[],
  writing: Promise<void>,
): Promise<readonly CountedTable[]> {
  const { session: options, snapshot, signal } = run;
  await using session = await openSession(options, "count");
  using _held = holdLocks(run, { pid: session.backendPid });
  return await underSnapshot(session, snapshot.id, async () => {
    await writing;
    throwIfAborted(signal);
    await demandUnrewritten(session, tables);
    return await countRows(session, tables);
  });
}
