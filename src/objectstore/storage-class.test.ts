import { expect, test } from "vitest";
import { findStorageClass, requireUsableClass, STORAGE_CLASSES } from "./storage-class.ts";
import { codeOf } from "./testing/index.ts";

function refusal(store: "s3" | "google", name: string, ownClasses = false): Promise<string> {
  return codeOf(async () => requireUsableClass(store, name, { ownClasses }));
}

test("every class is either taken or refused for being slow", async () => {
  const refused: string[] = [];
  for (const { store, name } of STORAGE_CLASSES) {
    if ((await refusal(store, name)) !== "no error") refused.push(name);
  }
  expect(refused).toEqual(["GLACIER", "DEEP_ARCHIVE"]);
});

test("a slow class is refused at every server", async () => {
  expect(await refusal("s3", "GLACIER", true)).toBe("objectstore.storage_class");
});

test("an unknown class is a mistake at its vendor, and may be another vendor's own", async () => {
  expect(await refusal("s3", "STANDARD_IS")).toBe("objectstore.storage_class");
  expect(await refusal("s3", "BULK", true)).toBe("no error");
  expect(await refusal("s3", "BULK\n", true)).toBe("objectstore.storage_class");
});

test("a name means one vendor's class", () => {
  expect(findStorageClass("google", "ARCHIVE")?.minimumDays).toBe(365);
  expect(findStorageClass("s3", "ARCHIVE")).toBeUndefined();
});
