import type { Client } from "pg";
import { AppError, throwIfAborted } from "../kernel/index.ts";
import type { SessionKey } from "./cancel.ts";
import { PgConnection } from "./connection.ts";
import { postgresError } from "./errors.ts";
import {
  APPLY_SETTINGS,
  appliedSettings,
  BACKEND_PID,
  CHECK_CLIENT,
  READ_SETTINGS,
  checkSettings,
  startupOptions,
  supportedVersion,
  wantedSettings,
} from "./session-settings.ts";
import type { SessionLimits } from "./session-settings.ts";
import { supabaseHint } from "./supabase-address.ts";
import { describeTarget, parseTarget } from "./target.ts";
import type { ConnectionTarget } from "./target.ts";
import { tlsOptions } from "./tls.ts";
import { translateError } from "./translate.ts";
import type { Connect, ConnectOptions } from "./types.ts";

const DEFAULT_STATEMENT_TIMEOUT_MS = 10 * 60_000;
const DEFAULT_LOCK_TIMEOUT_MS = 10_000;
const DEFAULT_CONNECT_TIMEOUT_MS = 15_000;
const KEEPALIVE_AFTER_MS = 30_000;
const INVALID_PARAMETER_VALUE = "22023";
/** What PgBouncer says to a session that begins with settings. */
const PROTOCOL_VIOLATION = "08P01";

export const connect: Connect = async (options) => {
  throwIfAborted(options.signal);
  const target = parseTarget(options.url);
  const limits = {
    readOnly: options.readOnly,
    statementTimeoutMs: options.statementTimeoutMs ?? DEFAULT_STATEMENT_TIMEOUT_MS,
    lockTimeoutMs: options.lockTimeoutMs ?? DEFAULT_LOCK_TIMEOUT_MS,
  };
  try {
    return await connectOnce(target, limits, options, startupOptions(limits));
  } catch (error) {
    if (!refusesStartup(error)) throw error;
    // They are set and read back all the same, once the session is there.
    return await connectOnce(target, limits, options, undefined);
  }
};

function refusesStartup(error: unknown): boolean {
  return (
    error instanceof AppError &&
    error.subject["sqlstate"] === PROTOCOL_VIOLATION &&
    /startup parameter/i.test(error.message)
  );
}

async function connectOnce(
  target: ConnectionTarget,
  limits: SessionLimits,
  options: ConnectOptions,
  startup: string | undefined,
): Promise<PgConnection> {
  const client = await createClient(target, options, startup);
  throwIfAborted(options.signal);
  const onAbort = (): void => {
    client.connection.stream.destroy(new Error("Connection terminated"));
  };
  options.signal?.addEventListener("abort", onAbort, { once: true });
  try {
    return await openSession(client, target, limits, options.signal);
  } catch (error) {
    client.connection.stream.destroy();
    throwIfAborted(options.signal);
    throw withHint(translateError(error, { server: describeTarget(target) }), target);
  } finally {
    options.signal?.removeEventListener("abort", onAbort);
  }
}

function withHint(error: AppError, target: ConnectionTarget): AppError {
  const hint = supabaseHint(error.code, target);
  if (hint === undefined) return error;
  const { code, kind, message, subject, cause } = error;
  return new AppError(code, kind, { message, subject, cause, hint });
}

/** Every field is given, so that the driver takes none from the environment. */
async function createClient(
  target: ConnectionTarget,
  options: ConnectOptions,
  startup: string | undefined,
): Promise<Client> {
  const ssl = await tlsOptions(target);
  // When it is needed: every verb links to this layer, few of them to a database.
  const { Client } = await import("pg");
  return new Client({
    host: target.host,
    port: target.port,
    user: target.user,
    database: target.database,
    password: () => revealPassword(target),
    ssl,
    sslnegotiation: "postgres",
    enableChannelBinding: ssl !== false,
    application_name: options.applicationName,
    client_encoding: "UTF8",
    ...(startup === undefined ? {} : { options: startup }),
    keepAlive: true,
    keepAliveInitialDelayMillis: KEEPALIVE_AFTER_MS,
    connectionTimeoutMillis: options.connectTimeoutMs ?? DEFAULT_CONNECT_TIMEOUT_MS,
  });
}

function revealPassword(target: ConnectionTarget): string {
  if (target.password === undefined) {
    throw postgresError("authentication_failed", {
      message: `server asks for a password of role ${JSON.stringify(target.user)}, the connection string has none`,
      subject: { server: describeTarget(target) },
    });
  }
  return target.password.reveal();
}

async function openSession(
  client: Client,
  target: ConnectionTarget,
  limits: SessionLimits,
  signal: AbortSignal | undefined,
): Promise<PgConnection> {
  const key: { value?: SessionKey } = {};
  client.connection.on("backendKeyData", (message: { processID: number; secretKey: number }) => {
    key.value = { processId: message.processID, secretKey: message.secretKey };
  });
  // Without a listener an early end of the connection would end the process; connect() rejects with it as well.
  client.on("error", () => undefined);
  await client.connect();
  const { versionNum, backendPid } = await fixSettings(client, limits);
  if (key.value === undefined) {
    throw postgresError("settings_refused", { message: "server gave the session no cancel key" });
  }
  return new PgConnection({ client, target, key: key.value, versionNum, backendPid, signal });
}

/** The one setting that a server may refuse, by the system that it runs on: its sessions live as long as they do there. */
function leaveOutUnsupported(thrown: unknown): void {
  const state = translateError(thrown, {}).subject["sqlstate"];
  if (state !== INVALID_PARAMETER_VALUE) throw thrown;
}

interface Fixed {
  readonly versionNum: number;
  /** By the server's own word: a pooler gives a session a cancel key with a number of its own. */
  readonly backendPid: number;
}

async function fixSettings(client: Client, limits: SessionLimits): Promise<Fixed> {
  const applied = appliedSettings(limits);
  await client.query(APPLY_SETTINGS, [[...applied.keys()], [...applied.values()]]);
  await client.query(CHECK_CLIENT).catch(leaveOutUnsupported);
  const wanted = wantedSettings(limits);
  const found = await client.query<{ name: string; setting: string }>(READ_SETTINGS, [
    [...wanted.keys(), "server_version_num"],
  ]);
  const versionNum = supportedVersion(found.rows);
  checkSettings(
    wanted,
    found.rows.filter((row) => wanted.has(row.name)),
  );
  const pid = Number(found.rows.find(({ name }) => name === BACKEND_PID)?.setting);
  if (!Number.isSafeInteger(pid)) {
    throw postgresError("settings_refused", { message: "server does not number its sessions" });
  }
  return { versionNum, backendPid: pid };
}
