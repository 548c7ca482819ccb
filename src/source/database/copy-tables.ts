/**
 * All tables, by several sessions at once: largest first, in rounds. A part that met a lock or a lost session comes
 * again in the next round; a table with a value too large for text comes again as binary; a table with an issue is
 * given up, and says so. What was already stored of either leaves the snapshot again.
 */
import { AppError } from "../../kernel/index.ts";
import { addHashes } from "../../manifest/index.ts";
import type { TableExport, TableManifest } from "../../manifest/index.ts";
import type { Connection } from "../../postgres/index.ts";
import type { CaptureContext } from "./context.ts";
import { copyPart, discardPart } from "./copy-part.ts";
import type { CopiedPart } from "./copy-part.ts";
import { exportFormats } from "./exports.ts";
import { holdsHugeValue } from "./huge-values.ts";
import type { Hold } from "./lock-watch.ts";
import { PartRefused, captureIssue, displayName, tableIssue } from "./issues.ts";
import type { PageRange } from "./parts.ts";
import { chunksOf, splitByPages } from "./parts.ts";
import type { Relation, RelationSize } from "./relations.ts";
import { openSession } from "./snapshot.ts";
import type { CaptureIssue } from "./types.ts";
import { runPool } from "./work-pool.ts";

export interface TableWork {
  readonly table: Relation;
  readonly size: RelationSize;
}

interface TableState {
  readonly work: TableWork;
  readonly ranges: readonly (PageRange | undefined)[];
  format: "text" | "binary";
  /** Goes up when all parts are read again in another format; what older tasks bring is dropped. */
  generation: number;
  formatKnown: Promise<void> | undefined;
  parts: Map<number, CopiedPart>;
  done: Set<number>;
  issue: CaptureIssue | undefined;
}

interface PartTask {
  readonly state: TableState;
  readonly index: number;
  readonly attempt: number;
  readonly generation: number;
}

const MAX_ATTEMPTS = 3;
/** PostgreSQL 13 has no TID range scan: each part would read the whole table. */
const TID_RANGE_SCAN_VERSION_NUM = 140_000;

export interface CopiedTables {
  readonly tables: readonly TableManifest[];
  readonly issues: readonly CaptureIssue[];
}

export async function copyTables(
  context: CaptureContext,
  work: readonly TableWork[],
  blockBytes: number,
): Promise<CopiedTables> {
  const states = work.map((one) => newState(context, one, blockBytes));
  let round = states.flatMap(tasksOf);
  while (round.length > 0) {
    const again: PartTask[] = [];
    await runPool({
      tasks: round,
      size: context.connections,
      clock: context.options.clock,
      signal: context.signal,
      fail: context.fail,
      open: () => openSession(context.session, "copy"),
      run: (session, task) => runTask(context, session, task, again),
    });
    round = again.filter((task) => task.state.issue === undefined);
  }
  return {
    tables: states.filter((state) => state.issue === undefined).map(tableManifest),
    issues: states.flatMap((state) => issuesOf(context, state)),
  };
}

function issuesOf(context: CaptureContext, state: TableState): readonly CaptureIssue[] {
  if (state.issue !== undefined) return [state.issue];
  const own = [...state.parts.values()].flatMap(({ exportIssues }) => exportIssues);
  const { format, work } = state;
  if (format === "text" || exportFormats(context.options, { format: "text" }).length === 0) {
    return own;
  }
  const name = displayName(work.table);
  const message = `table ${name} holds values that text cannot carry: it is stored as COPY binary alone`;
  return [...own, captureIssue("export_failed", name, message)];
}

function newState(context: CaptureContext, work: TableWork, blockBytes: number): TableState {
  const splittable =
    // What is stored for other programs is one file, so its rows come in one stream.
    exportFormats(context.options, { format: "text" }).length === 0 &&
    work.table.heap &&
    work.table.extension === undefined &&
    context.snapshot.versionNum >= TID_RANGE_SCAN_VERSION_NUM;
  const ranges = splittable
    ? splitByPages({ ...work.size, blockBytes, splitBytes: context.options.splitBytes })
    : undefined;
  return {
    work,
    ranges: ranges ?? [undefined],
    format: "text",
    generation: 0,
    formatKnown: undefined,
    parts: new Map(),
    done: new Set(),
    issue: undefined,
  };
}

function tasksOf(state: TableState): readonly PartTask[] {
  const { generation } = state;
  return state.ranges.map((_, index) => ({ state, index, attempt: 1, generation }));
}

/** Returns false where the session is of no more use. */
async function runTask(
  all: CaptureContext,
  session: Connection,
  task: PartTask,
  again: PartTask[],
): Promise<boolean> {
  const { state, index } = task;
  if (state.issue !== undefined || task.generation !== state.generation) return true;
  using held = all.locks.hold({ pid: session.backendPid });
  const context = { ...all, signal: AbortSignal.any([all.signal, held.signal]) };
  try {
    await chooseFormat(context, session, state);
    const { format, ranges } = state;
    const range = ranges[index];
    const { table, size } = state.work;
    const request = { table, index, format, chunks: chunksOf(size) };
    const part = await copyPart(context, session, {
      ...request,
      ...(range === undefined ? {} : { range }),
    });
    // Given up, or begun anew, while this part was read.
    const stale = state.issue !== undefined || task.generation !== state.generation;
    if (!stale) finishPart(context, state, index, part);
    else discardPart(context, request, part);
    return true;
  } catch (error) {
    if (gaveWay(error, held) && !all.signal.aborted) return giveWay(all, task, again);
    return judge(all, error, task, again);
  }
}

