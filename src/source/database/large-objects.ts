/** Large objects, each a file of its own, read in slices under the snapshot (`lo_get` honours it). */
import { AppError, MIB } from "../../kernel/index.ts";
import type { Bytes } from "../../kernel/index.ts";
import type { LargeObjectManifest } from "../../manifest/index.ts";
import type { Connection } from "../../postgres/index.ts";
import { sourceError } from "../errors.ts";
import type { CaptureContext } from "./context.ts";
import { captureIssue } from "./issues.ts";
import { importSnapshot, openSession } from "./snapshot.ts";
import type { CaptureIssue } from "./types.ts";
import { runPool } from "./work-pool.ts";

const SLICE_BYTES = MIB;

interface LargeObjectRow extends Record<string, unknown> {
  readonly oid: number;
  readonly owner: string;
  readonly acl: string | null;
  readonly comment: string | null;
}

const LARGE_OBJECTS = `
  SELECT oid::int8::float8 AS oid, pg_get_userbyid(lomowner)::text AS owner, lomacl::text AS acl,
         obj_description(oid, 'pg_largeobject') AS comment
    FROM pg_largeobject_metadata ORDER BY oid`;

export function listLargeObjects(session: Connection): Promise<readonly LargeObjectRow[]> {
  return session.query<LargeObjectRow>(LARGE_OBJECTS);
}

export interface CopiedLargeObjects {
  readonly largeObjects: readonly LargeObjectManifest[];
  readonly issues: readonly CaptureIssue[];
}

export async function copyLargeObjects(
  context: CaptureContext,
  listed: readonly LargeObjectRow[],
): Promise<CopiedLargeObjects> {
  const largeObjects: LargeObjectManifest[] = [];
  const issues: CaptureIssue[] = [];
  if (listed.length === 0) return { largeObjects, issues };
  await runPool({
    tasks: listed,
    size: context.connections,
    clock: context.options.clock,
    signal: context.signal,
    fail: context.fail,
    open: () => openSession(context.session, "large objects"),
    run: async (session, row) => {
      const result = await copyLargeObject(context, session, row);
      if ("code" in result) issues.push(result);
      else largeObjects.push(result);
      return true;
    },
  });
  return { largeObjects: largeObjects.toSorted((a, b) => a.oid - b.oid), issues };
}

async function copyLargeObject(
  context: CaptureContext,
  session: Connection,
  row: LargeObjectRow,
): Promise<LargeObjectManifest | CaptureIssue> {
  const { oid, owner, acl, comment } = row;
  await importSnapshot(session, context.snapshot.id);
  try {
    const path = ["database", "large-objects", String(oid)];
    const saved = await context.writer.saveFile(path, slices(context, session, oid), {
      kind: "file",
      modifiedAt: context.takenAt,
    });
    await session.query("COMMIT");
    return {
      path: path.join("/"),
      sizeBytes: saved.sizeBytes,
      sha256: saved.sha256,
      oid,
      owner,
      ...(acl === null ? {} : { acl }),
      ...(comment === null ? {} : { comment }),
    };
  } catch (error) {
    const issue = largeObjectIssue(error, oid);
    if (issue === undefined) throw error;
    await session.query("ROLLBACK");
    return issue;
  }
}

async function* slices(
  context: CaptureContext,
  session: Connection,
  oid: number,
): AsyncGenerator<Bytes, void, undefined> {
  for (let offset = 0; ; offset += SLICE_BYTES) {
    const [row] = await session.query<{ bytes: Buffer }>(
      "SELECT lo_get($1::oid, $2::bigint, $3::int) AS bytes",
      [oid, offset, SLICE_BYTES],
      { signal: context.signal },
    );
    if (row === undefined) {
      throw sourceError("catalog_unreadable", { message: `content of large object ${oid}` });
    }
    context.meter.read(row.bytes.byteLength, `large object ${oid}`);
    await context.pace(row.bytes.byteLength, context.signal);
    if (row.bytes.byteLength > 0) yield row.bytes;
    if (row.bytes.byteLength < SLICE_BYTES) return;
  }
}

const OWN_ERRORS = new Set([
  "postgres.permission_denied",
  "postgres.relation_not_found",
  "postgres.server_damaged",
  "postgres.statement_failed",
]);

function largeObjectIssue(error: unknown, oid: number): CaptureIssue | undefined {
  if (!(error instanceof AppError) || !OWN_ERRORS.has(error.code)) return undefined;
  return captureIssue("large_object_unreadable", `large object ${oid}`, error.message);
}
