import { chmodSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { startCluster as startThrowaway } from "../../demo/cluster.ts";
import { parseOptions } from "../../demo/options.ts";
import { compare } from "../../demo/phase-restore.ts";
import { demandVersion } from "../../demo/phase-source.ts";
import { findServerPrograms } from "../../demo/programs.ts";
import { createScreen } from "../../demo/screen.ts";
import { unprivilegedUser } from "../../demo/server-user.ts";
import { crc32c } from "../../demo/system-identifier.ts";
import { createWorkFolder } from "../../demo/work-folder.ts";
import { systemClock } from "../../src/kernel/index.ts";
import { createTestDatabase, sharedCluster, testPrograms } from "../support/cluster.ts";
import { takeImage } from "../support/compare.ts";

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "sparekeep-parts-"));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function fakePrograms(name: string, without?: string): string {
  const bin = join(folder, name, "bin");
  mkdirSync(bin, { recursive: true });
  for (const program of ["initdb", "postgres", "pg_ctl", "psql", "pg_dump", "pg_restore"]) {
    if (program === without) continue;
    writeFileSync(join(bin, program), "#!/bin/sh\necho broken >&2\nexit 4\n", { mode: 0o755 });
  }
  chmodSync(folder, 0o755);
  return bin;
}

describe("the search for PostgreSQL", () => {
  const places = (): { root: string; folder: RegExp }[] => [
    { root: join(folder, "versions"), folder: /^\d+$/ },
  ];

  test("takes the newest version that has every program", () => {
    fakePrograms("versions/9");
    const second = fakePrograms("versions/14");
    fakePrograms("versions/16", "pg_dump");
    fakePrograms("versions/other");
    expect(findServerPrograms({ places: places() }).folder).toBe(second);
  });

  test("takes what it is told before all else, and PATH last", () => {
    const preferred = fakePrograms("mine");
    expect(findServerPrograms({ preferred, places: places() }).folder).toBe(preferred);
    expect(findServerPrograms({ path: `/nowhere:${preferred}`, places: [] }).initdb).toBe(
      join(preferred, "initdb"),
    );
  });

  test("says when there is none: demo.programs_missing", () => {
    expect(() => findServerPrograms({ path: "/nowhere", places: [] })).toThrow(
      expect.objectContaining({ code: "demo.programs_missing" }),
    );
  });

  test("a server that is too old: demo.programs_old", () => {
    expect(() => demandVersion({ version: "13.20", number: "130020" })).toThrow(
      expect.objectContaining({ code: "demo.programs_old", message: "PostgreSQL 13.20" }),
    );
    expect(demandVersion({ version: "14.1", number: "140001" })).toBe("14.1");
  });
});

describe("whom the server runs as", () => {
  test("postgres before nobody, root never", () => {
    const nobody = "nobody:x:65534:65534:nobody:/:/bin/false\n";
    expect(unprivilegedUser(nobody)).toEqual({ uid: 65534, gid: 65534 });
    expect(unprivilegedUser(`${nobody}postgres:x:101:104::/:/bin/sh\n`)).toEqual({
      uid: 101,
      gid: 104,
    });
  });

  test("nobody is there: demo.no_server_user", () => {
    expect(() => unprivilegedUser("root:x:0:0:root:/root:/bin/sh\nnobody:x:0:0::/:\n")).toThrow(
      expect.objectContaining({ code: "demo.no_server_user" }),
    );
  });
});

describe("a cluster that does not come up", () => {
  test("initdb fails: demo.cluster_start with its last words, nothing left", async () => {
    const bin = fakePrograms("broken");
    const temporary = join(folder, "temporary");
    mkdirSync(temporary);
    vi.stubEnv("TMPDIR", temporary);
    await expect(
      startThrowaway({ programs: findServerPrograms({ preferred: bin }) }),
    ).rejects.toMatchObject({
      code: "demo.cluster_start",
      message: "initdb ended with 4: broken\n",
    });
    vi.unstubAllEnvs();
    expect(readdirSync(temporary)).toEqual([]);
  });

  test("a setting that the server refuses: demo.cluster_start with its log", async () => {
    await expect(
      startThrowaway({ programs: testPrograms(), settings: { shared_buffers: "much" } }),
    ).rejects.toMatchObject({
      code: "demo.cluster_start",
      message: expect.stringContaining("shared_buffers"),
    });
  });

  test("a script with an error: demo.script with psql's message", async () => {
    const cluster = await sharedCluster();
    await expect(cluster.psql("SELECT 1;\nSELECT oops;")).rejects.toMatchObject({
      code: "demo.script",
      message: expect.stringContaining('column "oops" does not exist'),
    });
  });
});

test("arguments: demo.usage names the one that is wrong", () => {
  expect(parseOptions(["--yes", "--keep", "x"])).toEqual({ help: false, scale: 1, keep: "x" });
  for (const args of [["--kep", "x"], ["--keep"], ["--keep", ""], ["more"]]) {
    expect(() => parseOptions(args)).toThrow(expect.objectContaining({ code: "demo.usage" }));
  }
});

describe("the work folder", () => {
  test("goes without a trace unless it is kept", async () => {
    const keep = join(folder, "new");
    {
      await using work = await createWorkFolder({ keep });
      mkdirSync(work.repository);
      writeFileSync(work.passwordFile, "secret");
    }
    expect(readdirSync(folder)).not.toContain("new");
  });

  test("keeps the repository and the password alone", async () => {
    const keep = join(folder, "kept");
    {
      await using work = await createWorkFolder({ keep });
      mkdirSync(work.repository);
      writeFileSync(work.passwordFile, "secret");
      mkdirSync(work.stateDirectory);
      await work.keep();
    }
    expect(readdirSync(keep).toSorted()).toEqual(["password", "repository"]);
  });

  test("refuses a folder that holds anything: demo.keep_not_empty", async () => {
    await expect(createWorkFolder({ keep: join(folder, "kept") })).rejects.toMatchObject({
      code: "demo.keep_not_empty",
    });
  });
});

test("one changed row ends the demo with demo.different and names the table", async () => {
  await using database = await createTestDatabase({ script: "CREATE TABLE t AS SELECT 1 AS a;" });
  const cluster = await sharedCluster();
  const before = await takeImage({ url: database.url });
  await database.query("UPDATE t SET a = 2");
  let output = "";
  const stream = { write: (text: string) => (output += text) };
  const screen = createScreen({ stream, clock: systemClock, color: false });
  const target = { ...cluster, superuser: "", url: () => database.url };
  const signal = new AbortController().signal;
  await expect(compare(screen, before, target, [], signal)).rejects.toMatchObject({
    code: "demo.different",
    message: "1 differences after the restore",
  });
  expect(output).toMatch(/^different: rows public\.t: hash: /m);
});

test("CRC-32C, as the standard's check value has it", () => {
  expect(crc32c(Buffer.from("123456789"))).toBe(0xe3069283);
});
