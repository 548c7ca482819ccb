import { createHash } from "node:crypto";
import { expect, test } from "vitest";
import { MIB, systemClock } from "../kernel/index.ts";
import { holdsLarge, putLarge, readLarge } from "./large.ts";
import { createMemoryStore } from "./memory.ts";

test("a store that takes bodies at once takes no more than fits into memory", async () => {
  const { putLarge: _, ...store } = createMemoryStore({ clock: systemClock });
  const small = Buffer.from("small");
  const body = {
    sizeBytes: small.byteLength,
    md5: createHash("md5").update(small).digest(),
    open: async function* () {
      yield small;
    },
  };
  await putLarge(store, "a", body);
  expect(await holdsLarge(store, "a", body)).toBe(true);
  expect(Buffer.concat(await Array.fromAsync(readLarge(store, "a", 5))).toString()).toBe("small");
  const large = { ...body, sizeBytes: 129 * MIB };
  await expect(putLarge(store, "b", large)).rejects.toMatchObject({
    code: "objectstore.too_large",
    subject: { key: "b", sizeBytes: 129 * MIB },
  });
  expect(await store.stat("b")).toBeUndefined();
});
