import { z } from "zod";
import { readBy, refuse } from "./read-by.ts";
import type { Refine } from "./read-by.ts";

/** What a new point is compared with the last good one for, and what is not. docs/spec/retention.md */

/** A guard that is off says why, in the words of whoever switched it off. */
export interface GuardOff {
  readonly off: string;
}

/** A fall by this share or more is a finding. */
export type GuardShare = { readonly percent: number } | GuardOff;
export type GuardSwitch = "on" | GuardOff;

export interface Guards {
  readonly rows?: GuardShare | undefined;
  readonly bytes?: GuardShare | undefined;
  readonly tables_gone?: GuardSwitch | undefined;
  readonly tables_unreadable?: GuardSwitch | undefined;
  /** Tables, and partitioned tables with their partitions, that nothing is compared of. */
  readonly except?: readonly { readonly table: string; readonly because: string }[] | undefined;
}

const MAX_REASON_CHARACTERS = 300;
const OFF_FIX = 'Write "off because" and the reason.';

function offOf(value: unknown, context: Refine): GuardOff | undefined {
  if (value === false || (typeof value === "string" && /^off\s*(because\s*)?$/i.test(value))) {
    return refuse(context, value, "a guard switched off without a reason", OFF_FIX);
  }
  const because =
    typeof value === "string" ? /^off because\s+(\S.*)$/s.exec(value)?.[1] : undefined;
  if (because === undefined) return undefined;
  if (because.length > MAX_REASON_CHARACTERS) {
    return refuse(context, value, "a reason of more than 300 characters", "Shorten it.");
  }
  return { off: because.trim() };
}

const share = z.unknown().transform((value, context): GuardShare => {
  const off = offOf(value, context);
  if (off !== undefined) return off;
  const [, number] = typeof value === "string" ? (/^(\d{1,3})\s*%$/.exec(value.trim()) ?? []) : [];
  const percent = Number(number ?? 0);
  if (percent >= 1 && percent <= 100) return { percent };
  const fix = 'Write for example "30 %", or "off because" and the reason.';
  return refuse(context, value, "no share from 1 % to 100 %", fix);
});

const onOrOff = z.unknown().transform((value, context): GuardSwitch => {
  const off = offOf(value, context);
  if (off !== undefined) return off;
  if (value === "on" || value === true) return "on";
  return refuse(
    context,
    value,
    "neither on nor off",
    'Write "on", or "off because" and the reason.',
  );
});

/** As runs name them: quoted only where PostgreSQL would. */
const PART = String.raw`(?:[a-z_][a-z0-9_]*|"(?:[^"]|"")+")`;
const TABLE = new RegExp(String.raw`^${PART}\.${PART}$`, "s");
const table = readBy(
  "no table with its schema",
  "Write it as a run names it, for example public.jobs.",
  (text) => (TABLE.test(text) ? text : undefined),
);

export const guardsSchema = z.strictObject({
  rows: share.optional(),
  bytes: share.optional(),
  tables_gone: onOrOff.optional(),
  tables_unreadable: onOrOff.optional(),
  except: z
    .array(z.strictObject({ table, because: z.string().min(1).max(MAX_REASON_CHARACTERS) }))
    .min(1)
    .optional(),
});
