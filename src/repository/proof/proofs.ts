import { toHex } from "../../kernel/index.ts";
import { coreOf } from "../core.ts";
import type { RepositoryCore } from "../core.ts";
import { repositoryError } from "../errors.ts";
import { loadRecords, saveRecord } from "../record/record.ts";
import type { Repository } from "../types.ts";
import { foldProofs, formatProofRecord, parseProofRecord } from "./proof.ts";
import type { Proof, ProofDetails, ProofRecord, SavedState } from "./proof.ts";

interface WaitOptions {
  readonly signal?: AbortSignal;
}

export interface NewProof {
  readonly snapshot: string;
  readonly state: SavedState;
  /** A person, or the program that looked. */
  readonly by: string;
  readonly details?: ProofDetails;
}

export interface Acceptance {
  readonly snapshot: string;
  /** The person who answers for it. */
  readonly by: string;
  readonly reason: string;
  /** The snapshot's own tag doubts it: there need not be a record that does. */
  readonly tagged?: boolean;
}

/** Durable when this returns. */
export async function saveProof(
  repository: Repository,
  { snapshot, state, by, details = {} }: NewProof,
  options: WaitOptions = {},
): Promise<string> {
  const core = coreOf(repository);
  const at = core.clock.now();
  return save(core, { type: "proof", snapshot, state, at, by, details }, options);
}

/** Of every snapshot that a record names, also of forgotten ones. One without is `stored`. */
export async function proofsOf(
  repository: Repository,
  { signal }: WaitOptions = {},
): Promise<ReadonlyMap<string, Proof>> {
  return foldProofs(await loadRecords(coreOf(repository), "proofs", parseProofRecord, signal));
}

/** Closes every doubt that is open now, by name and with a reason; a later one is open again. */
export async function acceptSuspect(
  repository: Repository,
  { snapshot, by, reason, tagged = false }: Acceptance,
  options: WaitOptions = {},
): Promise<Proof> {
  const core = coreOf(repository);
  const accepts = (await proofsOf(repository, options)).get(snapshot)?.open ?? [];
  if (accepts.length === 0 && !tagged) {
    throw repositoryError("not_suspect", {
      message: `snapshot ${snapshot.slice(0, 8)} that nothing casts doubt on`,
      subject: { snapshot },
    });
  }
  const at = core.clock.now();
  await save(core, { type: "accept", snapshot, accepts, at, by, reason }, options);
  const now = (await proofsOf(repository, options)).get(snapshot);
  return now ?? { snapshot, state: "stored", at, by, details: {}, open: [] };
}

function save(core: RepositoryCore, record: ProofRecord, { signal }: WaitOptions): Promise<string> {
  const nonce = toHex(core.random(8));
  return saveRecord(core, "proofs", formatProofRecord(record, nonce), signal);
}
