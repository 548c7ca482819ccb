import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { runCli } from "../program.ts";
import { cliContext, testRuntime } from "../testing/runtime.ts";

/** One repository, from its first key to its paper copy: each test goes on where the one before ended. */
let folder: string;

const SECRETS = {
  key: "1kR7mQ2xWvT0yZq8oPJnL4d5sHc9fBgAu3EiRtYe6hU",
  ben: "8hU6eYtRiE3uAgBf9cHs5d4LnJPo8qZy0TvWx2Qm7Rk",
  next: "Zq8oPJnL4d5sHc9fBgAu3EiRtYe6hU1kR7mQ2xWvT0y",
  phrase: "unaided clock ruffian stanza wobble kelp",
  weak: "ben-laptop-2026",
};

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "sparekeep-key-cli-"));
  for (const [name, secret] of Object.entries(SECRETS)) {
    await writeFile(at(name), secret, { mode: 0o600 });
  }
  await writeFile(
    at("p.yaml"),
    "sparekeep: 1\nname: shop\nsources: {}\ndestinations: { local: { url: ./repo, password: { file: ./key } } }\nplans: {}\n",
  );
  expect(await run("init")).toMatchObject({ code: 0, stderr: "" });
});
afterAll(() => rm(folder, { recursive: true }));

function at(name: string): string {
  return join(folder, name);
}

async function run(...line: readonly string[]) {
  const named = line.includes("--repository") ? [] : ["--policy", at("p.yaml")];
  return await bare(...line, ...named);
}

async function bare(...line: readonly string[]) {
  const runtime = testRuntime(cliContext(at("state")));
  const code = await runCli(line, runtime);
  const result = { code, stdout: runtime.stdout.text, stderr: runtime.stderr.text };
  const said = result.stdout + result.stderr;
  const shown = Object.values(SECRETS).filter((secret) => said.includes(secret));
  expect(shown).toHaveLength(line.includes("--show") ? 1 : 0);
  return result;
}

const keyIds = () => readdir(at("repo/keys"));

