import { AppError, fromHex } from "../../kernel/index.ts";
import type { Bytes } from "../../kernel/index.ts";
import type { RepositoryCore } from "../core.ts";
import { arrayOf, base64Of, objectOf, timeOf } from "../json.ts";
import type { JsonObject } from "../json.ts";
import { loadReadableRecords, removeRecord, saveRecord } from "../record/record.ts";
import type { FoundRecord } from "../record/record.ts";
import type { RollingHistory } from "./rolling.ts";

/**
 * What checks have read and found, kept in the repository for every machine: records of kind `checks`, each
 * `{version, since, reads: [{at, packs}], check}`; `packs` are the first 12 bytes of ids, sorted, in base64. A pack
 * counts as read at the latest time that any record names; `check` is what one check found, and records of version 1 lack
 * it. docs/spec/repository.md §checks
 */
const PREFIX_BYTES = 12;
/** Of one record: about 1.6 MB. */
const MAX_PACKS = 100_000;
/** From here on a run folds all records into new ones. */
const FOLD_FROM = 16;
const DAY_MS = 24 * 60 * 60_000;

/** What a check found, and how much of the repository it looked at. */
export interface FoundByCheck {
  readonly at: Date;
  readonly errors: number;
  readonly warnings: number;
  /** Packs of the repository, those of them that were read in full, and those that were to be and could not. */
  readonly packs: number;
  readonly readPacks: number;
  readonly unreadPacks: number;
}

interface ReadRecord {
  readonly since: Date;
  readonly check: FoundByCheck | undefined;
  readonly reads: readonly { readonly at: Date; readonly packs: Bytes }[];
}

export interface ReadLog extends RollingHistory {
  readonly records: readonly FoundRecord<ReadRecord>[];
  /** Cannot be read: what they say is as if never read, which is the safe side. */
  readonly damaged: number;
  /** What the last check found. */
  readonly lastCheck?: FoundByCheck;
}

export async function loadReadLog(core: RepositoryCore, signal?: AbortSignal): Promise<ReadLog> {
  const loaded = await loadReadableRecords(core, "checks", parseReadRecord, signal);
  const { found: records, damaged } = loaded;
  const latest = new Map<string, number>();
  let [sinceMs, lastMs] = [Infinity, -Infinity];
  let lastCheck: FoundByCheck | undefined;
  for (const { value, storedAt } of records) {
    // A machine whose clock runs ahead cannot have read later than the store had its record.
    const limitMs = storedAt.getTime();
    sinceMs = Math.min(sinceMs, value.since.getTime(), limitMs);
    lastCheck = laterCheck(lastCheck, value.check, limitMs);
    for (const { at, packs } of value.reads) {
      const atMs = Math.min(at.getTime(), limitMs);
      lastMs = Math.max(lastMs, atMs);
      for (const prefix of prefixesOf(packs)) {
        latest.set(prefix, Math.max(latest.get(prefix) ?? 0, atMs));
      }
    }
  }
  const readAt = (pack: string): Date | undefined => {
    const atMs = latest.get(keyOf(pack));
    return atMs === undefined ? undefined : new Date(atMs);
  };
  return {
    records,
    damaged: damaged.length,
    readAt,
    ...(sinceMs === Infinity ? {} : { since: new Date(sinceMs) }),
    ...(lastMs === -Infinity ? {} : { lastAt: new Date(lastMs) }),
    ...(lastCheck === undefined ? {} : { lastCheck }),
  };
}

function laterCheck(
  known: FoundByCheck | undefined,
  next: FoundByCheck | undefined,
  limitMs: number,
): FoundByCheck | undefined {
  if (next === undefined) return known;
  const at = new Date(Math.min(next.at.getTime(), limitMs));
  return known === undefined || at >= known.at ? { ...next, at } : known;
}

export interface NewRead {
  readonly at: Date;
  /** Read in full and found good. */
  readonly packs: readonly string[];
  /** All that the repository holds: what is not among them is forgotten when records are folded. */
  readonly existing: readonly string[];
  readonly check?: Omit<FoundByCheck, "at">;
}

