import { chmod, mkdir, mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { clientProgramText } from "./client-program.ts";
import { clientToolFolders, findClientTools } from "./client-tools.ts";

let root = "";

beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), "sparekeep-tools-"));
});

afterAll(async () => {
  await rm(root, { recursive: true, force: true });
});

let folders = 0;

async function folder(
  output: string,
  programs = ["pg_dump", "pg_restore", "psql"],
): Promise<string> {
  folders += 1;
  const path = join(root, String(folders));
  await mkdir(path);
  for (const name of programs) {
    const file = join(path, name);
    await writeFile(file, `#!/bin/sh\ncat <<'END'\n${output}\nEND\n`);
    await chmod(file, 0o755);
  }
  return path;
}

describe("finding client programs", () => {
  test("the server's own version before a newer one, wherever they stand", async () => {
    const older = await folder("pg_dump (PostgreSQL) 14.11");
    const newer = await folder("pg_dump (PostgreSQL) 17.2 (Debian 17.2-1)");
    const same = await folder("pg_dump (PostgreSQL) 15.20");
    const tools = await findClientTools([older, newer, same], 150_018);
    expect(tools).toMatchObject({ major: 15, pgDump: join(same, "pg_dump") });
  });

  test("else the nearest newer one, never an older one", async () => {
    const older = await folder("pg_dump (PostgreSQL) 14.11");
    const newest = await folder("pg_dump (PostgreSQL) 18beta1");
    const newer = await folder("pg_dump (EnterpriseDB) 17.2.0");
    expect(await findClientTools([older, newest, newer], 150_018)).toMatchObject({ major: 17 });
    await expect(findClientTools([older], 150_018)).rejects.toMatchObject({
      code: "postgres.client_tools_too_old",
      hint: "Run: apt-get install postgresql-client-15",
    });
  });

  test("nothing found, or not all three of them", async () => {
    const partial = await folder("pg_dump (PostgreSQL) 15.1", ["pg_dump", "psql"]);
    await expect(findClientTools([partial, join(root, "nothing")], 170_001)).rejects.toMatchObject({
      code: "postgres.client_tools_missing",
      kind: "not-found",
      hint: "Run: apt-get install postgresql-client-17",
    });
  });

  test.for(["", "pg_dump (PostgreSQL)", "pg_dump 15", "pg_dump (PostgreSQL) fifteen", "\u001b[2J"])(
    "a version that cannot be read is an error: %j",
    async (output) => {
      await expect(findClientTools([await folder(output)], 150_000)).rejects.toMatchObject({
        code: "postgres.client_tools_unreadable",
      });
    },
  );

  test("a program that does not run is an error", async () => {
    const broken = await folder("");
    await writeFile(join(broken, "pg_dump"), "#!/bin/sh\nexit 3\n");
    await expect(findClientTools([broken], 150_000)).rejects.toMatchObject({
      code: "postgres.client_tools_unreadable",
    });
  });

  test("Debian's wrapper is passed over", async () => {
    const wrapped = await folder("pg_dump (PostgreSQL) 15.1", ["pg_wrapper"]);
    for (const name of ["pg_dump", "pg_restore", "psql"]) {
      await symlink(join(wrapped, "pg_wrapper"), join(wrapped, name));
    }
    await expect(findClientTools([wrapped], 150_000)).rejects.toMatchObject({
      code: "postgres.client_tools_missing",
    });
  });

  test("folders: those of PATH first, relative ones never", async () => {
    const found = await clientToolFolders("/one:relative::/two:/one");
    expect(found.slice(0, 2)).toEqual(["/one", "/two"]);
    expect(found).not.toContain("relative");
  });
});

describe("running a program", () => {
  const sh = (script: string): { program: string; args: string[] } => ({
    program: "/bin/sh",
    args: ["-c", script],
  });

  test("its environment is ours, not the caller's", async () => {
    process.env["PGSERVICE"] = "leak";
    try {
      expect(await clientProgramText(sh("echo $PGSERVICE $LC_ALL"), 100)).toBe("C\n");
    } finally {
      delete process.env["PGSERVICE"];
    }
  });

  test.for([
    ["exit 3", "exit code 3"],
    ["echo oops >&2; exit 1", "oops"],
    ["kill -9 $$", "SIGKILL"],
  ])("%s is postgres.program_failed: %s", async ([script, part]) => {
    await expect(clientProgramText(sh(script ?? ""), 100)).rejects.toMatchObject({
      code: "postgres.program_failed",
      message: expect.stringContaining(part ?? "") as string,
    });
  });

  test("a program that cannot be started", async () => {
    await expect(
      clientProgramText({ program: join(root, "nothing"), args: [] }, 100),
    ).rejects.toMatchObject({ code: "postgres.program_failed" });
  });

  test("output beyond the bound is an error, and ends the program", async () => {
    await expect(clientProgramText(sh("yes"), 1000)).rejects.toMatchObject({
      code: "postgres.program_failed",
    });
  });

  test("what it is given arrives", async () => {
    async function* stdin(): AsyncGenerator<Uint8Array, void, undefined> {
      yield Buffer.from("hello ");
      yield Buffer.from("there");
    }
    expect(await clientProgramText({ ...sh("cat"), stdin: stdin() }, 100)).toBe("hello there");
  });

  test("a source that fails while it is fed is that failure", async () => {
    async function* stdin(): AsyncGenerator<Uint8Array, void, undefined> {
      yield Buffer.from("hello ");
      throw new Error("the source broke");
    }
    await expect(clientProgramText({ ...sh("cat"), stdin: stdin() }, 100)).rejects.toThrow(
      "the source broke",
    );
  });
});
