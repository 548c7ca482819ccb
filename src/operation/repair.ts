/*
 * effects
 *   reads         index: every index file, headers of packs that no good index covers (all with --read-all-packs); packs: the named packs in full, or all; snapshots: every index, snapshot and tree
 *   writes        one audit record for the plan and one before it is carried out; new index files, packs, snapshots; then removes what they replace
 *   locks         exclusive while the plan is carried out; shared for snapshots without --forget
 *   leaves behind nothing; a cut repair leaves what was there before and perhaps new files beside it
 *   exit codes    0; 2 not confirmed; 3 a snapshot that was to be removed is held, locked or refused by the store; 10 no repository; 11 locked; 12 wrong password
 */
import { destinationNamed } from "../policy/index.ts";
import type { Policy } from "../policy/index.ts";
import {
  executeRepairIndex,
  executeRepairPacks,
  executeRepairSnapshots,
  planRepairIndex,
  planRepairPacks,
  planRepairSnapshots,
} from "../repository/index.ts";
import type {
  ExecuteRepairOptions,
  RepairIndexPlan,
  RepairPacksPlan,
  Repository,
  RepairSnapshotsPlan,
} from "../repository/index.ts";
import { recordAccess } from "./audit-log.ts";
import type { OnProgress, OperationContext } from "./context.ts";
import { openDestination } from "./open.ts";

export type RepairPlan = RepairIndexPlan | RepairPacksPlan | RepairSnapshotsPlan;

export interface RepairOptions {
  readonly policy: Policy;
  readonly destination?: string;
  readonly what: "index" | "packs" | "snapshots";
  /** Of `packs` and `snapshots`: full ids; by default all. */
  readonly ids?: readonly string[];
  /** Of `index`: also headers of packs about which indexes and store agree. */
  readonly readAllPacks?: boolean;
  /** Of `snapshots`: remove the damaged ones. */
  readonly forget?: boolean;
  readonly onProgress?: OnProgress;
}

export interface PlannedRepair {
  readonly destination: string;
  readonly location: string;
  readonly plan: RepairPlan;
  /** Once only. */
  execute(): Promise<RepairResult>;
}

/** What was done, in numbers and ids. */
export type RepairResult = Readonly<Record<string, number | Readonly<Record<string, string>>>>;

export async function planRepair(
  context: OperationContext,
  options: RepairOptions,
): Promise<PlannedRepair> {
  const destination = destinationNamed(options.policy, options.destination);
  const record = (step: string): Promise<void> =>
    recordAccess(context, options.policy, "repair", {
      step,
      destination: destination.name,
      what: options.what,
    });
  await record("plan");
  const repository = await openDestination(context, destination);
  const { plan, execute } = await planWhat(context, repository, options);
  const { hostname, actor: username, pid, signal } = context;
  return {
    destination: destination.name,
    location: repository.location,
    plan,
    execute: async () => {
      await record("execute");
      return execute({ owner: { hostname, username, pid }, signal });
    },
  };
}

interface Planned {
  readonly plan: RepairPlan;
  readonly execute: (options: ExecuteRepairOptions) => Promise<RepairResult>;
}

async function planWhat(
  { signal }: OperationContext,
  repository: Repository,
  { what, ids, readAllPacks = false, forget = false, onProgress }: RepairOptions,
): Promise<Planned> {
  const named = ids === undefined || ids.length === 0 ? undefined : ids;
  if (what === "index") {
    const plan = await planRepairIndex(repository, { readAllPacks, signal });
    return { plan, execute: async (by) => ({ ...(await executeRepairIndex(plan, by)) }) };
  }
  if (what === "packs") {
    const plan = await planRepairPacks(repository, {
      signal,
      ...(named === undefined ? {} : { packs: named }),
      onProgress: (progress) => onProgress?.({ step: "packs", ...progress }),
    });
    return { plan, execute: async (by) => ({ ...(await executeRepairPacks(plan, by)) }) };
  }
  const snapshots = named === undefined ? {} : { snapshots: await fullIds(repository, named) };
  const plan = await planRepairSnapshots(repository, { ...snapshots, forget, signal });
  return { plan, execute: async (by) => ({ ...(await executeRepairSnapshots(plan, by)) }) };
}

/** Ids in full as they are, for they may name what cannot be read; shorter ones as everywhere. */
async function fullIds(repository: Repository, ids: readonly string[]): Promise<readonly string[]> {
  const found: string[] = [];
  for (const id of ids) {
    found.push(id.length === 64 ? id : (await repository.resolveSnapshot(id)).id);
  }
  return found;
}