describe("sparekeep key", () => {
  test.for(["list", "add", "passwd", "remove", "adopt", "wrap", "unwrap", "escrow", "prove"])(
    "%s has help with examples",
    async (verb) => {
      const help = await bare("key", verb, "--help");
      expect(help).toMatchObject({ code: 0, stderr: "" });
      expect(help.stdout).toMatch(/^Examples:\n {2}sparekeep key /);
      expect(help.stdout).toContain("--json");
    },
  );

  test("add says whose key it is, and refuses a weak password and no password", async () => {
    const add = (...line: string[]) => run("key", "add", "--username", "ben", ...line);
    expect(await add("--new-password-file", at("weak"))).toMatchObject({
      code: 2,
      stderr: expect.stringMatching(/^error: new password that about 2\^\d+ guesses find/),
    });
    expect(await add()).toMatchObject({
      code: 2,
      stderr: expect.stringContaining("--new-password-file and --new-password-env"),
    });
    expect(await keyIds()).toHaveLength(1);
    const added = await add("--hostname", "laptop", "--new-password-file", at("ben"));
    expect(added).toMatchObject({ code: 0, stderr: "" });
    expect(added.stdout).toMatch(/^added key [0-9a-f]{8} of ben@laptop\n$/);
  });

  test("list shows both, and which one is in use", async () => {
    const { stdout } = await run("key", "list");
    expect(stdout).toMatch(/^KEY +OWNER +CREATED +RECORD +ALERT\n/);
    expect(stdout).toMatch(/[0-9a-f]{8}\* +ann@web1 .* created by ann@web1\n/);
    expect(stdout).toMatch(/[0-9a-f]{8} +ben@laptop .* added by ann@web1\n/);
    expect(stdout).not.toContain("warning");
  });

  test("list warns of a key that nobody vouches for, until it is adopted by name", async () => {
    const records = at("repo/sparekeep/keys");
    await rm(join(records, (await readdir(records))[0] ?? ""));
    expect((await run("key", "list")).stdout).toMatch(
      /not added through Sparekeep\n[^]*warning: 1 of 2 keys/,
    );
    const adopt = (...line: string[]) => run("key", "adopt", "--by", "Ann Meier", ...line);
    expect(await adopt("--json")).toMatchObject({ code: 2 });
    expect(await adopt()).toMatchObject({ code: 2, stderr: expect.stringContaining("--yes") });
    expect((await adopt("--dry-run")).stdout).toMatch(/^Ann Meier vouches for:\nKEY /);
    expect((await adopt("--yes")).stdout).toMatch(/adopted 1 key\n$/);
    expect((await adopt("--yes")).stdout).toBe("no key that is unknown\n");
    expect((await run("key", "list")).stdout).not.toContain("warning");
  });

  test("escrow writes a sheet; prove and unwrap read it without any password", async () => {
    const passphrase = ["--passphrase-file", at("phrase")];
    const sheet = at("sheet.txt");
    const wrote = await run("key", "escrow", "--out", sheet, ...passphrase);
    expect(wrote).toMatchObject({ code: 0, stderr: "" });
    expect(wrote.stdout).toMatch(/^wrote \d+ lines to .*read back and opened/);
    const paper = ["--repository", at("repo"), "--escrow", sheet, ...passphrase];
    expect((await run("key", "prove", ...paper)).stdout).toMatch(
      /^proven at .* of ann@web1, made /,
    );
    expect(await run("key", "unwrap", ...paper)).toMatchObject({ code: 2 });
    expect(await run("key", "unwrap", ...paper, "--out", at("back"))).toMatchObject({ code: 0 });
    expect(await readFile(at("back"), "utf8")).toBe(`${SECRETS.key}\n`);
    expect((await run("key", "unwrap", ...paper, "--show")).stdout).toBe(`${SECRETS.key}\n`);
    const typo = (await readFile(sheet, "utf8")).replace(/^( {2}2 {2}.)./m, "$1?");
    await writeFile(at("typo.txt"), typo);
    expect(await run("key", "prove", "--escrow", at("typo.txt"), ...passphrase)).toMatchObject({
      code: 2,
      stderr: expect.stringMatching(/^error: paper copy: line 2 missing or mistyped\n/),
    });
  });

  test("remove shows its plan, asks, and takes the key away", async () => {
    const keys: unknown = JSON.parse((await run("key", "list", "--json")).stdout);
    const ben = /"id": "([0-9a-f]{64})",\s+"username": "ben"/.exec(JSON.stringify(keys, null, 1));
    const remove = (...line: string[]) =>
      run("key", "remove", ben?.[1]?.slice(0, 8) ?? "", ...line);
    expect((await remove("--dry-run")).stdout).toMatch(
      /^Remove key [0-9a-f]{8} of ben@laptop .* 1 /,
    );
    expect(await remove()).toMatchObject({ code: 2 });
    expect(await keyIds()).toHaveLength(2);
    expect((await remove("--yes")).stdout).toMatch(/removed key [0-9a-f]{8}\n$/);
    expect(await keyIds()).toHaveLength(1);
    expect(await remove("--yes")).toMatchObject({ code: 2 });
  });

  test("passwd changes it; what was on paper no longer opens: exit 12", async () => {
    const changed = await run("key", "passwd", "--new-password-file", at("next"), "--json");
    expect(changed.code).toBe(0);
    expect(JSON.parse(changed.stdout)).toMatchObject({ outcome: "complete", remainingCopies: [] });
    const passphrase = ["--passphrase-file", at("phrase")];
    expect(await run("key", "prove", "--escrow", at("sheet.txt"), ...passphrase)).toMatchObject({
      code: 12,
      stderr: expect.stringMatching(/^error: password that opens no key of .* \(1 tried\)/),
    });
    expect(await run("key", "list")).toMatchObject({ code: 12 });
  });
});
