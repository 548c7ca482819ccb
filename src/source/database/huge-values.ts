/**
 * A bytea of 560 MB is legal, and COPY text of it fails ("invalid memory alloc request size"): tables with values
 * beyond 256 MiB are stored as COPY binary. The sizes are read off the TOAST pointers, the values are not.
 */
import { MIB } from "../../kernel/index.ts";
import { quoteIdentifier, quoteQualified } from "../../postgres/index.ts";
import type { Connection } from "../../postgres/index.ts";
import type { CaptureContext } from "./context.ts";
import type { TableWork } from "./copy-tables.ts";
import { underSnapshot } from "./snapshot.ts";

const HUGE_BYTES = 256 * MIB;
/** octet_length of these needs no detoasting; of all others the stored size is known, compressed or not. */
const PLAIN = /^(bytea|text|character varying(\(\d+\))?)$/;

/**
 * Only tables with so much TOAST can hold one uncompressed. A compressed one is found when its text COPY fails, and the
 * table is then read again as binary.
 */
export async function holdsHugeValue(
  context: CaptureContext,
  session: Connection,
  work: TableWork,
): Promise<boolean> {
  if (work.size.toastBytes <= HUGE_BYTES || work.table.columns.length === 0) return false;
  const sizes = work.table.columns.map((column) => {
    const name = quoteIdentifier(column.name);
    return PLAIN.test(column.type) ? `octet_length(${name})` : `pg_column_size(${name})`;
  });
  const source = quoteQualified(work.table.schema, work.table.name);
  const rows = await underSnapshot(session, context.snapshot.id, () =>
    session.query<{ huge: boolean }>(
      `SELECT coalesce(max(greatest(${sizes.join(", ")})) > ${HUGE_BYTES}, false) AS huge FROM ONLY ${source}`,
      undefined,
      { signal: context.signal },
    ),
  );
  return rows[0]?.huge ?? false;
}
