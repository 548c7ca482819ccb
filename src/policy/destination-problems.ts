import { quoted } from "./issues.ts";
import type { Places } from "./places.ts";
import type { Destination } from "./policy.ts";
import type { PolicyProblem } from "./problem.ts";

/** Which keys of a destination mean something for which kind of store: what nothing carries out is no key (P2). */

const SCHEME = /^([a-z][a-z0-9+.-]+):/i;

/** In small letters; `undefined` for a path. One letter is a drive. */
export function schemeOf(url: string): string | undefined {
  return SCHEME.exec(url)?.[1]?.toLowerCase();
}

type Key = keyof Destination;

const EVERYWHERE: readonly Key[] = [
  "url",
  "class",
  "password",
  "limits",
  "copies",
  "owners",
  "check",
  "files",
  "manifests",
];
const NETWORK: readonly Key[] = [...EVERYWHERE, "credentials", "tls"];

const KEYS: Readonly<Record<string, readonly Key[]>> = {
  folder: EVERYWHERE,
  file: EVERYWHERE,
  s3: [...NETWORK, "region", "endpoint", "path_style", "storage_class", "encryption", "lock"],
  gs: [...NETWORK, "endpoint", "storage_class"],
  rest: [...NETWORK, "beside"],
};

const CREDENTIALS: Readonly<Record<string, readonly string[]>> = {
  s3: ["access_key", "secret_key", "session_token"],
  gs: ["service_account"],
  rest: ["username", "password"],
};

export function destinationProblems(
  name: string,
  destination: Destination,
  places: Places,
): readonly PolicyProblem[] {
  const scheme = schemeOf(destination.url) ?? "folder";
  const at = (path: readonly string[]): { line: number; column: number } =>
    places.ofValue(["destinations", name, ...path]);
  const known = KEYS[scheme];
  if (known === undefined) {
    const message = `destinations.${name}.url of the unknown kind ${quoted(`${scheme}:`)}`;
    const fix = "Name a folder, or a URL that begins with file:, s3:, gs: or rest:.";
    return [{ ...at(["url"]), message, fix }];
  }
  if (/^[a-z0-9+.:-]*\/\/[^/?#]*@/i.test(destination.url)) {
    const message = `destinations.${name}.url with a user or password in it`;
    return [{ ...at(["url"]), message, fix: "Put them under credentials:, as references." }];
  }
  const strange = Object.entries(destination)
    .filter(([key, value]) => value !== undefined && !known.some((name) => name === key))
    .map(([key]) => ({
      ...places.ofKey(["destinations", name, key]),
      message: `destinations.${name}.${key}, which means nothing for ${scheme === "folder" ? "a folder" : `${scheme}:`}`,
      fix: "Remove it.",
    }));
  if (destination.files === true) {
    return [
      ...strange,
      ...filesProblems(name, destination, scheme, places),
      ...credentialProblems(name, destination, scheme, places),
    ];
  }
  if (destination.password === undefined) {
    return [
      {
        ...places.ofKey(["destinations", name]),
        message: `missing key "password" in destinations.${name}`,
        fix: 'Add "password: { file: PATH }" or "password: { env: NAME }"; or "files: true" where plain files shall lie.',
      },
    ];
  }
  if (destination.manifests !== undefined) {
    return [
      {
        ...places.ofKey(["destinations", name, "manifests"]),
        message: `destinations.${name}.manifests of a repository`,
        fix: 'Remove it; it belongs to destinations with "files: true".',
      },
    ];
  }
  const beside = destination.beside === undefined ? undefined : schemeOf(destination.beside);
  const foreign =
    beside === undefined || beside === "file"
      ? []
      : [
          {
            ...at(["beside"]),
            message: `destinations.${name}.beside that is no folder`,
            fix: "Name a folder, as a path or as a file: URL.",
          },
        ];
  return [...strange, ...foreign, ...credentialProblems(name, destination, scheme, places)];
}

/** What belongs to a repository alone. */
const REPOSITORY_KEYS: readonly Key[] = [
  "password",
  "copies",
  "owners",
  "check",
  "lock",
  "beside",
  "storage_class",
];

function filesProblems(
  name: string,
  destination: Destination,
  scheme: string,
  places: Places,
): readonly PolicyProblem[] {
  const strange = REPOSITORY_KEYS.filter((key) => destination[key] !== undefined).map((key) => ({
    ...places.ofKey(["destinations", name, key]),
    message: `destinations.${name}.${key}, which means nothing for plain files`,
    fix: key === "password" ? "Remove it; plain files are encrypted by their plan." : "Remove it.",
  }));
  if (scheme !== "rest") return strange;
  const message = `destinations.${name}.files at restic's REST server, which takes nothing but repositories`;
  const fix = "Name a folder, or a URL that begins with file:, s3: or gs:.";
  return [{ ...places.ofKey(["destinations", name, "files"]), message, fix }, ...strange];
}

function credentialProblems(
  name: string,
  { credentials }: Destination,
  scheme: string,
  places: Places,
): readonly PolicyProblem[] {
  const known = CREDENTIALS[scheme];
  if (credentials === undefined || known === undefined) return [];
  const given = Object.entries(credentials).flatMap(([key, value]) =>
    value === undefined ? [] : [key],
  );
  const path = ["destinations", name, "credentials"];
  const strange = given
    .filter((key) => !known.includes(key))
    .map((key) => ({
      ...places.ofKey([...path, key]),
      message: `${path.join(".")}.${key}, which means nothing for ${scheme}:`,
      fix: `Use ${known.join(", ")}.`,
    }));
  const half =
    scheme === "s3" && given.includes("access_key") !== given.includes("secret_key")
      ? [
          {
            ...places.ofKey(path),
            message: `${path.join(".")} with half of a key`,
            fix: "Give both access_key and secret_key.",
          },
        ]
      : [];
  return [...strange, ...half];
}
