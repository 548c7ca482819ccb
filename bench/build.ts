/** Compiles the product as it is published: what is measured is JavaScript, not TypeScript being stripped of its types. */
import { copyFileSync } from "node:fs";
import { join } from "node:path";
import { measure } from "./measure.ts";

const ROOT = join(import.meta.dirname, "..");
const OUTPUT = join(ROOT, "dist/bench");

export interface Build {
  /** The command line program. */
  readonly main: string;
  readonly stdinBackup: string;
  readonly smallObjects: string;
}

export async function build(): Promise<Build> {
  const tsc = join(ROOT, "node_modules/typescript/bin/tsc");
  await measure({
    command: process.execPath,
    args: [tsc, "-p", join(import.meta.dirname, "tsconfig.json")],
  });
  // The program reads its version one folder above itself.
  copyFileSync(join(ROOT, "package.json"), join(OUTPUT, "package.json"));
  return {
    main: join(OUTPUT, "src/main.js"),
    stdinBackup: join(OUTPUT, "bench/stdin-backup.js"),
    smallObjects: join(OUTPUT, "bench/small-objects.js"),
  };
}
