/**
 * Tables that another session keeps to itself (ACCESS EXCLUSIVE, held or waited for). pg_dump would wait for them and
 * then fail as a whole; so they are waited for first, and those that stay locked are left out by name.
 */
import { AppError } from "../../kernel/index.ts";
import { quoteQualified } from "../../postgres/index.ts";
import type { Connection } from "../../postgres/index.ts";
import type { ControlSession } from "./control.ts";
import type { Relation } from "./relations.ts";

const LOCKED = `
  SELECT DISTINCT l.relation::int8::float8 AS oid FROM pg_locks l
   WHERE l.locktype = 'relation' AND l.mode = 'AccessExclusiveLock'
     AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())`;

export async function stayLocked(
  control: ControlSession,
  relations: readonly Relation[],
): Promise<readonly Relation[]> {
  const locked = await control.run((session) => session.query<{ oid: number }>(LOCKED));
  const oids = new Set(locked.map((row) => row.oid));
  const result: Relation[] = [];
  for (const relation of relations) {
    if (oids.has(relation.oid) && relation.readable && !(await waitFor(control, relation))) {
      result.push(relation);
    }
  }
  return result;
}

/** True when the lock could be had; it is given back at once. */
function waitFor(control: ControlSession, relation: Relation): Promise<boolean> {
  return control.run(async (session) => {
    await session.query("BEGIN");
    try {
      await session.query(
        `LOCK TABLE ONLY ${quoteQualified(relation.schema, relation.name)} IN ACCESS SHARE MODE`,
      );
      return true;
    } catch (error) {
      return judge(error);
    } finally {
      await rollback(session);
    }
  });
}

/** A table that is gone by now is pg_dump's and the copy's to report. */
function judge(error: unknown): boolean {
  if (error instanceof AppError && error.code === "postgres.lock_timeout") return false;
  if (error instanceof AppError && error.code === "postgres.relation_not_found") return true;
  throw error;
}

async function rollback(session: Connection): Promise<void> {
  await session.query("ROLLBACK");
}
