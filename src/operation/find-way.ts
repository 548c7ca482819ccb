/*
 * effects
 *   reads         where the project's pooler is (Management API); two READ ONLY sessions at each address that is tried
 *   writes        nothing
 *   locks         none
 *   leaves behind nothing
 */
import { AppError, throwIfAborted } from "../kernel/index.ts";
import type { Secret } from "../kernel/index.ts";
import { proveSession } from "../postgres/index.ts";
import type { ManagementApi } from "../supabase/index.ts";
import type { OperationContext } from "./context.ts";
import { operationError } from "./errors.ts";
import { isPoolerHost, waysInto } from "./supabase-way.ts";
import type { KnownProject, Way } from "./supabase-way.ts";

/** One address that was tried, and what came of it. */
export interface Tried {
  readonly way: Way["kind"];
  readonly host: string;
  readonly outcome: "works" | "failed";
  /** Of a failure. */
  readonly code?: string;
  readonly message?: string;
}

export interface FoundWay {
  readonly way: Way["kind"];
  readonly host: string;
  readonly url: Secret;
  readonly tried: readonly Tried[];
}

/**
 * The first way into the project at which two sessions held and shared an exported snapshot. `api` is asked where the
 * session pooler is, where that was not given. Throws `operation.no_way_in` where none works.
 */
export async function findWay(
  context: Pick<OperationContext, "signal">,
  project: KnownProject,
  api?: ManagementApi,
): Promise<FoundWay> {
  const tried: Tried[] = [];
  const errors: AppError[] = [];
  const attempt = async (way: Way): Promise<FoundWay | undefined> => {
    const { kind, host, url } = way;
    try {
      await proveSession({ url, applicationName: "sparekeep init", signal: context.signal });
      tried.push({ way: kind, host, outcome: "works" });
      return { way: kind, host, url, tried };
    } catch (thrown) {
      throwIfAborted(context.signal);
      if (!(thrown instanceof AppError) || thrown.kind === "bug") throw thrown;
      errors.push(thrown);
      const { code, message } = thrown;
      tried.push({ way: kind, host, outcome: "failed", code, message });
      return undefined;
    }
  };
  const [direct] = waysInto(project);
  const found = direct === undefined ? undefined : await attempt(direct);
  if (found !== undefined) return found;
  const pooler = project.pooler ?? (api === undefined ? undefined : await poolerOf(api));
  if (pooler === undefined) throw noPooler(tried, errors);
  const [, through] = waysInto({ ...project, pooler });
  const second = through === undefined ? undefined : await attempt(through);
  if (second !== undefined) return second;
  throw noWayIn(tried, errors);
}

/** As the project's own configuration names it. Its pool mode is that of port 6543; port 5432 keeps sessions. */
async function poolerOf(api: ManagementApi): Promise<string | undefined> {
  const answer = await api.document({
    path: "/config/database/pooler",
    permission: "database_pooling_config_read",
  });
  const hosts = (Array.isArray(answer) ? answer : []).map((one: unknown) => primaryHost(one));
  return hosts.find((host) => host !== undefined && isPoolerHost(host));
}

function primaryHost(entry: unknown): string | undefined {
  if (typeof entry !== "object" || entry === null) return undefined;
  if (!("database_type" in entry) || entry.database_type !== "PRIMARY") return undefined;
  return "db_host" in entry && typeof entry.db_host === "string" ? entry.db_host : undefined;
}

const ASK_FOR_POOLER =
  "Give the session pooler's host, which the project's page shows under Connect, with --pooler, or a token of the Management API with --token-env.";

function noPooler(tried: readonly Tried[], errors: readonly AppError[]): AppError {
  const [first] = errors;
  // Only where the address does not answer is another one the remedy.
  const hint = first?.code === "postgres.unreachable" ? ASK_FOR_POOLER : first?.hint;
  return noWayIn(tried, errors, hint ?? ASK_FOR_POOLER);
}

function noWayIn(tried: readonly Tried[], errors: readonly AppError[], hint?: string): AppError {
  const said = tried.map(({ way, host, message }) => `${way} ${host}: ${message ?? ""}`);
  const remedy = hint ?? errors.at(-1)?.hint;
  return operationError("no_way_in", {
    message: `no connection to the project that works: ${said.join("; ")}`,
    ...(remedy === undefined ? {} : { hint: remedy }),
    cause: errors.at(-1),
  });
}
