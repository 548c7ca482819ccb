import type { DatabaseManifest } from "../../manifest/index.ts";
import type { Guards } from "../../policy/index.ts";
import type { ProofDetails } from "../../repository/index.ts";
import type { CaptureIssue } from "../../source/index.ts";
import { judge } from "./judge.ts";
import type { GuardFinding } from "./judge.ts";
import { namedOf, sizesOf } from "./sizes.ts";
import type { Yardstick } from "./yardstick.ts";

/** What the guards said of a new point, whole: what a run shows. */
export interface GuardReport {
  /** `null`: with nothing, and `nothingToCompare` or a finding says why. */
  readonly comparedWith: { readonly snapshot: string; readonly time: string } | null;
  readonly nothingToCompare?: string;
  /** They make the point suspect. */
  readonly findings: readonly GuardFinding[];
  /** Partitions that are gone while others of their table are there: rotation, as far as one can tell. */
  readonly partitionsGone: readonly string[];
  /** Exceptions of the policy that name no table. */
  readonly unusedExceptions: readonly string[];
  /** Switched off by the policy. */
  readonly off: readonly { readonly guard: string; readonly because: string }[];
}

export function guardPoint(
  yardstick: Yardstick,
  captured: { readonly database: DatabaseManifest; readonly issues: readonly CaptureIssue[] },
  guards: Guards,
): GuardReport {
  const { snapshot, sizes, nothing } = yardstick;
  const now = { sizes: sizesOf(captured.database), issues: captured.issues };
  const before = sizes === undefined ? undefined : namedOf(sizes, captured.database);
  const judged = before === undefined ? undefined : judge(before, now, guards);
  return {
    comparedWith:
      snapshot === undefined ? null : { snapshot: snapshot.id, time: snapshot.time.toISOString() },
    ...(nothing === undefined ? {} : { nothingToCompare: nothing }),
    findings: [...yardstick.findings, ...(judged?.findings ?? [])],
    partitionsGone: judged?.partitionsGone ?? [],
    unusedExceptions: judged?.unusedExceptions ?? [],
    off: switchedOff(guards),
  };
}

function switchedOff({ except = [], ...guards }: Guards): GuardReport["off"] {
  const off = Object.entries(guards).flatMap(([guard, said]) =>
    typeof said === "object" && "off" in said ? [{ guard, because: said.off }] : [],
  );
  return [...off, ...except.map(({ table, because }) => ({ guard: table, because }))];
}

const SHOWN = 10;
const SHOWN_CHARACTERS = 240;

/** For the record that makes the point suspect: bounded, whatever the source's names are. */
export function doubtDetails({ comparedWith, findings }: GuardReport): ProofDetails {
  const shown = findings.slice(0, SHOWN).map(({ code, message }, i): [string, string] => {
    const text = Array.from(`${code}: ${message}`).slice(0, SHOWN_CHARACTERS).join("");
    return [`finding ${String(i + 1).padStart(2, "0")}`, text];
  });
  return {
    how: "guards",
    ...(comparedWith === null ? {} : { comparedWith: comparedWith.snapshot }),
    findings: findings.length,
    ...Object.fromEntries(shown),
  };
}
