import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { MIB } from "../kernel/index.ts";
import type { Bytes } from "../kernel/index.ts";
import { programError } from "./errors.ts";
import type { ProgramRun } from "./run-program.ts";
import { collectOutput, demandSuccess, failure } from "./collect-output.ts";

/**
 * One folder of one branch of a git repository made equal to some files, as one commit:
 *
 * 1. a bare repository of our own, in a folder that goes with this call: nobody's work tree or index is touched
 * 2. the tip of the branch is fetched, alone
 * 3. `git fast-import` makes the commit; the same tree as the tip's ends it here: nothing changed
 * 4. `git push`, never forced: who was faster is fetched, and all is done again
 */

export interface GitContext {
  readonly env: (name: string) => string | undefined;
  readonly signal: AbortSignal;
}

export interface FolderCommit {
  /** Whatever `git push` takes. */
  readonly url: string;
  readonly branch: string;
  /** Of plain characters, without a slash at its ends. What else lies in it is removed. */
  readonly path: string;
  /** By name below `path`: plain characters and slashes. */
  readonly files: ReadonlyMap<string, string>;
  readonly message: string;
  readonly author: { readonly name: string; readonly email: string };
  readonly at: Date;
}

export interface CommittedFolder {
  /** `undefined`: nothing had changed, and there is no new commit. */
  readonly commit?: string;
  /** `A`, `M` or `D` and the name, in the order of git. */
  readonly changes: readonly string[];
}

/** What git, ssh and a proxy need; nothing else of our environment reaches them. */
const PASSED_ON = [
  "HOME",
  "PATH",
  "XDG_CONFIG_HOME",
  "SSH_AUTH_SOCK",
  "GIT_SSH_COMMAND",
  "GIT_SSL_CAINFO",
  "http_proxy",
  "https_proxy",
  "HTTPS_PROXY",
  "no_proxy",
  "NO_PROXY",
];
const TIMEOUT_MS = 120_000;
const MAX_OUTPUT_BYTES = 16 * MIB;
const PUSH_ATTEMPTS = 3;

type Git = (
  args: readonly string[],
  more?: { readonly stdin?: string; readonly judge?: ProgramRun["judge"] },
) => Promise<string>;

export async function commitFolder(
  context: GitContext,
  wanted: FolderCommit,
): Promise<CommittedFolder> {
  const folder = await mkdtemp(join(tmpdir(), "sparekeep-git-"));
  try {
    const git = gitIn(context, folder);
    await git(["init", "--quiet", "--bare", "--", folder]);
    for (let attempt = 1; ; attempt += 1) {
      const parent = await fetchTip(git, wanted);
      const made = await makeCommit(git, wanted, parent);
      if (made.commit === undefined || (await push(git, wanted, made.commit))) return made;
      if (attempt === PUSH_ATTEMPTS) {
        throw programError("push_refused", {
          message: `branch ${wanted.branch} of ${wanted.url} that others push to`,
          subject: { branch: wanted.branch, attempts: attempt },
        });
      }
    }
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

function gitIn({ env, signal }: GitContext, cwd: string): Git {
  const passed = PASSED_ON.flatMap((name) => {
    const value = env(name);
    return value === undefined ? [] : [[name, value] as const];
  });
  const stated = {
    GIT_SSH_COMMAND: "ssh -oBatchMode=yes",
    ...Object.fromEntries(passed),
    LC_ALL: "C",
    GIT_DIR: cwd,
    // Never a question that nobody hears: neither by git nor by a window of somebody's desktop.
    GIT_TERMINAL_PROMPT: "0",
    GIT_ASKPASS: "/bin/false",
    GCM_INTERACTIVE: "never",
  };
  return (args, { stdin, judge = demandSuccess("git") } = {}) =>
    collectOutput(
      { program: "git", args, env: stated, cwd, signal, judge, stdin: once(stdin) },
      TIMEOUT_MS,
      MAX_OUTPUT_BYTES,
    );
}

async function* once(text: string | undefined): AsyncGenerator<Bytes, void, undefined> {
  if (text !== undefined) yield Buffer.from(text);
}

async function fetchTip(git: Git, { url, branch }: FolderCommit): Promise<string | undefined> {
  const ref = `refs/heads/${branch}`;
  if ((await git(["ls-remote", "--heads", "--", url, ref])).trim() === "") return undefined;
  await git(["fetch", "--quiet", "--depth=1", "--no-tags", "--", url, ref]);
  return (await git(["rev-parse", "--verify", "FETCH_HEAD^{commit}"])).trim();
}

const MADE = "refs/sparekeep/made";

async function makeCommit(
  git: Git,
  wanted: FolderCommit,
  parent: string | undefined,
): Promise<CommittedFolder> {
  await git(["fast-import", "--quiet", "--done", "--force"], {
    stdin: importStream(wanted, parent),
  });
  const commit = (await git(["rev-parse", "--verify", `${MADE}^{commit}`])).trim();
  // An empty tree has no object in an empty repository: git knows its id all the same.
  const before = parent ?? (await git(["hash-object", "-t", "tree", "-w", "--stdin"])).trim();
  const named = ["diff-tree", "-r", "-z", "--name-status", "--no-renames", before, commit, "--"];
  const words = (await git(named)).split("\0").slice(0, -1);
  const changes = words.flatMap((word, i) =>
    i % 2 === 0 ? [`${word} ${words[i + 1] ?? ""}`] : [],
  );
  return changes.length === 0 ? { changes } : { commit, changes };
}

/** Paths are of plain characters, so that none needs quoting; contents go by their length. */
function importStream(wanted: FolderCommit, parent: string | undefined): string {
  const { author, at, message, path, files } = wanted;
  const seconds = Math.floor(at.getTime() / 1000);
  const who = `${author.name} <${author.email}> ${seconds} +0000`;
  const put = [...files].map(([name, text]) => `M 100644 inline ${path}/${name}\n${counted(text)}`);
  return [
    `commit ${MADE}\nauthor ${who}\ncommitter ${who}\n${counted(message)}`,
    ...(parent === undefined ? [] : [`from ${parent}\n`, `D ${path}\n`]),
    ...put,
    "\ndone\n",
  ].join("");
}

function counted(text: string): string {
  return `data ${Buffer.byteLength(text)}\n${text}\n`;
}

/** git's own line on the branch, not what a hook says: the branch has moved, before or while ours was received. */
const FASTER =
  /^ ! \[(?:rejected\]|remote rejected\].*\((?:failed to update ref|cannot lock ref|incorrect old value|reference already exists))/m;

/** False where somebody else was faster. What the other side's hooks say is an error. */
async function push(git: Git, { url, branch }: FolderCommit, commit: string): Promise<boolean> {
  let first = true;
  const judge: ProgramRun["judge"] = (exit, stderr) => {
    first = exit.code === 0;
    if (!first && !FASTER.test(stderr)) throw failure("git", exit, stderr);
  };
  await git(["push", "--quiet", "--", url, `${commit}:refs/heads/${branch}`], { judge });
  return first;
}
