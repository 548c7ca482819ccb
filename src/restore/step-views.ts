import { quoteIdentifier, quoteQualified } from "../postgres/index.ts";
import type { DatabaseManifest } from "../manifest/index.ts";
import { orIssue } from "./context.ts";
import type { Work } from "./context.ts";
import { restoreError } from "./errors.ts";
import { onEitherPath } from "./search-path.ts";

/**
 * Materialised views, in the source's order. They run with their owner's rights, which decide what row security lets
 * into them, so they come after the owners; the builder is a member of that owner for as long (R6).
 */

type View = DatabaseManifest["materializedViews"][number];

export async function refreshViews(work: Work): Promise<void> {
  const views = work.options.manifest.database.materializedViews
    .filter((view) => view.populated && !isHeld(work, view))
    .toSorted((a, b) => a.order - b.order);
  for (const view of views) {
    const item = `view:${view.order}`;
    if (work.ledger.has(item)) continue;
    work.report({ step: "finish", doneBytes: 0, totalBytes: 0, current: nameOf(view) });
    await orIssue(work, { code: "view_not_refreshed", object: nameOf(view) }, () =>
      asMember(work, view, async () => {
        await refresh(work, view);
        await work.ledger.record(work.builder, item);
      }),
    );
  }
}

/** Over a foreign table: left out, and said so. */
function isHeld({ archive }: Work, view: View): boolean {
  return archive.held.some(
    ({ entry: { kind, schema, tag } }) =>
      kind === "MATERIALIZED VIEW" && schema === view.schema && tag === view.name,
  );
}

function nameOf(view: View): string {
  return `MATERIALIZED VIEW ${view.schema}.${view.name}`;
}

/** With row security as an ordinary session has it: what the owner may not see is left out, not an error. */
async function refresh(work: Work, view: View): Promise<void> {
  await work.builder.query("SET row_security = on");
  const name = quoteQualified(view.schema, view.name);
  await onEitherPath(work, work.builder, async () => {
    await work.builder.query(`REFRESH MATERIALIZED VIEW ${name}`);
    await work.builder.query(`ANALYZE ${name}`);
  });
}

async function asMember(work: Work, view: View, run: () => Promise<void>): Promise<void> {
  const { builderRole } = work;
  if (builderRole === undefined) return await run();
  const owner = await ownerOf(work, view);
  const known = work.target.roles.get(owner);
  if (known?.creator === true || known?.powerful === true) {
    throw restoreError("object_refused", {
      message: `its owner ${owner} could become a superuser here`,
      hint: "Refresh it by hand.",
    });
  }
  const [member, group] = [quoteIdentifier(builderRole), quoteIdentifier(owner)];
  if (owner !== builderRole) await work.admin.query(`GRANT ${group} TO ${member}`);
  try {
    await run();
  } finally {
    if (owner !== builderRole) await work.admin.query(`REVOKE ${group} FROM ${member}`);
  }
}

async function ownerOf(work: Work, view: View): Promise<string> {
  const [row] = await work.admin.query<{ owner: string }>(
    `SELECT pg_get_userbyid(c.relowner) AS owner
       FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
      WHERE n.nspname = $1 AND c.relname = $2 AND c.relkind = 'm'`,
    [view.schema, view.name],
  );
  if (row === undefined) {
    throw restoreError("object_refused", { message: "it was not built" });
  }
  return row.owner;
}
