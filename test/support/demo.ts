import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parsePasswd, serverUser } from "../../demo/server-user.ts";
import { readFileSync } from "node:fs";
import { testPrograms } from "./cluster.ts";

export const CHECKOUT = join(import.meta.dirname, "../..");

export interface DemoRun {
  readonly exitCode: number | null;
  /** Standard output and standard error as they came. */
  readonly output: string;
  /** Of servers, watchers and files that the demo started; `[]` is clean. */
  readonly left: readonly string[];
}

export interface DemoOptions {
  readonly args?: readonly string[];
  /** Program and first arguments; by default this Node on `demo/main.ts`. */
  readonly command?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  readonly user?: { readonly uid: number; readonly gid: number };
  /** Sends the signal once, when the output so far matches. */
  readonly interrupt?: { readonly when: RegExp; readonly signal: NodeJS.Signals };
}

/** Runs the demo with a temporary folder of its own, so that whatever it leaves behind is seen. */
export async function runDemo(options: DemoOptions = {}): Promise<DemoRun> {
  const temporary = mkdtempSync(join(tmpdir(), "sk-"));
  if (options.user !== undefined) spawnSync("chown", [String(options.user.uid), temporary]);
  spawnSync("chmod", ["755", temporary]);
  const command = options.command ?? [process.execPath, join(CHECKOUT, "demo/main.ts")];
  const [program = "", ...first] = command;
  const child = spawn(program, [...first, ...(options.args ?? ["--small"])], {
    cwd: CHECKOUT,
    env: {
      PATH: "/usr/bin:/bin",
      SPAREKEEP_PG_BIN: testPrograms().folder,
      TMPDIR: temporary,
      HOME: temporary,
      ...options.env,
    },
    stdio: ["ignore", "pipe", "pipe"],
    ...options.user,
  });
  let output = "";
  let interrupted = false;
  const take = (text: string): void => {
    output += text;
    if (options.interrupt === undefined || interrupted || !options.interrupt.when.test(output))
      return;
    interrupted = true;
    child.kill(options.interrupt.signal);
  };
  child.stdout.setEncoding("utf8").on("data", take);
  child.stderr.setEncoding("utf8").on("data", take);
  await once(child, "close");
  const left = [...processesOf(temporary), ...filesIn(temporary)];
  rmSync(temporary, { recursive: true, force: true });
  return { exitCode: child.exitCode, output, left };
}

function filesIn(folder: string): readonly string[] {
  try {
    return readdirSync(folder, { recursive: true }).map(String);
  } catch (error) {
    // Somebody is still deleting in it: that is left behind, and must not hide what the demo said.
    return [String(error)];
  }
}

/** Everything that the demo starts has its temporary folder among its arguments. */
function processesOf(folder: string): string[] {
  return runningCommands().filter((line) => line.includes(folder));
}

/** Lean images of Linux hold no `ps`; other systems hold no `/proc`. */
function runningCommands(): string[] {
  if (process.platform === "linux") {
    return readdirSync("/proc")
      .filter((name) => /^\d+$/.test(name))
      .map((pid) => `${pid} ${commandOf(pid)}`);
  }
  const listed = spawnSync("ps", ["-A", "-ww", "-o", "pid=,args="], { encoding: "utf8" });
  if (listed.status !== 0) throw new Error(`ps ended with ${listed.status}: ${listed.stderr}`);
  return listed.stdout.split("\n");
}

function commandOf(pid: string): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, "utf8").replaceAll("\0", " ");
  } catch {
    // Ended since the folder was listed, so it is not left.
    return "";
  }
}

/** An account that is not root, as others on the machine: undefined where the tests run as one already. */
export function ordinaryUser(): { readonly uid: number; readonly gid: number } | undefined {
  if (process.getuid?.() !== 0) return undefined;
  const accounts = parsePasswd(readFileSync("/etc/passwd", "utf8"));
  const server = serverUser().uid;
  const other = ["nobody", "daemon", "bin"].map((name) => accounts.get(name));
  return other.find(
    (account) => account !== undefined && account.uid > 0 && account.uid !== server,
  );
}
