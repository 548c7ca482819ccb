import { coreOf } from "../core.ts";
import { parseProofRecord, proofOf } from "../proof/proof.ts";
import { proofsOf, saveProof } from "../proof/proofs.ts";
import { loadRecords } from "../record/record.ts";
import type { Repository } from "../types.ts";
import type { CopyPair } from "./plan.ts";

/**
 * A copy of a suspect point is suspect, also where the doubt came after the copy: else it would count there as the newest good
 * point, and retention would forget the good ones before it. Each doubt comes once, whatever was decided about it there:
 * acceptances stay, as a person accepts in each repository, and so does what proves a point, which proves nothing of its
 * copy. Answers how many were new.
 */
export async function carryDoubts(
  source: Repository,
  target: Repository,
  pairs: readonly CopyPair[],
  signal?: AbortSignal,
): Promise<number> {
  const waits = signal === undefined ? {} : { signal };
  const proofs = await proofsOf(source, waits);
  const snapshots = new Map((await source.snapshots(waits)).map((each) => [each.id, each]));
  const known = await doubtsIn(target, signal);
  let carried = 0;
  for (const { source: id, copy } of pairs) {
    const proof = proofOf(proofs, snapshots.get(id) ?? { id });
    for (const doubt of proof?.open ?? []) {
      const key = `${copy} ${doubt}`;
      if (proof === undefined || known.has(key)) continue;
      known.add(key);
      const details = { ...proof.details, doubt };
      await saveProof(target, { snapshot: copy, state: "suspect", by: proof.by, details }, waits);
      carried += 1;
    }
  }
  return carried;
}

async function doubtsIn(repository: Repository, signal?: AbortSignal): Promise<Set<string>> {
  const records = await loadRecords(coreOf(repository), "proofs", parseProofRecord, signal);
  return new Set(
    records.flatMap(({ value }) =>
      value.type === "proof" && typeof value.details["doubt"] === "string"
        ? [`${value.snapshot} ${value.details["doubt"]}`]
        : [],
    ),
  );
}
