import type { Secret } from "../kernel/index.ts";
import type { TableManifest } from "../manifest/index.ts";
import type { Connection } from "../postgres/index.ts";
import { compareCatalog } from "./catalog/compare-catalog.ts";
import { acquireBuilder } from "./builder.ts";
import { openAdmin, openBuilder } from "./context.ts";
import type { Findings, Work } from "./context.ts";
import { restoreJobs } from "./cron/step.ts";
import type { RolePlan } from "./roles.ts";
import { rowsElsewhere } from "./rows-elsewhere.ts";
import { createMarker, dropMarker, openLedger } from "./ledger.ts";
import { dropBuilder, finishDatabase, finishRoles, leaveRoles } from "./step-finish.ts";
import { restorePostData } from "./step-indexes.ts";
import { restoreLargeObjects } from "./step-large-objects.ts";
import { restoreOwners } from "./step-owners.ts";
import { createRoles, prepareDatabase } from "./step-prepare.ts";
import { restorePreData } from "./step-schema.ts";
import { selectTables } from "./step-select.ts";
import { analyzeTables, restoreSequences } from "./step-settle.ts";
import { clearDefaults } from "./step-defaults.ts";
import { restorePlatformRoles } from "./step-platform-roles.ts";
import { restoreTables } from "./step-tables.ts";
import { verifyContents } from "./step-verify.ts";
import type { Verified } from "./step-verify.ts";
import { restoreVault } from "./step-vault.ts";
import type { NewId } from "./step-vault.ts";
import { refreshViews } from "./step-views.ts";
import { openMaintenance } from "./target.ts";
import type { RestoreIssue, RestoreResult } from "./types.ts";

/** The steps of docs/spec/restore.md, in their order. An error leaves the marker behind, and the next run resumes. */

interface Timed {
  readonly step: string;
  readonly durationMs: number;
}

export async function executeRestore(findings: Findings): Promise<RestoreResult> {
  const { clock } = findings.options;
  const startedMs = clock.monotonicMs();
  const steps: Timed[] = [];
  const timed = async <Result>(step: string, run: () => Promise<Result>): Promise<Result> => {
    const from = clock.monotonicMs();
    const result = await run();
    steps.push({ step, durationMs: clock.monotonicMs() - from });
    return result;
  };
  const issues: RestoreIssue[] = [];
  const prepared = await timed("prepare", () => prepare(findings, issues));
  await using admin = await openAdmin(findings.options.targetUrl, findings.options.signal);
  await using builder = await openBuilder(prepared.builderUrl, findings.options.signal);
  const work = await openWork(findings, { ...prepared, admin, builder, issues });
  const { tables, verified, newIds } = await runSteps(work, timed);
  const catalog = await timed("compare", () => compareCatalog(work));
  return {
    outcome: issues.length === 0 ? "complete" : "incomplete",
    issues,
    withheld: work.withheld,
    tables: tables.length,
    rows: tables.reduce((sum, table) => sum + BigInt(table.rows), 0n),
    durationMs: clock.monotonicMs() - startedMs,
    steps,
    verified,
    catalog,
    newIds,
  };
}

async function runSteps(
  work: Work,
  timed: <Result>(step: string, run: () => Promise<Result>) => Promise<Result>,
): Promise<{
  readonly tables: readonly TableManifest[];
  readonly verified: Verified;
  readonly newIds: readonly NewId[];
}> {
  await timed("schema", async () => {
    await clearDefaults(work);
    await restorePreData(work);
  });
  const tables = await selectTables(work);
  await timed("tables", () => restoreTables(work, tables));
  await timed("large objects", () => restoreLargeObjects(work));
  await timed("indexes", () => restorePostData(work));
  await timed("statistics", async () => {
    await restoreSequences(work);
    await analyzeTables(work, tables);
  });
  const verified = await timed("verify", () => verifyContents(work, tables));
  await timed("owners", () => restoreOwners(work));
  await timed("views", () => refreshViews(work));
  const newIds = await timed("vault", () => restoreVault(work));
  await timed("finish", () => finish(work));
  return { tables, verified, newIds };
}

interface Prepared {
  readonly builderUrl: Secret;
  readonly builderRole: string | undefined;
  /** Without those that could not be created. */
  readonly roles: RolePlan;
}

async function prepare(findings: Findings, issues: RestoreIssue[]): Promise<Prepared> {
  const { options, target } = findings;
  options.onProgress?.({ step: "prepare", doneBytes: 0, totalBytes: 0 });
  await using server = await openMaintenance(options);
  const builder = target.separateBuilder
    ? await acquireBuilder(server, options, target)
    : undefined;
  const refused = await createRoles(server, findings, issues);
  await prepareDatabase(server, findings, builder?.role, issues);
  const finish = findings.roles.finish.filter((role) => !refused.has(role.name));
  return {
    builderUrl: builder?.url ?? options.targetUrl,
    builderRole: builder?.role,
    roles: { ...findings.roles, finish },
  };
}

async function openWork(
  findings: Findings,
  parts: Prepared & {
    readonly admin: Connection;
    readonly builder: Connection;
    readonly issues: RestoreIssue[];
  },
): Promise<Work> {
  const { options, archive, roles } = findings;
  const marked = await hasMarker(parts.builder);
  if (!marked) await createMarker(parts.builder, options.snapshot.id);
  return {
    ...findings,
    ...parts,
    ledger: await openLedger(parts.builder),
    withheld: [...rowsElsewhere(options.manifest.database), ...archive.withheld, ...roles.withheld],
    signal: options.signal,
    report: (progress) => options.onProgress?.(progress),
  };
}

async function hasMarker(builder: Connection): Promise<boolean> {
  const [row] = await builder.query<{ found: boolean }>(
    "SELECT pg_catalog.to_regclass('sparekeep_restore.done') IS NOT NULL AS found",
  );
  return row?.found === true;
}

/** The marker and the builder go last, in one transaction: until then the restore can be resumed. */
async function finish(work: Work): Promise<void> {
  await finishRoles(work);
  await restorePlatformRoles(work);
  await finishDatabase(work);
  await restoreJobs(work);
  await leaveRoles(work);
  if (work.builderRole === undefined) return await dropMarker(work.builder);
  await work.builder[Symbol.asyncDispose]();
  await dropBuilder(work, work.builderRole);
}
