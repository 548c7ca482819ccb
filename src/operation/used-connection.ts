import { connectionOf } from "../repository/index.ts";
import type { Repository } from "../repository/index.ts";

export interface Connection {
  /** Versions as negotiated, `TLSv1.3`; several where servers differ. */
  readonly tls: readonly string[];
  /** A plain connection was made, to loopback. */
  readonly plain: boolean;
}

/** Of a run whose store is behind a network: how it was reached. */
export interface UsedConnection {
  readonly connection?: Connection;
}

export function usedConnection(repository: Repository): UsedConnection {
  const seen = connectionOf(repository);
  if (seen === undefined) return {};
  const { tls, plain } = seen;
  return { connection: { tls: [...tls], plain } };
}

/** For a record that outlives the run. */
export function recordedConnection(repository: Repository): Readonly<Record<string, string>> {
  const { connection } = usedConnection(repository);
  if (connection === undefined) return {};
  const { tls, plain } = connection;
  return {
    ...(tls.length === 0 ? {} : { tls: tls.join(" ") }),
    ...(plain ? { plain: "to loopback" } : {}),
  };
}
