import type { Bytes } from "../../kernel/index.ts";
import { compareFacts, platformNamed, readFacts } from "../../manifest/index.ts";
import type { FactDifference } from "../../manifest/index.ts";
import { CATALOG_FACTS, connect, EFFECTIVE } from "../../postgres/index.ts";
import type { Connection } from "../../postgres/index.ts";
import { orIssue } from "../context.ts";
import type { Work } from "../context.ts";
import { countingFile } from "../snapshot-file.ts";
import type { CatalogComparison, CatalogDifference } from "../types.ts";
import { classifier } from "./classify.ts";
import type { Classify, DifferenceClass } from "./classify.ts";

/**
 * Everything that the catalog said when the point was taken against what it says now: the last step, when nothing is
 * built any more. Reads catalogs alone, READ ONLY; nothing of the source runs (the server words definitions itself).
 */

/** Named one by one; beyond this they are counted. */
const NAMED_MAX = 200;

export async function compareCatalog(work: Work): Promise<CatalogComparison> {
  const { catalog, captures } = describeSource(work);
  if (catalog === undefined) {
    return { compared: false, reason: captures, counts: NONE, differences: [] };
  }
  let result: CatalogComparison | undefined;
  const object = "the database";
  const hint = "Compare the definitions by hand, with pg_dump --schema-only of both.";
  await orIssue(work, { code: "catalog_not_compared", object, hint }, async () => {
    await using session = await openReader(work);
    const captured = readFacts(countingFile(work.options, catalog, work.signal));
    const found = readFacts(readAll(session, work.signal));
    result = await sortOut(work, compareFacts(captured, found), classifier(contextOf(work)));
  });
  const reason = "the comparison failed";
  return result ?? { compared: false, reason, counts: NONE, differences: [] };
}

const NONE: CatalogComparison["counts"] = { ours: 0, platform: 0, equivalent: 0, withheld: 0 };

function describeSource({ options }: Work): {
  readonly catalog: Work["options"]["manifest"]["database"]["catalog"];
  readonly captures: string;
} {
  const { catalog, leftOut } = options.manifest.database;
  const why = leftOut.find(({ object }) => object === "catalog facts")?.reason;
  return { catalog, captures: why ?? "the point holds no catalog facts" };
}

async function openReader({ options, signal }: Work): Promise<Connection> {
  return connect({
    url: options.targetUrl,
    applicationName: "sparekeep restore compare",
    readOnly: true,
    statementTimeoutMs: 0,
    lockTimeoutMs: 60_000,
    ...(signal === undefined ? {} : { signal }),
  });
}

async function* readAll(
  session: Connection,
  signal: AbortSignal | undefined,
): AsyncGenerator<Bytes, void, undefined> {
  const options = { reuse: true, ...(signal === undefined ? {} : { signal }) };
  for (const { copy } of CATALOG_FACTS) yield* session.copyOut(copy, options);
}

function contextOf(work: Work): Parameters<typeof classifier>[0] {
  const { database } = work.options.manifest;
  const { server } = database;
  return {
    withheld: work.withheld,
    databaseName: work.target.databaseName,
    platforms: work.platform === undefined ? [] : [work.platform],
    keptRoles: new Set(work.roles.kept),
    sourceRoles: new Set(database.roles.map(({ name }) => name)),
    givesDatabase: work.target.superuser && work.platform === undefined,
    majors: { source: majorOf(server.versionNum), target: majorOf(work.target.versionNum) },
    limited: database.limitedTo !== undefined,
    undescribed: database.leftOut.filter(isUndescribed(work)).map(({ object }) => object),
  };
}

type LeftOut = Work["options"]["manifest"]["database"]["leftOut"][number];

/** Tables of a platform that the source ran on, read or not, whose own server does without them; and by the plan's limit. */
function isUndescribed({ options, platform }: Work): (leftOut: LeftOut) => boolean {
  const { database } = options.manifest;
  const source = database.platform === undefined ? undefined : platformNamed(database.platform);
  return ({ object, reason }) => {
    if (database.limitedTo !== undefined && reason.startsWith("not even its definition"))
      return true;
    const [schema = "", table = ""] = object.split(".");
    const rows = platform === undefined ? source?.rowsOf(schema, table) : undefined;
    return typeof rows === "object" && rows.reason === reason;
  };
}

function majorOf(versionNum: number): number {
  return Math.floor(versionNum / 10_000);
}

async function sortOut(
  work: Work,
  differences: AsyncIterable<FactDifference>,
  classify: Classify,
): Promise<CatalogComparison> {
  const counts = { ...NONE };
  const named: CatalogDifference[] = [];
  let unnamed = 0;
  for await (const difference of differences) {
    // What rights come to is evidence for the grants and memberships behind it, which are compared themselves.
    if (difference.attribute === EFFECTIVE) continue;
    const whose: DifferenceClass = classify(difference);
    counts[whose] += 1;
    if (whose === "ours" && counts.ours > NAMED_MAX) unnamed += 1;
    else if (whose === "ours") work.issues.push(issueOf(difference));
    if (named.length < NAMED_MAX) named.push({ class: whose, ...shown(difference) });
  }
  if (unnamed > 0) {
    work.issues.push({
      code: "catalog_differs",
      object: "the database",
      message: `${unnamed} more differences of the catalog`,
    });
  }
  return { compared: true, counts, differences: named };
}

function issueOf(difference: FactDifference): Work["issues"][number] {
  const { object, message } = shown(difference);
  return {
    code: "catalog_differs",
    object,
    message,
    hint: "Make it by hand as it was, or restore again where an earlier issue explains it.",
  };
}

function shown({
  kind,
  identity,
  attribute,
  captured,
  found,
}: FactDifference): Omit<CatalogDifference, "class"> {
  const object = `${kind} ${identity}`;
  if (attribute === "exists")
    return { object, message: found === undefined ? "is missing" : "is there, and was not" };
  return { object, message: `${attribute}: ${short(captured)} became ${short(found)}` };
}

const VALUE_MAX = 200;

function short(value: string | undefined): string {
  if (value === undefined) return "none";
  return JSON.stringify(value.length > VALUE_MAX ? `${value.slice(0, VALUE_MAX)}…` : value);
}
