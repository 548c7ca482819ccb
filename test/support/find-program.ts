import { existsSync, readdirSync } from "node:fs";
import { delimiter, join } from "node:path";

/** What set-up unpacked below `.tools/<name>`, else what is in PATH. Throws where there is none. */
export function findProgram(name: string, programs: readonly string[] = [name]): string {
  const tools = join(import.meta.dirname, "../../.tools", name);
  const unpacked = existsSync(tools)
    ? readdirSync(tools).map((version) => join(tools, version, "usr/bin"))
    : [];
  const folders = [...unpacked, ...(process.env["PATH"] ?? "").split(delimiter)];
  const found = folders
    .flatMap((folder) => programs.map((program) => join(folder, program)))
    .find((program) => existsSync(program));
  if (found === undefined) throw new Error(`${name} is needed; run npm run setup`);
  return found;
}
