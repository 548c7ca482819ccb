import type { Connection, UsedConnection } from "../operation/index.ts";
import type { OutputFlags } from "./common-options.ts";

/** With --verbose: how the store was reached. */
export function connectionLines(
  { connection }: UsedConnection,
  { verbose }: OutputFlags,
  to = "the store",
): readonly string[] {
  if (connection === undefined || verbose !== true) return [];
  return [`  connection to ${to}: ${connectionText(connection)}`];
}

function connectionText({ tls, plain }: Connection): string {
  const seen = [...tls, ...(plain ? ["not encrypted, to loopback"] : [])];
  return seen.length === 0 ? "none was made" : seen.join(", ");
}
