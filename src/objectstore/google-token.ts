import { GoogleAuth, JWT } from "google-auth-library";
import { AppError } from "../kernel/index.ts";
import type { Secret } from "../kernel/index.ts";
import { objectStoreError } from "./errors.ts";
import type { SendHttp } from "./http.ts";
import { serverUrl } from "./transport.ts";

const SCOPE = "https://www.googleapis.com/auth/devstorage.read_write";
const GOOGLE_TOKEN_URL = "https://oauth2.googleapis.com/token";

interface ServiceAccount {
  readonly client_email: string;
  readonly private_key: string;
  readonly private_key_id: string | undefined;
  readonly tokenUrl: URL;
}

/**
 * Access tokens by Google's own library: of a service account, through our transport and without repeats of the
 * library's own; else by Google's default chain, of which the exchange of federated identities and the metadata server of
 * Google's machines are asked past it. docs/adr/0009-google-cloud-storage.md
 */
export function createGoogleTokens(
  serviceAccount: Secret | undefined,
  send: SendHttp,
): () => Promise<string> {
  const account = serviceAccount === undefined ? undefined : parseServiceAccount(serviceAccount);
  const transporterOptions = {
    fetchImplementation: fetchBy(send, account?.tokenUrl),
    retryConfig: { retry: 0, noResponseRetries: 0 },
  };
  const client =
    account === undefined
      ? new GoogleAuth({
          scopes: [SCOPE],
          // Buckets need none; without one the library asks other services of Google for it.
          projectId: "none",
          clientOptions: { transporterOptions },
        })
      : new JWT({
          email: account.client_email,
          key: account.private_key,
          ...(account.private_key_id === undefined ? {} : { keyId: account.private_key_id }),
          scopes: [SCOPE],
          transporterOptions,
        });
  return async () => {
    const given = await client.getAccessToken().catch((thrown: unknown) => {
      throw tokenError(thrown);
    });
    const token = typeof given === "string" ? given : given?.token;
    if (typeof token === "string" && token !== "") return token;
    throw objectStoreError("denied", {
      message: "credentials for Google that give no token",
      hint,
    });
  };
}

const hint =
  "Check credentials.service_account of this destination, or Google's default credentials.";

function parseServiceAccount(secret: Secret): ServiceAccount {
  const fields = jsonOf(secret.reveal());
  const { type, client_email, private_key, private_key_id, token_uri } = fields;
  if (
    type !== "service_account" ||
    typeof client_email !== "string" ||
    typeof private_key !== "string"
  ) {
    throw objectStoreError("invalid_location", {
      message: "service_account of a gs: store that is no key file of a service account",
      hint: "Give the JSON that Google made for the key.",
    });
  }
  return {
    client_email,
    private_key,
    private_key_id: typeof private_key_id === "string" ? private_key_id : undefined,
    tokenUrl: serverUrl(typeof token_uri === "string" ? token_uri : GOOGLE_TOKEN_URL),
  };
}

function jsonOf(text: string): Readonly<Record<string, unknown>> {
  try {
    const parsed: unknown = JSON.parse(text);
    return typeof parsed === "object" && parsed !== null ? { ...parsed } : {};
  } catch {
    // Its text is a secret: not even where it is no JSON is said.
    return {};
  }
}

/** The library knows one address for tokens; the key file's own is used where it names another. */
function fetchBy(send: SendHttp, tokenUrl: URL | undefined): typeof fetch {
  return async (input, init) => {
    const asked = new Request(input, init);
    const url =
      asked.url === GOOGLE_TOKEN_URL && tokenUrl !== undefined ? tokenUrl : new URL(asked.url);
    const answer = await send({
      method: asked.method === "POST" ? "POST" : "GET",
      url: serverUrl(url.href),
      headers: Object.fromEntries(asked.headers),
      body: [new Uint8Array(await asked.arrayBuffer())],
      what: "request for a token",
    });
    const { status, body, headers } = answer;
    const contentType = headers["content-type"];
    return new Response(status === 204 ? null : Buffer.from(body), {
      status,
      headers: contentType === undefined ? {} : { "content-type": contentType },
    });
  };
}

/** The library wraps what our transport throws; the words of a server are not repeated. */
function tokenError(thrown: unknown): AppError {
  for (let at = thrown; at instanceof Error; at = at.cause) if (at instanceof AppError) return at;
  const status = statusOf(thrown);
  if (status !== undefined && (status >= 500 || status === 429)) {
    return objectStoreError("unavailable", {
      message: `request for a token answered with ${status}`,
      subject: { status },
    });
  }
  const said = status === undefined ? "that cannot be used" : `that were refused with ${status}`;
  return objectStoreError("denied", {
    message: `credentials for Google ${said}`,
    hint,
    cause: thrown,
  });
}

function statusOf(thrown: unknown): number | undefined {
  const status = thrown instanceof Error && "status" in thrown ? thrown.status : undefined;
  return typeof status === "number" ? status : undefined;
}
