import type { Build } from "./build.ts";
import { measure } from "./measure.ts";
import type { Measured, Program } from "./measure.ts";

export interface Tools {
  readonly folder: string;
  readonly passwordFile: string;
  readonly built: Build;
  readonly restic: string;
}

export interface Pair {
  readonly ours: Measured;
  readonly peer: Measured;
}

/** Who goes first changes, so that neither always finds the disk as the other left it. */
export async function inTurn(run: number, ours: Program, peer: Program): Promise<Pair> {
  if (run % 2 === 0) return { ours: await measure(ours), peer: await measure(peer) };
  const second = await measure(peer);
  return { ours: await measure(ours), peer: second };
}
