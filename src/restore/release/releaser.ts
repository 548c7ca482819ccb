import { Secret, toHex } from "../../kernel/index.ts";
import { quoteIdentifier, quoteLiteral, withUser } from "../../postgres/index.ts";
import type { Connection } from "../../postgres/index.ts";
import { proveLogin, scramVerifier } from "../builder.ts";
import { openAdmin, openBuilder } from "../context.ts";
import { restoreError } from "../errors.ts";
import { inTransaction } from "../ledger.ts";
import type { ReleaseFacts } from "./facts.ts";
import type { ReleaseOptions } from "./types.ts";

/**
 * Who runs what. Text of the source that is not made anew runs on a session that authenticated as a temporary role
 * without any power and without any membership (R3, R6); what it makes is given to its owner. The
 * role goes when the release ends, and one that a crash left behind goes with the next. Where the login is no superuser
 * it is the builder itself, as in a restore.
 */
export interface Hands extends AsyncDisposable {
  /** Holds event triggers of the source off. */
  readonly admin: Connection;
  readonly builder: Connection;
  /** Undefined where the login builds. */
  readonly role: string | undefined;
}

/** Names the database: a release elsewhere on the server is none of ours. */
function markOf(facts: ReleaseFacts): string {
  return `sparekeep: releases withheld objects of database ${facts.databaseName}`;
}

/** One release at a time in a database: each clears away what an earlier one left. */
const LOCK = "SELECT pg_try_advisory_lock(730120261) AS taken";

export async function acquireHands(options: ReleaseOptions, facts: ReleaseFacts): Promise<Hands> {
  const admin = await openReleasing(options, facts);
  try {
    if (!facts.superuser) return await ordinaryHands(admin, options);
    if (facts.unstoppable.length === 0) await removeLeftovers(admin, markOf(facts));
    return await superuserHands(admin, options, markOf(facts));
  } catch (error) {
    await admin[Symbol.asyncDispose]();
    throw error;
  }
}

/** For what the admin runs by itself: no role is made, and so none is dropped, which an event trigger would see. */
export async function acquireAdmin(options: ReleaseOptions, facts: ReleaseFacts): Promise<Hands> {
  const admin = await openReleasing(options, facts);
  const close = (): PromiseLike<void> => admin[Symbol.asyncDispose]();
  return { admin, builder: admin, role: undefined, [Symbol.asyncDispose]: close };
}

async function openReleasing(options: ReleaseOptions, facts: ReleaseFacts): Promise<Connection> {
  const admin = await openAdmin(options.targetUrl, options.signal);
  try {
    const [lock] = await admin.query<{ taken: boolean }>(LOCK);
    if (lock?.taken !== true) {
      throw restoreError("release_runs", { message: "another release in the same database" });
    }
    if (facts.superuser) await admin.query("SET session_replication_role = replica");
    return admin;
  } catch (error) {
    await admin[Symbol.asyncDispose]();
    throw error;
  }
}

async function ordinaryHands(admin: Connection, options: ReleaseOptions): Promise<Hands> {
  const builder = await openBuilder(options.targetUrl, options.signal);
  return {
    admin,
    builder,
    role: undefined,
    [Symbol.asyncDispose]: async () => {
      await builder[Symbol.asyncDispose]();
      await admin[Symbol.asyncDispose]();
    },
  };
}

async function superuserHands(
  admin: Connection,
  options: ReleaseOptions,
  mark: string,
): Promise<Hands> {
  const password = new Secret(Buffer.from(options.random(24)).toString("base64url"));
  const role = `sparekeep_release_${toHex(options.random(6))}`;
  const name = quoteIdentifier(role);
  const verifier = quoteLiteral(scramVerifier(password, options.random));
  await inTransaction(admin, async () => {
    await admin.query(
      `CREATE ROLE ${name} LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS PASSWORD ${verifier}`,
    );
    await admin.query(`COMMENT ON ROLE ${name} IS ${quoteLiteral(mark)}`);
  });
  try {
    const url = withUser(options.targetUrl, role, password);
    await proveLogin(url, admin, options.signal);
    const builder = await openBuilder(url, options.signal);
    return {
      admin,
      builder,
      role,
      [Symbol.asyncDispose]: async () => {
        await builder[Symbol.asyncDispose]();
        try {
          await removeRole(admin, role);
        } finally {
          await admin[Symbol.asyncDispose]();
        }
      },
    };
  } catch (error) {
    await removeRole(admin, role);
    throw error;
  }
}

async function removeLeftovers(admin: Connection, mark: string): Promise<void> {
  const rows = await admin.query<{ name: string }>(
    `SELECT rolname AS name FROM pg_roles
      WHERE rolname ~ '^sparekeep_release_[0-9a-f]+$' AND NOT rolsuper AND shobj_description(oid, 'pg_authid') = $1`,
    [mark],
  );
  for (const { name } of rows) await removeRole(admin, name);
}

/** What it still owns was not finished: it goes with it, and the item is released again. */
async function removeRole(admin: Connection, role: string): Promise<void> {
  const name = quoteIdentifier(role);
  await inTransaction(admin, async () => {
    await admin.query(`DROP OWNED BY ${name}`);
    await admin.query(`DROP ROLE ${name}`);
  });
}
