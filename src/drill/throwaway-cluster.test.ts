import { randomBytes } from "node:crypto";
import { chmod, mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { systemClock } from "../kernel/index.ts";
import type { ClientTools } from "../postgres/index.ts";
import { ordinaryUser, serverUser } from "./server-user.ts";
import { startThrowaway } from "./throwaway-cluster.ts";

const CLIENT = { pgDump: "/none", pgRestore: "/none", psql: "/none", major: 15 };

let folder: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "sk-throwaway-"));
  await chmod(folder, 0o755);
});

afterEach(() => rm(folder, { recursive: true }));

async function program(name: string, script: string): Promise<string> {
  const path = join(folder, name);
  await writeFile(path, `#!/bin/sh\n${script}\n`, { mode: 0o755 });
  return path;
}

async function start(tools: ClientTools): Promise<unknown> {
  const started = await startThrowaway({
    tools,
    user: await serverUser(process.getuid?.()),
    encoding: "UTF8",
    clock: systemClock,
    random: (size) => randomBytes(size),
    signal: new AbortController().signal,
  });
  await started[Symbol.asyncDispose]();
  return started;
}

async function leftBehind(): Promise<readonly string[]> {
  return (await readdir(tmpdir())).filter((name) => name.startsWith("sk-drill-"));
}

describe("a throwaway cluster", () => {
  test("needs the server's programs", async () => {
    await expect(start(CLIENT)).rejects.toMatchObject({ code: "drill.server_missing" });
  });

  test("that does not start says why, and leaves nothing behind", async () => {
    const before = await leftBehind();
    const initdb = await program("initdb", "exit 0");
    const postgres = await program("postgres", "echo 'no room for this server' >&2; exit 1");
    await expect(start({ ...CLIENT, initdb, postgres })).rejects.toMatchObject({
      code: "drill.cluster_failed",
      message: expect.stringContaining("no room for this server") as unknown,
    });
    expect(await leftBehind()).toEqual(before);
  });

  test("runs as a user that is not root, of those that the system has", () => {
    expect(ordinaryUser("root:x:0:0::/:/bin/sh\nnobody:x:65534:65534::/:/bin/false")).toEqual({
      uid: 65_534,
      gid: 65_534,
    });
    expect(() => ordinaryUser("root:x:0:0::/:/bin/sh\npostgres:x:0:0::/:/bin/sh")).toThrow(
      expect.objectContaining({ code: "drill.no_server_user" }),
    );
  });
});
