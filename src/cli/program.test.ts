import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { kernelError, silentLog, systemClock } from "../kernel/index.ts";
import type { OperationContext } from "../operation/index.ts";
import { runCli } from "./program.ts";
import { testRuntime } from "./testing/runtime.ts";

let folder: string;
let policy: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "sparekeep-cli-"));
  policy = join(folder, "p.yaml");
  await writeFile(
    policy,
    `sparekeep: 1
name: shop
sources: { db: { kind: postgres, connection: { env: DB } } }
destinations: { local: { url: ./repo, password: { env: KEY } } }
plans: { full: { source: db, capture: everything, to: local } }
targets: { staging: { kind: postgres, connection: { env: STAGING } } }
`,
  );
});
afterAll(() => rm(folder, { recursive: true }));

function context(changes: Partial<OperationContext> = {}): OperationContext {
  return {
    clock: systemClock,
    random: (size) => Buffer.alloc(size, Math.trunc(Math.random() * 256)),
    log: silentLog,
    signal: new AbortController().signal,
    actor: "ann",
    hostname: "web1",
    pid: process.pid,
    env: () => undefined,
    toolDirectories: [],
    stateDirectory: join(folder, "state"),
    version: "1.2.3",
    ...changes,
  };
}

async function run(line: readonly string[], changes: Partial<OperationContext> = {}) {
  const runtime = testRuntime(context(changes));
  const code = await runCli(line, runtime);
  return { code, stdout: runtime.stdout.text, stderr: runtime.stderr.text };
}

describe("help", () => {
  test("is what no argument shows, examples first", async () => {
    const result = await run([]);
    expect(result).toMatchObject({ code: 0, stderr: "" });
    expect(result.stdout).toMatch(/^Examples:\n {2}sparekeep init /);
    expect(await run(["--help"])).toEqual(result);
  });

  test.for([
    "init",
    "backup",
    "snapshots",
    "ls",
    "dump",
    "export",
    "diff",
    "restore",
    "recover-versions",
    "check",
    "repair",
    "forget",
    "hold",
    "accept",
    "prune",
    "copy",
    "copies",
    "rewrite",
    "rekey",
    "key",
    "doctor",
  ])("of %s leads with its examples and knows --json", async (verb) => {
    const result = await run([verb, "--help"]);
    expect(result).toMatchObject({ code: 0, stderr: "" });
    expect(result.stdout).toMatch(new RegExp(`^Examples:\\n {2}sparekeep ${verb}`));
    expect(result.stdout).toContain("--json");
  });

  test("of a verb that is made of others is shown where none is named", async () => {
    const { code, stdout, stderr } = await run(["hold"]);
    expect([code, stdout]).toEqual([2, ""]);
    expect(stderr).toMatch(/add \[options\][^]*error: an incomplete command line\n/);
  });

  test("the version", async () => {
    expect(await run(["--version"])).toEqual({ code: 0, stdout: "1.2.3\n", stderr: "" });
  });
});

const ONE_OF = "Give exactly one of --to, --to-env, --to-file and --target.";
const INIT_ONE_OF = "Give exactly one of --connection-env, --connection-file and --connection.";

