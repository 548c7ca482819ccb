import { basename, dirname, join, relative, resolve } from "node:path";
import type { Command } from "commander";
import { counted } from "../../kernel/index.ts";
import { connectProject, init, loadPolicy, roleSql } from "../../operation/index.ts";
import type {
  ConnectedProject,
  InitOptions,
  InitResult,
  OperationContext,
  RoleSqlOptions,
} from "../../operation/index.ts";
import { parsePolicy, sourceNamed } from "../../policy/index.ts";
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
import { describeWay, hasProjectFlags, projectOptions, sourceText } from "../init-project.ts";
import type { ProjectFlags } from "../init-project.ts";
import { printable } from "../printable.ts";
import type { Verb } from "../verb.ts";

interface InitFlags extends OutputFlags, ProjectFlags {
  readonly roleSql?: string;
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
    [
      "sparekeep init abcdefghijklmnopqrst --database-password-env PGPASSWORD --token-env SUPABASE_ACCESS_TOKEN --root-certificate prod-ca-2021.crt --to /mnt/backup",
      "the same of a Supabase project, by the connection that works",
    ],
    [
      "sparekeep init --role-sql backup_reader --connection-env DATABASE_URL",
      "SQL of a role that can read all and change nothing",
    ],
    ["sparekeep init --policy shop.yaml", "create the repositories that a policy names"],
    [
      "sparekeep init --policy shop.yaml --generate-password",
      "the same, and make the password file it names",
    ],
  ],
  register: (program: Command, run) =>
    addOutputOptions(addPolicyOption(program.command("init [project]")))
      .description(
        "create repositories, and with --to the policy itself, of a Supabase project by its reference or address",
      )
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
      .option(
        "--database-password-env <name>",
        "with a project: variable that holds the password of its database",
      )
      .option("--database-password-file <file>", "with a project: file of mode 0600 that holds it")
      .option(
        "--token-env <name>",
        "with a project: variable with a token of the Management API, which names the session pooler",
      )
      .option("--token-file <file>", "with a project: file of mode 0600 that holds the token")
      .option("--management-api <url>", "with a project: another address of that API")
      .option("--pooler <host>", "with a project: host of its session pooler")
      .option(
        "--root-certificate <file>",
        "with a project: Supabase's root certificate, from the project's database settings",
      )
      .option(
        "--role-sql <role>",
        "only print the SQL of a role that can read all of the database and change nothing",
      )
      .action((project: string | undefined, flags: InitFlags) =>
        run(flags, async ({ context, output, json, document }) => {
          if (flags.roleSql !== undefined) {
            const sql = await roleSql(context, await roleOf(flags, flags.roleSql));
            if (json) await document({ sql });
            else for (const line of sql.trimEnd().split("\n")) await output.line(printable(line));
            return 0;
          }
          const { options, way } = await optionsOf(context, flags, project);
          const result = await init(context, options);
          const { url: _url, ...shown } = way ?? {};
          if (json) await document(way === undefined ? result : { ...result, connection: shown });
          else
            for (const line of [
              ...(way === undefined ? [] : describeWay(way)),
              ...describe(result),
            ])
              await output.line(printable(line));
          return 0;
        }),
      ),
};

/** The connection that is given, else that of the policy's only source. */
async function roleOf(flags: InitFlags, role: string): Promise<RoleSqlOptions> {
  // A dollar could end the quoting of the blocks that hold it.
  if (!/^[^\p{Cc}$]{1,63}$/u.test(role)) {
    throw cliError("usage", { message: "name that --role-sql does not take for a role" });
  }
  const { connection, connectionEnv, connectionFile } = flags;
  if ([connection, connectionEnv, connectionFile].every((one) => one === undefined)) {
    const policy = await loadPolicy(flags.policy ?? DEFAULT_POLICY_FILE);
    return { role, connection: sourceNamed(policy).connection };
  }
  const reference = givenConnection(flags, undefined);
  if (reference === undefined) throw cliError("usage", { message: "no connection" });
  return { role, connection: reference };
}

