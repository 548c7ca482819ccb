/**
 * The capture of one database into an open snapshot (docs/spec/capture.md):
 *
 * 1. export one snapshot; its session stays until the end and holds no lock on any table
 * 2. read the catalogs under it: identity, roles, relations, columns, sequences, large objects
 * 3. wait for tables that others have locked; what stays locked or out of reach is an issue, by name
 * 4. pg_dump writes the schema under the snapshot
 * 5. tables by parallel COPY under the snapshot, largest first (`copy-tables.ts`), then large objects
 * 6. the manifest is made of what was really stored
 */
import { AppError, throwIfAborted } from "../../kernel/index.ts";
import { platformNamed } from "../../manifest/index.ts";
import type {
  DatabaseManifest,
  Platform,
  RoleManifest,
  ServerIdentity,
} from "../../manifest/index.ts";
import { readPlatform } from "../../postgres/index.ts";
import type { Connection } from "../../postgres/index.ts";
import { BeginAgain, beginAgain } from "./begin-again.ts";
import { saveCatalogFacts } from "./catalog-facts.ts";
import type { SavedFacts } from "./catalog-facts.ts";
import { DEFAULT_BUDGET, watchBudget } from "./budget.ts";
import { roomForConnections } from "./connection-room.ts";
import type { CaptureContext } from "./context.ts";
import { DEFAULT_LOCK_PATIENCE_MS, watchLocks } from "./lock-watch.ts";
import { ControlSession } from "./control.ts";
import { copyTables, refusedBefore } from "./copy-tables.ts";
import { sizeUp } from "./size-up.ts";
import { captureIssue, displayName } from "./issues.ts";
import { copyLargeObjects, listLargeObjects } from "./large-objects.ts";
import { leftOutByLimit, limitTo, readLimitFacts } from "./limit.ts";
import type { Limit, LimitFacts } from "./limit.ts";
import { leaveTo, leftOutByPlan } from "./leave.ts";
import { leftOutByPlatform, leftOutBySchema, readLeftOut } from "./left-out.ts";
import { stayLocked } from "./locked-tables.ts";
import { readMaterializedViews } from "./materialized-views.ts";
import { createNotices } from "./notices.ts";
import type { Notices } from "./notices.ts";
import { createPace } from "./pace.ts";
import { ProgressMeter } from "./progress.ts";
import { readBlockBytes, readRelations } from "./relations.ts";
import type { Relation } from "./relations.ts";
import { readRoles } from "./roles.ts";
import { pgDumpVersion, saveSchemaArchive } from "./schema-archive.ts";
import type { SchemaArchive } from "./schema-archive.ts";
import { listSequences, readSequences } from "./sequences.ts";
import { readServerIdentity } from "./server-identity.ts";
import { captureVault, leftOutOfVault, VAULT_TABLE } from "./vault.ts";
import { exportSnapshot, openSession, underSnapshot } from "./snapshot.ts";
import { leftOutByStandby } from "./standby.ts";
import type { CaptureDatabase, CaptureIssue, CaptureOptions, CaptureResult } from "./types.ts";
import type { SnapshotWriter } from "../../repository/index.ts";
import { sourceError } from "../errors.ts";

const DEFAULT_LOCK_TIMEOUT_MS = 10_000;
/** A migration that meets pg_dump makes it fail as a whole; no row is stored yet, so a new snapshot costs little. */
const OF_SCHEMA = new Set(["postgres.program_failed", "source.ddl_waited"]);
/** What a standby had to replay took the rows of the snapshot away. */
const OF_STANDBY = new Set(["postgres.recovery_conflict", "source.snapshot_lost"]);

export const captureDatabase: CaptureDatabase = async (writer, options) => {
  const { signal } = options;
  const notices = createNotices(options.log);
  const result = await beginAgain(writer, { notices, signal }, async (tracked) => {
    throwIfAborted(signal);
    return captureOnce(tracked, options, notices);
  });
  return { ...result, notices: notices.said };
};

