/**
 * What would make a project's configuration that of a snapshot, setting by setting. Pure: the same function says before what
 * is to be done, and after the requests what is left of it.
 *
 * 1. each document that a request sets, in the order of the requests, setting by setting
 * 2. secrets of the Edge Functions, then the functions, which need them
 * 3. network restrictions and TLS: they may keep out whoever would put the rest back
 * 4. documents that nothing here sets: where they differ they are named
 *
 * What cannot be read now is never written: it could be what is wanted already, or what somebody needs.
 */
import { outsideName } from "../../manifest/index.ts";
import { planFunctions } from "./plan-functions.ts";
import { BY_HAND, isFields, LAST_SERVICES, SERVICES } from "./services.ts";
import type { Service } from "./services.ts";
import type {
  PlannedRequest,
  PlannedSetting,
  ProjectPlan,
  ProjectSide,
  SecretNeed,
  SecretState,
  Settings,
} from "./types.ts";

type Part = ProjectPlan;
const NOTHING: Part = { same: 0, settings: [], requests: [] };

/** `secrets` by their names under `outside`: those of {@link secretNeeds}. */
export function planProject(
  stored: ProjectSide,
  live: ProjectSide,
  secrets: ReadonlyMap<string, SecretState>,
): ProjectPlan {
  const parts = [
    ...SERVICES.map((service) => planService(service, stored, live, secrets)),
    planEdgeSecrets(stored, live, secrets),
    readable("functions", stored, live) ?? planFunctions(stored, live),
    ...LAST_SERVICES.map((service) => planService(service, stored, live, secrets)),
    ...Object.keys(BY_HAND).map((name) => compareWhole(name, stored, live)),
  ];
  return {
    same: parts.reduce((sum, { same }) => sum + same, 0),
    settings: parts.flatMap(({ settings }) => settings),
    requests: parts.flatMap(({ requests }) => requests),
  };
}

/** Secrets that the snapshot holds as seals and the project has not: their values must come from elsewhere. */
export function secretNeeds(stored: ProjectSide, live: ProjectSide): readonly SecretNeed[] {
  const needs: SecretNeed[] = [];
  for (const service of [...SERVICES, ...LAST_SERVICES]) {
    const [to, from] = [stored, live].map(({ documents }) =>
      service.read(documents.get(service.name)),
    );
    for (const [setting, value] of Object.entries(to ?? {})) {
      if (sealOf(value) === undefined || sameValue(value, from?.[setting])) continue;
      if (service.refusal(setting, value) !== undefined) continue;
      const name = outsideName(service.name, setting);
      needs.push({ name, sealedAs: `${service.name}.${setting}` });
    }
  }
  for (const { name, seal } of edgeSecretsOf(stored)) {
    if (edgeSecretsOf(live).some((one) => one.name === name && one.seal === seal)) continue;
    needs.push({ name, sealedAs: `edge.${name}` });
  }
  return needs;
}

/** The body of a planned request. `reveal` gives secrets by their names under `outside`. */
export function requestBody(
  { service: name }: PlannedRequest,
  plan: ProjectPlan,
  stored: ProjectSide,
  reveal: (name: string) => string,
): unknown {
  const service = [...SERVICES, ...LAST_SERVICES].find((one) => one.name === name);
  const all = service?.read(stored.documents.get(name));
  if (service === undefined || all === undefined) throw new RangeError(`no service ${name}`);
  const planned = plan.settings.filter((one) => one.service === name && one.sign !== "!");
  const wanted = planned.map(({ setting, to, secret }): [string, unknown] => [
    setting,
    secret === undefined ? (to ?? null) : reveal(secret),
  ]);
  const settings: Settings = Object.fromEntries(wanted);
  return service.body(settings, all);
}

function planService(
  service: Service,
  stored: ProjectSide,
  live: ProjectSide,
  secrets: ReadonlyMap<string, SecretState>,
): Part {
  const stop = readable(service.name, stored, live);
  if (stop !== undefined) return stop;
  const to = service.read(stored.documents.get(service.name));
  const from = service.read(live.documents.get(service.name));
  if (to === undefined || from === undefined) {
    return blocked(service.name, "it is not of the form that this version knows");
  }
  const settings: PlannedSetting[] = [];
  let same = 0;
  for (const setting of [...new Set([...Object.keys(to), ...Object.keys(from)])].toSorted()) {
    if (sameValue(to[setting], from[setting])) same += 1;
    else settings.push(planSetting(service, setting, { to, from, secrets }));
  }
  const set = settings.filter(({ sign }) => sign !== "!").map(({ setting }) => setting);
  const { name, method, path, permission } = service;
  const request = { service: name, method, path, permission, settings: set };
  return { same, settings, requests: set.length === 0 ? [] : [request] };
}

function planSetting(
  service: Service,
  setting: string,
  {
    to,
    from,
    secrets,
  }: {
    readonly to: Settings;
    readonly from: Settings;
    readonly secrets: ReadonlyMap<string, SecretState>;
  },
): PlannedSetting {
  const sides = {
    service: service.name,
    setting,
    ...given("from", from[setting]),
    ...given("to", to[setting]),
  };
  const value = to[setting];
  if (value === undefined && service.replaces !== true)
    return { ...sides, sign: "!", reason: "the snapshot does not hold it" };
  const refusal = service.refusal(setting, value ?? null);
  if (refusal !== undefined) return { ...sides, sign: "!", reason: refusal };
  const sign = isUnset(value) ? "-" : isUnset(from[setting]) ? "+" : "*";
  const seal = sealOf(value);
  if (seal === undefined) return { ...sides, sign };
  const secret = outsideName(service.name, setting);
  const reason = secretProblem(secrets.get(secret), seal);
  return reason === undefined ? { ...sides, sign, secret } : { ...sides, sign: "!", reason };
}

