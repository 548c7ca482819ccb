import { existsSync, readFileSync } from "node:fs";
import { delimiter, join } from "node:path";
import process from "node:process";
import { createInterface } from "node:readline/promises";
import { converse, succeeds } from "./child.js";
import { CREATECLUSTER_CONF, mainClusterCommand } from "./main-cluster.js";
import { say, SetupStop } from "./report.js";

/**
 * @typedef {{ platform: string, isRoot: boolean, has: (program: string) => boolean,
 *   createclusterConf: string | undefined }} Machine
 * @typedef {{ shell: string, needsRoot: boolean }} InstallCommand
 */

/**
 * The one command that installs PostgreSQL here, or undefined where we know none. Interrupts are ignored inside it: a
 * package manager that is stopped half-way leaves the system to be repaired by hand.
 * @param {Machine} machine
 * @returns {InstallCommand | undefined}
 */
export function installCommand(machine) {
  if (machine.platform === "darwin")
    return machine.has("brew") && !machine.isRoot
      ? { shell: "brew install postgresql@17", needsRoot: false }
      : undefined;
  if (machine.has("apt-get")) {
    const steps = [
      mainClusterCommand(machine.createclusterConf),
      "apt-get update -q",
      "DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends -o Dpkg::Options::=--force-confold postgresql",
    ];
    return { shell: steps.filter((step) => step !== "").join(" && "), needsRoot: true };
  }
  if (machine.has("dnf"))
    return { shell: "dnf install -y postgresql-server postgresql-contrib", needsRoot: true };
  return undefined;
}

/**
 * The command as a person would type it.
 * @param {InstallCommand} command
 * @param {boolean} isRoot
 */
export function shownCommand(command, isRoot) {
  if (!command.needsRoot) return command.shell;
  return isRoot ? command.shell : `sudo sh -c '${command.shell}'`;
}

/**
 * Whether nobody is to be asked: `--yes`, or a CI that says so.
 * @param {readonly string[]} args
 * @param {NodeJS.ProcessEnv} env
 */
export function assumesYes(args, env) {
  const ci = (env["CI"] ?? "").toLowerCase();
  return args.includes("--yes") || !["", "0", "false"].includes(ci);
}

/** @param {{ assumeYes: boolean, env: NodeJS.ProcessEnv }} options */
export async function installSystemPackages({ assumeYes, env }) {
  const isRoot = process.getuid?.() === 0;
  const has = (/** @type {string} */ program) => onPath(program, env);
  const createclusterConf = readIfThere(CREATECLUSTER_CONF);
  const command = installCommand({ platform: process.platform, isRoot, has, createclusterConf });
  if (command === undefined)
    throw new SetupStop(
      "PostgreSQL's server and client programs are missing. Install PostgreSQL 13 or newer, or set SPAREKEEP_PG_BIN to the folder that holds its programs.",
    );
  const missing = "PostgreSQL's server and client programs";
  await agreeAndInstall({ missing, command, assumeYes, env });
}

/**
 * Shows the one command, asks where somebody is there to be asked, and runs it.
 * @param {{ missing: string, command: InstallCommand, assumeYes: boolean, env: NodeJS.ProcessEnv }} options
 */
export async function agreeAndInstall({ missing, command, assumeYes, env }) {
  const isRoot = process.getuid?.() === 0;
  const shown = shownCommand(command, isRoot);
  say(`${missing} are missing. This command installs them and starts no server:\n\n  ${shown}\n`);
  const viaSudo = command.needsRoot && !isRoot;
  if (viaSudo && !onPath("sudo", env))
    throw new SetupStop("Run it as root, then start this again.");
  const terminal = process.stdin.isTTY && process.stderr.isTTY;
  if (!assumeYes && !(terminal && (await agrees())))
    throw new SetupStop("Run it, then start this again (or start this with --yes).");
  await runInstall(command.shell, viaSudo, terminal && !assumeYes, env);
}

/**
 * @param {string} shell
 * @param {boolean} viaSudo
 * @param {boolean} mayAskPassword
 * @param {NodeJS.ProcessEnv} env
 */
async function runInstall(shell, viaSudo, mayAskPassword, env) {
  if (viaSudo && !mayAskPassword && !(await succeeds("sudo", ["-n", "true"])))
    throw new SetupStop(
      "sudo asks for a password here. Run the command yourself, then start this again.",
    );
  const whole = ["sh", "-c", `trap "" INT HUP TERM; ${shell}`];
  const sudo = mayAskPassword ? ["sudo"] : ["sudo", "-n"];
  const [program = "sh", ...args] = viaSudo ? [...sudo, ...whole] : whole;
  const code = await converse(program, args, { env });
  if (code !== 0)
    throw new SetupStop(
      `The installation ended with ${code}. Run the command yourself, then start this again.`,
    );
}

async function agrees() {
  const prompt = createInterface({ input: process.stdin, output: process.stderr });
  try {
    /** @type {Promise<string>} */
    const closed = new Promise((resolve, reject) => {
      prompt.once("SIGINT", () =>
        reject(new SetupStop("Stopped before anything was installed.", 130)),
      );
      prompt.once("close", () => resolve("no"));
    });
    const answer = await Promise.race([prompt.question("Run it now? [Y/n] "), closed]);
    return /^(y(es)?)?$/i.test(answer.trim());
  } finally {
    prompt.close();
  }
}

/**
 * @param {string} program
 * @param {NodeJS.ProcessEnv} env
 */
export function onPath(program, env) {
  const folders = `${env["PATH"] ?? ""}${delimiter}/usr/sbin${delimiter}/sbin`.split(delimiter);
  return folders.some((folder) => folder !== "" && existsSync(join(folder, program)));
}

/** @param {string} path */
function readIfThere(path) {
  return existsSync(path) ? readFileSync(path, "utf8") : undefined;
}
