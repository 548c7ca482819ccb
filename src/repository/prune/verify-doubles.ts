import { toHex } from "../../kernel/index.ts";
import { openBlobs } from "../read/content.ts";
import type { PruneState } from "./state.ts";
import type { DamagedBlob } from "./types.ts";

const WINDOW_BYTES = 4 * 1024 * 1024;
const WINDOW_BLOBS = 256;

/**
 * Before a second copy is given up, the one that stays is read and its hash compared: an index can place a blob where it
 * is not, and a copy can be damaged. Where it does not open, the packs of the other copies stay. What is being copied is
 * compared there; what a prune marked earlier was compared then.
 */
export async function verifyDoubles(
  state: PruneState,
  signal: AbortSignal,
  onRead: (bytes: number) => void,
): Promise<readonly DamagedBlob[]> {
  const { index } = state.ledger;
  const damaged: DamagedBlob[] = [];
  let window: number[] = [];
  let bytes = 0;
  const look = async (): Promise<void> => {
    const opened = await openBlobs(state.reader, window, signal);
    for (const position of window) {
      const blob = toHex(index.idAt(position));
      if (opened.has(blob)) continue;
      damaged.push({ blob, pack: state.ledger.packOf(position).id });
      keepOthers(state, position);
    }
    onRead(bytes);
    window = [];
    bytes = 0;
  };
  for (let position = 0; position < index.size; position += 1) {
    if (!isLastWord(state, position)) continue;
    window.push(position);
    bytes += index.lengthAt(position);
    if (bytes >= WINDOW_BYTES || window.length >= WINDOW_BLOBS) await look();
  }
  if (window.length > 0) await look();
  return damaged;
}

/** Whether there is anything to verify. */
export function hasDoubles(state: PruneState): boolean {
  for (let position = 0; position < state.ledger.index.size; position += 1) {
    if (isLastWord(state, position)) return true;
  }
  return false;
}

/** Needed, stays where it is, and is a reason to let another copy go. */
function isLastWord(state: PruneState, position: number): boolean {
  const { ledger, needs } = state;
  if (!needs.has(position) || ledger.packOf(position).fate === "repack") return false;
  return othersThatGo(state, position).length > 0;
}

function othersThatGo({ ledger }: PruneState, position: number): readonly number[] {
  return ledger.index.placesOf(position).filter((place) => {
    const { fate, live } = ledger.packOf(place);
    return place !== position && live && ["repack", "mark", "expired"].includes(fate);
  });
}

function keepOthers(state: PruneState, position: number): void {
  for (const place of othersThatGo(state, position)) state.ledger.packOf(place).fate = "keep";
}
