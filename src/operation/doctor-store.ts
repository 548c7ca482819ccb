import { probeStore } from "../objectstore/index.ts";
import type { ObjectStore, StoreFacts } from "../objectstore/index.ts";
import type { Destination } from "../policy/index.ts";
import type { OperationContext } from "./context.ts";
import type { Finding } from "./finding.ts";
import { hasRoomForRecords } from "./prove.ts";

/**
 * What a store behind a network does, as tried. A probe writes and removes an object of its own, so that only stores are
 * tried to which the policy writes anyway; `undefined`: it was not.
 */
export async function probeDestination(
  { random, signal }: OperationContext,
  store: ObjectStore,
  { url }: Destination,
  isWritten: boolean,
): Promise<StoreFacts | undefined> {
  if (!isWritten || (store.probe === undefined && !/^gs:/i.test(url))) return undefined;
  return await probeStore(store, random, { signal });
}

export function storeFindings(
  subject: string,
  destination: Destination,
  facts: StoreFacts | undefined,
): readonly Finding[] {
  const records = recordFindings(subject, destination);
  if (facts === undefined) return records;
  const { conditionalWrites, versioned } = facts;
  return [
    ...records,
    { subject, ...CONDITIONAL_WRITES[conditionalWrites] },
    { subject, ...VERSIONED[`${versioned}`] },
    ...(destination.lock === undefined ? lockFindings(subject, facts) : []),
  ];
}

type Told = Omit<Finding, "subject">;

/** Names in a repository are hashes and random numbers, which makes less depend on this than it sounds. */
const CONDITIONAL_WRITES: Readonly<Record<StoreFacts["conditionalWrites"], Told>> = {
  honoured: {
    status: "ok",
    message: "conditional writes honoured: of two that write one name, the second is refused",
  },
  ignored: {
    status: "ok",
    message:
      "conditional writes ignored: of two machines that write one name at once, the later one wins and neither is told; one that is taken is looked for before",
  },
  refused: {
    status: "ok",
    message:
      "conditional writes not understood: one that is taken is looked for before each write, so two machines that write it at once are not told apart",
  },
  unknown: {
    status: "warn",
    message: "conditional writes not tried: these credentials may not write below sparekeep/probe/",
    fix: "Let them write and remove below sparekeep/probe/ (docs/guides/s3.md).",
  },
};

const VERSIONED: Readonly<Record<`${StoreFacts["versioned"]}`, Told>> = {
  true: {
    status: "ok",
    message: "older versions are kept: what is removed or overwritten can be read with --as-of",
  },
  false: {
    status: "ok",
    message: "no older versions are kept: what is removed or overwritten there is gone",
  },
  unknown: {
    status: "warn",
    message: "whether older versions are kept could not be read",
    fix: "Give these credentials s3:GetBucketVersioning (docs/guides/s3.md).",
  },
};

/** Of a bucket for which the policy asks no lock. */
function lockFindings(subject: string, { lock }: StoreFacts): readonly Finding[] {
  if (lock === "unknown") return [];
  if (lock === "not enforced") {
    const message = "the store has Object Lock and deleted what was locked: it holds nothing";
    const fix = "Do not rely on it: use another store for copies that nobody may delete.";
    return [{ status: "warn", subject, message, fix }];
  }
  const message =
    lock === "none"
      ? "no Object Lock: `lock:` in the policy would need a bucket that was created with it"
      : "Object Lock holds against deletion, as tried; `lock:` in the policy would use it";
  return [{ status: "ok", subject, message }];
}

function recordFindings(subject: string, destination: Destination): readonly Finding[] {
  if (hasRoomForRecords(destination)) return [];
  const message =
    "no room for records: points stay `stored`, nothing can be held, and no check is remembered";
  const fix = "Name a folder for them with `beside:`; restic's REST protocol has none.";
  return [{ status: "warn", subject, message, fix }];
}
