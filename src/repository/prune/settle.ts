import { toHex } from "../../kernel/index.ts";
import { repositoryError } from "../errors.ts";
import type { Needs } from "./needs.ts";
import { isBelieved } from "./pack-facts.ts";
import type { PackLedger } from "./pack-facts.ts";
import type { BlobTotals } from "./types.ts";

/**
 * One place for every needed blob, and what that makes each pack hold. Of several places one is chosen that may be
 * believed, in the pack that holds the least that nobody needs: what was rewritten already is never rewritten again, and
 * the pack that it came from becomes a whole loss. Blobs at one place come first.
 */
export function settleNeeds(ledger: PackLedger, needs: Needs): BlobTotals {
  const { index } = ledger;
  const wanted = new Float64Array(ledger.packs.length);
  for (let position = 0; position < index.size; position += 1) {
    if (!needs.has(position)) continue;
    const places = index.placesOf(position);
    if (places.length === 1) settle(ledger, needs, position, chosen(ledger, places, wanted));
    else
      for (const place of places) addTo(wanted, index.packNumberAt(place), index.lengthAt(place));
  }
  for (let position = 0; position < index.size; position += 1) {
    // A need that was moved lies at a place that is not its blob's first.
    if (!needs.has(position) || !index.isFirst(position)) continue;
    const places = index.placesOf(position);
    if (places.length > 1) settle(ledger, needs, position, chosen(ledger, places, wanted));
  }
  return ledger.packs.reduce(
    (sum, { usedBlobs, usedBytes }) => ({
      blobs: sum.blobs + usedBlobs,
      bytes: sum.bytes + usedBytes,
    }),
    { blobs: 0, bytes: 0 },
  );
}

function addTo(sums: Float64Array, at: number, bytes: number): void {
  sums[at] = (sums[at] ?? 0) + bytes;
}

function settle(ledger: PackLedger, needs: Needs, position: number, place: number): void {
  needs.move(position, place);
  const pack = ledger.packOf(place);
  pack.usedBlobs += 1;
  const lifetime = needs.at(place);
  pack.lifetime = pack.lifetime === -1 || pack.lifetime === lifetime ? lifetime : -2;
  pack.usedBytes += ledger.index.lengthAt(place);
  if (!isBelieved(pack)) pack.suspect = true;
}

function chosen(ledger: PackLedger, places: readonly number[], wanted: Float64Array): number {
  let best: number | undefined;
  for (const place of places) {
    if (ledger.packOf(place).storedBytes < 0) continue;
    if (best === undefined || isBetter(ledger, wanted, place, best)) best = place;
  }
  if (best !== undefined) return best;
  const blob = toHex(ledger.index.idAt(places[0] ?? 0));
  throw repositoryError("blob_not_found", {
    message: `needed blob ${blob.slice(0, 8)} whose pack is gone`,
    subject: { blob, packs: places.map((place) => ledger.packOf(place).id).join(" ") },
    hint: "Repair the repository before it is pruned: what can still be found must not be removed.",
  });
}

function isBetter(ledger: PackLedger, wanted: Float64Array, a: number, b: number): boolean {
  const [packA, packB] = [ledger.packOf(a), ledger.packOf(b)];
  const ranks = [
    Number(isBelieved(packA)) - Number(isBelieved(packB)),
    Number(packA.live) - Number(packB.live),
    lossOf(ledger, wanted, b) - lossOf(ledger, wanted, a),
    packA.usedBytes - packB.usedBytes,
    // Any order, but always the same: else two packs would both be kept for half of their blobs.
    ledger.index.packNumberAt(b) - ledger.index.packNumberAt(a),
  ];
  return (ranks.find((rank) => rank !== 0) ?? 0) > 0;
}

/** What lies in the pack and nobody needs. Falls with every choice for it, so that the choices agree. */
function lossOf(ledger: PackLedger, wanted: Float64Array, place: number): number {
  const number = ledger.index.packNumberAt(place);
  const { sealedBytes, usedBytes } = ledger.at(number);
  return sealedBytes - usedBytes - (wanted[number] ?? 0);
}
