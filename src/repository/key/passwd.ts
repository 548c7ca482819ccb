import { toAppError } from "../../kernel/index.ts";
import type { AppError, KeyId } from "../../kernel/index.ts";
import { coreOf } from "../core.ts";
import { acquireLock } from "../lock/lock.ts";
import type { Repository } from "../types.ts";
import { lockOptions, writeKey } from "./add.ts";
import type { NewKeyOptions } from "./add.ts";
import { eraseKey } from "./remove.ts";

export interface ChangePasswordOptions extends NewKeyOptions {
  /** What must be durable under the new password before the old key goes: the copies wrapped for owners. */
  readonly beforeRemoval?: (added: KeyId) => Promise<void>;
}

export type ChangedPassword =
  | { readonly outcome: "complete"; readonly added: KeyId; readonly removed: KeyId }
  | {
      readonly outcome: "incomplete";
      readonly added: KeyId;
      /** The old key, which still opens the repository. */
      readonly remains: KeyId;
      readonly reason: AppError;
    };

/**
 * The key in use is replaced by one of another password. The new key is durable and proven before the old one goes, so
 * that a crash at any moment leaves one that opens, and at most both.
 */
export async function changePassword(
  repository: Repository,
  options: ChangePasswordOptions,
): Promise<ChangedPassword> {
  const core = coreOf(repository);
  const old = repository.keyId;
  // Exclusive, as in restic: a removal of the new key by another would leave none.
  await using _lock = await acquireLock(core, lockOptions(options, true));
  const added = await writeKey(core, options);
  const remains = async (): Promise<AppError | undefined> => {
    try {
      await options.beforeRemoval?.(added);
      const removal = await eraseKey(core, old, options);
      return removal.outcome === "complete" ? undefined : removal.reason;
    } catch (thrown) {
      // The new key is there by now, and whoever asked has to know it.
      const error = toAppError(thrown);
      if (error.kind === "bug" || error.kind === "cancelled") throw thrown;
      return error;
    }
  };
  const reason = await remains();
  if (reason === undefined) return { outcome: "complete", added, removed: old };
  return { outcome: "incomplete", added, remains: old, reason };
}
