/** Entry of `npm run demo`, once `scripts/demo.js` has set everything up: reads the process, tells the story. */
import { randomBytes } from "node:crypto";
import { hostname, userInfo } from "node:os";
import { printable } from "../src/cli/index.ts";
import {
  exitCodeOf,
  kernelError,
  silentLog,
  systemClock,
  toAppError,
} from "../src/kernel/index.ts";
import type { OperationContext } from "../src/operation/index.ts";
import { HELP, parseOptions } from "./options.ts";
import { findServerPrograms } from "./programs.ts";
import type { ServerPrograms } from "./programs.ts";
import { createScreen } from "./screen.ts";
import { tellStory } from "./story.ts";

const stdout = process.stdout;
// A reader that went away (`| head`) is no reason to leave servers behind: the story is stopped like by Ctrl-C.
stdout.on("error", () => stop("a closed output"));
// Then nobody hears the last words either; the exit code still says it.
process.stderr.on("error", () => stop("a closed output"));

const controller = new AbortController();
function stop(by: string): void {
  if (controller.signal.aborted) return;
  controller.abort(kernelError("cancelled", { message: `stopped by ${by}` }));
}
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
  process.on(signal, () => stop(signal));
}

function contextFor(programs: ServerPrograms): OperationContext {
  return {
    clock: systemClock,
    random: (size) => randomBytes(size),
    log: silentLog,
    signal: controller.signal,
    actor: userInfo().username,
    hostname: hostname(),
    pid: process.pid,
    env: () => undefined,
    toolDirectories: [programs.folder],
    stateDirectory: "",
    version: "demo",
  };
}

/** Whom `sudo npm run demo -- --keep DIR` is run for. */
function keptOwner(): { readonly uid: number; readonly gid: number } | undefined {
  const uid = Number(process.env["SUDO_UID"] ?? Number.NaN);
  const gid = Number(process.env["SUDO_GID"] ?? Number.NaN);
  const isForSomeone = process.getuid?.() === 0 && Number.isInteger(uid) && Number.isInteger(gid);
  return isForSomeone ? { uid, gid } : undefined;
}

async function run(): Promise<number> {
  const { help, keep, scale } = parseOptions(process.argv.slice(2));
  if (help) {
    stdout.write(HELP);
    return 0;
  }
  const programs = findServerPrograms({
    preferred: process.env["SPAREKEEP_PG_BIN"],
    path: process.env["PATH"],
  });
  const owner = keptOwner();
  const noColor = process.env["NO_COLOR"] ?? "";
  await tellStory({
    screen: createScreen({
      stream: stdout,
      clock: systemClock,
      color: noColor === "" && process.env["TERM"] !== "dumb",
    }),
    context: contextFor(programs),
    programs,
    scale,
    folder: { ...(keep === undefined ? {} : { keep }), ...(owner === undefined ? {} : { owner }) },
    backupPassword: randomBytes(18).toString("base64url"),
  });
  return 0;
}

try {
  process.exitCode = await run();
} catch (thrown) {
  // Whatever fails after the stop fails because of it: servers are gone, connections cut.
  const error = toAppError(controller.signal.aborted ? controller.signal.reason : thrown);
  const fix = error.hint === undefined ? "" : `\n  fix: ${printable(error.hint)}`;
  const stack = error.kind === "bug" ? `\n${error.stack ?? ""}` : "";
  process.stderr.write(
    error.kind === "cancelled"
      ? `\n${printable(error.message)}; everything that was started is gone\n`
      : `\nerror: ${printable(error.message)}${fix}${stack}\n`,
  );
  process.exitCode = exitCodeOf(error);
}
