import { listKeysOf, strangenessOf, unknownAmong } from "../key/list.ts";
import type { CheckStep } from "./check-packs.ts";

/** Keys that nobody vouches for: whoever may add files can add a key, and only this shows it. */
export async function checkUnknownKeys({ core, findings, signal }: CheckStep): Promise<void> {
  for (const key of unknownAmong(await listKeysOf(core, undefined, signal))) {
    findings.add("key_unknown", strangenessOf(key), { key: key.id });
  }
}
