/**
 * A process that backs up once with a clock that is wrong. Arguments: folder, number of the writer, by how many
 * milliseconds. Prints the snapshot's id.
 */
import { Secret, systemClock } from "../../../src/kernel/index.ts";
import { patternBytes } from "../../../src/objectstore/testing/index.ts";
import { openRepository } from "../../../src/repository/index.ts";
import { contextOf, PASSWORD, saveAll, storeAt, WRITER } from "../../support/restic-repository.ts";

const [folder = "", writerText = "0", skewText = "0"] = process.argv.slice(2);
const [number, skewMs] = [Number(writerText), Number(skewText)];
const clock = { ...systemClock, now: () => new Date(systemClock.now().getTime() + skewMs) };
const context = { ...contextOf(storeAt(folder)), clock };
const repository = await openRepository(context, { password: new Secret(PASSWORD) });
await using writer = await repository.acquireWriter(WRITER);
await saveAll(writer, [
  { path: ["shared"], content: patternBytes(200_000, 1) },
  { path: [`own ${number}`, "a"], content: patternBytes(150_000, 100 + number) },
]);
const { id } = await writer.commit({ time: clock.now(), paths: ["/"], tags: [] });
process.stdout.write(`${id}\n`);
