import { Secret, formatCount, formatDuration } from "../src/kernel/index.ts";
import { planDatabaseRestore } from "../src/operation/index.ts";
import type { OperationContext, RestorePreview } from "../src/operation/index.ts";
import type { Policy } from "../src/policy/index.ts";
import type { Cluster } from "./cluster.ts";
import { startCluster } from "./cluster.ts";
import { compareImages, formatDifference, takeImage } from "./compare/compare.ts";
import type { DatabaseImage, Difference } from "./compare/compare.ts";
import { demoError } from "./errors.ts";
import { CLUSTER_SETTINGS, DATABASE } from "./phase-source.ts";
import type { SourcePhase } from "./phase-source.ts";
import type { Screen } from "./screen.ts";

/** The database dropped, its server stopped and its files deleted: nothing of it is left but the repository. */
export async function destroy(screen: Screen, source: Cluster): Promise<void> {
  await screen.step(
    "drop",
    () => source.dropDatabase(DATABASE),
    () => `DROP DATABASE ${DATABASE}`,
  );
  await screen.step(
    "delete",
    async () => source[Symbol.asyncDispose](),
    () => `server stopped, ${source.folder} deleted`,
  );
}

export async function startTarget(phase: SourcePhase): Promise<Cluster> {
  const { value } = await phase.screen.step(
    "start",
    () =>
      startCluster({ programs: phase.programs, settings: CLUSTER_SETTINGS, signal: phase.signal }),
    (cluster) => `another, empty PostgreSQL: 127.0.0.1:${cluster.port}, started`,
  );
  return value;
}

export interface Recovered {
  readonly restoreMs: number;
  /** What the plan said that it would not give back. */
  readonly withheld: RestorePreview["withheld"];
}

export async function bringBack(
  screen: Screen,
  context: OperationContext,
  policy: Policy,
  target: Cluster,
): Promise<Recovered> {
  const { value, tookMs } = await screen.during(async (onProgress) => {
    const plan = await planDatabaseRestore(context, {
      policy,
      snapshot: "latest",
      target: new Secret(target.url(DATABASE)),
      create: true,
      trustSource: false,
      onProgress,
    });
    return { result: await plan.execute(), withheld: plan.preview.withheld };
  });
  const { result, withheld } = value;
  for (const issue of result.issues) screen.line(`missing: ${issue.object}: ${issue.message}`);
  if (result.outcome !== "complete") {
    throw demoError("different", { message: "incomplete restore of the marketplace" });
  }
  const { tables, rows } = result.verified;
  screen.line(
    `Recovered in ${formatDuration(tookMs)}: ${formatCount(tables)} tables, ${formatCount(rows)} rows, verified by hash.`,
  );
  return { restoreMs: tookMs, withheld };
}

export async function compare(
  screen: Screen,
  before: DatabaseImage,
  target: Cluster,
  withheld: Recovered["withheld"],
  signal: AbortSignal,
): Promise<number> {
  const { value: after, tookMs } = await screen.step(
    "compare",
    (onTable) =>
      takeImage({ url: target.url(DATABASE), ignoreRoles: [target.superuser], signal, onTable }),
    ({ facts, rows }) =>
      `${formatCount(facts.length)} objects and all ${formatCount(rows)} rows compared with the source`,
  );
  const differences = compareImages(before, after);
  const meant = differences.filter((difference) => isAnnounced(difference, withheld));
  const other = differences.filter((difference) => !meant.includes(difference));
  for (const difference of other) screen.line(`different: ${formatDifference(difference)}`);
  if (other.length > 0) {
    throw demoError("different", { message: `${other.length} differences after the restore` });
  }
  screen.line(
    "No difference but those that the restore's plan announced, because nothing restored",
  );
  screen.line("may become a superuser or reach beyond its database:");
  for (const difference of meant) screen.line(`  ${formatDifference(difference)}`);
  return tookMs;
}

/** Powers that are never given back by themselves; each must have been said before the restore began. */
const WITHHELD_POWERS = new Map([
  ["superuser", /^superuser/],
  ["replication", /^REPLICATION/],
]);

function isAnnounced(difference: Difference, withheld: Recovered["withheld"]): boolean {
  const { kind, object, aspect, source, target } = difference;
  const reason = WITHHELD_POWERS.get(aspect);
  if (kind !== "role" || reason === undefined || source !== "true" || target !== "false")
    return false;
  return withheld.some((one) => one.object === `ROLE ${object}` && reason.test(one.reason));
}
