import { createHash } from "node:crypto";
import { stat } from "node:fs/promises";
import { expect, test } from "vitest";
import { createSpool } from "./spool.ts";

test("a spool keeps what it was given where only we can read it, and is gone with its end", async () => {
  const spool = await createSpool();
  expect((await stat(spool.folder)).mode & 0o777).toBe(0o700);
  await spool.write(Buffer.from("cipher"));
  await spool.write(Buffer.from("text"));
  const file = await spool.finish();
  const bytes = Buffer.concat(await Array.fromAsync(file.open()));
  expect(bytes.toString()).toBe("ciphertext");
  expect(file.sha256).toBe(createHash("sha256").update(bytes).digest("hex"));
  expect(file.sizeBytes).toBe(10);
  await spool[Symbol.asyncDispose]();
  await expect(stat(spool.folder)).rejects.toMatchObject({ code: "ENOENT" });
});

test("a spool that can no longer be written says which folder, and that room is what it needs", async () => {
  await using spool = await createSpool();
  await spool.finish();
  await expect(spool.write(Buffer.from("more"))).rejects.toMatchObject({
    code: "operation.spool_unwritable",
    kind: "exhausted",
    message: expect.stringContaining(spool.folder) as unknown,
  });
});
