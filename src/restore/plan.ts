import { sortArchive } from "./archive/sort.ts";
import { loadArchive } from "./archive/load.ts";
import { openAdmin } from "./context.ts";
import type { Findings } from "./context.ts";
import { restoreError } from "./errors.ts";
import { readFurniture } from "./furniture.ts";
import type { Furniture } from "./furniture.ts";
import { executeRestore } from "./execute.ts";
import { planRoles } from "./roles.ts";
import { rowsElsewhere } from "./rows-elsewhere.ts";
import { planSteps } from "./plan-steps.ts";
import { inspectTarget } from "./target.ts";
import type { PlanRestore, RestoreOptions, RestorePlan } from "./types.ts";

/** Reads the snapshot and the target, writes nothing; what it refuses, it refuses here. */
export const planRestore: PlanRestore = async (options) => {
  const findings = await findOut(options);
  let spent = false;
  const plan: RestorePlan = {
    steps: planSteps(findings),
    withheld: [
      ...rowsElsewhere(findings.options.manifest.database),
      ...findings.archive.withheld,
      ...findings.roles.withheld,
    ],
    resumes: findings.target.resumes,
    execute: async () => {
      if (spent) throw restoreError("plan_spent", { message: "restore plan executed before" });
      spent = true;
      // The target may have changed while the plan was read: everything that refuses is asked again.
      return await executeRestore(await findOut(options));
    },
  };
  return plan;
};

async function findOut(options: RestoreOptions): Promise<Findings> {
  const target = await inspectTarget(options);
  const toc = await loadArchive(options);
  const furniture = target.exists ? await furnitureAt(options) : undefined;
  if (furniture !== undefined && target.superuser) {
    throw restoreError("platform_superuser", {
      message: `login ${JSON.stringify(target.adminName)}, a superuser of a ${furniture.platform.name} project`,
    });
  }
  const { database } = options.manifest;
  const archive = sortArchive(toc, { limits: database.limitedTo, decide: furniture?.decide });
  const owners = new Set(
    [
      ...[...archive.preData, ...archive.postData].map((entry) => entry.owner),
      ...database.largeObjects.map((object) => object.owner),
    ].filter((owner) => owner !== "" && owner !== "pg_database_owner"),
  );
  const roles = planRoles({
    source: database.roles,
    target: target.roles,
    owners,
    trustSource: options.trustSource || !target.superuser,
    bySuperuser: target.superuser,
  });
  if (roles.collisions.length > 0) {
    throw restoreError("role_collision", {
      message: `owner ${roles.collisions.map((name) => JSON.stringify(name)).join(", ")} of the source, a superuser at the target`,
    });
  }
  const platform = furniture?.platform;
  return { options, archive, archiveDatabase: toc.databaseName, target, roles, platform };
}

async function furnitureAt(options: RestoreOptions): Promise<Furniture | undefined> {
  await using inside = await openAdmin(options.targetUrl, options.signal);
  return await readFurniture(inside);
}