async function captureOnce(
  writer: SnapshotWriter,
  options: CaptureOptions,
  notices: Notices,
): Promise<CaptureResult> {
  const failed = new AbortController();
  const signals = [failed.signal, options.signal].filter((one) => one !== undefined);
  const signal = AbortSignal.any(signals);
  const lockTimeoutMs = options.lockTimeoutMs ?? DEFAULT_LOCK_TIMEOUT_MS;
  const session = { url: options.source.url, lockTimeoutMs, signal };
  const meter = new ProgressMeter(options.onProgress);
  meter.begin("connect");
  await using snapshot = await exportSnapshot(session);
  const takenAt = snapshot.standby?.at ?? options.clock.now();
  await using control = new ControlSession(session);
  await using watching = new ControlSession(session, "watch");
  let spent: AppError | undefined;
  await using _watch = watchBudget({
    budget: options.budget ?? DEFAULT_BUDGET,
    clock: options.clock,
    control: watching,
    holderPid: snapshot.holderPid,
    onSpent: (error) => {
      spent = error;
      failed.abort(error);
    },
  });
  await using locks = watchLocks({
    patienceMs: options.lockPatienceMs ?? DEFAULT_LOCK_PATIENCE_MS,
    clock: options.clock,
    notices,
    control: watching,
    snapshotPid: snapshot.holderPid,
  });
  const connections = await watching.run((watch) =>
    // Besides the readers: one that reads the present.
    roomForConnections(watch, { fixed: 1, wanted: options.connections, notices }),
  );
  const fail = (): void => failed.abort();
  const pace = createPace(options.readBytesPerSecond, options.clock);
  const reading = { snapshot, control, locks, meter, pace, notices, takenAt };
  try {
    return await captureUnder({ writer, options, connections, session, signal, fail, ...reading });
  } catch (error) {
    // Whatever fails after the budget was spent fails because of it.
    if (spent !== undefined) throw spent;
    const conflict = error instanceof AppError && OF_STANDBY.has(error.code);
    throw conflict && snapshot.standby !== undefined ? new BeginAgain(error) : error;
  }
}

async function captureUnder(context: CaptureContext): Promise<CaptureResult> {
  const { meter, control } = context;
  const catalog = await readCatalog(context);
  if (context.options.schemaOnly === true) return captureSchemaUnder(context, catalog);
  const { platform } = catalog;
  const limit = limitOf(context, catalog);
  const left = leaveTo(context.options.leaves, catalog.relations, catalog.limitFacts?.foreignKeys);
  const wanted = catalog.sequences.filter(
    (one) => isCaptured(platform, one) && (limit?.usesSequence(one) ?? true),
  );
  const sequences = await readSequences(control, wanted);
  const selected = (oid: number): boolean =>
    !left.oids.has(oid) && (limit?.selected.has(oid) ?? true);
  const reach = await sortOut(context, catalog, selected, left.oids);
  meter.begin("schema");
  const schema = await saveSchema(context, reach.excluded);
  // At once: the server words definitions from its catalogs of now.
  const facts = await saveCatalogFacts(context);
  const work = await sizeUp(context, reach.readable);
  meter.begin("tables", {
    tablesTotal: work.length,
    totalBytes: work.reduce((sum, { size }) => sum + size.heapBytes + size.toastBytes, 0),
  });
  const tables = await copyTables(context, work, catalog.blockBytes);
  meter.begin("large-objects");
  const listed = limit === undefined ? catalog.largeObjects : [];
  const largeObjects = await copyLargeObjects(context, listed);
  meter.begin("finish");
  const { vault, issues: vaultIssues } = await captureVault(context, platform !== undefined);
  const described = await describe(context, catalog, { schema, facts });
  const database: DatabaseManifest = {
    ...described,
    tables: tables.tables,
    sequences: sequences.sequences,
    largeObjects: largeObjects.largeObjects,
    // Computed from what is not there, they would say something that was never so.
    materializedViews: limit === undefined ? described.materializedViews : [],
    ...(vault === undefined ? {} : { vault }),
    leftOut: [
      ...described.leftOut,
      ...leftOutByPlan(left, reach.excluded),
      ...leftOutRows(limit, catalog, reach).filter(({ object }) => object !== VAULT_TABLE),
      ...leftOutOfVault(catalog.relations, vault),
    ],
    ...(left.leftTo.length === 0 ? {} : { leftTo: left.leftTo }),
    ...(limit === undefined ? {} : { limitedTo: limit.limits }),
  };
  const issues = [
    ...(limit?.issues ?? []),
    ...left.issues,
    ...reach.issues,
    ...tables.issues,
    ...sequences.issues,
    ...largeObjects.issues,
    ...vaultIssues,
  ];
  return { database, issues };
}

