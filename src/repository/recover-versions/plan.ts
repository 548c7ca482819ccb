import { equalBytes } from "../../kernel/index.ts";
import { keyHistories, requireVersions } from "../../objectstore/index.ts";
import type { ObjectStore, ObjectVersion, ObjectVersions } from "../../objectstore/index.ts";
import { repositoryError } from "../errors.ts";
import { inParallel } from "../parallel.ts";
import { CLASSES, classOf, hashNameOf, isNamed } from "./classes.ts";
import type { ObjectClass } from "./classes.ts";

/** Packs that are in memory at once, twice each: what is read and what is read back. */
export const WHOLE_OBJECTS = 4;

export interface PutBack {
  readonly key: string;
  readonly class: ObjectClass;
  /** Whose bytes become the newest ones. */
  readonly version: string;
  readonly sizeBytes: number;
  readonly reason: "missing" | "changed";
}

export interface AddedObject {
  readonly key: string;
  readonly class: ObjectClass;
  readonly sizeBytes: number;
  readonly modifiedAt: Date;
}

export interface RecoverVersionsPlan {
  readonly location: string;
  readonly moment: Date;
  /** In the order of execution. */
  readonly putBack: readonly PutBack[];
  readonly putBackBytes: number;
  /** What was not there at the moment: written since by backups, or planted. */
  readonly added: readonly AddedObject[];
  readonly removesAdded: boolean;
  /** Lock files that are there now, and stay: somebody may be at work, or was when it happened. */
  readonly locks: number;
}

export interface PlanRecoverVersionsOptions {
  /** By the store's clock. */
  readonly moment: Date;
  readonly removeAdded: boolean;
  readonly signal?: AbortSignal;
}

/**
 * What the store held at a moment against what it holds now. The repository need not open: its config may be what is gone.
 * Every key with a newer version of the same size is read and compared, so that what was put back once is not again.
 */
export async function planRecoverVersions(
  store: ObjectStore,
  options: PlanRecoverVersionsOptions,
): Promise<RecoverVersionsPlan> {
  const { moment, removeAdded, signal } = options;
  const versions = requireVersions(store);
  if (versions.suspended === true) throw suspended(store);
  const found = await compare(versions, moment, signal);
  if (!found.hadConfig) throw noneThen(store, moment);
  const unchanged = new Set<string>();
  await inParallel(found.doubtful, { lanes: WHOLE_OBJECTS, signal }, async ({ past, present }) => {
    if (await isSame(versions, past, present, signal)) unchanged.add(past.key);
  });
  const putBack = found.putBack.filter(({ key }) => !unchanged.has(key));
  return {
    location: store.location,
    moment,
    putBack: inOrder(putBack, CLASSES),
    putBackBytes: putBack.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0),
    added: inOrder(found.added, CLASSES.toReversed()),
    removesAdded: removeAdded,
    locks: found.locks,
  };
}

interface Pair {
  readonly past: ObjectVersion;
  readonly present: ObjectVersion;
}

interface Compared {
  readonly putBack: PutBack[];
  readonly added: AddedObject[];
  readonly doubtful: Pair[];
  hadConfig: boolean;
  locks: number;
}

async function compare(
  versions: ObjectVersions,
  moment: Date,
  signal: AbortSignal | undefined,
): Promise<Compared> {
  const found: Compared = { putBack: [], added: [], doubtful: [], hadConfig: false, locks: 0 };
  const options = signal === undefined ? {} : { signal };
  for await (const { key, past, present } of keyHistories(versions, "", moment, options)) {
    const kind = classOf(key);
    if (kind === undefined) {
      if (present !== undefined) found.locks += 1;
      continue;
    }
    if (key === "config" && past !== undefined) found.hadConfig = true;
    if (past !== undefined && past.version !== present?.version) {
      const { version, sizeBytes } = past;
      const reason = present === undefined ? "missing" : "changed";
      found.putBack.push({ key, class: kind, version, sizeBytes, reason });
      if (present?.sizeBytes === sizeBytes) found.doubtful.push({ past, present });
    }
    if (past === undefined && present !== undefined) {
      const { sizeBytes, modifiedAt } = present;
      found.added.push({ key, class: kind, sizeBytes, modifiedAt });
    }
  }
  return found;
}

/** A name that is a hash says what must be there; of other keys the old bytes do. */
async function isSame(
  versions: ObjectVersions,
  past: ObjectVersion,
  present: ObjectVersion,
  signal: AbortSignal | undefined,
): Promise<boolean> {
  const options = signal === undefined ? {} : { signal };
  const bytes = await versions.get(present.key, present.version, options);
  if (hashNameOf(past.key) !== undefined) return isNamed(past.key, bytes);
  return equalBytes(bytes, await versions.get(past.key, past.version, options));
}

function inOrder<Item extends { readonly key: string; readonly class: ObjectClass }>(
  items: readonly Item[],
  classes: readonly ObjectClass[],
): readonly Item[] {
  return items.toSorted(
    (a, b) => classes.indexOf(a.class) - classes.indexOf(b.class) || (a.key < b.key ? -1 : 1),
  );
}

/** What lies there now, good or not, would be gone for good: undoing must not be able to. */
function suspended({ location }: ObjectStore): Error {
  return repositoryError("versions_suspended", {
    message: `store ${location} whose versioning is suspended`,
    subject: { location },
  });
}

function noneThen({ location }: ObjectStore, moment: Date): Error {
  return repositoryError("not_found", {
    message: `no repository at ${location} as of ${moment.toISOString()}`,
    subject: { location },
    hint: "Choose a later moment, before the damage was done.",
  });
}
