/*
 * effects
 *   reads         the source database, READ ONLY, in sessions named "sparekeep ..."; of a Supabase project with a token its configuration; snapshots, proofs, indexes and the manifest of the newest good point of the repository
 *   writes        one audit record; of a plan with `git` a commit, pushed; packs, indexes and one snapshot of the repository; a record that it is verified or suspect
 *   locks         a shared restic lock, refreshed until the snapshot is written; ACCESS SHARE on each table while it is read, given up where others wait for it for longer than lock_patience; with `lock:` Object Lock on everything that the snapshot needs
 *   leaves behind nothing at the source; interrupted: packs that nothing refers to
 *   exit codes    0; 3 incomplete; 21 suspect: a guard spoke, the point counts for nothing until it is accepted; 1 source or store not reachable; 10 no repository; 11 locked; 12 wrong password; 130
 */
import { MIB } from "../kernel/index.ts";
import type { Bytes } from "../kernel/index.ts";
import {
  formatManifest,
  LIMITED_MANIFEST_FORMAT,
  MANIFEST_FORMAT,
  renderRecoveryFiles,
} from "../manifest/index.ts";
import type { Manifest, ProjectManifest } from "../manifest/index.ts";
import { destinationNamed, pointPlanNamed, sourceNamed } from "../policy/index.ts";
import type { Capture, Named, PointPlan, Policy, Source } from "../policy/index.ts";
import { connect, findClientTools } from "../postgres/index.ts";
import type { ClientTools } from "../postgres/index.ts";
import { saveProof, storedNameOf, tagsOf } from "../repository/index.ts";
import type {
  PointLock,
  Repository,
  SnapshotSummary,
  SnapshotWriter,
} from "../repository/index.ts";
import { captureDatabase } from "../source/index.ts";
import type {
  CaptureIssue,
  CaptureOnly,
  CaptureProgress,
  CaptureResult,
  ProjectIssue,
} from "../source/index.ts";
import type { ManagementApi } from "../supabase/index.ts";
import type { Secret } from "../kernel/index.ts";
import { recordAccess } from "./audit-log.ts";
import type { OnProgress, OperationContext } from "./context.ts";
import { doubtDetails, guardPoint } from "./guard/guard.ts";
import type { GuardReport } from "./guard/guard.ts";
import { findYardstick } from "./guard/yardstick.ts";
import type { Yardstick } from "./guard/yardstick.ts";
import { ROW_HASH_LABEL } from "./row-hash-label.ts";
import { apiOf, storeProject, summaryOf } from "./backup-project.ts";
import type { ProjectSummary } from "./backup-project.ts";
import { MANIFEST_PATH } from "./manifest-of.ts";
import { connectionUrl, openDestination } from "./open.ts";
import { pointLock } from "./point-lock.ts";
import { hasRoomForRecords, provePoint, proverOf } from "./prove.ts";
import type { ProvenPoint } from "./prove.ts";
import { readingLimits } from "./reading-limits.ts";
import { pointTime } from "./point-time.ts";
import { readBack } from "./read-back.ts";
import type { SchemaCommit } from "./schema/commit-schema.ts";
import { trackFiles } from "./track-files.ts";
import { usedConnection } from "./used-connection.ts";
import type { UsedConnection } from "./used-connection.ts";

export interface BackupOptions {
  readonly policy: Policy;
  /** The only one of the policy when left out. */
  readonly plan?: string;
  readonly connections?: number;
  /** For the commit of a plan with `git`: `before a migration`. */
  readonly when?: string;
  readonly onProgress?: OnProgress;
}

export interface BackupResult extends Omit<ProvenPoint, "state">, UsedConnection {
  /** `suspect`: a guard spoke; the point is stored, and counts for nothing until a named person accepts it. */
  readonly outcome: "complete" | "incomplete" | "suspect";
  readonly state: ProvenPoint["state"] | "suspect";
  readonly plan: string;
  readonly source: string;
  readonly destination: string;
  readonly location: string;
  readonly snapshot: string;
  readonly startedAt: string;
  readonly durationMs: number;
  readonly tables: number;
  readonly rows: bigint;
  readonly files: number;
  readonly readBytes: number;
  readonly writtenBytes: number;
  readonly blobsNew: number;
  readonly blobsKnown: number;
  readonly issues: readonly (CaptureIssue | ProjectIssue)[];
  /** Where the run gave way to the application, or did with less. */
  readonly notices: readonly string[];
  /** Of a Supabase project whose configuration was read. */
  readonly project?: ProjectSummary;
  readonly leftOut: Manifest["database"]["leftOut"];
  readonly guards: GuardReport;
  readonly capture: PointPlan["capture"];
  /** Of a plan with `git`, where the schema is whole. */
  readonly git?: SchemaCommit;
  /** Of a destination with a lock: until when nobody deletes the point, as read back from the store. */
  readonly lockedUntil?: string;
}

const CONNECTIONS = 2;
const NO_ROWS: Yardstick = { findings: [], nothing: "the plan captures no rows" };
const SPLIT_BYTES = 64 * MIB;

