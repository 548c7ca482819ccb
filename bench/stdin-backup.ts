/** Ours in the `repository` benchmark: standard input into a repository, as `restic backup --stdin` does. */
import { randomBytes } from "node:crypto";
import { read, readFileSync } from "node:fs";
import { promisify } from "node:util";
import { boundYoungGeneration, KIB, MIB, Secret, systemClock } from "../src/kernel/index.ts";
import type { Bytes } from "../src/kernel/index.ts";
import { createFsStore } from "../src/objectstore/index.ts";
import { createRepository, openRepository } from "../src/repository/index.ts";

// As the program itself does.
boundYoungGeneration();
const readInto = promisify(read);

/** One piece ahead, in two buffers by turns: Node's streams take a new one for each piece. */
async function* standardInput(): AsyncIterable<Bytes> {
  const buffers = [Buffer.alloc(MIB), Buffer.alloc(MIB)] as const;
  let coming = readInto(0, buffers[0], 0, buffers[0].byteLength, null);
  for (let turn = 1; ; turn += 1) {
    const { bytesRead, buffer } = await coming;
    if (bytesRead === 0) return;
    const next = buffers[turn % 2 === 0 ? 0 : 1];
    coming = readInto(0, next, 0, next.byteLength, null);
    yield buffer.subarray(0, bytesRead);
  }
}

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
  const repository = await openRepository(context, { password, next: "write" });
  await using writer = await repository.acquireWriter({ ...owner, pid: process.pid });
  const modifiedAt = systemClock.now();
  await writer.saveFile(["stdin"], standardInput(), { kind: "small-table", modifiedAt });
  const summary = await writer.commit({ time: modifiedAt, paths: ["/stdin"], tags: [] });
  console.log(JSON.stringify(summary));
}
