import { extensionOf } from "../archive/entry.ts";
import type { TocEntry } from "../archive/toc.ts";
import type { ReleaseFacts } from "./facts.ts";
import type { ArchiveItem } from "./items.ts";
import { composedStatements, isBuilt } from "./show.ts";

/** Whether an item can be released at this target, and why not. Pure, from the archive's items and the target's facts. */

/**
 * Extensions whose scripts a superuser may run in a database that holds functions of the source: they evaluate nothing
 * that is looked up by name in a schema of the source's (read for the versions of PostgreSQL 13 to 17, pg_cron 1.4). Of
 * pg_cron that holds in `pg_catalog` only, which is where it is put.
 */
const SAFE_SCRIPTS: ReadonlySet<string> = new Set(["dblink", "postgres_fdw", "pg_cron"]);

export function refusalOf(item: ArchiveItem, facts: ReleaseFacts): string | undefined {
  const [head] = item.entries;
  if (head === undefined) return "an item without a definition";
  return refusalOfKind(item, head, facts) ?? refusalOfText(item) ?? refusalOfPower(item, facts);
}

function refusalOfKind(item: ArchiveItem, head: TocEntry, facts: ReleaseFacts): string | undefined {
  switch (item.kind) {
    case "subscription":
      return "it would take the changes of the original's slot; create it by hand, with a slot of its own";
    case "language":
    case "foreign data wrapper":
      return "only a superuser may create it, from a library of the server; create it by hand";
    case "extension":
      return refusalOfExtension(extensionOf(head)?.name ?? "", facts);
    case "event trigger":
      return facts.superuser || facts.platform !== undefined
        ? undefined
        : "only a superuser may create one";
    default:
      return undefined;
  }
}

function refusalOfText(item: ArchiveItem): string | undefined {
  const isUnderstood = item.entries.every(
    (entry) => isBuilt(entry) || entry.kind === "ACL" || composedStatements(entry) !== undefined,
  );
  return isUnderstood
    ? undefined
    : "its definition is not as pg_dump writes them; read it with pg_restore --file=- and run it by hand";
}

function refusalOfExtension(name: string, facts: ReleaseFacts): string | undefined {
  if (!facts.extensions.has(name)) {
    return `the target server does not offer extension ${name}; install its package first`;
  }
  if (facts.superuser && !SAFE_SCRIPTS.has(name)) {
    return "its script is not known to be safe for a superuser beside functions of the source; install it by hand";
  }
  if (!facts.superuser && facts.platform === undefined) return "only a superuser may install it";
  if (name !== "pg_cron" || facts.cronDatabase === facts.databaseName) return undefined;
  return facts.cronDatabase === undefined
    ? "the target server does not load pg_cron; add it to shared_preload_libraries"
    : `the target server's cron.database_name is ${facts.cronDatabase}, not this database`;
}

function refusalOfPower(item: ArchiveItem, facts: ReleaseFacts): string | undefined {
  if (!facts.superuser) return undefined;
  const mighty = item.entries.find(
    (entry) => facts.roles.get(entry.owner)?.powerful === true && !BY_ADMIN.has(entry.kind),
  );
  if (mighty !== undefined) {
    return `its owner ${mighty.owner} is a superuser here; create it by hand`;
  }
  // No event trigger sees an event trigger being made.
  if (item.kind === "event trigger" || facts.unstoppable.length === 0) return undefined;
  return `event trigger ${facts.unstoppable[0]}, which nothing holds off, would run with a superuser's rights; drop it, release this, and create it again`;
}

/** Made by the admin as itself, or owned by nobody. */
const BY_ADMIN: ReadonlySet<string> = new Set([
  "PUBLICATION",
  "PUBLICATION TABLE",
  "PUBLICATION TABLES IN SCHEMA",
  "EVENT TRIGGER",
  "EXTENSION",
  "ACL",
  "COMMENT",
]);
