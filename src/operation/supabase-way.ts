/**
 * Ways into a Supabase project, as its page shows them: the project's own address, then the session pooler. Pure. The
 * pooler's host is never guessed: it is given, or the Management API names it (its prefix follows from no region).
 */
import type { Secret } from "../kernel/index.ts";
import { formatTarget, parseTarget, supabaseAddress } from "../postgres/index.ts";
import type { SupabaseAddress } from "../postgres/index.ts";

const REF = /^[a-z]{20}$/;
const PROJECT_URL = /^https:\/\/([a-z]{20})\.supabase\.co(?:\/|$)/;
const DASHBOARD_URL =
  /^https:\/\/(?:app\.supabase\.com|supabase\.com\/dashboard)\/project\/([a-z]{20})(?:[/?#]|$)/;
const OWN_HOST = /^db\.([a-z]{20})\.supabase\.co\.?$/i;
const POOLER_HOST = /^[a-z0-9-]+\.pooler\.supabase\.com$/;

/** Of a reference, a project's URL or its address in the dashboard. */
export function projectRefIn(text: string): string | undefined {
  if (REF.test(text)) return text;
  return (PROJECT_URL.exec(text) ?? DASHBOARD_URL.exec(text))?.[1];
}

export function isPoolerHost(text: string): boolean {
  return POOLER_HOST.test(text);
}

/** What is known of a project's connections, from whatever was given. */
export interface KnownProject {
  readonly ref: string;
  readonly user: string;
  readonly database: string;
  readonly password: Secret;
  readonly pooler?: string;
  readonly rootCertificate?: string;
}

export interface Way {
  readonly kind: Exclude<SupabaseAddress, "transaction pooler">;
  readonly host: string;
  readonly url: Secret;
}

/**
 * `undefined`: no connection string of Supabase's, or one that names no project. Throws what `parseTarget` throws, for
 * one of the transaction pooler too.
 */
export function projectInConnection(url: Secret): Partial<KnownProject> | undefined {
  const { host, port, user, database, password, sslRootCert } = parseTarget(url);
  const address = supabaseAddress(host, port);
  if (address === undefined) return undefined;
  const [, name = user, ofUser] = /^(.+)\.([a-z]{20})$/.exec(user) ?? [];
  const ref = address === "direct" ? OWN_HOST.exec(host)?.[1]?.toLowerCase() : ofUser;
  return {
    ...(ref === undefined ? {} : { ref }),
    user: name,
    database,
    ...(password === undefined ? {} : { password }),
    ...(address === "session pooler" ? { pooler: host } : {}),
    ...(sslRootCert === undefined ? {} : { rootCertificate: sslRootCert }),
  };
}

const PORT = 5432;

/** In the order in which they are tried. */
export function waysInto(project: KnownProject): readonly Way[] {
  const { ref, user, pooler } = project;
  const direct = wayOf("direct", `db.${ref}.supabase.co`, user, project);
  if (pooler === undefined) return [direct];
  return [direct, wayOf("session pooler", pooler, `${user}.${ref}`, project)];
}

function wayOf(
  kind: Way["kind"],
  host: string,
  user: string,
  { database, password, rootCertificate }: KnownProject,
): Way {
  const url = formatTarget({
    host,
    port: PORT,
    user,
    database,
    password,
    sslMode: "verify-full",
    ...(rootCertificate === undefined ? {} : { sslRootCert: rootCertificate }),
    local: false,
  });
  return { kind, host, url };
}
