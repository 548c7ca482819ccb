import { randomBytes, verify } from "node:crypto";
import type { KeyObject } from "node:crypto";
import type { IncomingMessage, ServerResponse } from "node:http";

const AUDIENCE = "https://oauth2.googleapis.com/token";
const GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer";
/** Workload identity federation: another party's token for one of Google's. */
const EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange";
export const SUBJECT_TOKEN = "a token of another party";
const SCOPES = [
  "https://www.googleapis.com/auth/cloud-platform",
  "https://www.googleapis.com/auth/devstorage.full_control",
  "https://www.googleapis.com/auth/devstorage.read_write",
];

/** The grant for service accounts: a token for an assertion that the account's key signed, within its hour. */
export function grantToken(
  granted: { readonly publicKey: KeyObject; readonly email: string; readonly tokens: Set<string> },
  incoming: IncomingMessage,
  body: Buffer,
  answer: ServerResponse,
): void {
  const refuse = (error: string, error_description: string): void => {
    answer.writeHead(400, { "content-type": "application/json; charset=utf-8" });
    answer.end(JSON.stringify({ error, error_description }));
  };
  const type = incoming.headers["content-type"] ?? "";
  if (incoming.method !== "POST" || !/^application\/x-www-form-urlencoded(;|$)/i.test(type)) {
    refuse("invalid_request", "Bad Request");
    return;
  }
  const form = new URLSearchParams(body.toString());
  if (form.get("grant_type") === EXCHANGE) {
    const mayAsk = (form.get("scope") ?? "").split(" ").some((asked) => SCOPES.includes(asked));
    if (form.get("subject_token") !== SUBJECT_TOKEN || form.get("audience") === null || !mayAsk) {
      refuse("invalid_grant", "The subject token is not accepted.");
    } else give(granted.tokens, answer);
    return;
  }
  if (form.get("grant_type") !== GRANT) {
    refuse("unsupported_grant_type", `Invalid grant_type: ${form.get("grant_type") ?? ""}`);
    return;
  }
  const [head = "", claims = "", signature = ""] = (form.get("assertion") ?? "").split(".");
  const signed = Buffer.from(`${head}.${claims}`);
  const { alg } = fieldsOf(head);
  const isSigned = verify(
    "RSA-SHA256",
    signed,
    granted.publicKey,
    Buffer.from(signature, "base64url"),
  );
  if (alg !== "RS256" || !isSigned) {
    refuse("invalid_grant", "Invalid JWT Signature.");
    return;
  }
  const { iss, aud, scope, iat, exp } = fieldsOf(claims);
  const nowS = Date.now() / 1000;
  const timely =
    typeof iat === "number" &&
    typeof exp === "number" &&
    iat <= nowS + 60 &&
    exp > nowS &&
    exp - iat <= 3600;
  const scopes = typeof scope === "string" ? scope.split(" ") : [];
  if (iss !== granted.email || aud !== AUDIENCE || !timely) {
    refuse("invalid_grant", "Invalid JWT: issuer, audience or time.");
    return;
  }
  if (!scopes.some((asked) => SCOPES.includes(asked))) {
    refuse("invalid_scope", "Invalid OAuth scope or ID token audience provided.");
    return;
  }
  give(granted.tokens, answer);
}

function give(tokens: Set<string>, answer: ServerResponse): void {
  const token = `ya29.${randomBytes(24).toString("base64url")}`;
  tokens.add(token);
  answer.writeHead(200, { "content-type": "application/json; charset=utf-8" });
  const issued_token_type = "urn:ietf:params:oauth:token-type:access_token";
  const rest = { expires_in: 3599, token_type: "Bearer", issued_token_type };
  answer.end(JSON.stringify({ access_token: token, ...rest }));
}

function fieldsOf(part: string): Record<string, unknown> {
  try {
    const parsed: unknown = JSON.parse(Buffer.from(part, "base64url").toString());
    return typeof parsed === "object" && parsed !== null ? { ...parsed } : {};
  } catch {
    // No JSON: no field will be the one that is demanded.
    return {};
  }
}
