import type { ObjectVersion, ObjectVersions, WaitOptions } from "./object-store.ts";

/** What a key showed at a moment and what it shows now; absent where it showed nothing. */
export interface KeyHistory {
  readonly key: string;
  readonly past?: ObjectVersion;
  readonly present?: ObjectVersion;
}

/**
 * Each key below the prefix with what it was at `moment`, by the store's clock. Streamed: of each key two versions are in
 * memory, however many it has.
 */
export async function* keyHistories(
  versions: ObjectVersions,
  prefix: string,
  moment: Date,
  options?: WaitOptions,
): AsyncGenerator<KeyHistory> {
  let run: Run | undefined;
  for await (const version of versions.list(prefix, options)) {
    if (run?.key !== version.key) {
      if (run !== undefined) yield historyOf(run);
      run = { key: version.key };
    }
    if (version.newest) run.present = version;
    // Newest first: the first that is old enough is what the key showed, a mark of removal included.
    if (version.modifiedAt <= moment) run.past ??= version;
  }
  if (run !== undefined) yield historyOf(run);
}

interface Run {
  readonly key: string;
  past?: ObjectVersion;
  present?: ObjectVersion;
}

function historyOf({ key, past, present }: Run): KeyHistory {
  return {
    key,
    ...(past === undefined || past.removed ? {} : { past }),
    ...(present === undefined || present.removed ? {} : { present }),
  };
}
