import type { Clock, Log, RandomBytes } from "../kernel/index.ts";
import type { ObjectStore } from "../objectstore/index.ts";
import { bug } from "../kernel/index.ts";
import type { CreateSealer } from "./sealer.ts";
import type { MasterKey } from "./crypto/master-key.ts";
import type { ThreadStock } from "./thread-stock.ts";
import type { Repository } from "./types.ts";

/** What every part of an opened repository shares. */
export interface RepositoryCore {
  readonly store: ObjectStore;
  readonly master: MasterKey;
  readonly clock: Clock;
  readonly random: RandomBytes;
  readonly log?: Log;
  readonly createSealer?: CreateSealer;
  readonly packBytes?: number;
  /** For what it was said to be opened for. */
  readonly threads?: ThreadStock;
}

const CORES = new WeakMap<Repository, RepositoryCore>();

/** Lets the verbs of this layer (`planPrune(repository, …)` and the like) be functions beside the interface. */
export function registerCore(repository: Repository, core: RepositoryCore): void {
  CORES.set(repository, core);
}

export function coreOf(repository: Repository): RepositoryCore {
  const core = CORES.get(repository);
  if (core === undefined) throw bug("repository that this layer did not open");
  return core;
}

/** Keys of the objects, as restic's default layout has them. docs/spec/repository.md §layout */
export const objectKey = {
  config: "config",
  key: (id: string) => `keys/${id}`,
  lock: (id: string) => `locks/${id}`,
  snapshot: (id: string) => `snapshots/${id}`,
  index: (id: string) => `index/${id}`,
  pack: (id: string) => `data/${id.slice(0, 2)}/${id}`,
};
