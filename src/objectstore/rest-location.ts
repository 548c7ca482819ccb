import { objectStoreError } from "./errors.ts";
import type { RestSettings } from "./settings.ts";
import { serverUrl } from "./transport.ts";

const HINT = "Write rest:https://HOST[:PORT]/PATH/ and put user and password under credentials.";

/** The folder of the repository at its server, with a trailing slash. Never repeats what it refuses. */
export function parseRestLocation(location: string): URL {
  const text = location.replace(/^rest:/i, "");
  const base = URL.canParse(text) ? new URL(text) : undefined;
  if (base !== undefined && (base.username !== "" || base.password !== "")) {
    throw invalid("rest: location with a user or password in it");
  }
  if (base !== undefined && (base.search !== "" || base.hash !== "")) {
    throw invalid("rest: location with a query or a fragment");
  }
  const url = serverUrl(text);
  if (!url.pathname.endsWith("/")) url.pathname += "/";
  return url;
}

/** `undefined` without credentials. */
export function basicAuth({ username, password }: RestSettings): string | undefined {
  if (username === undefined && password === undefined) return undefined;
  if (username === undefined || username.includes(":")) {
    throw invalid("credentials of a rest: store without a user name, or with a colon in it");
  }
  const plain = `${username}:${password?.reveal() ?? ""}`;
  return `Basic ${Buffer.from(plain).toString("base64")}`;
}

function invalid(message: string): Error {
  return objectStoreError("invalid_location", { message, hint: HINT });
}
