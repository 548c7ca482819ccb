import { platformNamed } from "../manifest/index.ts";
import type { Platform } from "../manifest/index.ts";
import type { Source } from "../policy/index.ts";
import { connect, findClientTools, readPlatform } from "../postgres/index.ts";
import type { Connection } from "../postgres/index.ts";
import type { OperationContext } from "./context.ts";
import { sessionFinding } from "./doctor-connection.ts";
import type { Finding } from "./finding.ts";
import { connectionUrl } from "./open.ts";

const SKEW_WARN_SECONDS = 60;

export async function examineSource(
  context: OperationContext,
  subject: string,
  source: Source,
): Promise<readonly Finding[]> {
  const { signal } = context;
  const url = await connectionUrl(context, source.connection);
  await using connection = await connect({
    url,
    applicationName: "sparekeep doctor",
    readOnly: true,
    signal,
  });
  const tools = await findClientTools(context.toolDirectories, connection.versionNum, { signal });
  return [
    await serverFinding(connection, subject),
    await sessionFinding(context, subject, url),
    { status: "ok", subject, message: `pg_dump ${tools.major} at ${tools.pgDump}` },
    await clockFinding(context, connection, subject),
    ...(await rightsFindings(connection, subject)),
  ];
}

async function serverFinding(connection: Connection, subject: string): Promise<Finding> {
  const [row] = await connection.query<{ version: string; db: string; login: string }>(
    "select current_setting('server_version') as version, current_database() as db, current_user as login",
  );
  const message = `PostgreSQL ${row?.version}, database ${row?.db}, as ${row?.login}`;
  return { status: "ok", subject, message };
}

async function clockFinding(
  context: OperationContext,
  connection: Connection,
  subject: string,
): Promise<Finding> {
  const [row] = await connection.query<{ epoch: string }>(
    "select extract(epoch from clock_timestamp())::text as epoch",
  );
  const skewSeconds = Math.abs(Number(row?.epoch) - context.clock.now().getTime() / 1000);
  const message = `clocks differ by ${skewSeconds.toFixed(1)} s`;
  if (skewSeconds <= SKEW_WARN_SECONDS) return { status: "ok", subject, message };
  return { status: "warn", subject, message, fix: "Set the clocks of server and machine." };
}

/** Tables of users, with what keeps this role from reading all of them. Members of extensions belong to those. */
const UNREADABLE = `
  select quote_ident(n.nspname) || '.' || quote_ident(c.relname) as name,
         n.nspname::text as schema, c.relname::text as relation,
         c.relrowsecurity and (c.relforcerowsecurity or not pg_has_role(c.relowner, 'USAGE')) as hidden,
         has_table_privilege(c.oid, 'SELECT') and has_schema_privilege(n.oid, 'USAGE') as readable
  from pg_class c join pg_namespace n on n.oid = c.relnamespace
  where c.relkind in ('r', 'p') and c.relpersistence <> 't'
    and n.nspname <> 'information_schema' and n.nspname !~ '^pg_'
    and not exists (select from pg_depend d where d.classid = 'pg_class'::regclass and d.objid = c.oid and d.deptype = 'e')
  order by 1`;

const LOGIN = "select rolsuper, rolbypassrls from pg_roles where rolname = current_user";

async function rightsFindings(
  connection: Connection,
  subject: string,
): Promise<readonly Finding[]> {
  const [login] = await connection.query<{ rolsuper: boolean; rolbypassrls: boolean }>(LOGIN);
  const seesAllRows = login?.rolsuper === true || login?.rolbypassrls === true;
  const found = await readPlatform(connection);
  const platform = found === undefined ? undefined : platformNamed(found);
  const tables = capturedOf(
    await connection.query<Examined & { readonly hidden: boolean }>(UNREADABLE),
    platform,
  );
  const findings: Finding[] = [];
  const denied = tables.filter((table) => !table.readable).map((table) => table.name);
  if (denied.length > 0) {
    const message = `${denied.length} of ${tables.length} tables that the role may not read: ${listed(denied)}`;
    findings.push({ status: "fail", subject, message, fix: "Grant pg_read_all_data to the role." });
  }
  const hidden = tables.filter((table) => table.hidden).map((table) => table.name);
  if (hidden.length > 0 && !seesAllRows) {
    const message = `${hidden.length} tables whose row-level security hides rows from the role: ${listed(hidden)}`;
    findings.push({ status: "fail", subject, message, fix: "Give the role BYPASSRLS." });
  }
  findings.push(...(await unreadableOthers(connection, subject, platform)));
  if (findings.length > 0) return findings;
  if (tables.length === 0) {
    const fix = "Check the database name of the connection string.";
    return [{ status: "warn", subject, message: "a database without a single table", fix }];
  }
  return [{ status: "ok", subject, message: `all ${tables.length} tables can be read whole` }];
}

interface Examined {
  readonly name: string;
  readonly schema: string;
  readonly relation: string;
  readonly readable: boolean;
  readonly [key: string]: unknown;
}

/** Without what a platform keeps for itself and no backup takes: nobody is asked to grant it. */
function capturedOf<Row extends Examined>(
  rows: readonly Row[],
  platform: Platform | undefined,
): readonly Row[] {
  return rows.filter(({ schema, relation, readable }) => {
    const kept = platform?.rowsOf(schema, relation);
    return typeof kept !== "object" || (kept.captured && readable);
  });
}

const SEQUENCES = `
  select quote_ident(n.nspname) || '.' || quote_ident(c.relname) as name,
         n.nspname::text as schema, c.relname::text as relation, false as readable
  from pg_class c join pg_namespace n on n.oid = c.relnamespace
  where c.relkind = 'S' and c.relpersistence <> 't'
    and n.nspname <> 'information_schema' and n.nspname !~ '^pg_'
    and not (has_sequence_privilege(c.oid, 'SELECT') and has_schema_privilege(n.oid, 'USAGE'))
    and not exists (select from pg_depend d where d.classid = 'pg_class'::regclass and d.objid = c.oid and d.deptype = 'e')
  order by 1`;

/** Each has rights of its own; membership in pg_read_all_data does not give them. */
const LARGE_OBJECTS = `
  select m.oid::text as name from pg_largeobject_metadata m
  where not pg_has_role(m.lomowner, 'USAGE')
    and not exists (select from aclexplode(m.lomacl) a where a.privilege_type = 'SELECT'
                     and (a.grantee = 0 or pg_has_role(a.grantee, 'USAGE')))
  order by m.oid`;

async function unreadableOthers(
  connection: Connection,
  subject: string,
  platform: Platform | undefined,
): Promise<readonly Finding[]> {
  const findings: Finding[] = [];
  const examine = (names: readonly string[], what: string, fix: string): void => {
    if (names.length === 0) return;
    const message = `${names.length} ${what} that the role may not read: ${listed(names)}`;
    findings.push({ status: "fail", subject, message, fix });
  };
  const sequences = capturedOf(await connection.query<Examined>(SEQUENCES), platform);
  examine(
    sequences.map(({ name }) => name),
    "sequences",
    "Grant pg_read_all_data to the role.",
  );
  const objects = await connection.query<{ name: string }>(LARGE_OBJECTS);
  examine(
    objects.map(({ name }) => name),
    "large objects",
    "Grant the role SELECT on each large object.",
  );
  return findings;
}

function listed(names: readonly string[]): string {
  const shown = names.slice(0, 5).join(", ");
  return names.length > 5 ? `${shown}, …` : shown;
}
