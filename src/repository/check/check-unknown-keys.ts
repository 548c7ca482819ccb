import { listKeysOf, strangenessOf, unknownAmong, unreadableOf } from "../key/list.ts";
import type { CheckStep } from "./check-packs.ts";

/**
 * Keys that nobody vouches for: whoever may add files can add a key, and only this shows it. Where nobody ever vouched for
 * any there is nothing to compare with; `doctor` and `key list` say that.
 */
export async function checkUnknownKeys({ core, findings, signal }: CheckStep): Promise<void> {
  const listing = await listKeysOf(core, undefined, signal);
  if (!listing.recorded) return;
  for (const key of unknownAmong(listing)) {
    findings.add("key_unknown", strangenessOf(key), { key: key.id });
  }
  for (const record of listing.damagedRecords) {
    findings.add("key_unknown", unreadableOf(record), { record });
  }
}
