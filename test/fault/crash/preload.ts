/**
 * Loaded before main.ts by `--import`: the whole program, unchanged, is killed where one of its files in the repository
 * gets its name or is removed. `CRASH_FOLDER` is the repository; `CRASH_AT` is "12 before" or "12 after" (0: never);
 * `CRASH_LOG` takes the names, one a line.
 */
import { appendFileSync } from "node:fs";
import files from "node:fs/promises";
import { syncBuiltinESMExports } from "node:module";
import { relative } from "node:path";
import { isMainThread } from "node:worker_threads";

const folder = process.env["CRASH_FOLDER"] ?? "";
const [at = "0", moment = "after"] = (process.env["CRASH_AT"] ?? "").split(" ");
const log = process.env["CRASH_LOG"];
let writes = 0;

async function around(operation: string, path: string, work: () => Promise<void>): Promise<void> {
  const key = relative(folder, path);
  if (key.startsWith("..") || key.includes("~")) return work();
  writes += 1;
  if (log !== undefined) appendFileSync(log, `${operation} ${key}\n`);
  const chosen = writes === Number(at);
  if (chosen && moment === "before") process.kill(process.pid, "SIGKILL");
  await work();
  if (chosen) process.kill(process.pid, "SIGKILL");
}

if (isMainThread) {
  const { link, unlink } = files;
  Object.assign(files, {
    link: (from: string, to: string) => around("put", to, () => link(from, to)),
    unlink: (path: string) => around("remove", path, () => unlink(path)),
  });
  syncBuiltinESMExports();
}
