import { MIB } from "../kernel/index.ts";
import type { AppError, Bytes, Clock, RandomBytes, Secret } from "../kernel/index.ts";
import { managementAddress, MANAGEMENT_API } from "./address.ts";
import { listOf, refuse } from "./answer.ts";
import type { Place } from "./answer.ts";
import { createBudget } from "./budget.ts";
import { supabaseError } from "./errors.ts";
import { parseSourceFiles } from "./multipart.ts";
import { parseBackups, parseFunction, parseProject, parseSecret, PROJECT_REF } from "./parse.ts";
import { send } from "./send.ts";
import type { ApiAnswer, ApiRequest, SendOptions } from "./send.ts";
import { createWrites } from "./write.ts";
import type { ProjectWrites } from "./write.ts";
import type { EdgeFunction, EdgeSecret, Project, ProviderBackups, SourceFile } from "./types.ts";

export interface ManagementApiOptions {
  readonly token: Secret;
  /** {@link MANAGEMENT_API} by default. */
  readonly address?: string | undefined;
  readonly clock: Pick<Clock, "monotonicMs" | "sleep">;
  readonly random: RandomBytes;
  readonly signal: AbortSignal;
  readonly version: string;
  readonly onRetry?: ((error: AppError) => void) | undefined;
  readonly patienceMs?: number;
  readonly requestTimeoutMs?: number;
}

/** A part of the project's configuration that the API gives as one JSON document. */
export interface ConfigDocument {
  /** Below `/v1/projects/{ref}`. */
  readonly path: string;
  readonly permission: string;
}

/** One project through the Management API. */
export interface ManagementApi extends ProjectWrites {
  readonly ref: string;
  project(): Promise<Project>;
  backups(): Promise<ProviderBackups>;
  /** Not taken back by anything: the provider begins at once. Asked once. */
  restoreTo(moment: Date): Promise<void>;
  /** The answer as it is; what of it may be kept is the caller's business. */
  document(document: ConfigDocument): Promise<unknown>;
  organization(slug: string): Promise<unknown>;
  functions(): Promise<readonly EdgeFunction[]>;
  functionSource(slug: string): Promise<readonly SourceFile[]>;
  edgeSecrets(): Promise<readonly EdgeSecret[]>;
}

const PATIENCE_MS = 3 * 60_000;
const REQUEST_TIMEOUT_MS = 60_000;
const MAX_JSON_BYTES = 8 * MIB;
/** An Edge Function's bundle may have 20 MB; its sources are no larger. */
const MAX_SOURCE_BYTES = 64 * MIB;

export function createManagementApi(ref: string, options: ManagementApiOptions): ManagementApi {
  if (!PROJECT_REF.test(ref)) {
    throw supabaseError("not_found", { message: "reference that no project can have" });
  }
  const sending: SendOptions = {
    ...options,
    address: managementAddress(options.address ?? MANAGEMENT_API),
    userAgent: `sparekeep/${options.version}`,
    patienceMs: options.patienceMs ?? PATIENCE_MS,
    requestTimeoutMs: options.requestTimeoutMs ?? REQUEST_TIMEOUT_MS,
  };
  const budget = createBudget(options.clock);
  const ask = (request: ApiRequest): Promise<ApiAnswer> => send(sending, budget, request);
  const below = (path: string): string => `/v1/projects/${ref}${path}`;
  const read = async <Value>(
    what: string,
    path: string,
    permission: string,
    parse: (value: unknown, place: Place) => Value,
  ): Promise<Value> => {
    const request = { method: "GET", path, what, accept: "application/json", permission } as const;
    const answer = await ask({ ...request, maxBytes: MAX_JSON_BYTES });
    const place = { what, path: "" };
    return parse(jsonOf(answer, place), place);
  };
  return {
    ref,
    ...createWrites(ask, below),
    project: () =>
      read("project", below(""), "project_admin_read", (value, place) =>
        ofThisProject(parseProject(value, place), ref, place),
      ),
    backups: () => read("backups", below("/database/backups"), "backups_read", parseBackups),
    restoreTo: async (moment) => {
      await ask({
        method: "POST",
        path: below("/database/backups/restore-pitr"),
        what: "restore",
        accept: "application/json",
        permission: "backups_write",
        body: { recovery_time_target_unix: Math.floor(moment.getTime() / 1000) },
        maxBytes: MIB,
      });
    },
    document: ({ path, permission }) =>
      read(path.slice(1), below(path), permission, (value) => value),
    organization: (slug) =>
      read(
        "organization",
        `/v1/organizations/${encodeURIComponent(slug)}`,
        "organization_admin_read",
        (value) => value,
      ),
    functions: () =>
      read("functions", below("/functions"), "edge_functions_read", (value, place) =>
        listOf(value, place, parseFunction),
      ),
    functionSource: async (slug) => {
      const what = `source of function ${slug}`;
      const answer = await ask({
        method: "GET",
        path: below(`/functions/${encodeURIComponent(slug)}/body`),
        what,
        accept: "multipart/form-data",
        permission: "edge_functions_read",
        maxBytes: MAX_SOURCE_BYTES,
      });
      return parseSourceFiles(answer.body, answer.contentType, { what, path: "" });
    },
    edgeSecrets: () =>
      read("secrets", below("/secrets"), "edge_functions_secrets_read", (value, place) =>
        listOf(value, place, parseSecret),
      ),
  };
}

function ofThisProject(project: Project, ref: string, place: Place): Project {
  if (project.ref !== ref)
    throw refuse({ ...place, path: ".ref" }, "the project that was asked for");
  return project;
}

function jsonOf({ contentType, body }: ApiAnswer, place: Place): unknown {
  if (!/^application\/json\b/i.test(contentType)) throw refuse(place, "JSON");
  try {
    const text = new TextDecoder("utf-8", { fatal: true }).decode(body satisfies Bytes);
    const value: unknown = JSON.parse(text);
    return value;
  } catch {
    // What the parser throws could show a piece of the answer.
    throw refuse(place, "JSON");
  }
}
