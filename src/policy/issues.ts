import type { z } from "zod";
import { nearest } from "./nearest.ts";
import type { Places } from "./places.ts";
import { policySchema } from "./policy.ts";
import type { PolicyProblem } from "./problem.ts";

type Issue = z.core.$ZodIssue;

/** zod's issues in words, each at its place in the file. */
export function schemaProblems(issues: readonly Issue[], places: Places): PolicyProblem[] {
  const problems = issues.flatMap((issue) => problemsOf(issue, places));
  return problems.toSorted((a, b) => a.line - b.line || a.column - b.column);
}

function problemsOf(issue: Issue, places: Places): PolicyProblem[] {
  const label = issue.path.map(String).join(".");
  if (issue.code === "unrecognized_keys") {
    return issue.keys.map((key) => unknownKey(issue.path, key, places));
  }
  if (isMissing(issue)) return [missingKey(issue.path, places)];
  if (issue.code === "invalid_key") {
    const place = places.ofKey(issue.path);
    const name = String(issue.path.at(-1));
    const message = `the name ${quoted(name)} in ${issue.path.slice(0, -1).map(String).join(".")}`;
    return [{ ...place, message, fix: NAME_RULE }];
  }
  const place = places.ofValue(issue.path);
  if (issue.code === "custom") {
    const fix: unknown = issue.params?.["fix"];
    return [
      { ...place, message: `${label}: ${issue.message}`, fix: typeof fix === "string" ? fix : "" },
    ];
  }
  if (issue.code === "invalid_value") return [{ ...place, ...unknownValue(issue, label) }];
  if (issue.code === "invalid_type") {
    const expected = TYPES[issue.expected] ?? issue.expected;
    const message = `${label} of the wrong type`;
    return [{ ...place, message, fix: `Write ${expected} here.` }];
  }
  if (issue.code === "invalid_format") {
    return [{ ...place, message: `${label} is no possible name`, fix: NAME_RULE }];
  }
  if (issue.code === "too_small") {
    return [{ ...place, message: `${label} is empty`, fix: "Write its value." }];
  }
  return [{ ...place, message: `${label}: ${issue.message}`, fix: "See docs/spec/policy.md." }];
}

const NAME_RULE = "Use small letters, digits and dashes, a letter first, at most 63 characters.";

const TYPES: Readonly<Record<string, string>> = {
  string: "a text",
  number: "a number",
  object: "a mapping of keys to values",
  record: "a mapping of names to values",
};

function isMissing(issue: Issue): boolean {
  return (
    (issue.code === "invalid_type" || issue.code === "invalid_value" || issue.code === "custom") &&
    issue.input === undefined
  );
}

function unknownKey(path: readonly PropertyKey[], key: string, places: Places): PolicyProblem {
  const known = knownKeys(path);
  const meant = nearest(key, known);
  const where = path.length === 0 ? "at the top" : `in ${path.map(String).join(".")}`;
  return {
    ...places.ofKey([...path, key]),
    message: `unknown key ${quoted(key)} ${where}`,
    fix: meant === undefined ? `Remove it; known are: ${known.join(", ")}.` : `Write "${meant}".`,
  };
}

function missingKey(path: readonly PropertyKey[], places: Places): PolicyProblem {
  const key = String(path.at(-1));
  const parent = path.slice(0, -1);
  const where = parent.length === 0 ? "at the top" : `in ${parent.map(String).join(".")}`;
  return {
    ...(parent.length === 0 ? { line: 1, column: 1 } : places.ofKey(parent)),
    message: `missing key "${key}" ${where}`,
    fix: FIXES[key] ?? `Add "${key}:".`,
  };
}

const FIXES: Readonly<Record<string, string>> = {
  sparekeep: 'Begin the file with "sparekeep: 1".',
  password: 'Add "password: { file: PATH }" or "password: { env: NAME }".',
  connection: 'Add "connection: { env: NAME }" or "connection: { file: PATH }".',
  capture: 'Add "capture: everything".',
};

function unknownValue(
  issue: Extract<Issue, { code: "invalid_value" }>,
  label: string,
): { message: string; fix: string } {
  const known = issue.values.map(String);
  const input = typeof issue.input === "string" ? issue.input : JSON.stringify(issue.input);
  const meant = nearest(input, known);
  return {
    message: `${label} ${quoted(input)}, which is not known`,
    fix: `Write ${meant ?? (known.length === 1 ? known[0] : `one of: ${known.join(", ")}`)}.`,
  };
}

/** What the file says, short enough for one line. */
export function quoted(text: string): string {
  return JSON.stringify(text.length > 60 ? `${text.slice(0, 60)}…` : text);
}

/** Keys of the mapping at `path`, read from the schema itself. */
function knownKeys(path: readonly PropertyKey[]): string[] {
  let schema: unknown = policySchema;
  for (const part of path) schema = below(unwrapped(schema), String(part));
  const object = unwrapped(schema);
  return hasShape(object) ? Object.keys(object.shape) : [];
}

function below(schema: unknown, part: string): unknown {
  if (hasShape(schema)) return schema.shape[part];
  return typeof schema === "object" && schema !== null && "valueType" in schema
    ? schema.valueType
    : undefined;
}

function unwrapped(schema: unknown): unknown {
  if (typeof schema !== "object" || schema === null || !("unwrap" in schema)) return schema;
  return typeof schema.unwrap === "function" ? Reflect.apply(schema.unwrap, schema, []) : schema;
}

function hasShape(schema: unknown): schema is { shape: Record<string, unknown> } {
  return typeof schema === "object" && schema !== null && "shape" in schema;
}
