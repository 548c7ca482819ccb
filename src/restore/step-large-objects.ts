import { createHash } from "node:crypto";
import type { LargeObjectManifest } from "../manifest/index.ts";
import { quoteLiteral } from "../postgres/index.ts";
import type { Connection } from "../postgres/index.ts";
import { equalText } from "./compare.ts";
import { orIssue } from "./context.ts";
import type { Work } from "./context.ts";
import { inTransaction } from "./ledger.ts";
import { queueOf, runOnSessions } from "./pool.ts";
import { countingFile } from "./snapshot-file.ts";

/** Large objects keep their oids, because rows refer to them by these. */

const SLICE_BYTES = 1024 * 1024;

export async function restoreLargeObjects(work: Work): Promise<void> {
  const left = work.options.manifest.database.largeObjects.filter(
    (object) => !work.ledger.has(itemOf(object)),
  );
  if (left.length === 0) return;
  await runOnSessions(
    work,
    queueOf(left),
    async (connection, object, signal) => {
      await orIssue(work, { code: "large_object_failed", object: nameOf(object) }, () =>
        inTransaction(connection, async () => {
          await fill(work, connection, object, signal);
          await work.ledger.recordOwned(connection, object.owner);
          await work.ledger.record(connection, itemOf(object));
        }),
      );
    },
    left.length,
  );
}

async function fill(
  work: Work,
  connection: Connection,
  object: LargeObjectManifest,
  signal: AbortSignal,
): Promise<void> {
  await connection.query("SELECT pg_catalog.lo_create($1)", [object.oid]);
  if (object.comment !== undefined) {
    const comment = quoteLiteral(object.comment);
    await connection.query(`COMMENT ON LARGE OBJECT ${object.oid} IS ${comment}`);
  }
  let offset = 0;
  for await (const chunk of countingFile(work.options, object, signal)) {
    for (let at = 0; at < chunk.byteLength; at += SLICE_BYTES) {
      const slice = Buffer.from(chunk.subarray(at, at + SLICE_BYTES));
      await connection.query("SELECT pg_catalog.lo_put($1, $2, $3)", [object.oid, offset, slice]);
      offset += slice.byteLength;
    }
  }
}

/** Read back from the target and compared with the manifest (R9). */
export async function verifyLargeObject(
  connection: Connection,
  object: LargeObjectManifest,
): Promise<void> {
  const hash = createHash("sha256");
  let offset = 0;
  for (;;) {
    const [row] = await connection.query<{ slice: Buffer }>(
      "SELECT pg_catalog.lo_get($1, $2, $3) AS slice",
      [object.oid, offset, SLICE_BYTES],
    );
    if (row === undefined || row.slice.byteLength === 0) break;
    hash.update(row.slice);
    offset += row.slice.byteLength;
  }
  equalText(nameOf(object), "bytes", String(object.sizeBytes), String(offset));
  equalText(nameOf(object), "SHA-256", object.sha256, hash.digest("hex"));
}

export function nameOf(object: LargeObjectManifest): string {
  return `LARGE OBJECT ${object.oid}`;
}

function itemOf(object: LargeObjectManifest): string {
  return `lo:${object.oid}`;
}
