import { join } from "node:path";
import { expect, test } from "vitest";
import { codeOf, createTemporaryFolder, listKeys } from "../objectstore/testing/index.ts";
import { openStore } from "./open.ts";
import { testContext } from "./testing/context.ts";

const RECORD = `sparekeep/holds/${"ab".repeat(32)}`;
/** Nobody listens there: what goes to the server fails. */
const url = "rest:http://127.0.0.1:1/shop";
const password = { env: "UNUSED" };

test("records of a rest: destination go to the folder beside, and have no place without one", async () => {
  await using folder = await createTemporaryFolder();
  const context = testContext({ stateDirectory: folder.path });
  const beside = join(folder.path, "beside");
  const store = await openStore(context, { url, password, beside });
  await store.put(RECORD, [Buffer.from("x")], { ifAbsent: true });
  expect(await listKeys(store, "sparekeep/")).toEqual([RECORD]);
  expect(await listKeys(await openStore(context, { url: beside, password }), "")).toEqual([RECORD]);

  const alone = await openStore(context, { url, password });
  expect(await listKeys(alone, "sparekeep/")).toEqual([]);
  const put = (): Promise<void> => alone.put(RECORD, [Buffer.from("x")], { ifAbsent: true });
  expect(await codeOf(put)).toBe("objectstore.no_place");
});
