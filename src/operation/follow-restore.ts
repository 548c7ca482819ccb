import { AppError, throwIfAborted } from "../kernel/index.ts";
import type { Clock } from "../kernel/index.ts";
import type { ManagementApi, ProjectStatus } from "../supabase/index.ts";
import { operationError } from "./errors.ts";

/**
 * A restore at the provider, followed to its end by the project's status:
 *
 *   asked ──RESTORING──▶ under way ──ACTIVE_HEALTHY──▶ done
 *     │                      └──RESTORE_FAILED, INIT_FAILED, REMOVED──▶ failed
 *     └──nothing of it within ten minutes──▶ not seen
 *
 * A healthy project that was never seen restoring is not called restored.
 */
export interface FollowOptions {
  readonly api: Pick<ManagementApi, "project" | "ref">;
  readonly clock: Pick<Clock, "monotonicMs" | "sleep">;
  readonly signal: AbortSignal;
  /** How long it may take until the project says RESTORING; 0 where it must say so now. */
  readonly beginsWithinMs: number;
  readonly onStatus?: (status: ProjectStatus | "no answer") => void;
}

const EVERY_MS = 10_000;
const LIMIT_MS = 48 * 3_600_000;
const FAILED: readonly ProjectStatus[] = ["RESTORE_FAILED", "INIT_FAILED", "REMOVED"];

export const BEGINS_WITHIN_MS = 10 * 60_000;

export async function followRestore(options: FollowOptions): Promise<void> {
  const { api, clock, signal, beginsWithinMs, onStatus } = options;
  const startedMs = clock.monotonicMs();
  let seen = false;
  for (;;) {
    const status = await statusOf(options);
    onStatus?.(status);
    const spentMs = clock.monotonicMs() - startedMs;
    if (status === "RESTORING") seen = true;
    else if (status === "ACTIVE_HEALTHY" && seen) return;
    else if (status !== "no answer" && FAILED.includes(status)) {
      throw operationError("provider_restore_failed", {
        message: `restore at the provider that ended with ${status}`,
        subject: { project: api.ref, status },
      });
    } else if (status === "ACTIVE_HEALTHY" && spentMs >= beginsWithinMs) {
      throw operationError("provider_restore_not_seen", {
        message: `project ${api.ref} that is healthy and was not seen restoring`,
        subject: { project: api.ref },
      });
    }
    if (spentMs > LIMIT_MS) {
      throw operationError("provider_restore_not_seen", {
        message: `restore of project ${api.ref} without an end for two days`,
        subject: { project: api.ref },
      });
    }
    await clock.sleep(EVERY_MS, signal).catch((reason: unknown) => {
      throwIfAborted(signal);
      throw reason;
    });
  }
}

/** An API that does not answer for a while says nothing of the restore. */
async function statusOf({ api }: FollowOptions): Promise<ProjectStatus | "no answer"> {
  try {
    return (await api.project()).status;
  } catch (thrown) {
    if (thrown instanceof AppError && thrown.code === "supabase.unavailable") return "no answer";
    throw thrown;
  }
}
