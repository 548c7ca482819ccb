import { z } from "zod";
import { passwordProblem } from "./connection-text.ts";

/**
 * The schema of the policy file, version 1. Only what this version carries out is a key here; everything else is an
 * unknown key (docs/spec/policy.md says how it grows).
 */

/** Where a secret is kept. The policy file itself never holds one (I10). */
export type SecretReference = { readonly env: string } | { readonly file: string };

/** A reference, or a connection string without a password. */
export type ConnectionReference = SecretReference | { readonly text: string };

const NAME = /^[a-z][a-z0-9-]{0,62}$/;
const ENV_NAME = /^[A-Za-z_][A-Za-z0-9_]*$/;

type Refine = { issues: z.core.$ZodRawIssue[] };

function refuse(context: Refine, input: unknown, message: string, fix: string): never {
  context.issues.push({ code: "custom", message, params: { fix }, input });
  return z.NEVER;
}

function readReference(value: unknown, context: Refine): SecretReference {
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    return refuse(context, value, "no secret reference", "Write { env: NAME } or { file: PATH }.");
  }
  const entries = Object.entries(value);
  const [key, text] = entries[0] ?? [];
  if (entries.length !== 1 || (key !== "env" && key !== "file") || typeof text !== "string") {
    return refuse(
      context,
      value,
      "no known secret reference",
      "Write exactly one of { env: NAME } and { file: PATH }.",
    );
  }
  if (key === "env" && !ENV_NAME.test(text)) {
    return refuse(
      context,
      value,
      "no possible name of an environment variable",
      "Use letters, digits and underscores.",
    );
  }
  if (text === "")
    return refuse(context, value, "an empty file path", "Write the path of the file.");
  return key === "env" ? { env: text } : { file: text };
}

const password = z.unknown().transform((value, context): SecretReference => {
  if (typeof value === "string" || typeof value === "number") {
    return refuse(
      context,
      value,
      "a plain password in the policy",
      "Put the password into a file that only you can read and write { file: PATH } here, or { env: NAME }.",
    );
  }
  return readReference(value, context);
});

const connection = z.unknown().transform((value, context): ConnectionReference => {
  if (typeof value !== "string") return readReference(value, context);
  const problem = passwordProblem(value);
  if (problem !== undefined) {
    return refuse(
      context,
      value,
      problem,
      "Put the whole connection string into a file that only you can read and write { file: PATH } here, or { env: NAME }.",
    );
  }
  return { text: value };
});

const name = z.string().regex(NAME, "a name of small letters, digits and dashes");

const source = z.strictObject({ kind: z.enum(["postgres"]), connection });
const target = z.strictObject({ kind: z.enum(["postgres"]), connection });
const destination = z.strictObject({ url: z.string().min(1), password });
const plan = z.strictObject({
  source: z.string(),
  capture: z.enum(["everything"]),
  to: z.string(),
});

export const policySchema = z.strictObject({
  sparekeep: z.literal(1),
  name,
  state: z.string().min(1).optional(),
  sources: z.record(name, source),
  destinations: z.record(name, destination),
  plans: z.record(name, plan),
  targets: z.record(name, target).optional(),
});

export interface Source {
  readonly kind: "postgres";
  readonly connection: ConnectionReference;
}

export type Target = Source;

export interface Destination {
  /** A folder, or its `file:` URL. */
  readonly url: string;
  readonly password: SecretReference;
}

export interface Plan {
  readonly source: string;
  readonly capture: "everything";
  readonly to: string;
}

export interface Policy {
  readonly name: string;
  /** Folder of the audit log, where it is not to lie below the user's state folder. */
  readonly state?: string;
  readonly sources: Readonly<Record<string, Source>>;
  readonly destinations: Readonly<Record<string, Destination>>;
  readonly plans: Readonly<Record<string, Plan>>;
  readonly targets: Readonly<Record<string, Target>>;
}
