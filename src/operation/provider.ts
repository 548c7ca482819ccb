/*
 * effects
 *   reads         of each source that the policy names under `provider`: its project and its backups, through the Management API; from the database, READ ONLY, when it was last written to
 *   writes        one audit record
 *   locks         none
 *   leaves behind nothing
 *   exit codes    0; 1 the Management API cannot be reached or refuses; 2 nothing of it in the policy; 21 an expectation is missed; 130
 */
import { sourceNamed } from "../policy/index.ts";
import type { Policy, ProviderPolicy } from "../policy/index.ts";
import { readLastWrite } from "../source/index.ts";
import { recordAccess } from "./audit-log.ts";
import type { OperationContext } from "./context.ts";
import { operationError } from "./errors.ts";
import { judgeProvider } from "./judge-provider.ts";
import type { ProviderFinding } from "./judge-provider.ts";
import { managementOf } from "./management.ts";
import { connectionUrl } from "./open.ts";

export interface WatchProvidersOptions {
  readonly policy: Policy;
  /** Only of this source. */
  readonly source?: string;
}

export interface ProviderLine {
  readonly source: string;
  readonly project: string;
  readonly region: string;
  readonly status: string;
  readonly outcome: "met" | "missed";
  readonly expected: readonly ("pitr" | "daily_backup")[];
  readonly pitr: boolean;
  /** Of point-in-time recovery. */
  readonly window?: { readonly earliest: string; readonly latest: string };
  /** Newest first. */
  readonly backups: readonly {
    readonly at: string;
    readonly status: string;
    readonly physical: boolean;
  }[];
  readonly lastWrite: { readonly at: string; readonly from: string } | { readonly unknown: string };
  readonly findings: readonly ProviderFinding[];
  readonly notes: readonly string[];
}

export interface ProvidersResult {
  readonly outcome: "met" | "missed";
  readonly providers: readonly ProviderLine[];
}

export async function watchProviders(
  context: OperationContext,
  { policy, source }: WatchProvidersOptions,
): Promise<ProvidersResult> {
  const watched = Object.entries(policy.provider ?? {}).filter(
    ([name]) => source === undefined || name === source,
  );
  if (watched.length === 0) {
    if (source !== undefined) sourceNamed(policy, source);
    const what = source === undefined ? "" : ` for source ${source}`;
    throw operationError("no_provider", { message: `no expectation of a provider${what}` });
  }
  const sources = watched.map(([name]) => name).join(" ");
  await recordAccess(context, policy, "provider", { sources });
  const providers: ProviderLine[] = [];
  for (const [name, expected] of watched) {
    providers.push(await watch(context, policy, name, expected));
  }
  const missed = providers.some(({ outcome }) => outcome === "missed");
  return { outcome: missed ? "missed" : "met", providers };
}

async function watch(
  context: OperationContext,
  policy: Policy,
  name: string,
  { expect }: ProviderPolicy,
): Promise<ProviderLine> {
  const source = sourceNamed(policy, name);
  const api = await managementOf(context, source);
  const project = await api.project();
  const backups = await api.backups();
  const { signal, clock } = context;
  const url = await connectionUrl(context, source.connection);
  const lastWrite = await readLastWrite({ url, signal });
  const timezone = policy.timezone ?? "UTC";
  const facts = { now: clock.now(), timezone, project, backups, lastWrite };
  const { findings, notes } = judgeProvider(expect, facts);
  const { earliest, latest } = backups;
  return {
    source: name,
    project: api.ref,
    region: backups.region,
    status: project.status,
    outcome: findings.length === 0 ? "met" : "missed",
    expected: expect.one_of,
    pitr: backups.pitr,
    ...(earliest === undefined || latest === undefined
      ? {}
      : { window: { earliest: earliest.toISOString(), latest: latest.toISOString() } }),
    backups: backups.backups.map(({ at, ...rest }) => ({ at: at.toISOString(), ...rest })),
    lastWrite:
      "at" in lastWrite ? { at: lastWrite.at.toISOString(), from: lastWrite.from } : lastWrite,
    findings,
    notes,
  };
}
