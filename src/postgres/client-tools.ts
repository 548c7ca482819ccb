/** Finding PostgreSQL's own client programs, of a version that fits the server. */
import { execFile } from "node:child_process";
import { access, constants, readdir, realpath } from "node:fs/promises";
import { basename, join } from "node:path";
import { promisify } from "node:util";
import { postgresError } from "./errors.ts";
import { cleanText } from "./translate.ts";
import type { ClientTools, WaitOptions } from "./types.ts";

/** A `*` stands for any one folder name. */
const WELL_KNOWN_FOLDERS = [
  "/usr/lib/postgresql/*/bin",
  "/usr/pgsql-*/bin",
  "/opt/homebrew/opt/postgresql@*/bin",
  "/opt/homebrew/opt/libpq/bin",
  "/usr/local/opt/postgresql@*/bin",
  "/usr/local/opt/libpq/bin",
  "/Applications/Postgres.app/Contents/Versions/*/bin",
];

const VERSION_TIMEOUT_MS = 10_000;
const run = promisify(execFile);

/** Folders of `path` (as in PATH) first, then where packages put the programs. */
export async function clientToolFolders(path: string | undefined): Promise<readonly string[]> {
  const named = (path ?? "").split(":").filter((folder) => folder.startsWith("/"));
  const known = await Promise.all(WELL_KNOWN_FOLDERS.map(expandFolder));
  return [...new Set([...named, ...known.flat()])];
}

async function expandFolder(pattern: string): Promise<readonly string[]> {
  const [before = "", after] = pattern.split(/[^/]*\*[^/]*/, 2);
  if (after === undefined) return [pattern];
  const part = pattern.slice(before.length, pattern.length - after.length);
  const prefix = part.slice(0, part.indexOf("*"));
  const names = await listFolder(before);
  return names.filter((name) => name.startsWith(prefix)).map((name) => join(before, name, after));
}

async function listFolder(folder: string): Promise<readonly string[]> {
  try {
    return await readdir(folder);
  } catch {
    // A folder that is not there or not ours to read holds no programs for us.
    return [];
  }
}

/**
 * The programs whose version is the server's, else the nearest newer one: pg_dump reads older servers, never newer
 * ones. `serverVersionNum` is `server_version_num`.
 */
export async function findClientTools(
  folders: readonly string[],
  serverVersionNum: number,
  options: WaitOptions = {},
): Promise<ClientTools> {
  const serverMajor = Math.floor(serverVersionNum / 10_000);
  const found: ClientTools[] = [];
  for (const folder of folders) {
    const tools = await toolsIn(folder, options);
    if (tools !== undefined) found.push(tools);
    if (tools?.major === serverMajor) return tools;
  }
  const newer = found.filter((tools) => tools.major > serverMajor);
  const nearest = newer.toSorted((a, b) => a.major - b.major)[0];
  if (nearest !== undefined) return nearest;
  throw notFound(found, serverMajor);
}

function notFound(found: readonly ClientTools[], serverMajor: number): Error {
  const hint = `Run: apt-get install postgresql-client-${serverMajor}`;
  if (found.length === 0) {
    return postgresError("client_tools_missing", {
      message: `pg_dump, pg_restore and psql of version ${serverMajor} or newer`,
      hint,
    });
  }
  const newest = Math.max(...found.map((tools) => tools.major));
  return postgresError("client_tools_too_old", {
    message: `pg_dump of version ${newest}, older than the server's ${serverMajor}`,
    subject: { newest, serverMajor },
    hint,
  });
}

async function toolsIn(folder: string, options: WaitOptions): Promise<ClientTools | undefined> {
  const program = async (name: string): Promise<string | undefined> => {
    const path = join(folder, name);
    return (await isProgram(path)) ? path : undefined;
  };
  const pgDump = await program("pg_dump");
  const pgRestore = await program("pg_restore");
  const psql = await program("psql");
  if (pgDump === undefined || pgRestore === undefined || psql === undefined) return undefined;
  const initdb = await program("initdb");
  const pgCtl = await program("pg_ctl");
  const postgres = await program("postgres");
  return {
    pgDump,
    pgRestore,
    psql,
    ...(initdb === undefined ? {} : { initdb }),
    ...(pgCtl === undefined ? {} : { pgCtl }),
    ...(postgres === undefined ? {} : { postgres }),
    major: await majorOf(pgDump, options),
  };
}

/** Debian's wrapper picks a version by the machine's clusters; the programs behind it are found in their own folders. */
async function isProgram(path: string): Promise<boolean> {
  try {
    await access(path, constants.X_OK);
    return basename(await realpath(path)) !== "pg_wrapper";
  } catch {
    // Not there, or not ours to run: no program for us.
    return false;
  }
}

async function majorOf(pgDump: string, options: WaitOptions): Promise<number> {
  const output = await versionOutput(pgDump, options);
  const major = /^pg_dump \([^)]+\) (\d+)(?:[.\s]|devel|alpha|beta|rc|$)/.exec(output)?.[1];
  if (major === undefined) {
    throw postgresError("client_tools_unreadable", {
      message: `version of ${pgDump} in ${JSON.stringify(cleanText(output).slice(0, 100))}`,
      subject: { program: pgDump },
    });
  }
  return Number(major);
}

async function versionOutput(program: string, options: WaitOptions): Promise<string> {
  try {
    const { stdout } = await run(program, ["--version"], {
      env: { LC_ALL: "C" },
      timeout: VERSION_TIMEOUT_MS,
      ...(options.signal === undefined ? {} : { signal: options.signal }),
    });
    return stdout;
  } catch (error) {
    options.signal?.throwIfAborted();
    throw postgresError("client_tools_unreadable", {
      message: `version of ${program}, which does not run`,
      subject: { program },
      cause: error,
    });
  }
}
