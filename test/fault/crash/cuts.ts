import { setImmediate } from "node:timers/promises";
import type { MemoryStore, ObjectStore } from "../../../src/objectstore/index.ts";

export interface Cut {
  /** 1 is the first write of the backup. */
  readonly write: number;
  readonly operation: "put" | "remove";
  readonly key: string;
  /** `before`: asked for and not durable. `after`: durable and not yet acknowledged. */
  readonly moment: "before" | "after";
  /** What the store holds then. */
  readonly left: MemoryStore;
}

/** Notes what a crash would leave at every write that passes, those of others under way included. */
export function recordCuts(store: MemoryStore): { store: ObjectStore; cuts: readonly Cut[] } {
  const cuts: Cut[] = [];
  let writes = 0;
  const around = async (
    operation: Cut["operation"],
    key: string,
    work: () => Promise<void>,
  ): Promise<void> => {
    writes += 1;
    const cut = { write: writes, operation, key };
    cuts.push({ ...cut, moment: "before", left: store.fork() });
    await work();
    cuts.push({ ...cut, moment: "after", left: store.fork() });
    // The acknowledgement takes its time; meanwhile the writer may begin what it must not.
    for (let turn = 0; turn < 20; turn += 1) await setImmediate();
  };
  return {
    cuts,
    store: {
      ...store,
      put: (key, body, options) => around("put", key, () => store.put(key, body, options)),
      remove: (key, options) => around("remove", key, () => store.remove(key, options)),
    },
  };
}

/** Acknowledges what goes below `early` at once and writes it only after the first write below `late`: a broken order. */
export function reorder(store: ObjectStore, early: string, late: string): ObjectStore {
  let held: (() => Promise<void>)[] = [];
  let holding = true;
  return {
    ...store,
    put: async (key, body, options) => {
      if (holding && key.startsWith(early)) {
        const copies = body.map((part) => Buffer.from(part));
        held.push(() => store.put(key, copies, options));
        return;
      }
      await store.put(key, body, options);
      if (!key.startsWith(late)) return;
      holding = false;
      const writes = held;
      held = [];
      for (const write of writes) await write();
    },
  };
}
