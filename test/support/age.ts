import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { delimiter, join } from "node:path";

const TOOLS = join(import.meta.dirname, "../../.tools/age/usr/bin");

/** Stock `age`, which set-up unpacked or the system has. Throws where it is missing: a test that would be skipped fails. */
export function requireAge(): string {
  const folders = [...(process.env["PATH"] ?? "").split(delimiter), TOOLS];
  const program = folders.map((folder) => join(folder, "age")).find((path) => existsSync(path));
  if (program === undefined) throw new Error("age is needed; run npm run setup");
  return program;
}

/** Runs a shell command line with these variables; throws with its words unless it ends well. */
export async function shell(
  line: string,
  cwd: string,
  env: Readonly<Record<string, string>>,
  input = "",
): Promise<string> {
  const child = spawn("sh", ["-e", "-c", line], {
    cwd,
    env: { HOME: cwd, PATH: "/usr/bin:/bin", ...env },
    stdio: "pipe",
  });
  let said = "";
  child.stdout.on("data", (bytes: Buffer) => (said += bytes.toString()));
  child.stderr.on("data", (bytes: Buffer) => (said += bytes.toString()));
  child.stdin.on("error", () => undefined);
  child.stdin.end(input);
  const code = await new Promise((resolve, reject) => {
    child.once("error", reject);
    child.once("close", resolve);
  });
  if (code === 0) return said;
  throw new Error(`${line}\nended with ${String(code)}:\n${said}`);
}
