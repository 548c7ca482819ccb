import { hexIdOf, objectOf, stringOf, timeOf } from "../json.ts";
import type { JsonObject } from "../json.ts";
import type { FoundRecord } from "../record/record.ts";
import { isTaggedSuspect } from "../snapshot-tags.ts";

/**
 * What is proven of each recovery point, as records say: one that proves, one that doubts, one in which a named person
 * accepts a doubt. Nothing is ever changed, so the history stays readable. Pure. docs/spec/retention.md §proofs
 */

/** From least to most; `suspect` beside them, until somebody accepts it. */
const RANKS = ["stored", "verified", "restored-partly", "restored", "reviewed"] as const;

export type ProofState = (typeof RANKS)[number] | "suspect";
/** `stored` is what a point without a record is. */
export type SavedState = Exclude<ProofState, "stored">;

export type ProofDetails = Readonly<Record<string, string | number | boolean>>;

export type ProofRecord =
  | {
      readonly type: "proof";
      readonly snapshot: string;
      readonly state: SavedState;
      readonly at: Date;
      readonly by: string;
      readonly details: ProofDetails;
    }
  | {
      readonly type: "accept";
      readonly snapshot: string;
      /** Ids of the records that doubt. */
      readonly accepts: readonly string[];
      readonly at: Date;
      readonly by: string;
      readonly reason: string;
    };

export interface Proof {
  readonly snapshot: string;
  readonly state: ProofState;
  /** Of the record that the state stands on: the last one of its kind. */
  readonly at: Date;
  readonly by: string;
  readonly details: ProofDetails;
  /** Records that doubt and that nobody accepted. */
  readonly open: readonly string[];
  /** Somebody accepted a doubt in it. */
  readonly accepted?: true;
}

/** The state of each snapshot that a record names. A doubt stays, whatever is proven after it, until its own acceptance. */
export function foldProofs(
  records: readonly FoundRecord<ProofRecord>[],
): ReadonlyMap<string, Proof> {
  const bySnapshot = Map.groupBy(records, ({ value }) => value.snapshot);
  const proofs = new Map<string, Proof>();
  for (const [snapshot, found] of bySnapshot) {
    const proof = foldOne(snapshot, found);
    if (proof !== undefined) proofs.set(snapshot, proof);
  }
  return proofs;
}

export interface ProvenSnapshot {
  readonly id: string;
  readonly original?: string;
  readonly tags?: readonly string[];
}

/**
 * Of this snapshot. A tag or a rewrite, by any tool, makes another id of it: a doubt in what it was made from is one in it,
 * and is accepted there. A doubt that the snapshot's own tag states is over when any doubt in it was accepted.
 */
export function proofOf(
  proofs: ReadonlyMap<string, Proof>,
  snapshot: ProvenSnapshot,
): Proof | undefined {
  const { id, original } = snapshot;
  const own = proofs.get(id);
  const before = original === undefined ? undefined : proofs.get(original);
  if (own?.state === "suspect") return own;
  if (before?.state === "suspect") return before;
  const accepted = own?.accepted === true || before?.accepted === true;
  return isTaggedSuspect(snapshot) && !accepted ? taggedDoubt(id, own) : own;
}

function taggedDoubt(snapshot: string, own: Proof | undefined): Proof {
  const details = { how: "guards", said: "by a tag of the snapshot" };
  const { at = new Date(0), by = "the run that made it" } = own ?? {};
  return { snapshot, state: "suspect", at, by, details, open: [] };
}

function foldOne(
  snapshot: string,
  records: readonly FoundRecord<ProofRecord>[],
): Proof | undefined {
  const accepted = new Set(
    records.flatMap(({ value }) => (value.type === "accept" ? value.accepts : [])),
  );
  const open: string[] = [];
  let best: (ProofRecord & { readonly type: "proof" }) | undefined;
  let acceptance: (ProofRecord & { readonly type: "accept" }) | undefined;
  for (const { id, value } of records) {
    if (value.type === "accept") acceptance = value;
    else if (value.state !== "suspect" || !accepted.has(id)) {
      if (value.state === "suspect") open.push(id);
      if (best === undefined || rankOf(value.state) >= rankOf(best.state)) best = value;
    }
  }
  if (best !== undefined) {
    const { state, at, by, details } = best;
    const accepted = acceptance === undefined ? {} : ({ accepted: true } as const);
    return { snapshot, state, at, by, details, open, ...accepted };
  }
  if (acceptance === undefined) return undefined;
  const { at, by, reason } = acceptance;
  return { snapshot, state: "stored", at, by, details: { accepted: reason }, open, accepted: true };
}

function rankOf(state: ProofState): number {
  return state === "suspect" ? RANKS.length : RANKS.indexOf(state);
}

export function formatProofRecord(record: ProofRecord, nonce: string): JsonObject {
  return { v: 1, ...record, at: record.at.toISOString(), nonce };
}

export function parseProofRecord(fields: JsonObject): ProofRecord | undefined {
  const snapshot = hexIdOf(fields["snapshot"]);
  const at = timeOf(fields["at"]);
  const by = stringOf(fields["by"]);
  if (fields["v"] !== 1 || snapshot === undefined || at === undefined || by === undefined) {
    return undefined;
  }
  if (fields["type"] === "proof") {
    const state = savedStateOf(fields["state"]);
    const details = detailsOf(fields["details"]);
    if (state === undefined || details === undefined) return undefined;
    return { type: "proof", snapshot, state, at, by, details };
  }
  const accepts = idListOf(fields["accepts"]);
  const reason = stringOf(fields["reason"]);
  if (fields["type"] !== "accept" || accepts === undefined || reason === undefined)
    return undefined;
  return { type: "accept", snapshot, accepts, at, by, reason };
}

function savedStateOf(value: unknown): SavedState | undefined {
  if (value === "suspect") return value;
  return RANKS.find(
    (rank): rank is Exclude<typeof rank, "stored"> => rank !== "stored" && rank === value,
  );
}

function idListOf(value: unknown): readonly string[] | undefined {
  if (!Array.isArray(value)) return undefined;
  const ids = value.map(hexIdOf).filter((id) => id !== undefined);
  return ids.length === value.length ? ids : undefined;
}

function detailsOf(value: unknown): ProofDetails | undefined {
  const entries = Object.entries(objectOf(value) ?? { broken: undefined });
  const details: Record<string, string | number | boolean> = {};
  for (const [key, item] of entries) {
    if (typeof item !== "string" && typeof item !== "number" && typeof item !== "boolean") {
      return undefined;
    }
    details[key] = item;
  }
  return details;
}
