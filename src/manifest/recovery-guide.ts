import { jobTableOf } from "./cron.ts";
import type { DatabaseManifest, Manifest } from "./manifest.ts";
import { REACHING_EXTENSIONS } from "./reaching.ts";
import { plainLine } from "./sql-text.ts";

/** RECOVERY.md: for a tired person at three in the morning who has the repository, its password and no Sparekeep. */
export function renderGuide(manifest: Manifest): string {
  const { database } = manifest;
  const rows = database.tables.reduce((sum, table) => sum + BigInt(table.rows), 0n);
  const archive = plainLine(database.schema.path);
  const major = Math.floor(database.server.versionNum / 10_000);
  const leftOut = database.leftOut.map(
    ({ object, reason }) => `- ${plainLine(object)}: ${plainLine(reason)}`,
  );
  return `# How to bring this database back

This folder is a backup of database **${plainLine(database.server.databaseName)}** (PostgreSQL ${plainLine(database.server.version)}), taken ${database.snapshot.takenAt}: ${database.tables.length} tables, ${rows} rows, ${database.largeObjects.length} large objects. ${limitText(database)} You need \`psql\` and \`pg_restore\` of version ${major} or newer, and nothing else.

## If you have Sparekeep

    sparekeep snapshots
    sparekeep restore latest --help

It checks more than the script below. Use it if you can.

## If you have not

1. **Get the files out of the repository** with stock [restic](https://restic.net) 0.14 or newer. (If you read this in a folder, you have done this.)

       restic --repo REPOSITORY snapshots
       restic --repo REPOSITORY restore SNAPSHOT_ID --target ./recovered

2. **Have an empty database** on a server of version ${major} or newer that nothing else uses. Best is a fresh server whose superuser has a name of its own.

       createdb --host HOST --username ADMIN --template template0 --encoding ${plainLine(database.server.encoding)} recovered

3. **Run the script.** Keep the password out of the command: put it into \`~/.pgpass\` or into the environment variable PGPASSWORD.

       cd ./recovered
       ./restore.sh postgresql://ADMIN@HOST:5432/recovered

   It refuses a database that holds anything. As superuser it makes an ordinary role for the time of the restore, and everything is built as that role: functions inside a backup run while it is restored, and must not do so as superuser.

4. **Read its last lines.** It counts the rows of each table and compares. Exit code 0: all there. 3: it says what is not. Anything else: it stopped; drop the database, make it again, start again.

## What does not come back by itself

- Passwords of roles: they are in no backup. \`ALTER ROLE … PASSWORD\` for each role that logs in.
${limitedForeignKeys(database)}- Publications, subscriptions, event triggers, foreign servers with their tables and user mappings, and extensions that reach elsewhere (${REACHING_EXTENSIONS.join(", ")}): left out, so that a restored database does nothing by itself. They are in \`${archive}\`; \`pg_restore --list ${archive}\` shows them, and \`sparekeep release\` turns them on one by one.
- Triggers that call out by such an extension come back by the script, and fail until the extension is there: then they call out. Drop or disable those that must not, before you create it. (\`sparekeep restore\` leaves them out.)
${jobsText(database)}${vaultText(database)}${leftOut.length === 0 ? "" : `\nNot in this backup:\n\n${leftOut.join("\n")}\n`}
## What is where

| | |
|---|---|
| \`manifest.json\` | what this backup says that it holds: tables, rows, checksums |
| \`${archive}\` | definitions, \`pg_dump --format=custom --schema-only\` |
| \`database/tables/SCHEMA/TABLE/\` | rows, as COPY writes them (\`manifest.json\` names the columns) |
${exportsRow(database)}| \`database/large-objects/\` | large objects by their oid |
| \`database/*.sql\` | roles, sequences, materialised views, row counts |

One table only: \`psql -c "COPY schema.table (columns) FROM STDIN" < database/tables/…/0000.copy\`. In names of files, \`%2F\` stands for \`/\`, \`%25\` for \`%\`; folders that begin with \`%-\` only divide a huge folder.
`;
}

function jobsText(database: DatabaseManifest): string {
  const rows = jobTableOf(database)?.rows ?? "0";
  if (rows === "0") return "";
  return `- Jobs of pg_cron (${rows}): left out, since they run by themselves. Their rows are in \`database/tables/cron/job/\`; schedule each with \`cron.schedule_in_database\`.\n`;
}

function vaultText({ vault }: DatabaseManifest): string {
  if (vault === undefined) return "";
  return `- Secrets of Vault (${vault.secrets.length}): in the clear in \`${plainLine(vault.file.path)}\`. Make each again with \`vault.create_secret(secret, name, description)\`; its id will be another.\n`;
}

function limitText({ limitedTo, leftTo, tables }: DatabaseManifest): string {
  if (leftTo !== undefined) {
    const names = leftTo.map(
      ({ schema, name, plan }) => `${plainLine(`${schema}.${name}`)} (plan ${plainLine(plan)})`,
    );
    return `**Without the rows of ${names.join(", ")}**: these lie in points of the plan named, perhaps in another repository with another key; the tables come back empty. Everything else that is needed is here.`;
  }
  if (limitedTo === undefined) return "Everything that is needed is here.";
  const names = limitedTo.named.map(({ schema, name }) => plainLine(`${schema}.${name}`));
  return `**It is no whole database**: it holds the rows of these tables alone: ${names.join(", ")} (${tables.length} with partitions and children). All definitions are here; every other table comes back empty. Look for a point of another plan (\`restic snapshots\`, without the tag \`scope=tables\`) before you take this one for all that is left.`;
}

function limitedForeignKeys({ limitedTo }: DatabaseManifest): string {
  if (limitedTo === undefined) return "";
  return "- Foreign keys: tables that they refer to may have no rows here. The script writes them to `foreign-keys.sql`; run the lines that you want once the rows are there.\n";
}

function exportsRow({ tables }: DatabaseManifest): string {
  if (tables.every((table) => table.exports === undefined)) return "";
  return "| `exports/SCHEMA/TABLE.csv`, `.jsonl` | the same rows for other programs |\n";
}

/** Nobody may take it for a backup of the database. */
export function renderSchemaGuide({ database }: Manifest): string {
  const archive = plainLine(database.schema.path);
  return `# The schema alone

This folder holds the definitions of database **${plainLine(database.server.databaseName)}** (PostgreSQL ${plainLine(database.server.version)}) as they were ${database.snapshot.takenAt}. **It holds no rows: it is not a backup of the database.** Choose a point of another plan to bring that back.

    pg_restore --list ${archive}
    pg_restore --file=- ${archive}

The second line shows the SQL and runs nothing. \`manifest.json\` names the roles.
`;
}
