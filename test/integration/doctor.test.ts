import { randomBytes } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { silentLog, systemClock } from "../../src/kernel/index.ts";
import { doctor } from "../../src/operation/index.ts";
import type { DoctorResult, OperationContext } from "../../src/operation/index.ts";
import { clientToolFolders } from "../../src/postgres/index.ts";
import { captureToMemory } from "../support/capture.ts";
import { createTestDatabase } from "../support/cluster.ts";

let stateDirectory: string;
beforeAll(async () => {
  stateDirectory = await mkdtemp(join(tmpdir(), "sparekeep-doctor-"));
});
afterAll(() => rm(stateDirectory, { recursive: true }));

async function examined(url: string): Promise<DoctorResult> {
  const context: OperationContext = {
    clock: systemClock,
    random: (size) => randomBytes(size),
    log: silentLog,
    signal: new AbortController().signal,
    actor: "ann",
    hostname: "web1",
    pid: process.pid,
    env: () => undefined,
    toolDirectories: await clientToolFolders(process.env["PATH"]),
    stateDirectory,
    version: "0.0.0-test",
  };
  const source = { kind: "postgres", connection: { text: url } } as const;
  const policy = { name: "p", sources: { db: source }, destinations: {}, plans: {}, targets: {} };
  return doctor(context, { policy, nodeVersion: "v24.0.0" });
}

/** Whatever would make a backup incomplete is said before the first one. */
test("sequences and large objects that a backup would miss are found, and then are not missed", async () => {
  await using database = await createTestDatabase({
    script: `
      CREATE TABLE part (id int); CREATE SEQUENCE numbers;
      SELECT lo_from_bytea(8001, 'a'); SELECT lo_from_bytea(8002, 'b'); SELECT lo_from_bytea(8003, 'c');`,
  });
  const role = { name: `doctor_${process.pid}`, password: "secret" };
  await database.query(`CREATE ROLE ${role.name} LOGIN BYPASSRLS PASSWORD 'secret'`);
  await database.psql(`GRANT SELECT ON part TO ${role.name};
    GRANT SELECT ON LARGE OBJECT 8001 TO PUBLIC; GRANT UPDATE ON LARGE OBJECT 8002 TO ${role.name};`);
  const url = database.cluster.url(database.name, role);
  const missed = (await captureToMemory(url)).issues.map(({ object }) => object);
  expect(missed.toSorted()).toEqual(["large object 8002", "large object 8003", "public.numbers"]);
  const before = await examined(url);
  expect(before.outcome).toBe("fail");
  expect(before.findings.filter(({ status }) => status === "fail")).toMatchObject([
    { message: "1 sequences that the role may not read: public.numbers" },
    { message: "2 large objects that the role may not read: 8002, 8003" },
  ]);
  await database.psql(`GRANT pg_read_all_data TO ${role.name};
    GRANT SELECT ON LARGE OBJECT 8002, 8003 TO ${role.name};`);
  expect(await examined(url)).toMatchObject({ outcome: "ok" });
  expect((await captureToMemory(url)).issues).toEqual([]);
});

test("a database without tables is most likely not the one that was meant", async () => {
  await using database = await createTestDatabase();
  const { outcome, findings } = await examined(database.url);
  expect(outcome).toBe("warn");
  expect(findings.at(-1)).toMatchObject({ message: "a database without a single table" });
});