function secretProblem(state: SecretState | undefined, seal: string): string | undefined {
  if (state === undefined) return "a secret, and the policy names no place for it under outside:";
  if ("problem" in state) return `a secret: ${state.problem}`;
  return state.seal === seal
    ? undefined
    : "a secret: its place holds another one than the snapshot was made with";
}

function planEdgeSecrets(
  stored: ProjectSide,
  live: ProjectSide,
  secrets: ReadonlyMap<string, SecretState>,
): Part {
  const service = "edge-secrets";
  const stop = readable(service, stored, live);
  if (stop !== undefined) return stop;
  const [to, from] = [edgeSecretsOf(stored), edgeSecretsOf(live)];
  const settings: PlannedSetting[] = [];
  let same = 0;
  for (const { name, seal } of to) {
    const found = from.find((one) => one.name === name);
    if (found?.seal === seal) {
      same += 1;
      continue;
    }
    const sides = {
      service,
      setting: name,
      ...given("from", found === undefined ? undefined : { sealed: found.seal }),
      to: { sealed: seal },
    };
    // Which digest the API makes is not described: whether it is the same secret is seen afterwards.
    const state = secrets.get(name);
    const reason = state !== undefined && "seal" in state ? undefined : secretProblem(state, seal);
    const sign = found === undefined ? "+" : "*";
    settings.push(
      reason === undefined ? { ...sides, sign, secret: name } : { ...sides, sign: "!", reason },
    );
  }
  for (const { name, seal } of from) {
    if (to.some((one) => one.name === name)) continue;
    const reason = "it is not in the snapshot; nothing here removes it";
    settings.push({ service, setting: name, sign: "!", from: { sealed: seal }, reason });
  }
  const set = settings.filter(({ sign }) => sign !== "!").map(({ setting }) => setting);
  const request: PlannedRequest = {
    service,
    method: "POST",
    path: "/secrets",
    permission: "edge_functions_secrets_write",
    settings: set,
  };
  return { same, settings, requests: set.length === 0 ? [] : [request] };
}

/** Without those that the platform makes for each project anew. */
function edgeSecretsOf({ documents }: ProjectSide): readonly { name: string; seal: string }[] {
  const listed = documents.get("edge-secrets");
  return (Array.isArray(listed) ? listed : []).flatMap((one: unknown) => {
    const seal = isFields(one) ? one["sealed"] : undefined;
    if (!isFields(one) || typeof one["name"] !== "string" || typeof seal !== "string") return [];
    return one["name"].startsWith("SUPABASE_") ? [] : [{ name: one["name"], seal }];
  });
}

function compareWhole(name: string, stored: ProjectSide, live: ProjectSide): Part {
  const stop = readable(name, stored, live);
  if (stop !== undefined) return stop;
  const [to, from] = [stored.documents.get(name), live.documents.get(name)];
  if (sameValue(to, from)) return { ...NOTHING, same: 1 };
  const reason = BY_HAND[name] ?? "";
  const setting = { service: name, setting: "", sign: "!" as const, from, to, reason };
  return { ...NOTHING, settings: [setting] };
}

/** What there is nothing to plan for; `undefined` where both sides were read. */
function readable(name: string, stored: ProjectSide, live: ProjectSide): Part | undefined {
  const [before, now] = [stored, live].map((side) => side.documents.has(name));
  if (before === true && now === true) return undefined;
  // A custom hostname is asked for only where the add-on is taken.
  const gone = (side: ProjectSide): boolean =>
    side.absent.has(name) || (name === "custom-hostname" && !side.documents.has(name));
  if (before !== true) {
    if (gone(stored)) return gone(live) || now === true ? NOTHING : blocked(name, UNREAD);
    return blocked(name, "the snapshot does not hold it");
  }
  if (!gone(live)) return blocked(name, UNREAD);
  return blocked(name, `this project does not have it: ${live.absent.get(name) ?? "not set up"}`);
}

const UNREAD = "it cannot be read now: nothing is written blind";

function blocked(service: string, reason: string): Part {
  return { ...NOTHING, settings: [{ service, setting: "", sign: "!", reason }] };
}

/** Null, empty and left out are the same to the platform's services: not set. */
function isUnset(value: unknown): boolean {
  return value === undefined || value === null || value === "";
}

export function sameValue(a: unknown, b: unknown): boolean {
  return (isUnset(a) && isUnset(b)) || canonical(a) === canonical(b);
}

function canonical(value: unknown): string | undefined {
  return JSON.stringify(value, (_key, item: unknown) =>
    isFields(item)
      ? Object.fromEntries(Object.entries(item).toSorted(([a], [b]) => (a < b ? -1 : 1)))
      : item,
  );
}

function sealOf(value: unknown): string | undefined {
  if (!isFields(value) || Object.keys(value).length !== 1) return undefined;
  return typeof value["sealed"] === "string" ? value["sealed"] : undefined;
}

function given(key: "from" | "to", value: unknown): { from?: unknown; to?: unknown } {
  return value === undefined ? {} : { [key]: value };
}
