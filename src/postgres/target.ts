/**
 * Connection strings: URIs and libpq keyword strings. Nothing comes from the environment, and nothing that could
 * connect elsewhere than meant is guessed: the string names host and user.
 */
import { Secret } from "../kernel/index.ts";
import { postgresError } from "./errors.ts";
import { supabaseAddress } from "./supabase-address.ts";

export type SslMode = "disable" | "require" | "verify-full";

export interface ConnectionTarget {
  /** Host name, address, or the folder of a unix socket. */
  readonly host: string;
  readonly port: number;
  readonly user: string;
  readonly database: string;
  readonly password?: Secret;
  readonly sslMode: SslMode;
  /** PEM file; without it the certificate authorities that Node trusts. */
  readonly sslRootCert?: string;
  readonly sslCert?: string;
  readonly sslKey?: string;
  /** The oldest TLS that is spoken; 1.2 where nothing is said. */
  readonly sslMinVersion?: "TLSv1.2" | "TLSv1.3";
  /** A unix socket or a loopback address: the way there needs no TLS. */
  readonly local: boolean;
}

const DEFAULT_PORT = 5432;
/** Have their place in a connection string and no meaning for us: our sessions fix these themselves. */
const IGNORED = new Set([
  "application_name",
  "fallback_application_name",
  "client_encoding",
  "connect_timeout",
  "keepalives",
  "keepalives_idle",
  "keepalives_interval",
  "keepalives_count",
  "channel_binding",
  "gssencmode",
]);
const KNOWN = new Set([
  "host",
  "port",
  "user",
  "password",
  "dbname",
  "sslmode",
  "sslrootcert",
  "sslcert",
  "sslkey",
  "ssl_min_protocol_version",
]);

/** Of libpq and of other clients; we take none of them. */
const NAMEABLE = new Set([
  "options",
  "service",
  "passfile",
  "hostaddr",
  "replication",
  "target_session_attrs",
  "load_balance_hosts",
  "tcp_user_timeout",
  "requirepeer",
  "require_auth",
  "requiressl",
  "sslpassword",
  "sslcrl",
  "sslcrldir",
  "sslsni",
  "sslcompression",
  "sslcertmode",
  "sslnegotiation",
  "ssl_max_protocol_version",
  "krbsrvname",
  "gsslib",
  "gssdelegation",
  "pgbouncer",
  "pool_mode",
  "pool_timeout",
  "connection_limit",
  "schema",
  "supa",
]);
const ESCAPE =
  "Remove it; in a password write ? as %3F, # as %23, & as %26, @ as %40 and / as %2F.";

export function parseTarget(url: Secret): ConnectionTarget {
  const text = url.reveal().trim();
  const parameters = /^postgres(ql)?:\/\//.test(text) ? readUri(text) : readKeywords(text);
  return targetOf(parameters);
}

/** The same server and role, another database; as a keyword string. */
export function withDatabase(url: Secret, database: string): Secret {
  return formatTarget({ ...parseTarget(url), database });
}

/** The same server and database, another role; as a keyword string. */
export function withUser(url: Secret, user: string, password: Secret): Secret {
  return formatTarget({ ...parseTarget(url), user, password });
}

export function formatTarget(target: ConnectionTarget): Secret {
  return new Secret(
    formatKeywords([...keywordsOf(target), ["password", target.password?.reveal()]]),
  );
}

/** Everything but the password, for programs of libpq: it may stand in arguments. */
export function keywordsOf(
  target: ConnectionTarget,
): readonly (readonly [string, string | undefined])[] {
  return [
    ["host", target.host],
    ["port", String(target.port)],
    ["user", target.user],
    ["dbname", target.database],
    ["sslmode", target.sslMode],
    ["sslrootcert", target.sslRootCert],
    ["sslcert", target.sslCert],
    ["sslkey", target.sslKey],
    ["ssl_min_protocol_version", target.sslMinVersion],
  ];
}

export function formatKeywords(pairs: readonly (readonly [string, string | undefined])[]): string {
  return pairs
    .filter((pair): pair is readonly [string, string] => pair[1] !== undefined)
    .map(([key, value]) => `${key}='${value.replaceAll(/['\\]/g, String.raw`\$&`)}'`)
    .join(" ");
}

/** `host:port/database` for people and subjects. */
export function describeTarget(target: ConnectionTarget): string {
  return `${target.host}:${target.port}/${target.database}`;
}

function invalid(message: string, hint?: string): Error {
  return postgresError("invalid_url", {
    message,
    hint: hint ?? "Write it as postgresql://user:password@host:5432/database.",
  });
}

