import type { Clock, Log, RandomBytes } from "../kernel/index.ts";
import type { ObjectStore } from "../objectstore/index.ts";
import type { CreateSealer } from "./sealer.ts";
import type { MasterKey } from "./crypto/master-key.ts";

/** What every part of an opened repository shares. */
export interface RepositoryCore {
  readonly store: ObjectStore;
  readonly master: MasterKey;
  readonly clock: Clock;
  readonly random: RandomBytes;
  readonly log?: Log;
  readonly createSealer?: CreateSealer;
  readonly packBytes?: number;
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
