import { basename, dirname, join, relative, resolve } from "node:path";
import type { Command } from "commander";
import { counted } from "../../kernel/index.ts";
import { init, loadPolicy } from "../../operation/index.ts";
import type { InitOptions, InitResult } from "../../operation/index.ts";
import { parsePolicy } from "../../policy/index.ts";
import type { ConnectionReference } from "../../policy/index.ts";
import {
  addOutputOptions,
  addPolicyOption,
  DEFAULT_POLICY_FILE,
  given,
} from "../common-options.ts";
import type { OutputFlags } from "../common-options.ts";
import { connectionOf } from "../connection-flags.ts";
import { cliError } from "../errors.ts";
import { printable } from "../printable.ts";
import type { Verb } from "../verb.ts";

interface InitFlags extends OutputFlags {
  readonly policy?: string;
  readonly destination?: string;
  readonly generatePassword?: boolean;
  readonly allowWeak?: boolean;
  readonly connection?: string;
  readonly connectionEnv?: string;
  readonly connectionFile?: string;
  readonly to?: string;
  readonly name?: string;
  readonly passwordFile?: string;
}

export const initVerb: Verb = {
  examples: [
    [
      "sparekeep init --connection-env DATABASE_URL --to /mnt/backup",
      "write sparekeep.yaml and create its repository",
    ],
    ["sparekeep init --policy shop.yaml", "create the repositories that a policy names"],
    [
      "sparekeep init --policy shop.yaml --generate-password",
      "the same, and make the password file it names",
    ],
  ],
  register: (program: Command, run) =>
    addOutputOptions(addPolicyOption(program.command("init")))
      .description("create repositories, and with --to the policy itself")
      .option("-d, --destination <name>", "create only this one of the policy")
      .option(
        "--generate-password",
        "make a random password where the file that the policy names is not there",
      )
      .option("--allow-weak", "take a password that is easy to guess, and say why it is")
      .option("--to <folder>", "write a new policy that backs one database up into this folder")
      .option(
        "--connection-env <name>",
        "with --to: variable that holds the database's connection string",
      )
      .option("--connection-file <file>", "with --to: file of mode 0600 that holds it")
      .option("--connection <uri>", "with --to: the connection string, without a password")
      .option("--name <name>", "with --to: name of the policy (default: backup)")
      .option(
        "--password-file <file>",
        "with --to: where the password is kept, made if it is not there (default: beside the policy)",
      )
      .action((flags: InitFlags) =>
        run(flags, async ({ context, output, json, document }) => {
          const result = await init(context, await optionsOf(flags));
          if (json) await document(result);
          else for (const line of describe(result)) await output.line(line);
          return 0;
        }),
      ),
};

async function optionsOf(flags: InitFlags): Promise<InitOptions> {
  return { ...(await withoutWeakness(flags)), allowWeak: flags.allowWeak === true };
}

async function withoutWeakness(flags: InitFlags): Promise<InitOptions> {
  const path = flags.policy ?? DEFAULT_POLICY_FILE;
  const destinations = flags.destination === undefined ? undefined : [flags.destination];
  if (flags.to !== undefined) return newPolicy(flags, path, flags.to);
  const stray = ["connection", "connectionEnv", "connectionFile", "name", "passwordFile"] as const;
  if (stray.some((name) => flags[name] !== undefined)) {
    throw cliError("usage", {
      message: "a connection, name or password file without --to",
      hint: "Add --to FOLDER to write a new policy.",
    });
  }
  const policy = await loadPolicy(path);
  const generatePassword = flags.generatePassword === true;
  return { policy, generatePassword, ...given("destinations", destinations) };
}

/** The text is read back by the parser: what is written is what later verbs will understand. */
function newPolicy(flags: InitFlags, path: string, folder: string): InitOptions {
  const connection = connectionOf(
    {
      ...given("text", flags.connection),
      ...given("env", flags.connectionEnv),
      ...given("file", flags.connectionFile),
    },
    "--connection-env, --connection-file and --connection",
    "--connection-env or --connection-file",
  );
  const directory = dirname(resolve(path));
  const beside = join(directory, `${basename(path).replace(/\.ya?ml$/, "")}.password`);
  const text = policyText({
    name: flags.name ?? "backup",
    connection: absolute(connection),
    url: resolve(folder),
    passwordFile: shown(directory, resolve(flags.passwordFile ?? beside)),
  });
  const policy = parsePolicy({ text, file: path, directory });
  return { policy, generatePassword: true, policyFile: { path, text } };
}

function absolute(reference: ConnectionReference): string {
  if ("text" in reference) return JSON.stringify(reference.text);
  return "env" in reference
    ? `{ env: ${JSON.stringify(reference.env)} }`
    : `{ file: ${JSON.stringify(resolve(reference.file))} }`;
}

/** Relative where it lies beside the policy: the two can be moved together. */
function shown(directory: string, path: string): string {
  const short = relative(directory, path);
  return short.startsWith("..") ? path : `./${short}`;
}

function policyText(values: {
  readonly name: string;
  readonly connection: string;
  readonly url: string;
  readonly passwordFile: string;
}): string {
  return `# Sparekeep policy: what is backed up, where to, and with which password. It holds no secrets itself.
sparekeep: 1
name: ${JSON.stringify(values.name)}

sources:
  database:
    kind: postgres
    connection: ${values.connection}

destinations:
  local:
    url: ${JSON.stringify(values.url)}
    # Whoever loses this password loses the backups. Keep a copy on another machine, or on paper.
    password: { file: ${JSON.stringify(values.passwordFile)} }

plans:
  full: { source: database, capture: everything, to: local }
`;
}

function describe(result: InitResult): string[] {
  const generated = result.destinations
    .map((destination) => destination.generatedPasswordFile)
    .filter((file) => file !== undefined);
  return [
    ...result.destinations.map(({ name, location, repository, created }) =>
      created
        ? `created repository ${repository.slice(0, 8)} of destination ${name} in ${location}`
        : `repository ${repository.slice(0, 8)} of destination ${name} is there already, in ${location}`,
    ),
    ...result.destinations.flatMap(({ name, weakness }) =>
      weakness === undefined ? [] : [`warning: destination ${name} has a password ${weakness}`],
    ),
    ...result.destinations.flatMap(({ name, wrappedFor }) =>
      wrappedFor === undefined
        ? []
        : [
            `wrapped the password of ${name} for ${counted(wrappedFor.length, "owner")}, beside the repository`,
          ],
    ),
    ...(result.policyFile === undefined ? [] : [`wrote ${result.policyFile}`]),
    ...generated.flatMap((file) => [
      `wrote a new random password to ${file}`,
      "Without this password nobody can ever read the backups, not even you: copy it to a safe place now.",
    ]),
  ].map(printable);
}
