import { formatTime } from "../kernel/index.ts";
import type { ProofState } from "../repository/index.ts";

/**
 * 3-2-1-1-0 from facts: three copies (the original and two of ours), on two kinds of store, one of them off-site, one that
 * nobody can change, no error. Every number comes with the facts behind it; what could not be read makes it unknown, never
 * good. Pure.
 */
export interface Place {
  readonly kind: "folder" | "s3" | "gs" | "rest";
  /** Who runs it: a host, a cloud, or this machine. `undefined`: not told by what was reached. */
  readonly provider: string | undefined;
  readonly region: string | undefined;
}

/** A point is the same wherever time and tree are: a copy has another id. */
export interface PointFact {
  readonly time: string;
  readonly tree: string;
  /** Until then nobody removes what it needs; `none` as read back; `undefined` where that was not read. */
  readonly lockedUntil: Date | "none" | undefined;
  /** What is proven of it there; `undefined` where the destination has no room for records. */
  readonly state: ProofState | undefined;
}

/** What a check found; what it was to read and could not leaves errors unknown. */
export interface CheckFact {
  readonly at: Date;
  readonly errors: number;
  readonly unreadPacks: number;
}

export interface DestinationFacts {
  readonly destination: string;
  /** `undefined`: it could not be read, `trouble` says why. */
  readonly read:
    | {
        readonly place: Place;
        readonly points: readonly PointFact[];
        /** Of the last check known. */
        readonly check: CheckFact | undefined;
      }
    | undefined;
  readonly trouble?: string;
}

export type Met = "yes" | "no" | "unknown";

export interface Score {
  readonly met: Met;
  readonly needed: number;
  readonly count: number;
  readonly facts: readonly string[];
  /** What was not read and could change it. */
  readonly unknown: readonly string[];
}

export interface PointScores {
  readonly time: string;
  readonly tree: string;
  readonly copies: Score;
  readonly kinds: Score;
  readonly offsite: Score;
  readonly immutable: Score;
  readonly errors: Score;
}

export interface PlanScores {
  /** Newest first; those of the plan's own destination. */
  readonly points: readonly PointScores[];
  readonly newest: PointScores | undefined;
  /** Of all points: those for which not every number is met. */
  readonly short: number;
}

/** With the original that makes three. */
const STORED = 2;

/** The first of the facts is the plan's own destination; the others are its copies. */
export function scoreCopies(facts: readonly DestinationFacts[], now: Date): PlanScores {
  const own = facts[0]?.read?.points ?? [];
  const points = own
    .toSorted((a, b) => (a.time < b.time ? 1 : -1))
    .map((point) => scorePoint(point, facts, now));
  const short = points.filter(
    ({ copies, kinds, offsite, immutable, errors }) =>
      ![copies, kinds, offsite, immutable, errors].every(({ met }) => met === "yes"),
  ).length;
  return { points, newest: points[0], short };
}

interface Holder {
  readonly destination: string;
  readonly place: Place;
  readonly point: PointFact;
  readonly check: CheckFact | undefined;
}

function scorePoint(
  { time, tree }: PointFact,
  facts: readonly DestinationFacts[],
  now: Date,
): PointScores {
  const holders = facts.flatMap(({ destination, read }): Holder[] => {
    const point = read?.points.find((one) => one.time === time && one.tree === tree);
    if (read === undefined || point === undefined) return [];
    return [{ destination, place: read.place, point, check: read.check }];
  });
  const unread = facts
    .filter(({ read }) => read === undefined)
    .map(({ destination, trouble }) => `${destination}: ${trouble ?? "not read"}`);
  return {
    time,
    tree,
    copies: copiesScore(holders, unread),
    kinds: kindsScore(holders, unread),
    offsite: offsiteScore(holders, unread),
    immutable: immutableScore(holders, unread, now),
    errors: errorsScore(holders, unread),
  };
}

function copiesScore(holders: readonly Holder[], unread: readonly string[]): Score {
  const facts = holders.map(({ destination, point: { state } }) =>
    state === undefined ? `${destination} holds it` : `${destination} holds it, ${state}`,
  );
  return atLeast(STORED, holders.length, facts, unread);
}

function kindsScore(holders: readonly Holder[], unread: readonly string[]): Score {
  const told = holders.filter(({ place }) => place.provider !== undefined);
  const kinds = new Set(told.map(({ place }) => `${place.kind} of ${place.provider ?? ""}`));
  const unknown = holders
    .filter(({ place }) => place.provider === undefined)
    .map(({ destination }) => `${destination}: its provider`);
  const facts = told.map(({ destination, place }) => `${destination}: ${placeText(place)}`);
  return atLeast(2, kinds.size, facts, [...unread, ...unknown]);
}

/** Elsewhere than the plan's own destination: at another provider, or in another region of the same. */
function offsiteScore([first, ...others]: readonly Holder[], unread: readonly string[]): Score {
  const facts: string[] = [];
  const unknown = [...unread];
  for (const { destination, place } of first === undefined ? [] : others) {
    const elsewhere = isElsewhere(first?.place, place);
    if (elsewhere === undefined) unknown.push(`${destination}: its provider or region`);
    else if (elsewhere) facts.push(`${destination}: ${placeText(place)}`);
  }
  return atLeast(1, facts.length, facts, unknown);
}

function isElsewhere(a: Place | undefined, b: Place): boolean | undefined {
  if (a?.provider === undefined || b.provider === undefined) return undefined;
  if (a.provider !== b.provider) return true;
  if (a.region !== undefined && b.region !== undefined) return a.region !== b.region;
  // One machine has no regions; of a provider that has some, not knowing them is not knowing.
  return a.kind === "folder" && b.kind === "folder" ? false : undefined;
}

function immutableScore(holders: readonly Holder[], unread: readonly string[], now: Date): Score {
  const facts: string[] = [];
  const unknown = [...unread];
  for (const { destination, point } of holders) {
    const { lockedUntil } = point;
    if (lockedUntil === undefined) unknown.push(`${destination}: whether it is locked`);
    else if (lockedUntil !== "none" && lockedUntil > now) {
      facts.push(`${destination}: locked until ${formatTime(lockedUntil)}`);
    }
  }
  return atLeast(1, facts.length, facts, unknown);
}

function errorsScore(holders: readonly Holder[], unread: readonly string[]): Score {
  const unknown = [...unread];
  const facts: string[] = [];
  let count = 0;
  for (const { destination, check, point } of holders) {
    if (point.state === "suspect") {
      count += 1;
      facts.push(`${destination}: the point is suspect`);
    }
    if (check === undefined) {
      unknown.push(`${destination} was not checked: add --check`);
      continue;
    }
    count += check.errors;
    if (check.unreadPacks > 0) {
      unknown.push(`${destination}: ${check.unreadPacks} packs could not be read by its check`);
    }
    facts.push(`${destination}: ${check.errors} errors, checked ${formatTime(check.at)}`);
  }
  const met = count > 0 ? "no" : unknown.length > 0 || facts.length === 0 ? "unknown" : "yes";
  return { met, needed: 0, count, facts, unknown };
}

function atLeast(
  needed: number,
  count: number,
  facts: readonly string[],
  unknown: readonly string[],
): Score {
  const met = count >= needed ? "yes" : unknown.length > 0 ? "unknown" : "no";
  return { met, needed, count, facts, unknown };
}

function placeText({ kind, provider, region }: Place): string {
  return `${kind} at ${provider ?? "an unknown provider"}${region === undefined ? "" : `, ${region}`}`;
}
