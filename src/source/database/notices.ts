import type { Log } from "../../kernel/index.ts";

/** What its owner should hear of a run though nothing is missing: where it did with less, or gave way. */
export interface Notices {
  /** A lower-case phrase; the same one counts once. */
  say(text: string): void;
  /** In the order in which they came. */
  readonly said: readonly string[];
}

/** Many tables may give way in one run. */
const MOST = 100;

export function createNotices(log: Pick<Log, "warn">): Notices {
  const said = new Set<string>();
  return {
    say: (text) => {
      log.warn(text);
      if (said.size < MOST) said.add(text);
    },
    get said() {
      return [...said];
    },
  };
}
