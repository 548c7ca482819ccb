import { randomBytes } from "node:crypto";
import { createFsStore } from "./index.ts";
import { createTemporaryFolder, describeObjectStore } from "./testing/index.ts";

describeObjectStore("fs", async () => {
  const folder = await createTemporaryFolder();
  const store = createFsStore(folder.path, { random: randomBytes });
  return { store, [Symbol.asyncDispose]: () => folder[Symbol.asyncDispose]() };
});
