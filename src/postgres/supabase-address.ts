/**
 * What an address of Supabase's is, by its name: `db.REF.supabase.co` is the project's own server, over IPv6 alone unless
 * the project has the IPv4 add-on; `REGION.pooler.supabase.com` is the shared pooler, whose port 5432 keeps a session and
 * whose 6543, like that of the project's own name, gives each transaction another one. (Supabase's "Connect to your
 * database".)
 */
export type SupabaseAddress = "direct" | "session pooler" | "transaction pooler";

const TRANSACTION_PORT = 6543;

/** `undefined`: not Supabase's. */
export function supabaseAddress(host: string, port: number): SupabaseAddress | undefined {
  const name = host.toLowerCase().replace(/\.$/, "");
  const pooler = /^[a-z0-9-]+\.pooler\.supabase\.com$/.test(name);
  const own = /^db\.[a-z0-9]+\.supabase\.(?:co|red|com)$/.test(name);
  if (!pooler && !own) return undefined;
  if (port === TRANSACTION_PORT) return "transaction pooler";
  return pooler ? "session pooler" : "direct";
}

const CERTIFICATE =
  "Supabase's servers prove themselves by a root certificate of Supabase's own, which no system knows: download it from the project's database settings (SSL configuration) and name the file by sslrootcert; the host must be the one that the project shows.";
const OVER_IPV6 =
  "The project's own address answers over IPv6 alone: use the session pooler (port 5432) for snapshots, or the IPv4 add-on.";

/** What helps there, where it is another thing than elsewhere. */
export function supabaseHint(
  code: string,
  { host, port }: { readonly host: string; readonly port: number },
): string | undefined {
  const address = supabaseAddress(host, port);
  if (address === undefined) return undefined;
  if (code === "postgres.tls_failed") return CERTIFICATE;
  return code === "postgres.unreachable" && address === "direct" ? OVER_IPV6 : undefined;
}