function readUri(text: string): Map<string, string> {
  const match =
    /^postgres(?:ql)?:\/\/(?:(?<userinfo>[^@/?#]*)@)?(?<host>\[[^\]]*\]|[^:/?#[\]]*)(?::(?<port>[^/?#]*))?(?:\/(?<dbname>[^?#]*))?(?:\?(?<query>[^#]*))?$/.exec(
      text,
    );
  const groups = match?.groups;
  if (groups === undefined) throw invalid("connection string is no readable URI");
  const parameters = new Map<string, string>();
  const put = (key: string, raw: string | undefined): void => {
    if (raw !== undefined && raw !== "") parameters.set(key, decode(raw));
  };
  const userinfo = groups["userinfo"] ?? "";
  const colon = userinfo.indexOf(":");
  put("user", colon < 0 ? userinfo : userinfo.slice(0, colon));
  put("password", colon < 0 ? undefined : userinfo.slice(colon + 1));
  put("host", groups["host"]?.replace(/^\[(.*)\]$/, "$1"));
  put("port", groups["port"]);
  put("dbname", groups["dbname"]);
  for (const pair of (groups["query"] ?? "").split("&")) {
    const equals = pair.indexOf("=");
    if (pair === "") continue;
    if (equals < 0) throw invalid("connection string has a parameter without a value");
    put(decode(pair.slice(0, equals)), pair.slice(equals + 1));
  }
  return parameters;
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch (error) {
    if (!(error instanceof URIError)) throw error;
    // The cause would show the text, which may be the password.
    // oxlint-disable-next-line preserve-caught-error
    throw invalid(
      "connection string has a damaged percent escape",
      "Write a percent sign of a name or password as %25.",
    );
  }
}

function readKeywords(text: string): Map<string, string> {
  const parameters = new Map<string, string>();
  const pair = /\s*([a-z_]+)\s*=\s*(?:'((?:[^'\\]|\\.)*)'|((?:[^\s'\\]|\\.)*))(?=\s|$)/gsuy;
  let end = 0;
  while (end < text.length) {
    pair.lastIndex = end;
    const match = pair.exec(text);
    if (match === null) throw invalid("connection string is neither a URI nor keyword=value pairs");
    const [whole, key = "", quoted, bare] = match;
    parameters.set(key, (quoted ?? bare ?? "").replaceAll(/\\(.)/gsu, "$1"));
    end += whole.length;
  }
  return parameters;
}

function targetOf(parameters: ReadonlyMap<string, string>): ConnectionTarget {
  for (const key of parameters.keys()) {
    if (!KNOWN.has(key) && !IGNORED.has(key)) {
      // An unescaped "?" in a password makes parameters of its rest: only known words are repeated.
      if (!NAMEABLE.has(key)) throw invalid("connection string has an unknown parameter", ESCAPE);
      throw invalid(`connection string has the unknown parameter ${key}`, `Remove ${key} from it.`);
    }
  }
  const host = parameters.get("host");
  const user = parameters.get("user");
  if (host === undefined) throw invalid("connection string names no host");
  if (host.includes(",")) {
    throw invalid("connection string names several hosts", "Name the one server to talk to.");
  }
  if (user === undefined) throw invalid("connection string names no user");
  const local = isLocal(host);
  const port = portOf(parameters.get("port"));
  if (supabaseAddress(host, port) === "transaction pooler") {
    throw postgresError("transaction_pooler", {
      message: `transaction pooler ${host}:${port}`,
      subject: { host, port },
    });
  }
  const password = parameters.get("password");
  return {
    host,
    port,
    user,
    database: parameters.get("dbname") ?? user,
    ...(password === undefined ? {} : { password: new Secret(password) }),
    sslMode: sslModeOf(parameters.get("sslmode"), host, local),
    ...optional("sslRootCert", parameters.get("sslrootcert")),
    ...optional("sslCert", parameters.get("sslcert")),
    ...optional("sslKey", parameters.get("sslkey")),
    ...minVersionOf(parameters.get("ssl_min_protocol_version")),
    local,
  };
}

function minVersionOf(text: string | undefined): Pick<ConnectionTarget, "sslMinVersion"> {
  if (text === undefined) return {};
  if (text === "TLSv1.2" || text === "TLSv1.3") return { sslMinVersion: text };
  throw invalid(
    "connection string has an ssl_min_protocol_version that is none of ours",
    "Write ssl_min_protocol_version=TLSv1.3, or TLSv1.2, which holds anyway.",
  );
}

function optional<Key extends string>(
  key: Key,
  value: string | undefined,
): { [K in Key]?: string } {
  // `system` is libpq's name for the authorities of the machine; ours are Node's.
  return value === undefined || value === "system" ? {} : record(key, value);
}

function record<Key extends string>(key: Key, value: string): { [K in Key]?: string } {
  const result: { [K in Key]?: string } = {};
  result[key] = value;
  return result;
}

function portOf(text: string | undefined): number {
  if (text === undefined) return DEFAULT_PORT;
  const port = /^\d{1,5}$/.test(text) ? Number(text) : 0;
  if (port < 1 || port > 65_535) throw invalid("connection string has a port that is none");
  return port;
}

function isLocal(host: string): boolean {
  return (
    host.startsWith("/") ||
    host === "localhost" ||
    host === "::1" ||
    /^127(\.\d{1,3}){3}$/.test(host)
  );
}

function sslModeOf(text: string | undefined, host: string, local: boolean): SslMode {
  switch (text) {
    case undefined:
      return local ? "disable" : "verify-full";
    case "verify-full":
      return "verify-full";
    case "disable":
    case "allow":
    case "prefer":
    case "require":
    case "verify-ca":
      if (!local) {
        throw postgresError("weak_tls", {
          message: `sslmode ${text} towards ${host}, which is not on this machine`,
          subject: { host },
        });
      }
      return text === "require" || text === "verify-ca" ? "require" : "disable";
    default:
      throw invalid("connection string has an unknown sslmode", "Write sslmode=verify-full.");
  }
}
