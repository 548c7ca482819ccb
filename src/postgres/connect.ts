import type { Client } from "pg";
import { AppError, throwIfAborted } from "../kernel/index.ts";
import type { SessionKey } from "./cancel.ts";
import { PgConnection } from "./connection.ts";
import { postgresError } from "./errors.ts";
import { BACKEND_PID, demandHeldSessions } from "./held-session.ts";
import type { Ask } from "./held-session.ts";
import {
  APPLY_SETTINGS,
  appliedSettings,
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
/** For a pooler to show that it keeps a session: some twenty short statements. One without room lets them wait for ever. */
const POOLER_TIMEOUT_MS = 60_000;

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
  // A second one only where a pooler stands between.
  const clients: Client[] = [];
  const open = async (): Promise<Client> => {
    const client = await createClient(target, options, startup);
    throwIfAborted(options.signal);
    clients.push(client);
    return client;
  };
  const end = (): void => {
    for (const { connection } of clients)
      connection.stream.destroy(new Error("Connection terminated"));
  };
  options.signal?.addEventListener("abort", end, { once: true });
  try {
    return await openSession(open, target, limits, options.signal);
  } catch (error) {
    end();
    throwIfAborted(options.signal);
    throw withHint(translateError(error, { server: describeTarget(target) }), target);
  } finally {
    options.signal?.removeEventListener("abort", end);
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
  open: () => Promise<Client>,
  target: ConnectionTarget,
  limits: SessionLimits,
  signal: AbortSignal | undefined,
): Promise<PgConnection> {
  const client = await open();
  const key: { value?: SessionKey } = {};
  client.connection.on("backendKeyData", (message: { processID: number; secretKey: number }) => {
    key.value = { processId: message.processID, secretKey: message.secretKey };
  });
  await start(client);
  if (key.value === undefined) {
    throw postgresError("settings_refused", { message: "server gave the session no cancel key" });
  }
  // A pooler answers with a key of its own. Nothing is set before the session was shown to be one.
  const served = await applySettings(client, limits, key.value.processId);
  const pooledPid = served ? undefined : await heldBackend(client, open, target);
  if (pooledPid !== undefined) await applySettings(client, limits, null);
  await client.query(CHECK_CLIENT).catch(leaveOutUnsupported);
  const versionNum = await readSettings(client, limits);
  return new PgConnection({ client, target, key: key.value, pooledPid, versionNum, signal });
}

async function start(client: Client): Promise<void> {
  // Without a listener an early end of the connection would end the process; connect() rejects with it as well.
  client.on("error", () => undefined);
  await client.connect();
}

/** The one setting that a server may refuse, by the system that it runs on: its sessions live as long as they do there. */
function leaveOutUnsupported(thrown: unknown): void {
  const state = translateError(thrown, {}).subject["sqlstate"];
  if (state !== INVALID_PARAMETER_VALUE) throw thrown;
}

/** Poolers that have shown it to this process. Each proof takes a second session, which the pool may not have to spare. */
const proven = new Set<string>();

async function heldBackend(
  client: Client,
  open: () => Promise<Client>,
  target: ConnectionTarget,
): Promise<number> {
  const pooler = `${target.user} ${describeTarget(target)}`;
  if (proven.has(pooler)) return Number(await asks(client)(BACKEND_PID));
  const pid = await proveBackend(client, await open());
  proven.add(pooler);
  return pid;
}

async function proveBackend(client: Client, second: Client): Promise<number> {
  await start(second);
  const timer = AbortSignal.timeout(POOLER_TIMEOUT_MS);
  const end = (): void => {
    for (const { connection } of [client, second])
      connection.stream.destroy(new Error("Connection terminated"));
  };
  timer.addEventListener("abort", end);
  try {
    const pid = await demandHeldSessions(asks(client), asks(second));
    await second.end();
    return pid;
  } catch (error) {
    if (!timer.aborted) throw error;
    throw postgresError("timeout", {
      message: `pooler that answers one session alone within ${POOLER_TIMEOUT_MS / 1000} s`,
      hint: "Let the pooler serve two sessions of this role at once, or connect to the server itself.",
      cause: error,
    });
  } finally {
    timer.removeEventListener("abort", end);
  }
}

function asks(client: Client): Ask {
  return async (sql) => {
    const { rows } = await client.query<string[]>({ text: sql, rowMode: "array" });
    return rows[0]?.[0] ?? "";
  };
}

/** False: nothing was set, since another process serves the session than the one that the server named. */
async function applySettings(
  client: Client,
  limits: SessionLimits,
  processId: number | null,
): Promise<boolean> {
  const applied = appliedSettings(limits);
  const values = [[...applied.keys()], [...applied.values()], processId];
  return (await client.query(APPLY_SETTINGS, values)).rows.length > 0;
}

async function readSettings(client: Client, limits: SessionLimits): Promise<number> {
  const wanted = wantedSettings(limits);
  const found = await client.query<{ name: string; setting: string }>(READ_SETTINGS, [
    [...wanted.keys(), "server_version_num"],
  ]);
  const versionNum = supportedVersion(found.rows);
  checkSettings(
    wanted,
    found.rows.filter((row) => wanted.has(row.name)),
  );
  return versionNum;
}