export async function backup(
  context: OperationContext,
  options: BackupOptions,
): Promise<BackupResult> {
  const startedMs = context.clock.monotonicMs();
  const startedAt = context.clock.now();
  const { policy } = options;
  const plan = pointPlanNamed(policy, options.plan);
  const source = sourceNamed(policy, plan.source);
  const destination = destinationNamed(policy, plan.to);
  await recordAccess(context, policy, "backup", {
    plan: plan.name,
    source: source.name,
    destination: destination.name,
  });
  if (plan.git !== undefined) {
    // Before a point is made that could not be committed.
    const { authorOf } = await import("./schema/commit-schema.ts");
    authorOf(context, plan.git);
  }
  options.onProgress?.({ step: "open", doneBytes: 0, totalBytes: 0 });
  const repository = await openDestination(context, destination, { next: "write" });
  const url = await connectionUrl(context, source.connection);
  const tools = await toolsFor(context, url);
  const lock = pointLock(policy, destination);
  const records = hasRoomForRecords(destination);
  options.onProgress?.({ step: "yardstick", doneBytes: 0, totalBytes: 0 });
  const asked = { plan: plan.name, source: source.name, records, signal: context.signal };
  const schemaOnly = plan.capture === "schema";
  const yardstick = schemaOnly ? NO_ROWS : await findYardstick(repository, asked);
  const run = { repository, plan, source, url, tools, startedAt, records, yardstick };
  const more = { ...(lock === undefined ? {} : { lock }), ...(await apiOf(context, plan, source)) };
  const stored = await store(context, options, { ...run, ...more });
  options.onProgress?.({ step: "read back", doneBytes: 0, totalBytes: 0 });
  const { summary, manifestBytes, files } = stored;
  const point = { repository, snapshot: summary.id, records };
  const proven = await provePoint(context, point, () =>
    readBack(repository, summary, manifestBytes, files, context.signal),
  );
  const committed = await commitDefinitions(context, options, run, stored);
  const { tables, leftOut } = stored.capture.database;
  const { lockedUntil } = stored.summary;
  return {
    outcome: outcomeOf(stored),
    plan: plan.name,
    capture: plan.capture,
    source: source.name,
    destination: destination.name,
    location: repository.location,
    snapshot: stored.summary.id,
    startedAt: startedAt.toISOString(),
    durationMs: context.clock.monotonicMs() - startedMs,
    tables: tables.length,
    rows: tables.reduce((sum, table) => sum + BigInt(table.rows), 0n),
    files: stored.summary.files,
    readBytes: stored.summary.readBytes,
    writtenBytes: stored.summary.writtenBytes,
    blobsNew: stored.summary.blobsNew,
    blobsKnown: stored.summary.blobsKnown,
    issues: stored.issues,
    notices: stored.capture.notices ?? [],
    ...(stored.project === undefined ? {} : { project: summaryOf(stored.project) }),
    leftOut,
    ...(lockedUntil === undefined ? {} : { lockedUntil: lockedUntil.toISOString() }),
    guards: stored.guards,
    ...proven,
    ...(committed === undefined ? {} : { git: committed }),
    state: isDoubted(stored) ? "suspect" : proven.state,
    ...usedConnection(repository),
  };
}

/** A schema that lacks something would look as if that had been dropped. */
async function commitDefinitions(
  context: OperationContext,
  { when, onProgress }: BackupOptions,
  { repository, plan, source }: Run,
  { summary, capture }: Stored,
): Promise<SchemaCommit | undefined> {
  if (plan.git === undefined || capture.issues.length > 0) return undefined;
  onProgress?.({ step: "git", doneBytes: 0, totalBytes: 0 });
  const point = { repository, snapshot: summary.id, source: source.name };
  const { commitSchema } = await import("./schema/commit-schema.ts");
  return commitSchema(context, plan.git, when === undefined ? point : { ...point, when });
}

function isDoubted({ guards }: Stored): boolean {
  return guards.findings.length > 0;
}

/** A point that counts for nothing is not one that merely lacks something: suspect says more than incomplete. */
function outcomeOf(stored: Stored): BackupResult["outcome"] {
  if (isDoubted(stored)) return "suspect";
  return stored.issues.length === 0 ? "complete" : "incomplete";
}

async function toolsFor(context: OperationContext, url: Secret): Promise<ClientTools> {
  const { signal } = context;
  await using connection = await connect({
    url,
    applicationName: "sparekeep backup",
    readOnly: true,
    signal,
  });
  return findClientTools(context.toolDirectories, connection.versionNum, { signal });
}

interface Run {
  readonly repository: Repository;
  readonly plan: Named<PointPlan>;
  readonly source: Named<Source>;
  /** Whether the destination has room for records. */
  readonly records: boolean;
  readonly yardstick: Yardstick;
  readonly url: Secret;
  readonly tools: ClientTools;
  readonly startedAt: Date;
  readonly lock?: PointLock;
  readonly api?: ManagementApi;
}

interface Stored {
  readonly summary: SnapshotSummary;
  readonly capture: CaptureResult;
  readonly guards: GuardReport;
  readonly project?: ProjectManifest;
  readonly issues: BackupResult["issues"];
  readonly manifestBytes: Bytes;
  readonly files: ReadonlyMap<string, number>;
}