/** Durable when this returns. Called after the packs were read, never before. */
export async function saveRead(
  core: RepositoryCore,
  log: ReadLog,
  { at, packs, existing, check: found }: NewRead,
  signal?: AbortSignal,
): Promise<void> {
  const since = log.since ?? at;
  const fold = log.records.length + 1 >= FOLD_FROM;
  const reads = new Map<number, string[]>([[at.getTime(), [...packs]]]);
  if (fold) addEarlier(reads, log, new Set(packs), existing);
  const check = found === undefined ? log.lastCheck : { at, ...found };
  for (const part of inParts(reads))
    await saveRecord(core, "checks", formatRead(since, part, check), signal);
  if (!fold) return;
  // Everything that they say and that still matters is durable in the new ones.
  for (const { id } of log.records) {
    try {
      await removeRecord(core, "checks", id, signal);
    } catch (thrown) {
      // Credentials that may not delete: old records say nothing that the new ones do not, and stay.
      if (!(thrown instanceof AppError && thrown.code === "objectstore.denied")) throw thrown;
      return;
    }
  }
}

/** By the day, and the earlier end of it: a pack never counts as read later than it was. */
function addEarlier(
  reads: Map<number, string[]>,
  log: ReadLog,
  fresh: ReadonlySet<string>,
  existing: readonly string[],
): void {
  for (const pack of existing) {
    const readMs = fresh.has(pack) ? undefined : log.readAt(pack)?.getTime();
    if (readMs === undefined) continue;
    const dayMs = Math.floor(readMs / DAY_MS) * DAY_MS;
    const day = reads.get(dayMs);
    if (day === undefined) reads.set(dayMs, [pack]);
    else day.push(pack);
  }
}

interface ReadPart {
  readonly atMs: number;
  readonly packs: readonly string[];
}

function inParts(reads: ReadonlyMap<number, readonly string[]>): readonly ReadPart[][] {
  const parts: ReadPart[][] = [[]];
  let room = MAX_PACKS;
  for (const [atMs, packs] of reads) {
    for (let from = 0; from < Math.max(1, packs.length);) {
      if (room === 0) {
        parts.push([]);
        room = MAX_PACKS;
      }
      const some = packs.slice(from, from + room);
      parts.at(-1)?.push({ atMs, packs: some });
      room -= some.length;
      from += Math.max(1, some.length);
    }
  }
  return parts;
}

function formatRead(
  since: Date,
  reads: readonly ReadPart[],
  check: FoundByCheck | undefined,
): JsonObject {
  return {
    version: 2,
    since: since.toISOString(),
    ...(check === undefined ? {} : { check: { ...check, at: check.at.toISOString() } }),
    reads: reads.map(({ atMs, packs }) => ({
      at: new Date(atMs).toISOString(),
      packs: Buffer.concat(
        packs.toSorted().map((pack) => fromHex(pack.slice(0, 2 * PREFIX_BYTES))),
      ).toString("base64"),
    })),
  };
}

export function parseReadRecord(fields: JsonObject): ReadRecord | undefined {
  const since = timeOf(fields["since"]);
  const list = arrayOf(fields["reads"]);
  const version = fields["version"];
  if ((version !== 1 && version !== 2) || since === undefined || list === undefined) {
    return undefined;
  }
  const check = fields["check"] === undefined ? undefined : foundByCheckOf(fields["check"]);
  if (fields["check"] !== undefined && check === undefined) return undefined;
  const reads: { at: Date; packs: Bytes }[] = [];
  for (const item of list) {
    const read = objectOf(item);
    const at = timeOf(read?.["at"]);
    const packs = base64Of(read?.["packs"]);
    if (at === undefined || packs === undefined || packs.byteLength % PREFIX_BYTES !== 0) {
      return undefined;
    }
    reads.push({ at, packs });
  }
  return { since, reads, check };
}

function foundByCheckOf(value: unknown): FoundByCheck | undefined {
  const fields = objectOf(value);
  const at = timeOf(fields?.["at"]);
  const [errors, warnings, packs, readPacks, unreadPacks] = [
    "errors",
    "warnings",
    "packs",
    "readPacks",
    "unreadPacks",
  ].map((name) => countOf(fields?.[name]));
  if (at === undefined || errors === undefined || warnings === undefined) return undefined;
  if (packs === undefined || readPacks === undefined || unreadPacks === undefined) return undefined;
  return { at, errors, warnings, packs, readPacks, unreadPacks };
}

function countOf(value: unknown): number | undefined {
  return typeof value === "number" && Number.isSafeInteger(value) && value >= 0 ? value : undefined;
}

function* prefixesOf(packs: Bytes): Generator<string> {
  for (let at = 0; at < packs.byteLength; at += PREFIX_BYTES) {
    yield Buffer.from(packs.subarray(at, at + PREFIX_BYTES)).toString("latin1");
  }
}

function keyOf(pack: string): string {
  return Buffer.from(pack.slice(0, 2 * PREFIX_BYTES), "hex").toString("latin1");
}
