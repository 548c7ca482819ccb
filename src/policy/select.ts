import { policyError } from "./errors.ts";
import { nearest } from "./nearest.ts";
import type { Destination, Plan, Policy, SecretReference, Source, Target } from "./policy.ts";

export type Named<Value> = Value & { readonly name: string };

/** The plan called `name`; without a name the only one. */
export function planNamed(policy: Policy, name?: string): Named<Plan> {
  return pick("plan", policy.plans, name);
}

export function sourceNamed(policy: Policy, name?: string): Named<Source> {
  return pick("source", policy.sources, name);
}

export function destinationNamed(policy: Policy, name?: string): Named<Destination> {
  return pick("destination", policy.destinations, name);
}

export function targetNamed(policy: Policy, name?: string): Named<Target> {
  return pick("target", policy.targets, name);
}

/** A policy of one destination: all that reading a repository takes on a machine that has lost everything else. */
export function repositoryOnlyPolicy(url: string, password: SecretReference): Policy {
  return {
    name: "repository",
    sources: {},
    destinations: { repository: { url, password } },
    plans: {},
    targets: {},
  };
}

function pick<Value extends object>(
  what: string,
  defined: Readonly<Record<string, Value>>,
  name: string | undefined,
): Named<Value> {
  const names = Object.keys(defined);
  const chosen = name ?? (names.length === 1 ? names[0] : undefined);
  if (chosen === undefined) {
    throw policyError("ambiguous", {
      message:
        names.length === 0 ? `no ${what} in the policy` : `${names.length} ${what}s to choose from`,
      hint:
        names.length === 0
          ? `Define a ${what} in the policy.`
          : `Name one of: ${names.join(", ")}.`,
    });
  }
  const value = Object.hasOwn(defined, chosen) ? defined[chosen] : undefined;
  if (value === undefined) {
    const meant = nearest(chosen, names);
    throw policyError("unknown_name", {
      message: `unknown ${what} "${chosen}"`,
      hint:
        meant === undefined
          ? names.length === 0
            ? `Define a ${what} in the policy.`
            : `Name one of: ${names.join(", ")}.`
          : `Write "${meant}".`,
      subject: { [what]: chosen },
    });
  }
  return { ...value, name: chosen };
}
