/**
 * Logical replication slots of a server: a provider's restore does not begin while there are any. Dropping them is one of
 * the few things that we ever do to a source: docs/source-writes.md.
 */
import { AppError } from "../../kernel/index.ts";
import type { Clock, Secret } from "../../kernel/index.ts";
import { connect, parseTarget } from "../../postgres/index.ts";
import type { Connection } from "../../postgres/index.ts";
import { sourceError } from "../errors.ts";

export interface LogicalSlot {
  readonly name: string;
  readonly plugin: string;
  readonly database: string;
  /** Who reads it now: its session is ended when the slot is dropped. */
  readonly reader?: { readonly pid: number; readonly application: string };
}

export interface SlotOptions {
  readonly url: Secret;
  readonly signal: AbortSignal;
}

const LIST = `
  SELECT s.slot_name AS name, s.plugin, s.database, s.active_pid AS pid,
         coalesce(a.application_name, '') AS application
    FROM pg_replication_slots s LEFT JOIN pg_stat_activity a ON a.pid = s.active_pid
   WHERE s.slot_type = 'logical' AND NOT s.temporary
   ORDER BY s.slot_name`;

export async function listLogicalSlots(options: SlotOptions): Promise<readonly LogicalSlot[]> {
  await using session = await connect({
    ...options,
    applicationName: "sparekeep list slots",
    readOnly: true,
  });
  const rows = await session.query<{
    name: string;
    plugin: string;
    database: string;
    pid: number | null;
    application: string;
  }>(LIST);
  return rows.map(({ pid, application, ...slot }) => ({
    ...slot,
    ...(pid === null ? {} : { reader: { pid, application } }),
  }));
}

const DROP_ATTEMPTS = 50;
const BETWEEN_MS = 200;

export interface DropSlotsOptions extends SlotOptions {
  readonly names: readonly string[];
  readonly clock: Pick<Clock, "sleep">;
  readonly onDropped: (name: string) => void;
}

/** Each is gone when `onDropped` is told of it. One that is gone already counts as dropped. */
export async function dropLogicalSlots(options: DropSlotsOptions): Promise<void> {
  const { url, signal, names, onDropped } = options;
  if (names.length === 0) return;
  await using session = await connect({
    url,
    signal,
    applicationName: "sparekeep drop slots",
    readOnly: false,
  });
  for (const name of names) {
    await dropSlot(session, name, options);
    onDropped(name);
  }
}

/** A reader that was ended may come back before the slot is dropped. */
async function dropSlot(
  session: Connection,
  name: string,
  { clock, signal }: DropSlotsOptions,
): Promise<void> {
  for (let attempt = 1; attempt <= DROP_ATTEMPTS; attempt += 1) {
    const [slot] = await session.query<{ pid: number | null }>(
      "SELECT active_pid AS pid FROM pg_replication_slots WHERE slot_name = $1 AND slot_type = 'logical'",
      [name],
    );
    if (slot === undefined) return;
    if (slot.pid !== null) await session.query("SELECT pg_terminate_backend($1)", [slot.pid]);
    try {
      await session.query("SELECT pg_drop_replication_slot($1)", [name]);
      return;
    } catch (thrown) {
      if (!(thrown instanceof AppError) || !isPassing(thrown)) throw thrown;
      await clock.sleep(BETWEEN_MS, signal);
    }
  }
  throw sourceError("slot_in_use", {
    message: `logical slot ${name} that is in use again whenever its reader is ended`,
    subject: { slot: name },
  });
}

/** In use, or gone meanwhile. */
function isPassing(error: AppError): boolean {
  return ["55006", "42704"].includes(String(error.subject["sqlstate"]));
}

/** The project that a connection string says it leads to; `undefined` where it does not say. */
export function projectOfConnection(url: Secret): string | undefined {
  const { host, user } = parseTarget(url);
  const direct = /^db\.([a-z]{20})\.supabase\.[a-z]+$/.exec(host)?.[1];
  if (direct !== undefined) return direct;
  return /\.pooler\.supabase\.[a-z]+$/.test(host) ? /\.([a-z]{20})$/.exec(user)?.[1] : undefined;
}
