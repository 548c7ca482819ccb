import { AppError } from "../kernel/index.ts";
import type { Secret } from "../kernel/index.ts";
import type { ConnectionReference, SecretReference } from "../policy/index.ts";
import { parseTarget } from "../postgres/index.ts";
import { resolveSecret } from "../secrets/index.ts";
import type { OperationContext } from "./context.ts";
import { operationError } from "./errors.ts";
import { findWay } from "./find-way.ts";
import type { FoundWay } from "./find-way.ts";
import { managementOf } from "./management.ts";
import { connectionUrl } from "./open.ts";
import { isPoolerHost, projectInConnection, projectRefIn } from "./supabase-way.ts";
import type { KnownProject } from "./supabase-way.ts";

/** What a person has at hand: any of the strings of Supabase's page, or the project and its database's password. */
export interface ConnectProjectOptions {
  /** A reference, a project's URL, or its address in the dashboard. */
  readonly project?: string;
  readonly connection?: ConnectionReference;
  /** Of the role postgres; with `project` alone. */
  readonly databasePassword?: SecretReference;
  readonly token?: SecretReference;
  readonly managementApi?: string;
  readonly pooler?: string;
  /** PEM file of the authority that proves the servers. */
  readonly rootCertificate?: string;
}

export interface ConnectedProject extends FoundWay {
  readonly ref: string;
  /** The string that was given is the one that works: the policy can go on naming where it stands. */
  readonly asGiven: boolean;
}

/** `undefined`: the connection is none of Supabase's, or the variable that is to hold it is not set yet. */
export async function connectProject(
  context: OperationContext,
  options: ConnectProjectOptions,
): Promise<ConnectedProject | undefined> {
  const { connection, project, token } = options;
  if (options.pooler !== undefined && !isPoolerHost(options.pooler)) {
    throw unfit(`pooler ${JSON.stringify(options.pooler)}, which is no host of Supabase's`);
  }
  const given = connection === undefined ? undefined : await stringOf(context, connection, project);
  const inString = given === undefined ? undefined : projectInConnection(given);
  if (project === undefined && inString === undefined) return undefined;
  const known = await knownProject(context, options, inString);
  const named = {
    name: "database",
    kind: "supabase",
    connection: { text: "" },
    project: known.ref,
    management_token: token,
    management_api: options.managementApi,
  } as const;
  const api = token === undefined ? undefined : await managementOf(context, named);
  const found = await findWay(context, known, api);
  return { ...found, ref: known.ref, asGiven: given !== undefined && same(given, found.url) };
}

/** A policy may name a variable or file that is filled later; then nothing is tried, unless a project was named. */
async function stringOf(
  context: OperationContext,
  connection: ConnectionReference,
  project: string | undefined,
): Promise<Secret | undefined> {
  let url: Secret;
  try {
    url = await connectionUrl(context, connection);
  } catch (thrown) {
    const isLater = thrown instanceof AppError && thrown.kind === "config";
    if (isLater && project === undefined) return undefined;
    throw thrown;
  }
  if (/(?:\[|%5B)YOUR-PASSWORD(?:\]|%5D)/i.test(url.reveal())) {
    throw unfit(
      "connection string with [YOUR-PASSWORD] in it, as the page shows it",
      "Write the database's password in its place.",
    );
  }
  return url;
}

async function knownProject(
  context: OperationContext,
  { project, databasePassword, pooler, rootCertificate }: ConnectProjectOptions,
  inString: Partial<KnownProject> | undefined,
): Promise<KnownProject> {
  const named = project === undefined ? undefined : projectRefIn(project);
  if (project !== undefined && named === undefined) {
    throw unfit(
      `project ${JSON.stringify(project)}, which is no reference and no address of one`,
      "Give the twenty letters in the dashboard's address, https://REF.supabase.co, or the dashboard's address itself.",
    );
  }
  const ref = named ?? inString?.ref;
  if (ref === undefined) {
    throw unfit(
      "connection string of Supabase's that names no project",
      "Copy it from the project's page under Connect: its role is postgres.REF.",
    );
  }
  if (inString?.ref !== undefined && inString.ref !== ref) {
    throw unfit(`project ${ref} and a connection string of ${inString.ref}`);
  }
  const password =
    databasePassword === undefined
      ? inString?.password
      : await resolveSecret(databasePassword, context.env);
  if (password === undefined) {
    throw unfit(
      "no password of the project's database",
      "Give it with --database-password-env or --database-password-file, or a connection string that holds it.",
    );
  }
  const host = pooler ?? inString?.pooler;
  const certificate = rootCertificate ?? inString?.rootCertificate;
  return {
    ref,
    user: inString?.user ?? "postgres",
    database: inString?.database ?? "postgres",
    password,
    ...(host === undefined ? {} : { pooler: host }),
    ...(certificate === undefined ? {} : { rootCertificate: certificate }),
  };
}

function same(given: Secret, found: Secret): boolean {
  const [a, b] = [parseTarget(given), parseTarget(found)];
  return (
    a.host === b.host &&
    a.port === b.port &&
    a.user === b.user &&
    a.database === b.database &&
    a.sslRootCert === b.sslRootCert &&
    a.password?.reveal() === b.password?.reveal()
  );
}

function unfit(message: string, hint?: string): AppError {
  return operationError("project_unclear", {
    message,
    ...(hint === undefined ? {} : { hint }),
  });
}