function leftOutRows(
  limit: Limit | undefined,
  { platform, relations }: Catalog,
  reach: Reach,
): DatabaseManifest["leftOut"] {
  if (limit !== undefined) return leftOutByLimit(limit, relations, reach.excluded);
  return reach.platforms.flatMap((relation) => leftOutByPlatform(platform, relation));
}

/** What cannot be described is missing; what could not be read of rows is none of a schema's business. */
async function captureSchemaUnder(
  context: CaptureContext,
  catalog: Catalog,
): Promise<CaptureResult> {
  const reach = await sortOut(context, catalog, () => true);
  context.meter.begin("schema");
  const schema = await saveSchema(context, reach.excluded);
  // At once: the server words definitions from its catalogs of now.
  const facts = await saveCatalogFacts(context);
  const described = await describe(context, catalog, { schema, facts });
  const rows = { object: "rows", reason: "this plan captures the schema alone" };
  const excluded = new Set(reach.excluded.map(displayName));
  return {
    database: {
      ...described,
      tables: [],
      sequences: [],
      largeObjects: [],
      leftOut: [rows, ...described.leftOut],
    },
    issues: reach.issues.filter(({ object }) => excluded.has(object)),
  };
}

async function describe(
  context: CaptureContext,
  catalog: Catalog,
  { schema, facts }: { readonly schema: SchemaArchive; readonly facts: SavedFacts },
): Promise<Omit<DatabaseManifest, "tables" | "sequences" | "largeObjects">> {
  const { snapshot } = context;
  const { platform } = catalog;
  return {
    source: context.options.source.name,
    server: catalog.server,
    snapshot: {
      pgSnapshot: snapshot.pgSnapshot,
      takenAt: context.takenAt.toISOString(),
      ...(snapshot.insertLsnAfter === undefined ? {} : { insertLsnAfter: snapshot.insertLsnAfter }),
    },
    clientTools: { pgDump: await pgDumpVersion(context) },
    ...(platform === undefined ? {} : { platform: platform.name }),
    schema: schema.file,
    ...(facts.catalog === undefined ? {} : { catalog: facts.catalog }),
    roles: catalog.roles,
    materializedViews: catalog.materializedViews,
    leftOut: [
      ...(snapshot.standby === undefined ? [] : [leftOutByStandby(snapshot.standby)]),
      ...catalog.leftOut,
      ...schema.warnings.map(leftOutBySchema),
      ...facts.leftOut,
    ],
  };
}

function limitOf({ options }: CaptureContext, catalog: Catalog): Limit | undefined {
  if (options.only === undefined || catalog.limitFacts === undefined) return undefined;
  const limit = limitTo(options.only.tables, catalog.relations, catalog.limitFacts);
  if (limit.issues.length < options.only.tables.length) return limit;
  throw sourceError("no_table_found", {
    message: limit.issues.map(({ message }) => message).join("; "),
  });
}

interface Catalog {
  readonly server: ServerIdentity;
  readonly roles: readonly RoleManifest[];
  readonly platform: Platform | undefined;
  readonly relations: readonly Relation[];
  readonly sequences: Awaited<ReturnType<typeof listSequences>>;
  readonly largeObjects: Awaited<ReturnType<typeof listLargeObjects>>;
  readonly materializedViews: DatabaseManifest["materializedViews"];
  readonly leftOut: DatabaseManifest["leftOut"];
  readonly blockBytes: number;
  /** Only where some tables are named. */
  readonly limitFacts?: LimitFacts;
}

async function readCatalog(context: CaptureContext): Promise<Catalog> {
  await using session = await openSession(context.session, "catalog");
  return await underSnapshot(session, context.snapshot.id, () =>
    readAll(session, (context.options.only ?? context.options.leaves) !== undefined),
  );
}