interface Chosen {
  readonly options: InitOptions;
  readonly way?: ConnectedProject;
}

async function optionsOf(
  context: OperationContext,
  flags: InitFlags,
  project: string | undefined,
): Promise<Chosen> {
  const { options, ...way } = await withoutWeakness(context, flags, project);
  return { options: { ...options, allowWeak: flags.allowWeak === true }, ...way };
}

async function withoutWeakness(
  context: OperationContext,
  flags: InitFlags,
  project: string | undefined,
): Promise<Chosen> {
  const path = flags.policy ?? DEFAULT_POLICY_FILE;
  const destinations = flags.destination === undefined ? undefined : [flags.destination];
  if (flags.to !== undefined) return newPolicy(context, flags, { path, folder: flags.to, project });
  const stray = ["connection", "connectionEnv", "connectionFile", "name", "passwordFile"] as const;
  const isStray = stray.some((name) => flags[name] !== undefined) || hasProjectFlags(flags);
  if (isStray || project !== undefined) {
    throw cliError("usage", {
      message: "a project, connection, name or password file without --to",
      hint: "Add --to FOLDER to write a new policy.",
    });
  }
  const policy = await loadPolicy(path);
  const generatePassword = flags.generatePassword === true;
  return { options: { policy, generatePassword, ...given("destinations", destinations) } };
}

/** The text is read back by the parser: what is written is what later verbs will understand. */
async function newPolicy(
  context: OperationContext,
  flags: InitFlags,
  place: { readonly path: string; readonly folder: string; readonly project: string | undefined },
): Promise<Chosen> {
  const { path, folder, project } = place;
  const connection = givenConnection(flags, project);
  const directory = dirname(resolve(path));
  const beside = (suffix: string): string =>
    join(directory, `${basename(path).replace(/\.ya?ml$/, "")}.${suffix}`);
  const certificate = flags.rootCertificate;
  const root = certificate === undefined ? undefined : resolve(certificate);
  const way = await connectProject(context, projectOptions(flags, project, connection, root));
  if (way === undefined && hasProjectFlags(flags)) {
    throw cliError("usage", {
      message: "options of a Supabase project for a connection that is none of Supabase's",
      hint: "Name the project, or leave them out.",
    });
  }
  // What works is another string than the one given: it gets a file of its own.
  const isNew = way !== undefined && !way.asGiven;
  const written = isNew
    ? `{ file: ${JSON.stringify(shown(directory, beside("connection")))} }`
    : "";
  const reference = isNew || connection === undefined ? written : absolute(connection);
  const text = policyText({
    name: flags.name ?? "backup",
    source:
      way === undefined
        ? `    kind: postgres\n    connection: ${reference}`
        : sourceText(way, reference, flags),
    url: resolve(folder),
    passwordFile: shown(directory, resolve(flags.passwordFile ?? beside("password"))),
  });
  const policy = parsePolicy({ text, file: path, directory });
  const connectionFile = isNew ? { path: beside("connection"), text: way.url } : undefined;
  const options = { policy, generatePassword: true, policyFile: { path, text } };
  return {
    options: { ...options, ...given("connectionFile", connectionFile) },
    ...given("way", way),
  };
}

/** One is needed, unless the project is named and the password of its database. */
function givenConnection(
  flags: InitFlags,
  project: string | undefined,
): ConnectionReference | undefined {
  const { connection, connectionEnv, connectionFile } = flags;
  const isGiven = [connection, connectionEnv, connectionFile].some((one) => one !== undefined);
  if (project !== undefined && !isGiven) return undefined;
  return connectionOf(
    {
      ...given("text", connection),
      ...given("env", connectionEnv),
      ...given("file", connectionFile),
    },
    "--connection-env, --connection-file and --connection",
    "--connection-env or --connection-file",
  );
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
  /** Its keys, indented. */
  readonly source: string;
  readonly url: string;
  readonly passwordFile: string;
}): string {
  return `# Sparekeep policy: what is backed up, where to, and with which password. It holds no secrets itself.
sparekeep: 1
name: ${JSON.stringify(values.name)}

sources:
  database:
${values.source}

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
