import { dumpNameProblem } from "./dump-name.ts";
import type { Places } from "./places.ts";
import { gitTargetOf } from "./git-target.ts";
import type { Capture, DumpPlan, Encryption, Plan, PointPlan } from "./policy.ts";
import type { SecretReference } from "./reference.ts";
import type { PolicyProblem } from "./problem.ts";

/** What the schema takes of a plan, whatever it captures; {@link planOf} makes the one kind or the other of it. */
export interface ParsedPlan {
  readonly source: string;
  readonly capture: Capture | "pg_dump";
  readonly to: Parameters<typeof gitTargetOf>[0];
  readonly except?: PointPlan["except"];
  readonly keep?: PointPlan["keep"];
  readonly guards?: PointPlan["guards"];
  readonly encrypt?:
    | {
        readonly gpg?: readonly string[] | undefined;
        readonly keys?: readonly string[] | undefined;
        readonly passphrase?: SecretReference | undefined;
      }
    | undefined;
  readonly name?: string | undefined;
}

type Report = (path: readonly string[], message: string, fix: string) => PolicyProblem;

/** Which keys of a plan go with which capture, and which capture with which destination. */
export function planProblems(
  name: string,
  plan: ParsedPlan,
  destination: { readonly files?: true | undefined } | undefined,
  places: Places,
): readonly PolicyProblem[] {
  const label = `plans.${name}`;
  const missing: Report = (path, message, fix) => ({
    ...places.ofKey(["plans", name, ...path]),
    message,
    fix,
  });
  const wrong: Report = (path, message, fix) => ({
    ...places.ofValue(["plans", name, ...path]),
    message: `${label}.${path.join(".")}: ${message}`,
    fix,
  });
  if (plan.capture !== "pg_dump") {
    const captured = typeof plan.capture === "string" ? plan.capture : "tables";
    return [
      ...(["encrypt", "name"] as const)
        .filter((key) => plan[key] !== undefined)
        .map((key) =>
          missing(
            [key],
            `${label}.${key}, which means nothing for capture: ${captured}`,
            "Remove it; or write capture: pg_dump.",
          ),
        ),
      ...(destination?.files === true
        ? [
            wrong(
              ["to"],
              `${captured} into a destination of plain files`,
              "Name a destination that is a repository; or write capture: pg_dump.",
            ),
          ]
        : []),
    ];
  }
  return [
    ...(destination !== undefined && destination.files !== true
      ? [
          wrong(
            ["to"],
            "a pg_dump file into a repository",
            'Name a destination with "files: true"; or write capture: everything.',
          ),
        ]
      : []),
    ...(plan.guards === undefined
      ? []
      : [
          missing(
            ["guards"],
            `${label}.guards, which nothing compares for plain files`,
            "Remove them.",
          ),
        ]),
    ...(plan.keep === undefined
      ? []
      : [
          missing(
            ["keep"],
            `${label}.keep, which nothing carries out for plain files yet`,
            "Remove it; let a lifecycle rule of the bucket end old files.",
          ),
        ]),
    ...nameProblems(label, plan, missing, wrong),
    ...encryptionProblems(label, plan, missing, wrong),
  ];
}

function nameProblems(
  label: string,
  { name }: ParsedPlan,
  missing: Report,
  wrong: Report,
): readonly PolicyProblem[] {
  if (name === undefined) {
    const fix = 'Add for example "name: shop_{date}.dump.gpg".';
    return [missing([], `missing key "name" in ${label}`, fix)];
  }
  const problem = dumpNameProblem(name);
  return problem === undefined ? [] : [wrong(["name"], problem.message, problem.fix)];
}

function encryptionProblems(
  label: string,
  { encrypt }: ParsedPlan,
  missing: Report,
  wrong: Report,
): readonly PolicyProblem[] {
  if (encrypt === undefined) {
    const fix = 'Add "encrypt: { gpg: [FINGERPRINT], keys: [FILE of the public key] }".';
    return [missing([], `missing key "encrypt" in ${label}`, fix)];
  }
  const { gpg, keys, passphrase } = encrypt;
  if (passphrase !== undefined) {
    if (gpg === undefined && keys === undefined) return [];
    const fix = "Keep gpg and keys; with a passphrase the server itself could decrypt.";
    return [wrong(["encrypt"], "both keys and a passphrase", fix)];
  }
  if (gpg === undefined) {
    return [wrong(["encrypt"], "no recipient", 'Add "gpg: [FINGERPRINT]".')];
  }
  if (keys === undefined) {
    const fix = 'Add "keys: [FILE]" with the public key, as "gpg --export --armor" writes it.';
    return [wrong(["encrypt"], "recipients without the files of their public keys", fix)];
  }
  const repeated = gpg.find((one, i) => gpg.indexOf(one) !== i);
  return repeated === undefined
    ? []
    : [wrong(["encrypt", "gpg"], "a recipient who stands twice", "Remove one of the two.")];
}

export interface PlanPaths {
  readonly directory: string;
  readonly path: (text: string) => string;
  readonly secret: (reference: SecretReference) => SecretReference;
}

/** Of a plan without problems; `undefined` where there is one, which has been reported. */
export function planOf(plan: ParsedPlan, paths: PlanPaths): Plan | undefined {
  const { source, to, keep, guards, name, except } = plan;
  if (plan.capture !== "pg_dump") {
    const git = gitTargetOf(to, paths.directory);
    return {
      source,
      capture: plan.capture,
      to: to.and,
      ...(except === undefined ? {} : { except }),
      ...(keep === undefined ? {} : { keep }),
      ...(guards === undefined ? {} : { guards }),
      ...(git === undefined ? {} : { git }),
    };
  }
  const encrypt = encryptionOf(plan.encrypt, paths);
  if (encrypt === undefined || name === undefined) return undefined;
  const dump: DumpPlan = { source, capture: plan.capture, to: to.and, encrypt, file: name };
  return dump;
}

function encryptionOf(
  encrypt: ParsedPlan["encrypt"],
  { path, secret }: PlanPaths,
): Encryption | undefined {
  if (encrypt?.passphrase !== undefined) return { passphrase: secret(encrypt.passphrase) };
  if (encrypt?.gpg === undefined || encrypt.keys === undefined) return undefined;
  return { gpg: encrypt.gpg, keys: encrypt.keys.map(path) };
}
