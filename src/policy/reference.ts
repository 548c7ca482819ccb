import { z } from "zod";
import { passwordProblem } from "./connection-text.ts";
import { refuse } from "./read-by.ts";
import type { Refine } from "./read-by.ts";

/** Where a secret is kept. The policy file itself never holds one (I10). */
export type SecretReference = { readonly env: string } | { readonly file: string };

/** A reference, or a connection string without a password. */
export type ConnectionReference = SecretReference | { readonly text: string };

export const ENV_NAME = /^[A-Za-z_][A-Za-z0-9_]*$/;

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

export const password = z.unknown().transform((value, context): SecretReference => {
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

export const connection = z.unknown().transform((value, context): ConnectionReference => {
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
