import { resolve } from "node:path";
import type { ConnectedProject, ConnectProjectOptions } from "../operation/index.ts";
import type { ConnectionReference, SecretReference } from "../policy/index.ts";
import { given } from "./common-options.ts";
import { cliError } from "./errors.ts";

/** The options of `init` by which a Supabase project is found. */
export interface ProjectFlags {
  readonly databasePasswordEnv?: string;
  readonly databasePasswordFile?: string;
  readonly tokenEnv?: string;
  readonly tokenFile?: string;
  readonly managementApi?: string;
  readonly pooler?: string;
  readonly rootCertificate?: string;
}

const NAMES = [
  "databasePasswordEnv",
  "databasePasswordFile",
  "tokenEnv",
  "tokenFile",
  "managementApi",
  "pooler",
  "rootCertificate",
] as const;

export function hasProjectFlags(flags: ProjectFlags): boolean {
  return NAMES.some((name) => flags[name] !== undefined);
}

export function projectOptions(
  flags: ProjectFlags,
  project: string | undefined,
  connection: ConnectionReference | undefined,
  rootCertificate: string | undefined,
): ConnectProjectOptions {
  const password = secretOf(
    flags.databasePasswordEnv,
    flags.databasePasswordFile,
    "--database-password",
  );
  return {
    ...given("project", project),
    ...given("connection", connection),
    ...given("databasePassword", password),
    ...given("token", secretOf(flags.tokenEnv, flags.tokenFile, "--token")),
    ...given("managementApi", flags.managementApi),
    ...given("pooler", flags.pooler),
    ...given("rootCertificate", rootCertificate),
  };
}

function secretOf(
  env: string | undefined,
  file: string | undefined,
  name: string,
): SecretReference | undefined {
  if (env !== undefined && file !== undefined) {
    throw cliError("usage", { message: `both ${name}-env and ${name}-file` });
  }
  if (env !== undefined) return { env };
  return file === undefined ? undefined : { file: resolve(file) };
}

/** What was tried, and what the way that works costs. */
export function describeWay({ ref, tried, way }: ConnectedProject): string[] {
  return [
    ...tried.map(({ way: kind, host, outcome, message }) =>
      outcome === "works"
        ? `project ${ref}: ${kind} ${host} works: an exported snapshot holds across its connections`
        : `project ${ref}: ${kind} ${host} does not: ${message ?? ""}`,
    ),
    ...COSTS[way],
  ];
}

const COSTS: Readonly<Record<ConnectedProject["way"], readonly string[]>> = {
  direct: ["This connection carries snapshots, and could carry a change stream."],
  "session pooler": [
    "Snapshots work through the session pooler. A change stream does not pass it: that waits for IPv6 here, or for the project's IPv4 add-on.",
    "Until then the achieved RPO is the time between two backups.",
  ],
};

/** The source of the policy, with what it costs beside it. */
export function sourceText(
  project: ConnectedProject,
  connection: string,
  flags: ProjectFlags,
): string {
  const token = secretOf(flags.tokenEnv, flags.tokenFile, "--token");
  const api = flags.managementApi;
  return [
    "    kind: supabase",
    `    project: ${project.ref}`,
    ...COSTS[project.way].map((line) => `    # ${line}`),
    `    connection: ${connection}`,
    ...(token === undefined ? [] : [`    management_token: ${JSON.stringify(token)}`]),
    ...(api === undefined ? [] : [`    management_api: ${JSON.stringify(api)}`]),
  ].join("\n");
}
