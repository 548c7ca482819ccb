import { AppError } from "../../kernel/index.ts";
import { listKeysOf, strangenessOf, unknownAmong } from "../key/list.ts";
import type { CheckStep } from "./check-packs.ts";

/**
 * Keys that nobody vouches for: whoever may add files can add a key, and only this shows it. Where nobody ever vouched for
 * any there is nothing to compare with; `doctor` and `key list` say that.
 */
export async function checkUnknownKeys({ core, findings, signal }: CheckStep): Promise<void> {
  const listing = await listKeysOf(core, undefined, signal).catch(orNothing);
  if (listing === undefined) return;
  if (!listing.recorded) return;
  for (const key of unknownAmong(listing)) {
    findings.add("key_unknown", strangenessOf(key), { key: key.id });
  }
}

/** These credentials may read no records, so there is nothing to compare with; `doctor` and `key list` fail of it, and say so. */
function orNothing(thrown: unknown): undefined {
  if (thrown instanceof AppError && thrown.code === "objectstore.denied") return undefined;
  throw thrown;
}
