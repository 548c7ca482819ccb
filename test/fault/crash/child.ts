/**
 * A process that backs up into a folder and kills itself at one of its writes, as a power cut or the kernel's OOM
 * killer would: no handler runs. Arguments: folder, number of the write (0: none), moment. Prints the number of writes
 * by key when it was let live, and the snapshot's id once the backup has returned.
 */
import { randomBytes } from "node:crypto";
import { link } from "node:fs/promises";
import { createFsStore } from "../../../src/objectstore/index.ts";
import type { ObjectStore } from "../../../src/objectstore/index.ts";
import { cutFiles, openAndBackUp } from "./backup.ts";

const [folder = "", number = "0", moment = "after"] = process.argv.slice(2);
const keys: string[] = [];
let dieBeforeTheName = false;

function die(): void {
  process.kill(process.pid, "SIGKILL");
}

const disk = createFsStore(folder, {
  random: randomBytes,
  link: async (from, to) => {
    // All bytes are on the disk, under a name that means nothing.
    if (dieBeforeTheName) die();
    await link(from, to);
  },
});

async function around(operation: string, key: string, work: () => Promise<void>): Promise<void> {
  keys.push(`${operation} ${key}`);
  const chosen = keys.length === Number(number);
  if (!chosen) return work();
  if (moment === "named") dieBeforeTheName = true;
  // Somewhere between the opening of the file and its end; where exactly is the scheduler's choice.
  if (moment === "during") setImmediate(die);
  await work();
  die();
}

const store: ObjectStore = {
  ...disk,
  put: (key, body, options) => around("put", key, () => disk.put(key, body, options)),
  remove: (key, options) => around("remove", key, () => disk.remove(key, options)),
};

const id = await openAndBackUp(store, cutFiles, 10, process.pid);
process.stdout.write(`${JSON.stringify({ id, keys })}\n`);