async function readAll(session: Connection, limited: boolean): Promise<Catalog> {
  const relations = await readRelations(session);
  const platform = await readPlatform(session);
  return {
    server: await readServerIdentity(session),
    platform: platform === undefined ? undefined : platformNamed(platform),
    roles: await readRoles(session),
    relations,
    sequences: await listSequences(session),
    largeObjects: await listLargeObjects(session),
    materializedViews: await readMaterializedViews(session),
    leftOut: await readLeftOut(session, relations),
    blockBytes: await readBlockBytes(session),
    ...(limited ? { limitFacts: await readLimitFacts(session) } : {}),
  };
}

interface Reach {
  readonly readable: readonly Relation[];
  /** Not even described: pg_dump could not lock them. */
  readonly excluded: readonly Relation[];
  /** The platform's own: described where that is possible, their rows never read. */
  readonly platforms: readonly Relation[];
  readonly issues: readonly CaptureIssue[];
}

async function sortOut(
  context: CaptureContext,
  { relations, platform }: Pick<Catalog, "relations" | "platform">,
  selected: (oid: number) => boolean,
  left: ReadonlySet<number> = new Set(),
): Promise<Reach> {
  const described = relations.filter(
    (one) =>
      one.kind !== "foreign" &&
      (one.extension === undefined || one.extensionCondition !== undefined),
  );
  const ours = described.filter((one) => isCaptured(platform, one));
  const platforms = described.filter((one) => !isCaptured(platform, one));
  const locked = new Set(await stayLocked(context.control, ours));
  const out = new Map<number, CaptureIssue>();
  for (const relation of ours) {
    const issue = locked.has(relation) ? lockedIssue(relation) : refusedBefore(relation);
    if (issue !== undefined) out.set(relation.oid, issue);
  }
  const start = ours.filter((one) => locked.has(one) || !one.readable);
  const undescribed = withChildren(ours, start, (child, parent) => {
    const code = out.get(parent)?.code ?? "permission_denied";
    if (!out.has(child.oid)) out.set(child.oid, parentIssue(child, code));
  });
  return {
    readable: ours.filter((one) => one.kind === "table" && !out.has(one.oid) && selected(one.oid)),
    excluded: [
      ...undescribed,
      ...withChildren(platforms, platforms.filter(isUnreadable), () => undefined),
    ],
    platforms,
    // A plan needs no right to what it leaves to another; a lock in passing costs it the definition all the same.
    issues: [...out]
      .filter(([oid, { code }]) => selected(oid) || (left.has(oid) && code === "table_locked"))
      .map(([, issue]) => issue),
  };
}

function isUnreadable({ readable }: Relation): boolean {
  return !readable;
}

/** What of a platform's own may not be read is no fault of the role. */
function isCaptured(
  platform: Platform | undefined,
  {
    schema,
    name,
    readable,
  }: { readonly schema: string; readonly name: string; readonly readable?: boolean },
): boolean {
  const rows = platform?.rowsOf(schema, name);
  return typeof rows !== "object" || (rows.captured && readable !== false);
}

/** A partition or child without its parent's definition could not be created. */
function withChildren(
  relations: readonly Relation[],
  start: readonly Relation[],
  onChild: (child: Relation, parentOid: number) => void,
): readonly Relation[] {
  const result = new Map(start.map((one) => [one.oid, one]));
  for (let before = -1; before !== result.size;) {
    before = result.size;
    for (const relation of relations) {
      const parent = relation.parents.find((oid) => result.has(oid));
      if (parent === undefined || result.has(relation.oid)) continue;
      result.set(relation.oid, relation);
      onChild(relation, parent);
    }
  }
  return [...result.values()];
}

function lockedIssue(relation: Relation): CaptureIssue {
  const name = displayName(relation);
  return captureIssue("table_locked", name, `table ${name} stays locked by another session`);
}

function parentIssue(relation: Relation, code: CaptureIssue["code"]): CaptureIssue {
  const name = displayName(relation);
  return captureIssue(code, name, `a parent of table ${name} is out of reach`);
}

async function saveSchema(
  context: CaptureContext,
  excluded: readonly Relation[],
): Promise<SchemaArchive> {
  try {
    return await saveSchemaArchive(context, excluded);
  } catch (error) {
    if (error instanceof AppError && OF_SCHEMA.has(error.code)) throw new BeginAgain(error);
    throw error;
  }
}
