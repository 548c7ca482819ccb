import { quoted } from "./issues.ts";
import type { Places } from "./places.ts";
import type { Destination } from "./policy.ts";
import type { SecretReference } from "./reference.ts";
import type { PolicyProblem } from "./problem.ts";

/**
 * Classes keep keys apart: what opens a destination of one class must open none of another. Judged by the references, since
 * no secret is looked up here (P4); that two of them hold one value is what `doctor` finds. Pure.
 */
export function classProblems(
  destinations: Readonly<Record<string, Destination>>,
  places: Places,
): readonly PolicyProblem[] {
  const all = Object.entries(destinations);
  if (all.every(([, { class: named }]) => named === undefined)) return [];
  return [
    ...all.flatMap(([name, { class: named }]) => (named === undefined ? [bare(name, places)] : [])),
    ...linkProblems(destinations, places),
    ...sharedSecrets(destinations, places),
  ];
}

function bare(name: string, places: Places): PolicyProblem {
  return {
    ...places.ofKey(["destinations", name]),
    message: `missing key "class" in destinations.${name}, while others have one`,
    fix: 'Add for example "class: production"; or remove it from all.',
  };
}

/** Points of one class in a repository of another would be opened by its key. */
function linkProblems(
  destinations: Readonly<Record<string, Destination>>,
  places: Places,
): readonly PolicyProblem[] {
  return Object.entries(destinations).flatMap(([name, { class: own, copies = [], manifests }]) => {
    const links: (readonly [path: readonly string[], to: string])[] = [
      ...copies.map((to, i) => [["copies", String(i)], to] as const),
      ...(manifests === undefined ? [] : [[["manifests"], manifests] as const]),
    ];
    return links.flatMap(([path, to]) => {
      const other = Object.hasOwn(destinations, to) ? destinations[to]?.class : undefined;
      if (other === undefined || own === undefined || other === own) return [];
      const what = `destinations.${name}.${path[0] ?? ""}`;
      return [
        {
          ...places.ofValue(["destinations", name, ...path]),
          message: `${what} of class ${own} names ${quoted(to)}, of class ${other}`,
          fix: `Name a destination of class ${own}.`,
        },
      ];
    });
  });
}

interface Use {
  readonly destination: string;
  readonly class: string;
  readonly path: readonly string[];
}

function sharedSecrets(
  destinations: Readonly<Record<string, Destination>>,
  places: Places,
): readonly PolicyProblem[] {
  const first = new Map<string, Use>();
  const problems: PolicyProblem[] = [];
  for (const [name, destination] of Object.entries(destinations)) {
    if (destination.class === undefined) continue;
    for (const [path, key] of opening(destination)) {
      const use = { destination: name, class: destination.class, path };
      const known = first.get(key);
      if (known === undefined) first.set(key, use);
      else if (known.class !== use.class) problems.push(shared(known, use, places));
    }
  }
  return problems;
}

function shared(known: Use, use: Use, places: Places): PolicyProblem {
  const at = `destinations.${use.destination}.${use.path.join(".")}`;
  return {
    ...places.ofValue(["destinations", use.destination, ...use.path]),
    message: `${at} of class ${use.class}, which also opens ${known.destination} of class ${known.class}`,
    fix: "Give each class secrets of its own.",
  };
}

/** Everything that opens it, as text to compare: its address too, since two classes in one place are one. */
function opening(destination: Destination): readonly (readonly [readonly string[], string])[] {
  const { url, password } = destination;
  const credentials: Readonly<Record<string, SecretReference | string | undefined>> = {
    ...destination.credentials,
  };
  return [
    [["url"], `url ${url.replace(/\/+$/, "")}`],
    ...(password === undefined ? [] : [[["password"], secretKey(password)] as const]),
    ...Object.entries(credentials).flatMap(([key, value]) =>
      typeof value === "object" ? [[["credentials", key], secretKey(value)] as const] : [],
    ),
  ];
}

function secretKey(reference: SecretReference): string {
  return "env" in reference ? `env ${reference.env}` : `file ${reference.file}`;
}
