import { accessSync, constants, readdirSync } from "node:fs";
import { delimiter, join } from "node:path";
import { demoError } from "./errors.ts";

const NEEDED = ["initdb", "postgres", "pg_ctl", "psql", "pg_dump", "pg_restore"] as const;

export type ProgramName = (typeof NEEDED)[number];

/** Paths of one PostgreSQL's programs, server's and client's together. */
export type ServerPrograms = Readonly<Record<ProgramName, string>> & { readonly folder: string };

export interface ProgramSearch {
  /** `SPAREKEEP_PG_BIN`: looked into first. */
  readonly preferred?: string | undefined;
  /** `PATH`. */
  readonly path?: string | undefined;
  /** Where each version has a folder of its own. */
  readonly places?: readonly VersionPlace[];
}

interface VersionPlace {
  readonly root: string;
  readonly folder: RegExp;
}

const PLACES: readonly VersionPlace[] = [
  { root: "/usr/lib/postgresql", folder: /^\d+$/ },
  { root: "/opt/homebrew/opt", folder: /^postgresql@\d+$/ },
  { root: "/usr/local/opt", folder: /^postgresql@\d+$/ },
];

/** The first folder that holds them all: the preferred one, Debian's newest, Homebrew's, `PATH`. */
export function findServerPrograms(search: ProgramSearch): ServerPrograms {
  const folders = [
    ...(search.preferred === undefined || search.preferred === "" ? [] : [search.preferred]),
    ...(search.places ?? PLACES).flatMap(versionFolders),
    ...(search.path ?? "").split(delimiter).filter((folder) => folder !== ""),
  ];
  const folder = folders.find(holdsAll);
  if (folder === undefined) {
    throw demoError("programs_missing", { message: "no PostgreSQL server programs" });
  }
  const at = (name: ProgramName): string => join(folder, name);
  return {
    folder,
    initdb: at("initdb"),
    postgres: at("postgres"),
    pg_ctl: at("pg_ctl"),
    psql: at("psql"),
    pg_dump: at("pg_dump"),
    pg_restore: at("pg_restore"),
  };
}

function holdsAll(folder: string): boolean {
  return NEEDED.every((name) => isExecutable(join(folder, name)));
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false; // Absent or not ours to run: the search goes on either way.
  }
}

function versionFolders({ root, folder: name }: VersionPlace): string[] {
  const major = (folder: string): number => Number(/\d+$/.exec(folder)?.[0] ?? "0");
  let names: string[];
  try {
    names = readdirSync(root);
  } catch {
    return []; // No such installation on this machine.
  }
  return names
    .filter((folder) => name.test(folder))
    .toSorted((a, b) => major(b) - major(a))
    .map((folder) => join(root, folder, "bin"));
}
