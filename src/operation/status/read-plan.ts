import { destinationNamed, pointPlanNamed, tableNameText } from "../../policy/index.ts";
import type { DumpPlan, Guards, Named, PointPlan, Policy } from "../../policy/index.ts";
import { planOf, proofOf } from "../../repository/index.ts";
import type { Snapshot } from "../../repository/index.ts";
import type { OperationContext } from "../context.ts";
import { listDumps } from "../portable/list-dumps.ts";
import type { DumpLine } from "../portable/list-dumps.ts";
import { known, lockOf, pointOf } from "./read-destination.ts";
import type { ReadDestination } from "./read-destination.ts";
import type { Known, PlanFacts, StatusCopy, StatusPoint } from "./types.ts";

/** The repository of a destination, read when it is first asked for; what failed once fails for every plan alike. */
export type ReadOnce = (destination: string) => Promise<Known<ReadDestination>>;

export async function readPointPlan(
  context: OperationContext,
  policy: Policy,
  plan: Named<PointPlan>,
  read: ReadOnce,
): Promise<PlanFacts> {
  const { signal } = context;
  const destination = destinationNamed(policy, plan.to);
  const facts = {
    leaves: await leavesOf(context, policy, plan, read),
    plan: plan.name,
    source: plan.source,
    destination: plan.to,
    captures: typeof plan.capture === "string" ? plan.capture : ("tables" as const),
    lockExpected: destination.lock !== undefined,
    guardsOff: guardsOff(plan.guards ?? {}),
  };
  const opened = await read(plan.to);
  if ("unknown" in opened) {
    return {
      ...facts,
      points: opened,
      copies: await copiesOf(destination.copies, undefined, read),
    };
  }
  const { snapshots, proofs, records, unreadable } = opened.known;
  const own = snapshots.filter((snapshot) => planOf(snapshot) === plan.name);
  const points = own.map((snapshot) => pointOf(snapshot, proofs));
  const good = points.findIndex(isGood);
  const newestGood = own[good];
  return {
    ...facts,
    points: {
      known: {
        count: points.length,
        ...first("newest", points[0]),
        ...first("newestGood", points[good]),
        suspect: points.filter(({ state }) => state === "suspect"),
        records,
        unreadable,
      },
    },
    ...(newestGood === undefined
      ? {}
      : { lock: await known(signal, () => lockOf(opened.known, newestGood, signal)) }),
    copies: await copiesOf(destination.copies, newestGood, read),
  };
}

/** A plan that others leave rows to leaves none itself. */
async function leavesOf(
  context: OperationContext,
  policy: Policy,
  { except = [] }: PointPlan,
  read: ReadOnce,
): Promise<PlanFacts["leaves"]> {
  const leaves: PlanFacts["leaves"][number][] = [];
  for (const table of except) {
    const other = pointPlanNamed(policy, table.plan);
    const { points } = await readPointPlan(context, policy, other, read);
    const newestGood = "unknown" in points ? points : { known: points.known.newestGood ?? null };
    leaves.push({ table: tableNameText(table), plan: table.plan, newestGood });
  }
  return leaves;
}

function isGood({ outcome, state }: StatusPoint): boolean {
  return outcome === "complete" && !["suspect", "missing", "damaged"].includes(state);
}

function first<Key extends string>(
  key: Key,
  point: StatusPoint | undefined,
): { readonly [K in Key]?: StatusPoint } {
  const entry: { [K in Key]?: StatusPoint } = {};
  if (point !== undefined) entry[key] = point;
  return entry;
}

/** A point is the same wherever time and tree are: a copy has another id. */
async function copiesOf(
  names: readonly string[] = [],
  point: Snapshot | undefined,
  read: ReadOnce,
): Promise<readonly StatusCopy[]> {
  const copies: StatusCopy[] = [];
  for (const name of names) {
    const opened = await read(name);
    copies.push({ destination: name, holds: holdsOf(opened, point) });
  }
  return copies;
}

function holdsOf(opened: Known<ReadDestination>, point: Snapshot | undefined): StatusCopy["holds"] {
  if ("unknown" in opened) return opened;
  if (point === undefined) return { unknown: "no good point to look for" };
  const { snapshots, proofs } = opened.known;
  const copy = snapshots.find(
    ({ time, tree }) => time.getTime() === point.time.getTime() && tree === point.tree,
  );
  if (copy === undefined) return { known: null };
  return { known: { state: proofOf(proofs, copy)?.state ?? "stored" } };
}

function guardsOff(guards: Guards): PlanFacts["guardsOff"] {
  const { except = [], ...switches } = guards;
  const off = Object.entries(switches).flatMap(([guard, value]) =>
    typeof value === "object" && "off" in value ? [{ guard, because: value.off }] : [],
  );
  return [...off, ...except.map(({ table, because }) => ({ guard: `of table ${table}`, because }))];
}

/** Portable dumps: what lies there, by their manifests. */
export async function readDumpPlan(
  context: OperationContext,
  policy: Policy,
  plan: Named<DumpPlan>,
): Promise<PlanFacts> {
  const listed = await known(context.signal, () =>
    listDumps(context, { policy, destination: plan.to }),
  );
  return {
    plan: plan.name,
    source: plan.source,
    destination: plan.to,
    captures: plan.capture,
    points: "unknown" in listed ? listed : { known: ofDumps(plan.name, listed.known.dumps) },
    lockExpected: false,
    leaves: [],
    copies: [],
    guardsOff: [],
  };
}

type Points = Extract<PlanFacts["points"], { readonly known: unknown }>["known"];

function ofDumps(plan: string, dumps: readonly DumpLine[]): Points {
  const points = dumps
    .flatMap(({ file, state, manifest, trouble }): StatusPoint[] => {
      if (manifest?.plan !== plan) return [];
      const id = file;
      const doubt = trouble === undefined ? {} : { doubt: trouble };
      if (state === "missing" || state === "damaged")
        return [{ id, time: manifest.startedAt, outcome: "incomplete", state, ...doubt }];
      // A manifest is written once the file was read back, so it says more than that the file lies there.
      return [{ id, time: manifest.startedAt, outcome: "complete", state: "verified" }];
    })
    .toSorted((a, b) => (a.time < b.time ? 1 : -1));
  const unproven = dumps.filter(({ manifest }) => manifest === undefined);
  return {
    count: points.length,
    ...first("newest", points[0]),
    ...first("newestGood", points.find(isGood)),
    suspect: [],
    records: true,
    unreadable: unproven.map(
      ({ file, trouble }) => `${file}: ${trouble ?? "a file without a manifest"}`,
    ),
  };
}