const WRONG: readonly (readonly [line: string, message: string, fix: string])[] = [
  ["bakup", "unknown command 'bakup'", "Write backup."],
  ["frobnicate", "unknown command 'frobnicate'", "Run `sparekeep --help`."],
  ["hold ad", "unknown command 'ad'", "Write add."],
  ["backup --polcy x", "unknown option '--polcy'", "Write --policy."],
  ["dump latest", "missing required argument 'path'", "Run `sparekeep dump --help`."],
  [
    "hold add x",
    "required option '--reason <text>' not specified",
    "Run `sparekeep hold add --help`.",
  ],
  ["backup --connections 0", 'count "0" out of range', "Write a number from 1 to 64."],
  ["backup --connections 2x", 'count "2x" out of range', "Write a number from 1 to 64."],
  [
    "snapshots --password-file x",
    "a password without --repository",
    "Add --repository FOLDER; with a policy the password is named there.",
  ],
  [
    "snapshots --repository x",
    "--repository without one place for its password",
    "Add either --password-file FILE or --password-env NAME.",
  ],
  [
    "snapshots --repository x --password-env A --password-file b",
    "--repository without one place for its password",
    "Add either --password-file FILE or --password-env NAME.",
  ],
  [
    "snapshots --repository x --policy y --password-env A",
    "--repository together with --policy or --destination",
    "Name either a policy or a repository.",
  ],
  ["restore --yes -p POLICY", "no connection on the command line", ONE_OF],
  [
    "restore --yes -p POLICY --to-env A --to-file b",
    "more than one connection on the command line",
    ONE_OF,
  ],
  [
    "restore --yes -p POLICY --target staging --to-env A",
    "--target together with another target",
    ONE_OF,
  ],
  ["restore -p POLICY --yes --target stagng", 'unknown target "stagng"', 'Write "staging".'],
  [
    "restore -p POLICY --yes --to postgresql://u:hunter2@h/d",
    "a password in an argument, where every process can read it",
    "Put the connection string into a variable or a file of mode 0600 and name that: --to-env or --to-file.",
  ],
  [
    "restore -p POLICY --yes --to nonsense",
    "no connection string of PostgreSQL",
    "Write it as postgresql://user@host:5432/database.",
  ],
  ["backup -p POLICY weekly", 'unknown plan "weekly"', "Name one of: full."],
  ["ls -p POLICY -d lokal", 'unknown destination "lokal"', 'Write "local".'],
  ["init --to x -p NEW", "no connection on the command line", INIT_ONE_OF],
  [
    "init --to x -p NEW --connection postgresql://u:hunter2@h/d",
    "a password in an argument, where every process can read it",
    "Put the connection string into a variable or a file of mode 0600 and name that: --connection-env or --connection-file.",
  ],
  [
    "init -p POLICY --name x",
    "a project, connection, name or password file without --to",
    "Add --to FOLDER to write a new policy.",
  ],
];

describe("a wrong command line ends with 2, one error and one fix", () => {
  test.for(WRONG)("%s", async ([line, message, fix]) => {
    const words = line
      .split(" ")
      .map((word) => ({ POLICY: policy, NEW: join(folder, "new") })[word] ?? word);
    expect(await run(words)).toEqual({
      code: 2,
      stdout: "",
      stderr: `error: ${message}\n  fix: ${fix}\n`,
    });
    const asJson = await run([...words, "--json"]);
    expect(asJson).toMatchObject({ code: 2, stderr: "" });
    expect(JSON.parse(asJson.stdout)).toMatchObject({ error: { kind: "usage" } });
    expect(asJson.stdout).not.toContain("hunter2");
  });
});

test.for([
  ["restore -p POLICY --target staging", "restore --json with nobody to ask"],
  ["dump -p POLICY latest x", "dump --json without --output"],
])("%s is refused with --json alone", async ([line = "", message]) => {
  const words = line.split(" ").map((word) => (word === "POLICY" ? policy : word));
  const { code, stdout } = await run([...words, "--json"]);
  expect(code).toBe(2);
  expect(JSON.parse(stdout)).toMatchObject({ error: { code: "cli.usage", message } });
});

describe("errors", () => {
  test("a secret that is not there", async () => {
    expect(await run(["snapshots", "-p", policy])).toEqual({
      code: 2,
      stdout: "",
      stderr: "error: environment variable KEY that is not set\n  fix: Set KEY and run again.\n",
    });
    const log = await readFile(join(folder, "state/shop/audit.jsonl"), "utf8");
    expect(log).toContain('"action":"snapshots"');
  });

  test("an interrupted one says so, whatever fell over on the way out", async () => {
    const controller = new AbortController();
    controller.abort(kernelError("cancelled", { message: "interrupted by SIGINT" }));
    const env = (): string => "x";
    const result = await run(["snapshots", "-p", policy], { signal: controller.signal, env });
    expect(result).toEqual({ code: 130, stdout: "", stderr: "error: interrupted by SIGINT\n" });
  });

  test("a fault of ours comes with its stack", async () => {
    const env = (): string => {
      throw new RangeError("boom\u001B[2J");
    };
    const result = await run(["snapshots", "-p", policy], { env });
    expect(result.code).toBe(1);
    expect(result.stderr).toMatch(/^error: unexpected error: boom\\x1b\[2J\n {2}fix: Report this/);
    expect(result.stderr).toMatch(/caused by RangeError[\s\S]*program\.test\.ts/);
    const asJson = await run(["snapshots", "-p", policy, "--json"], { env });
    expect(JSON.parse(asJson.stdout)).toMatchObject({ error: { code: "kernel.bug", kind: "bug" } });
  });
});
