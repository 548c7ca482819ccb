import { execFileSync } from "node:child_process";
import { chmod, mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { resolveSecret } from "./resolve.ts";

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "sparekeep-secrets-"));
});
afterAll(() => rm(folder, { recursive: true }));

const none = (): undefined => undefined;

async function secretFile(
  name: string,
  content: string | Uint8Array,
  mode = 0o600,
): Promise<string> {
  const path = join(folder, name);
  await writeFile(path, content);
  await chmod(path, mode);
  return path;
}

describe("from the environment", () => {
  test("the value as it is, never shown", async () => {
    const secret = await resolveSecret({ env: "X" }, (name) => `${name}-value\n`);
    expect(secret.reveal()).toBe("X-value\n");
    expect(`${String(secret)} ${JSON.stringify({ secret })}`).toBe(
      '[redacted] {"secret":"[redacted]"}',
    );
  });

  test("not set, and empty", async () => {
    await expect(resolveSecret({ env: "X" }, none)).rejects.toMatchObject({
      code: "secrets.missing",
      message: "environment variable X that is not set",
    });
    await expect(resolveSecret({ env: "X" }, () => "")).rejects.toMatchObject({
      code: "secrets.empty",
    });
  });
});

describe("from a file", () => {
  test.for([
    ["plain", "secret", "secret"],
    ["with a line end", "secret\n", "secret"],
    ["with a Windows line end", "secret\r\n", "secret"],
    ["with white space around, as restic reads it", " \t\nse cret \n\n", "se cret"],
    ["with a byte order mark", "\uFEFFsecret\n", "secret"],
  ])("%s", async ([name, content, expected]) => {
    const file = await secretFile(name ?? "", content ?? "");
    const secret = await resolveSecret({ file }, none);
    expect(secret.reveal()).toBe(expected);
  });

  test("that is no UTF-8 is refused, not changed into another secret", async () => {
    const file = await secretFile("latin1", Buffer.from("p\xe4ss", "latin1"));
    await expect(resolveSecret({ file }, none)).rejects.toMatchObject({
      code: "secrets.unreadable",
      message: `secret file ${file}: not UTF-8 text`,
    });
  });

  test.for([0o640, 0o604, 0o660, 0o644])("mode %o is refused", async (mode) => {
    const file = await secretFile(`mode-${mode}`, "secret", mode);
    await expect(resolveSecret({ file }, none)).rejects.toMatchObject({
      code: "secrets.exposed",
      hint: `Run: chmod 600 ${file}`,
    });
  });

  test("read-only to its owner is fine", async () => {
    const file = await secretFile("mode-0400", "secret", 0o400);
    expect((await resolveSecret({ file }, none)).reveal()).toBe("secret");
  });

  test("missing, empty, a folder, a pipe that nobody writes to, too large", async () => {
    const missing = join(folder, "missing");
    await expect(resolveSecret({ file: missing }, none)).rejects.toMatchObject({
      code: "secrets.missing",
    });
    const empty = await secretFile("empty", "\n");
    await expect(resolveSecret({ file: empty }, none)).rejects.toMatchObject({
      code: "secrets.empty",
    });
    const directory = join(folder, "directory");
    await mkdir(directory, { mode: 0o700 });
    await expect(resolveSecret({ file: directory }, none)).rejects.toMatchObject({
      code: "secrets.unreadable",
    });
    const pipe = join(folder, "pipe");
    execFileSync("mkfifo", ["-m", "600", pipe]);
    await expect(resolveSecret({ file: pipe }, none)).rejects.toMatchObject({
      code: "secrets.unreadable",
    });
    const large = await secretFile("large", Buffer.alloc(65 * 1024, "x"));
    await expect(resolveSecret({ file: large }, none)).rejects.toMatchObject({
      code: "secrets.unreadable",
    });
  });
});
