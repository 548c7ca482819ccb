import { once } from "node:events";
import { createServer } from "node:http";
import type { IncomingMessage, ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { buffer } from "node:stream/consumers";
import { schemaViolations } from "./json-schema.ts";
import { OPERATIONS, PARAMETERS } from "./management-api-description.ts";
import type { Operation } from "./management-api-description.ts";
import { applyChange, deploy, DEPLOYMENT, WRITES } from "./management-api-writes.ts";
import { plainProject } from "./management-api-project.ts";
import type { ProjectState } from "./management-api-project.ts";

/**
 * A stand-in for Supabase's Management API. It validates every request and each of its own answers against the published
 * description (`management-api-description.ts` names version and commit), and keeps what did not fit in `violations`: a
 * test that ends with one has failed. It counts requests to an endpoint within a minute as the vendor does.
 */
export interface ManagementStandIn extends AsyncDisposable {
  readonly address: string;
  readonly token: string;
  readonly state: ProjectState;
  readonly requests: readonly { readonly method: string; readonly path: string }[];
  readonly violations: readonly string[];
  /** The next answers to `METHOD /path` below the project, in place of what would be said. */
  fail(endpoint: string, ...faults: readonly Fault[]): void;
  /** Requests a minute and endpoint; 120 as the vendor's. */
  limit: number;
}

export interface Fault {
  readonly status?: number;
  readonly headers?: Readonly<Record<string, string>>;
  /** Sent as it is, past the description. */
  readonly body?: string;
  readonly contentType?: string;
  /** `drop`: the connection ends; `hang`: no answer comes; `lose`: done, and the answer is lost. */
  readonly instead?: "drop" | "hang" | "lose";
}

interface Standing {
  readonly state: ProjectState;
  readonly token: string;
  readonly requests: { method: string; path: string }[];
  readonly violations: string[];
  readonly faults: Map<string, Fault[]>;
  readonly counts: Map<string, number>;
  limit: number;
}

export async function startManagementApi(ref = "abcdefghijklmnopqrst"): Promise<ManagementStandIn> {
  const standing: Standing = {
    state: plainProject(ref),
    token: "sbp_0123456789abcdef0123456789abcdef01234567",
    requests: [],
    violations: [],
    faults: new Map(),
    counts: new Map(),
    limit: 120,
  };
  const server = createServer((incoming, answer) => {
    serve(standing, incoming, answer).catch((thrown: unknown) => {
      standing.violations.push(String(thrown));
      answer.destroy();
    });
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  return {
    address: `http://127.0.0.1:${port}`,
    token: standing.token,
    state: standing.state,
    requests: standing.requests,
    violations: standing.violations,
    fail: (endpoint, ...faults) => {
      standing.faults.set(endpoint, [...(standing.faults.get(endpoint) ?? []), ...faults]);
    },
    get limit() {
      return standing.limit;
    },
    set limit(value) {
      standing.limit = value;
      standing.counts.clear();
    },
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections();
      server.close();
      await once(server, "close");
    },
  };
}

async function serve(
  standing: Standing,
  incoming: IncomingMessage,
  answer: ServerResponse,
): Promise<void> {
  const { state, violations } = standing;
  const method = incoming.method ?? "";
  const url = new URL(incoming.url ?? "", "http://stand-in");
  standing.requests.push({ method, path: url.pathname });
  const body = await buffer(incoming);
  const found = operationOf(method, url.pathname);
  if (found === undefined) {
    violations.push(`${method} ${url.pathname}: not described`);
    return say(answer, 404, { message: "Not found" });
  }
  const { operation, parameters } = found;
  violations.push(...requestViolations(operation, parameters, url, incoming, body));
  if (incoming.headers.authorization !== `Bearer ${standing.token}`)
    return say(answer, 401, { message: "Unauthorized" });
  if (!countDown(standing, operation, answer)) return;
  const endpoint = `${method} ${url.pathname.replace(`/v1/projects/${state.ref}`, "")}`;
  const fault = standing.faults.get(endpoint)?.shift();
  if (fault?.instead === "hang") return;
  if (fault?.instead === "drop") return void answer.destroy();
  if (fault !== undefined && fault.instead === undefined) return sayFault(answer, fault);
  if (state.denied.includes(operation.permission))
    return say(answer, 403, { message: "Forbidden" });
  const said = WRITES.includes(operation)
    ? await written(standing, operation, url, incoming, body)
    : answerOf(state, operation, parameters, body);
  if (fault?.instead === "lose") return void answer.destroy();
  if (typeof said === "number") {
    if (operation.otherStatuses?.includes(said) !== true && ![402, 500].includes(said))
      violations.push(`${endpoint}: status ${said} is not described`);
    return say(answer, said, { message: "as described" });
  }
  if (operation.multipart === true) return sayParts(answer, said as readonly Part[]);
  if (operation.answer === undefined) return void answer.writeHead(operation.success).end();
  const wrong = schemaViolations(operation.answer, said);
  violations.push(...wrong.map((one) => `answer to ${endpoint}: ${one}`));
  say(answer, operation.success, said);
}

/** What the answer holds is not described here: nothing of ours reads it. */
async function written(
  { state, violations }: Standing,
  { path, multipartRequest }: Operation,
  url: URL,
  incoming: IncomingMessage,
  body: Buffer,
): Promise<undefined> {
  if (multipartRequest !== true) {
    applyChange(state, path.replace("/v1/projects/{ref}", ""), JSON.parse(body.toString()));
    return undefined;
  }
  const slug = url.searchParams.get("slug") ?? "";
  const metadata = await deploy(state, slug, body, incoming.headers["content-type"] ?? "");
  violations.push(...schemaViolations(DEPLOYMENT, metadata, `deployment of ${slug}`));
  return undefined;
}

function operationOf(
  method: string,
  path: string,
): { operation: Operation; parameters: Record<string, string> } | undefined {
  for (const operation of [...OPERATIONS, ...WRITES]) {
    if (operation.method !== method) continue;
    const names = [...operation.path.matchAll(/\{(\w+)\}/g)].map((match) => match[1] ?? "");
    const match = new RegExp(`^${operation.path.replaceAll(/\{\w+\}/g, "([^/]+)")}$`).exec(path);
    if (match === null) continue;
    const values = names.map((name, i) => [name, decodeURIComponent(match[i + 1] ?? "")] as const);
    return { operation, parameters: Object.fromEntries(values) };
  }
  return undefined;
}

function requestViolations(
  operation: Operation,
  parameters: Readonly<Record<string, string>>,
  url: URL,
  incoming: IncomingMessage,
  body: Buffer,
): readonly string[] {
  const where = `${operation.method} ${operation.path}`;
  const wrong = Object.entries(parameters).flatMap(([name, value]) =>
    schemaViolations(PARAMETERS[name] ?? {}, value, name),
  );
  for (const [name, value] of url.searchParams) {
    const schema = operation.query?.[name];
    if (schema === undefined) wrong.push(`query ${name}`);
    else wrong.push(...schemaViolations(schema, value, name));
  }
  const accept = incoming.headers.accept ?? "";
  const wanted = operation.multipart === true ? "multipart/form-data" : "application/json";
  if (accept !== wanted) wrong.push(`accept ${accept}`);
  if (operation.multipartRequest === true) {
    if (incoming.headers["content-type"]?.startsWith("multipart/form-data; boundary=") !== true)
      wrong.push("content type");
  } else if (operation.request === undefined) {
    if (body.byteLength > 0) wrong.push("a body");
  } else if (incoming.headers["content-type"] !== "application/json") wrong.push("content type");
  else wrong.push(...schemaViolations(operation.request, JSON.parse(body.toString()), "body"));
  return wrong.map((one) => `${where}: ${one}`);
}

function countDown(standing: Standing, operation: Operation, answer: ServerResponse): boolean {
  const key = `${operation.method} ${operation.path}`;
  const count = (standing.counts.get(key) ?? 0) + 1;
  standing.counts.set(key, count);
  const left = Math.max(0, standing.limit - count);
  answer.setHeader("X-RateLimit-Limit", standing.limit);
  answer.setHeader("X-RateLimit-Remaining", left);
  answer.setHeader("X-RateLimit-Reset", 60);
  if (count <= standing.limit) return true;
  standing.counts.delete(key);
  say(answer, 429, { message: "Too many requests" });
  return false;
}

interface Part {
  readonly headers: readonly string[];
  readonly body: string | Buffer;
}

function answerOf(
  state: ProjectState,
  operation: Operation,
  parameters: Readonly<Record<string, string>>,
  body: Buffer,
): unknown {
  if ("ref" in parameters && parameters["ref"] !== state.ref) return 404;
  if (operation.method === "POST") {
    const wanted: { recovery_time_target_unix?: unknown } = JSON.parse(body.toString());
    state.restoresAsked.push(Number(wanted.recovery_time_target_unix));
    return undefined;
  }
  const below = operation.path.replace("/v1/projects/{ref}", "");
  if (below === "") {
    const next = state.statuses.length > 1 ? state.statuses.shift() : state.statuses[0];
    return { ...state.project, status: next };
  }
  if (operation.multipart === true) {
    return state.sources[parameters["function_slug"] ?? ""]?.map(partOf) ?? 404;
  }
  return state.answers[below];
}

function partOf({ path, text, header }: ProjectState["sources"][string][number]): Part {
  if (path === undefined) {
    return { headers: ['Content-Disposition: form-data; name="metadata"'], body: text };
  }
  const name = header === true ? "file.ts" : path.replaceAll(/(["\\])/g, "\\$1");
  return {
    headers: [
      `Content-Disposition: form-data; name="file"; filename="${name}"`,
      "Content-Type: application/octet-stream",
      ...(header === true ? [`Supabase-Path: ${path}`] : []),
    ],
    body: text,
  };
}

function sayParts(answer: ServerResponse, parts: readonly Part[]): void {
  const boundary = "stand-in-boundary-7MA4YWxk";
  answer.writeHead(200, { "content-type": `multipart/form-data; boundary=${boundary}` });
  for (const { headers, body } of parts) {
    answer.write(`--${boundary}\r\n${headers.join("\r\n")}\r\n\r\n`);
    answer.write(body);
    answer.write("\r\n");
  }
  answer.end(`--${boundary}--\r\n`);
}

function say(answer: ServerResponse, status: number, body: unknown): void {
  answer.writeHead(status, { "content-type": "application/json; charset=utf-8" });
  answer.end(JSON.stringify(body));
}

function sayFault(
  answer: ServerResponse,
  { status = 200, headers, body, contentType }: Fault,
): void {
  answer.writeHead(status, { "content-type": contentType ?? "application/json", ...headers });
  answer.end(body ?? '{"message":"planted"}');
}
