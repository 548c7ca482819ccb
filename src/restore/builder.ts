import { createHash, createHmac, pbkdf2Sync } from "node:crypto";
import { AppError, Secret, toHex } from "../kernel/index.ts";
import type { Bytes, RandomBytes } from "../kernel/index.ts";
import {
  connect,
  quoteIdentifier,
  quoteLiteral,
  withDatabase,
  withUser,
} from "../postgres/index.ts";
import type { Connection } from "../postgres/index.ts";
import { restoreError } from "./errors.ts";
import { builderMark } from "./target.ts";
import type { TargetFacts } from "./target.ts";
import type { RestoreOptions } from "./types.ts";

/**
 * The role that everything of the source is built as (R3): no attribute but LOGIN and BYPASSRLS, no membership, a
 * random password that lives as long as this process.
 */

export interface Builder {
  readonly role: string;
  /** Logs in as the builder, to the database restored into. */
  readonly url: Secret;
}

const ITERATIONS = 4096;

export async function acquireBuilder(
  server: Connection,
  options: RestoreOptions,
  target: TargetFacts,
): Promise<Builder> {
  const password = new Secret(Buffer.from(options.random(24)).toString("base64url"));
  const role = target.builderRole ?? `sparekeep_restore_${toHex(options.random(6))}`;
  const name = quoteIdentifier(role);
  const verb = target.builderRole === undefined ? "CREATE" : "ALTER";
  // The verifier, not the password: statements may be written to the server's log.
  const verifier = quoteLiteral(scramVerifier(password, options.random));
  await server.query(
    `BEGIN;
     ${verb} ROLE ${name} LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION BYPASSRLS PASSWORD ${verifier};
     COMMENT ON ROLE ${name} IS ${quoteLiteral(builderMark(options.snapshot.id))};
     COMMIT`,
  );
  const url = withUser(options.targetUrl, role, password);
  try {
    await proveLogin(url, server, options.signal);
  } catch (error) {
    if (target.builderRole === undefined) await server.query(`DROP ROLE ${name}`);
    throw error;
  }
  return { role, url };
}

/** A `SET ROLE` from the admin's session would not do: what runs there could turn back (R3). */
export async function proveLogin(
  url: Secret,
  server: Connection,
  signal: AbortSignal | undefined,
): Promise<void> {
  const [row] = await server.query<{ name: string }>("SELECT current_database() AS name");
  try {
    await using _session = await connect({
      url: withDatabase(url, row?.name ?? "postgres"),
      applicationName: "sparekeep restore",
      readOnly: true,
      ...(signal === undefined ? {} : { signal }),
    });
  } catch (error) {
    if (!(error instanceof AppError) || error.code !== "postgres.authentication_failed")
      throw error;
    throw restoreError("builder_refused", {
      message: "target that does not let the temporary role log in",
      cause: error,
    });
  }
}

/** RFC 5803, as PostgreSQL stores it: `SCRAM-SHA-256$iterations:salt$StoredKey:ServerKey`. */
export function scramVerifier(password: Secret, random: RandomBytes): string {
  const salt = Buffer.from(random(16));
  const salted = pbkdf2Sync(password.reveal(), salt, ITERATIONS, 32, "sha256");
  const storedKey = createHash("sha256").update(hmac(salted, "Client Key")).digest("base64");
  const serverKey = hmac(salted, "Server Key").toString("base64");
  return `SCRAM-SHA-256$${ITERATIONS}:${salt.toString("base64")}$${storedKey}:${serverKey}`;
}

function hmac(key: Bytes, text: string): Buffer {
  return createHmac("sha256", key).update(text).digest();
}
