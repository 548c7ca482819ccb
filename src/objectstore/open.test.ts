import { randomBytes } from "node:crypto";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { describe, expect, test } from "vitest";
import { systemClock } from "../kernel/index.ts";
import { openObjectStore } from "./index.ts";
import { codeOf, createTemporaryFolder, describeObjectStore, listKeys } from "./testing/index.ts";
import { patternBytes } from "./testing/index.ts";

const context = { clock: systemClock, random: randomBytes };

describeObjectStore("what openObjectStore gives for a folder", async () => {
  const folder = await createTemporaryFolder();
  const store = await openObjectStore(folder.path, context);
  return { store, [Symbol.asyncDispose]: () => folder[Symbol.asyncDispose]() };
});

describe("opening a store", () => {
  test("a path and its file: URL are the same place", async () => {
    await using folder = await createTemporaryFolder();
    const path = join(folder.path, "with space and ü");
    await (await openObjectStore(path, context)).put("a", [patternBytes(1)]);
    const byUrl = await openObjectStore(pathToFileURL(path).href, context);
    expect(await listKeys(byUrl, "")).toEqual(["a"]);
    expect(byUrl.location).toBe(path);
  });

  test.for(["", "  ", "s3:https://key:hunter2@host/bucket", "ftp://host/x", "file://far/x"])(
    "refuses %j without repeating it",
    async (location) => {
      const open = async (): Promise<unknown> => openObjectStore(location, context);
      expect(await codeOf(open)).toBe("objectstore.invalid_location");
      await expect(open()).rejects.not.toThrow("hunter2");
    },
  );

  test.for([
    ["ARCHIVED", undefined, "objectstore.storage_class"],
    ["GLACIER_IR", undefined, "objectstore.storage_class"],
    ["NEARLINE", undefined, "no error"],
    ["OTHERS_OWN", "http://127.0.0.1:9/", "no error"],
  ] as const)("gs: with the storage class %s at %s: %s", async ([storageClass, endpoint, code]) => {
    const google = { storageClass, ...(endpoint === undefined ? {} : { endpoint }) };
    const opened = openObjectStore("gs://bucket/repo", { ...context, settings: { google } });
    expect(await codeOf(() => opened)).toBe(code);
  });
});
