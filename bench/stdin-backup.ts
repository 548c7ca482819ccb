/** Ours in the `repository` benchmark: standard input into a repository, as `restic backup --stdin` does. */
import { randomBytes } from "node:crypto";
import { createReadStream, readFileSync } from "node:fs";
import { KIB, Secret, systemClock } from "../src/kernel/index.ts";
import { createFsStore } from "../src/objectstore/index.ts";
import { createRepository, openRepository } from "../src/repository/index.ts";

const [verb = "", folder = "", passwordFile = ""] = process.argv.slice(2);
const password = new Secret(readFileSync(passwordFile, "utf8").trim());
const store = createFsStore(folder, { random: randomBytes });
const context = { store, clock: systemClock, random: randomBytes };
const owner = { hostname: "bench", username: "bench" };

if (verb === "init") {
  await createRepository(context, { password, ...owner });
} else if (verb === "check") {
  const repository = await openRepository(context, { password });
  const { findings, readBytes } = await repository.check({ readData: true });
  const peakMib = process.resourceUsage().maxRSS / KIB;
  console.log(JSON.stringify({ findings: findings.length, readBytes, peakMib }));
} else {
  const repository = await openRepository(context, { password });
  await using writer = await repository.acquireWriter({ ...owner, pid: process.pid });
  const modifiedAt = systemClock.now();
  // `process.stdin` reads a file on this thread, 64 KiB at a time.
  const input = createReadStream("", { fd: 0, highWaterMark: 256 * KIB });
  await writer.saveFile(["stdin"], input, { kind: "table", modifiedAt });
  const summary = await writer.commit({ time: modifiedAt, paths: ["/stdin"], tags: [] });
  console.log(JSON.stringify(summary));
}
