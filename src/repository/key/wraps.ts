import { coreOf } from "../core.ts";
import type { Repository } from "../types.ts";
import { loadKeyHistory, saveKeyRecord } from "./key-record.ts";
import type { WrapRecord } from "./key-record.ts";

/** Durable when this returns: who can open which wrapped copy of the password, which the copy itself does not tell. */
export async function recordWrap(
  repository: Repository,
  wrap: Omit<WrapRecord, "action" | "at">,
  signal?: AbortSignal,
): Promise<void> {
  const core = coreOf(repository);
  await saveKeyRecord(core, { ...wrap, action: "wrapped", at: core.clock.now() }, signal);
}

/** By the id of the wrapped file, those included that are gone. */
export async function loadWraps(
  repository: Repository,
  signal?: AbortSignal,
): Promise<ReadonlyMap<string, WrapRecord>> {
  return (await loadKeyHistory(coreOf(repository), signal)).wraps;
}
