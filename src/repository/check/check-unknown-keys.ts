import { AppError } from "../../kernel/index.ts";
import type { RepositoryCore } from "../core.ts";
import { listKeysOf, strangenessOf, unknownAmong, unreadableOf } from "../key/list.ts";
import type { KeyListing } from "../key/list.ts";
import type { CheckStep } from "./check-packs.ts";

/**
 * Keys that nobody vouches for: whoever may add files can add a key, and only this shows it. Where nobody ever vouched for
 * any there is nothing to compare with; `doctor` and `key list` say that.
 */
export async function checkUnknownKeys({ core, findings, signal }: CheckStep): Promise<void> {
  const listing = await listingIfAllowed(core, signal);
  if (listing?.recorded !== true) return;
  for (const key of unknownAmong(listing)) {
    findings.add("key_unknown", strangenessOf(key), { key: key.id });
  }
  for (const record of listing.damagedRecords) {
    findings.add("key_unknown", unreadableOf(record), { record });
  }
}

/** Credentials that may not see records find nothing to compare with; what else a check finds they may still see. */
async function listingIfAllowed(
  core: RepositoryCore,
  signal: AbortSignal | undefined,
): Promise<KeyListing | undefined> {
  try {
    return await listKeysOf(core, undefined, signal);
  } catch (thrown) {
    if (thrown instanceof AppError && thrown.code === "objectstore.denied") return undefined;
    throw thrown;
  }
}
