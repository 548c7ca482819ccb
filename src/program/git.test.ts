import { execFile } from "node:child_process";
import { chmod, mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterEach, beforeEach, expect, test } from "vitest";
import { commitFolder } from "./git.ts";
import type { CommittedFolder } from "./git.ts";

const run = promisify(execFile);
let folder: string;
let url: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "sparekeep-git-test-"));
  url = join(folder, "shop.git");
  await run("git", ["init", "-q", "--bare", url]);
});
afterEach(() => rm(folder, { recursive: true }));

function commit(files: Readonly<Record<string, string>>): Promise<CommittedFolder> {
  return commitFolder(
    {
      env: (name) => (name === "PATH" ? process.env["PATH"] : undefined),
      signal: new AbortController().signal,
    },
    {
      url,
      branch: "main",
      path: "schema",
      files: new Map(Object.entries(files)),
      message: "Schema\n",
      author: { name: "Ann", email: "ann@example.com" },
      at: new Date(0),
    },
  );
}

test("a folder becomes what it should be, in one commit, and no commit where it is", async () => {
  const text = "line\n\ndone\ndata 3\nünï\n";
  const first = await commit({ "a.sql": text, "tables/b.sql": "b" });
  expect(first.changes).toEqual(["A schema/a.sql", "A schema/tables/b.sql"]);
  const { stdout } = await run("git", ["--git-dir", url, "show", "main:schema/a.sql"]);
  expect(stdout).toBe(text);
  expect(await commit({ "a.sql": text, "tables/b.sql": "b" })).toEqual({ changes: [] });
  expect((await commit({ "a.sql": "new" })).changes).toEqual([
    "M schema/a.sql",
    "D schema/tables/b.sql",
  ]);
  expect((await commit({})).changes).toEqual(["D schema/a.sql"]);
  expect(await commit({})).toEqual({ changes: [] });
});

test("a branch that others push to again and again is refused in the end, never forced", async () => {
  await commit({ "a.sql": "a" });
  const hook = join(url, "hooks", "pre-receive");
  await mkdir(join(url, "hooks"), { recursive: true });
  await writeFile(
    hook,
    `#!/bin/sh
unset GIT_QUARANTINE_PATH GIT_OBJECT_DIRECTORY GIT_ALTERNATE_OBJECT_DIRECTORIES
export GIT_AUTHOR_NAME=bob GIT_AUTHOR_EMAIL=b@example.com GIT_COMMITTER_NAME=bob GIT_COMMITTER_EMAIL=b@example.com
git update-ref refs/heads/main "$(git commit-tree -p main -m bob 'main^{tree}')"
`,
  );
  await chmod(hook, 0o755);
  await expect(commit({ "a.sql": "b" })).rejects.toMatchObject({ code: "program.push_refused" });
  const { stdout } = await run("git", ["--git-dir", url, "log", "--format=%an", "main"]);
  expect(stdout.trim().split("\n")).toEqual(["bob", "bob", "bob", "Ann"]);
});