/** Holds the lock from the first blob until the snapshot is durable. */
async function store(context: OperationContext, options: BackupOptions, run: Run): Promise<Stored> {
  const { signal, clock, log } = context;
  await using locked = await run.repository.acquireWriter({
    hostname: context.hostname,
    username: context.actor,
    pid: context.pid,
    signal,
    ...(run.lock === undefined ? {} : { lock: run.lock }),
  });
  const { writer, files } = trackFiles(locked);
  const schemaOnly = run.plan.capture === "schema";
  const rowHashKey = run.repository.deriveKey(ROW_HASH_LABEL);
  const { onProgress } = options;
  const configuration = await storeProject(context, options, {
    api: run.api,
    writer,
    sealKey: rowHashKey,
  });
  const capture = await captureDatabase(writer, {
    source: { name: run.source.name, url: run.url },
    tools: run.tools,
    schemaOnly,
    connections: options.connections ?? CONNECTIONS,
    splitBytes: SPLIT_BYTES,
    rowHashKey,
    ...readingLimits(run.source),
    ...(typeof run.plan.capture === "string" ? {} : { only: onlyOf(run.plan.capture) }),
    ...(run.plan.capture === "everything" && run.source.vault !== undefined
      ? { vault: run.source.vault }
      : {}),
    ...(run.plan.except === undefined ? {} : { leaves: run.plan.except }),
    clock,
    log,
    signal,
    ...(onProgress === undefined ? {} : { onProgress: (progress) => onProgress(shown(progress)) }),
  });
  const limited = capture.database.limitedTo !== undefined;
  const manifest: Manifest = {
    format: limited ? LIMITED_MANIFEST_FORMAT : MANIFEST_FORMAT,
    plan: run.plan.name,
    startedAt: run.startedAt.toISOString(),
    completedAt: clock.now().toISOString(),
    tool: { name: "sparekeep", version: context.version },
    rowHashKey: Buffer.from(rowHashKey).toString("hex"),
    ...(schemaOnly ? { captures: "schema" as const } : {}),
    database: capture.database,
    ...(configuration === undefined ? {} : { project: configuration.project }),
  };
  const issues = [...(configuration?.issues ?? []), ...capture.issues];
  const manifestBytes = await saveDescription(writer, manifest, run.startedAt);
  onProgress?.({ step: "commit", doneBytes: 0, totalBytes: 0 });
  const guards = guardPoint(run.yardstick, capture, run.plan.guards ?? {});
  const doubted = guards.findings.length > 0;
  const summary = await writer.commit({
    time: pointTime(run.startedAt, capture.database),
    // A place of its own: restic's own forget groups by it, and must not count a few tables for the whole.
    paths: [`/${options.policy.name}/${run.source.name}${limited ? `/${run.plan.name}` : ""}`],
    tags: tagsOf({
      plan: run.plan.name,
      source: run.source.name,
      incomplete: issues.length > 0,
      ofTables: limited,
      suspect: doubted && !run.records,
      schemaOnly,
    }),
    ...(doubted && run.records ? { beforeSnapshot: doubtBefore(context, run, guards) } : {}),
  });
  const project = configuration?.project;
  return {
    summary,
    capture,
    guards,
    manifestBytes,
    files,
    issues,
    ...(project === undefined ? {} : { project }),
  };
}

/** Durable before the snapshot is: whoever sees the point sees the doubt, also where the run ends in between. */
function doubtBefore(
  context: OperationContext,
  { repository }: Run,
  guards: GuardReport,
): (snapshot: string) => Promise<void> {
  return async (snapshot) => {
    const details = doubtDetails(guards);
    const doubt = { snapshot, state: "suspect", by: proverOf(context), details } as const;
    await saveProof(repository, doubt, { signal: context.signal });
  };
}

function onlyOf({ tables, formats }: Exclude<Capture, string>): CaptureOnly {
  return { tables, formats: formats.map((format) => (format === "json" ? "jsonl" : format)) };
}

function shown(progress: CaptureProgress): Parameters<OnProgress>[0] {
  const { step, doneBytes, totalBytes, rows, current } = progress;
  return { step, doneBytes, totalBytes, rows, ...(current === undefined ? {} : { current }) };
}

/** What makes the snapshot readable without Sparekeep, and last the manifest, from what was really stored. */
async function saveDescription(
  writer: SnapshotWriter,
  manifest: Manifest,
  modifiedAt: Date,
): Promise<Bytes> {
  for (const { path, text, mode } of renderRecoveryFiles(manifest, { storedName })) {
    await writer.saveFile(path, Buffer.from(text), { kind: "file", modifiedAt, mode });
  }
  const bytes = formatManifest(manifest);
  await writer.saveFile([MANIFEST_PATH], bytes, { kind: "file", modifiedAt });
  return bytes;
}

/** What stock restic calls a file: the scripts must find it there. */
function storedName(name: string): string {
  return Buffer.from(storedNameOf(Buffer.from(name))).toString("utf8");
}
