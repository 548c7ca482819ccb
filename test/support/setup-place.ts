import { spawn } from "node:child_process";
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";

export const CHECKOUT = join(import.meta.dirname, "..", "..");
/** Where there is no right to be had: `nobody` on every Linux and macOS that we know. */
const UNPRIVILEGED = 65534;

/**
 * A copy of the checkout's set-up in a folder of its own, with a PATH that holds only what the test puts there. What
 * runs in it runs as an unprivileged user, also when the tests run as root.
 */
export interface SetupPlace extends Disposable {
  readonly folder: string;
  readonly bin: string;
  /** Puts a shell script into PATH. */
  fake(name: string, script: string): void;
  /** Writes a file of the copy. */
  write(path: string, text: string): void;
  run(
    file: string,
    args?: readonly string[],
    options?: { env?: Readonly<Record<string, string>>; onOutput?: OnOutput; input?: string },
  ): Promise<Ended>;
}

export interface Ended {
  readonly code: number | null;
  readonly output: string;
}

/** Sees all output so far; may send the running program signals. */
type OnOutput = (output: string, kill: (signal: NodeJS.Signals) => void) => void;

const NEEDED = [
  "sh",
  "cat",
  "sed",
  "mkdir",
  "touch",
  "sleep",
  "rm",
  "dirname",
  "readlink",
  "printf",
];

export function setupPlace(): SetupPlace {
  const folder = mkdtempSync(join(tmpdir(), "sparekeep-place-"));
  const bin = join(folder, "bin");
  mkdirSync(bin);
  for (const name of NEEDED) symlinkSync(programAt(name), join(bin, name));
  symlinkSync(process.execPath, join(bin, "node"));
  for (const name of ["scripts", "package.json", "package-lock.json", "sparekeep"])
    cpSync(join(CHECKOUT, name), join(folder, name), { recursive: true });
  chmodSync(folder, 0o777);
  const write = (path: string, text: string, mode = 0o644): void => {
    mkdirSync(dirname(join(folder, path)), { recursive: true });
    rmSync(join(folder, path), { force: true });
    writeFileSync(join(folder, path), text, { mode });
  };
  return {
    folder,
    bin,
    write,
    fake: (name, script) => write(join("bin", name), `#!/bin/sh\n${script}\n`, 0o755),
    run: (file, args = [], options = {}) => {
      const program = file.endsWith(".js") || file.endsWith(".mjs") ? process.execPath : file;
      const all = program === file ? args : [join(folder, file), ...args];
      return runUnprivileged(program, all, {
        folder,
        env: { PATH: bin, HOME: folder, ...options.env },
        ...(options.onOutput === undefined ? {} : { onOutput: options.onOutput }),
        ...(options.input === undefined ? {} : { input: options.input }),
      });
    },
    [Symbol.dispose]: () => rmSync(folder, { recursive: true, force: true }),
  };
}

interface RunOptions {
  readonly folder: string;
  readonly env: Readonly<Record<string, string>>;
  readonly onOutput?: OnOutput;
  readonly input?: string;
}

function runUnprivileged(
  program: string,
  args: readonly string[],
  { folder, env, onOutput, input }: RunOptions,
): Promise<Ended> {
  const user = process.getuid?.() === 0 ? { uid: UNPRIVILEGED, gid: UNPRIVILEGED } : {};
  const child = spawn(program, [...args], { cwd: folder, env, ...user, stdio: "pipe" });
  let output = "";
  const keep = (chunk: Buffer): void => {
    output += chunk.toString("utf8");
    onOutput?.(output, (signal) => void child.kill(signal));
  };
  child.stdout.on("data", keep);
  child.stderr.on("data", keep);
  child.stdin.on("error", () => {
    // A program that ends without reading its input closes the pipe: its exit code is what is judged.
  });
  child.stdin.end(input ?? "");
  return new Promise((resolve, reject) => {
    child.once("error", reject);
    child.once("close", (code) => resolve({ code, output }));
  });
}

function programAt(name: string): string {
  const found = ["/usr/bin", "/bin"].map((dir) => join(dir, name)).find((path) => existsSync(path));
  if (found === undefined) throw new Error(`${name} is neither in /usr/bin nor in /bin`);
  return found;
}
