import { policyError } from "./errors.ts";
import { nearest } from "./nearest.ts";
import type {
  DumpPlan,
  FilesDestination,
  Plan,
  PointPlan,
  Policy,
  RepositoryDestination,
  Source,
  Target,
} from "./policy.ts";
import type { SecretReference } from "./reference.ts";

export type Named<Value> = Value & { readonly name: string };

/** The plan called `name`; without a name the only one. */
export function planNamed(policy: Policy, name?: string): Named<Plan> {
  return pick("plan", policy.plans, name);
}

export function sourceNamed(policy: Policy, name?: string): Named<Source> {
  return pick("source", policy.sources, name);
}

/** Of the repositories: without a name the only one. */
export function destinationNamed(policy: Policy, name?: string): Named<RepositoryDestination> {
  const { destinations } = policy;
  if (name === undefined) {
    return pick("destination", ofKind(destinations, isRepository), undefined);
  }
  const found = pick("destination", destinations, name);
  if (isRepository(found)) return { ...found, name: found.name };
  throw policyError("not_a_repository", {
    message: `destination ${found.name}, which keeps plain files and no repository`,
    hint: "Name a destination with a password; `sparekeep dumps` lists plain files.",
    subject: { destination: found.name },
  });
}

/** Every destination that is a repository. */
export function repositoryNames({ destinations }: Policy): readonly string[] {
  return Object.keys(ofKind(destinations, isRepository));
}

/** Of those that keep plain files: without a name the only one. */
export function filesDestinationNamed(policy: Policy, name?: string): Named<FilesDestination> {
  const { destinations } = policy;
  if (name === undefined) return pick("files destination", ofKind(destinations, isFiles), name);
  const found = pick("destination", destinations, name);
  if (isFiles(found)) return { ...found, name: found.name };
  throw policyError("not_a_file_store", {
    message: `destination ${found.name}, which is a repository and keeps no plain files`,
    hint: "Name a destination with `files: true`; `sparekeep snapshots` lists what a repository holds.",
    subject: { destination: found.name },
  });
}

export function dumpPlanNamed(policy: Policy, name?: string): Named<DumpPlan> {
  if (name === undefined) return pick("pg_dump plan", ofKind(policy.plans, isDump), name);
  const found = pick("plan", policy.plans, name);
  if (isDump(found)) return { ...found, name: found.name };
  throw policyError("not_a_dump_plan", {
    message: `plan ${found.name}, which makes no portable dumps`,
    hint: "Name a plan with `capture: pg_dump`.",
    subject: { plan: found.name },
  });
}

/** One that makes recovery points. */
export function pointPlanNamed(policy: Policy, name?: string): Named<PointPlan> {
  const found = pick("plan", policy.plans, name);
  if (!isDump(found)) return { ...found, name: found.name };
  throw policyError("not_a_point_plan", {
    message: `plan ${found.name}, which makes portable dumps and no recovery points`,
    hint: "Name a plan that captures everything, the schema or tables.",
    subject: { plan: found.name },
  });
}

function isDump(plan: Plan): plan is DumpPlan {
  return plan.capture === "pg_dump";
}

function isRepository(
  destination: Policy["destinations"][string],
): destination is RepositoryDestination {
  return destination.files !== true && destination.password !== undefined;
}

function isFiles(destination: Policy["destinations"][string]): destination is FilesDestination {
  return destination.files === true;
}

function ofKind<Value, Kind extends Value>(
  defined: Readonly<Record<string, Value>>,
  is: (value: Value) => value is Kind,
): Readonly<Record<string, Kind>> {
  const found = Object.entries(defined).flatMap(([name, value]): [string, Kind][] =>
    is(value) ? [[name, value]] : [],
  );
  return Object.fromEntries(found);
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
