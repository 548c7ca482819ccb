import { bug } from "../../kernel/index.ts";
import { coreOf } from "../core.ts";
import type { Repository } from "../types.ts";
import { saveKeyRecord } from "./key-record.ts";
import { keyNamed, listKeys } from "./list.ts";
import type { KeyEntry } from "./list.ts";

export interface AdoptionPlan {
  readonly keys: readonly KeyEntry[];
  /** Once only; durable when it returns. */
  execute(): Promise<void>;
}

export interface AdoptOptions {
  /** The person who looked at the keys and vouches for them. */
  readonly by: string;
  /** Ids or prefixes; all that nobody vouches for where none is named. */
  readonly references?: readonly string[];
  readonly signal?: AbortSignal;
}

/** Records keys that were there before Sparekeep, or were added by stock restic, once a person has looked at them. */
export async function planAdoptKeys(
  repository: Repository,
  options: AdoptOptions,
): Promise<AdoptionPlan> {
  const { by, references, signal } = options;
  const { keys: all } = await listKeys(repository, options);
  const keys =
    references === undefined
      ? all.filter(({ state }) => state === "unknown")
      : references.map((reference) => keyNamed(all, reference));
  let executed = false;
  return {
    keys,
    execute: async () => {
      if (executed) throw bug("plan that was executed already");
      executed = true;
      const core = coreOf(repository);
      for (const { id } of keys) {
        const at = core.clock.now();
        await saveKeyRecord(core, { key: id, action: "adopted", by, at }, signal);
      }
    },
  };
}
