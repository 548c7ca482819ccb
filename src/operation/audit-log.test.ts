import { spawn } from "node:child_process";
import { once } from "node:events";
import { appendFile, mkdtemp, readdir, readFile, rm, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { repositoryOnlyPolicy } from "../policy/index.ts";
import { checkAuditLog, recordAccess } from "./audit-log.ts";
import type { OperationContext } from "./context.ts";
import { testContext } from "./testing/context.ts";

const policy = repositoryOnlyPolicy("/nowhere", { env: "X" });

let root: string;
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), "sparekeep-audit-"));
});
afterAll(() => rm(root, { recursive: true }));

let count = 0;
function freshContext(): { context: OperationContext; folder: string; log: string } {
  count += 1;
  const stateDirectory = join(root, String(count));
  const folder = join(stateDirectory, policy.name);
  return { context: testContext({ stateDirectory }), folder, log: join(folder, "audit.jsonl") };
}

const list = (context: OperationContext): Promise<void> =>
  recordAccess(context, policy, "snapshots", { destination: "repository" });

describe("the audit log", () => {
  test("is a chain that only its owner can read", async () => {
    const { context, folder, log } = freshContext();
    for (let index = 0; index < 3; index += 1) await list(context);
    const report = await checkAuditLog(folder);
    expect(report).toMatchObject({ records: 3, findings: [] });
    const lines = (await readFile(log, "utf8")).trimEnd().split("\n");
    expect(JSON.parse(lines[0] ?? "")).toMatchObject({
      seq: 1,
      actor: context.actor,
      host: context.hostname,
      action: "snapshots",
      subject: { destination: "repository" },
      previous: "0".repeat(64),
    });
    expect((await readdir(folder)).toSorted()).toEqual(["audit.head", "audit.jsonl"]);
  });

  test("goes on over many more records than are read at its end", async () => {
    const { context, folder } = freshContext();
    for (let index = 0; index < 40; index += 1) {
      await recordAccess(context, policy, "dump", {
        path: "x".repeat(5000),
        more: "y".repeat(990),
      });
    }
    expect(await checkAuditLog(folder)).toMatchObject({ records: 40, findings: [] });
  });

  test("names what a crash tore and goes on", async () => {
    const { context, folder, log } = freshContext();
    await list(context);
    await appendFile(log, '{"action":"dump","act');
    await list(context);
    expect(await checkAuditLog(folder)).toMatchObject({ records: 2, findings: [] });
    expect(await readFile(log, "utf8")).toContain('"torn":{"sha256":"');
  });

  test("cut at any byte after a crash of the append, the chain goes on", async () => {
    const { context, folder, log } = freshContext();
    await list(context);
    const noted = await readFile(join(folder, "audit.head"));
    const { length: start } = await readFile(log);
    await list(context);
    const { length: end } = await readFile(log);
    for (let size = end; size > start; size -= 37) {
      await truncate(log, size);
      await writeFile(join(folder, "audit.head"), noted);
      await list(context);
      expect((await checkAuditLog(folder))?.findings).toEqual([]);
      await truncate(log, size);
    }
  });

  test("an end that was cut off stops every access", async () => {
    const { context, folder, log } = freshContext();
    await list(context);
    const { length } = await readFile(log);
    await list(context);
    await truncate(log, length);
    await expect(list(context)).rejects.toMatchObject({
      code: "operation.audit_broken",
      hint: `Move ${folder} aside as evidence; a new chain begins in its place.`,
    });
    expect((await checkAuditLog(folder))?.findings).toMatchObject([{ fault: "log_cut" }]);
    await rm(folder, { recursive: true });
    await list(context);
    expect(await checkAuditLog(folder)).toMatchObject({ records: 1, findings: [] });
  });

  test("a note that is none stops every access", async () => {
    const { context, folder } = freshContext();
    await list(context);
    await writeFile(join(folder, "audit.head"), "1 abc\n");
    await expect(list(context)).rejects.toMatchObject({ code: "operation.audit_broken" });
  });

  test("that cannot be written stops every access", async () => {
    const { context } = freshContext();
    const file = join(root, `file-${count}`);
    await writeFile(file, "");
    const blocked = { ...context, stateDirectory: file };
    await expect(list(blocked)).rejects.toMatchObject({ code: "operation.audit_unwritable" });
  });
});

describe("several writers at once", () => {
  test("in one process keep one chain", async () => {
    const { context, folder } = freshContext();
    await Promise.all(Array.from({ length: 12 }, () => list(context)));
    expect(await checkAuditLog(folder)).toMatchObject({ records: 12, findings: [] });
  });

  test("in two processes keep one chain", async () => {
    const { context, folder } = freshContext();
    const program = `
      import { recordAccess } from ${JSON.stringify(new URL("audit-log.ts", import.meta.url).href)};
      import { testContext } from ${JSON.stringify(new URL("testing/context.ts", import.meta.url).href)};
      const context = { ...testContext({ stateDirectory: ${JSON.stringify(context.stateDirectory)} }), pid: process.pid };
      const policy = ${JSON.stringify(policy)};
      process.stdin.once("data", async () => {
        for (let i = 0; i < 25; i += 1) await recordAccess(context, policy, "ls", {});
        process.exit(0);
      });
      process.stdout.write("ready");`;
    const children = [0, 1].map(() =>
      spawn(process.execPath, ["--input-type=module", "-e", program], {
        stdio: ["pipe", "pipe", "inherit"],
      }),
    );
    await Promise.all(children.map((child) => once(child.stdout, "data")));
    const ends = children.map((child) => once(child, "exit"));
    for (const child of children) child.stdin.write("go");
    expect(await Promise.all(ends)).toEqual([
      [0, null],
      [0, null],
    ]);
    expect(await checkAuditLog(folder)).toMatchObject({ records: 50, findings: [] });
  });
});