/** A session whose socket was closed for it is lost, too. */
function gaveWay(error: unknown, held: Hold): boolean {
  if (!(error instanceof AppError)) return false;
  const lost = error.code === "postgres.connection_lost" && held.waited() !== undefined;
  return lost || error.code === "source.ddl_waited";
}

/**
 * Somebody waited for the table for too long, here or where another part of it was asked for its format. It is read again
 * later, under the same snapshot: what the other made of it is found then. The session is of no more use: where it did
 * not end by the cancel request, its socket was closed.
 */
function giveWay(context: CaptureContext, task: PartTask, again: PartTask[]): false {
  const { state, attempt } = task;
  const name = displayName(state.work.table);
  state.formatKnown = undefined;
  if (attempt < MAX_ATTEMPTS) {
    context.notices.say(
      `table ${name} that gave way to a session that waited for it, and was read again`,
    );
    again.push({ ...task, attempt: attempt + 1 });
    return false;
  }
  const message = `table ${name} was given up: each of ${MAX_ATTEMPTS} times others waited for it for too long`;
  giveUp(context, state, captureIssue("table_yielded", name, message));
  return false;
}

function giveUp(context: CaptureContext, state: TableState, issue: CaptureIssue): void {
  state.issue ??= issue;
  discardParts(context, state);
}

function discardParts(context: CaptureContext, state: TableState): void {
  const { format } = state;
  const { table } = state.work;
  for (const [index, part] of state.parts) discardPart(context, { table, index, format }, part);
  state.parts = new Map();
}

function finishPart(
  context: CaptureContext,
  state: TableState,
  index: number,
  part: CopiedPart,
): void {
  state.done.add(index);
  state.parts.set(index, part);
  if (state.done.size === state.ranges.length) context.meter.tableDone(rowsOf(state));
}

/** Found out once for each table, by whoever comes first; the others wait. */
function chooseFormat(
  context: CaptureContext,
  session: Connection,
  state: TableState,
): Promise<void> {
  state.formatKnown ??= (async () => {
    if (await holdsHugeValue(context, session, state.work)) state.format = "binary";
  })();
  return state.formatKnown;
}

/** True: the session can go on. Throws what ends the whole run. */
function judge(
  context: CaptureContext,
  error: unknown,
  task: PartTask,
  again: PartTask[],
): boolean {
  const { state } = task;
  const { table } = state.work;
  if (error instanceof PartRefused) {
    giveUp(context, state, error.issue);
    return true;
  }
  if (error instanceof AppError && error.code === "postgres.connection_lost") {
    if (task.attempt >= MAX_ATTEMPTS) throw error;
    state.formatKnown = undefined;
    again.push({ ...task, attempt: task.attempt + 1 });
    return false;
  }
  const issue = tableIssue(error, table);
  if (issue === undefined) throw error;
  if (issue.code === "table_locked" && task.attempt < MAX_ATTEMPTS) {
    state.formatKnown = undefined;
    again.push({ ...task, attempt: task.attempt + 1 });
    return true;
  }
  if (task.generation !== state.generation) return true;
  if (issue.code === "value_too_large" && state.format === "text") {
    startBinary(context, state, again);
    return true;
  }
  giveUp(context, state, issue);
  return true;
}

/** All parts of a table have one format: what was read as text is read again. */
function startBinary(context: CaptureContext, state: TableState, again: PartTask[]): void {
  discardParts(context, state);
  state.format = "binary";
  state.generation += 1;
  state.done = new Set();
  again.push(...tasksOf(state));
}

function rowsOf(state: TableState): bigint {
  return [...state.parts.values()].reduce((sum, { part }) => sum + BigInt(part?.rows ?? 0), 0n);
}

function tableManifest(state: TableState): TableManifest {
  const { table } = state.work;
  const copied = [...state.parts.entries()].toSorted(([a], [b]) => a - b).map(([, part]) => part);
  const parts = copied.map(({ part }) => part).filter((part) => part !== undefined);
  const exports = copied.flatMap((one) => one.exports.map(exportManifest));
  return {
    schema: table.schema,
    name: table.name,
    format: state.format,
    unlogged: table.unlogged,
    ...(table.extensionCondition === undefined || table.extensionCondition === ""
      ? {}
      : { condition: table.extensionCondition }),
    ...(table.partitionOf === undefined ? {} : { partitionOf: table.partitionOf }),
    columns: table.columns.map(({ name, type }) => ({ name, type })),
    rows: String(rowsOf(state)),
    rowHash: addHashes(parts.map((part) => part.rowHash)),
    parts,
    ...(exports.length === 0 ? {} : { exports }),
  };
}

function exportManifest({ format, path, sizeBytes, sha256 }: TableExport): TableExport {
  return { format, path, sizeBytes, sha256 };
}

/** For tables that are known to be out of reach before anything is read. */
export function refusedBefore(table: Relation): CaptureIssue | undefined {
  const name = displayName(table);
  if (!table.readable) {
    return captureIssue("permission_denied", name, `no right to read table ${name}`);
  }
  // A partitioned table holds no rows, and its leaves have policies of their own.
  if (table.rowSecurity && table.kind === "table") {
    const message = `row-level security would hide rows of table ${name} from the backup role`;
    return captureIssue("row_security_hidden", name, message);
  }
  return undefined;
}
