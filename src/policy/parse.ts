import { isAbsolute, resolve } from "node:path";
import { LineCounter, parseDocument, YAMLMap } from "yaml";
import type { Document, YAMLError } from "yaml";
import { quoted, schemaProblems } from "./issues.ts";
import { classProblems } from "./class-problems.ts";
import { providerProblems, sourceProblems } from "./source-problems.ts";
import { destinationProblems, schemeOf } from "./destination-problems.ts";
import { exceptProblems } from "./except.ts";
import { Places } from "./places.ts";
import { planOf, planProblems } from "./plan-problems.ts";
import { policySchema } from "./policy.ts";
import type { Policy, Source } from "./policy.ts";
import type { ConnectionReference, SecretReference } from "./reference.ts";
import { problemsError } from "./problem.ts";
import type { PolicyProblem } from "./problem.ts";
import { nearest } from "./nearest.ts";
import type { z } from "zod";

const MAX_POLICY_CHARACTERS = 1024 * 1024;

export interface PolicyText {
  readonly text: string;
  /** As messages shall name it. */
  readonly file: string;
  /** Absolute; relative paths in the policy start here. */
  readonly directory: string;
}

/** The policy that a file states. Throws `policy.invalid` with every problem in it. */
export function parsePolicy(source: PolicyText): Policy {
  const refuse = (problems: readonly PolicyProblem[]): never => {
    throw problemsError(source.file, problems);
  };
  if (source.text.length > MAX_POLICY_CHARACTERS) {
    return refuse([at(1, 1, "a policy of more than 1 MiB", "Check that this is the policy file.")]);
  }
  const lineCounter = new LineCounter();
  const document = parseDocument(source.text, { lineCounter, prettyErrors: false });
  const places = new Places(document, lineCounter);
  if (document.errors.length > 0) {
    return refuse(document.errors.map((error) => syntaxProblem(error, places)));
  }
  const shape = shapeProblem(document);
  if (shape !== undefined) return refuse([shape]);
  const parsed = policySchema.safeParse(plainValue(document, refuse), {
    reportInput: true,
  });
  if (!parsed.success) return refuse(schemaProblems(parsed.error.issues, places));
  const problems = referenceProblems(parsed.data, places);
  if (problems.length > 0) return refuse(problems);
  return withAbsolutePaths(parsed.data, source.directory);
}

function at(line: number, column: number, message: string, fix: string): PolicyProblem {
  return { line, column, message, fix };
}

/** Aliases that multiply beyond yaml's limit throw here; nothing else does. */
function plainValue(document: Document, refuse: (p: readonly PolicyProblem[]) => never): unknown {
  try {
    return document.toJS({ maxAliasCount: 100 });
  } catch (thrown) {
    if (!(thrown instanceof ReferenceError)) throw thrown;
    return refuse([at(1, 1, "too many YAML aliases", "Write the values out.")]);
  }
}

function shapeProblem(document: Document): PolicyProblem | undefined {
  const fix = 'Begin with "sparekeep: 1" and see examples/minimal.yaml.';
  if (document.contents === null) return at(1, 1, "an empty policy", fix);
  if (!(document.contents instanceof YAMLMap)) {
    return at(1, 1, "a policy that is not a mapping of keys to values", fix);
  }
  return undefined;
}

const SYNTAX: Readonly<Record<string, readonly [message: string, fix: string]>> = {
  TAB_AS_INDENT: ["a tab as indentation", "Indent with spaces."],
  DUPLICATE_KEY: ["a key that stands twice", "Remove or rename one of them."],
  MULTIPLE_DOCS: ["a second YAML document", 'Remove the "---" and what follows it.'],
};

function syntaxProblem(error: YAMLError, places: Places): PolicyProblem {
  const { line, column } = places.ofOffset(error.pos[0]);
  const [message, fix] = SYNTAX[error.code] ?? [
    `broken YAML: ${(error.message.split("\n")[0] ?? "").replace(/\.$/, "")}`,
    "Mind indentation, quotes and brackets near this place.",
  ];
  return at(line, column, message, fix);
}

type Parsed = z.output<typeof policySchema>;

function referenceProblems(policy: Parsed, places: Places): PolicyProblem[] {
  const problems: PolicyProblem[] = [];
  const demand = (path: readonly string[], value: string, known: readonly string[]): void => {
    if (known.includes(value)) return;
    const { line, column } = places.ofValue(path);
    const meant = nearest(value, known);
    const fix =
      known.length === 0
        ? "Define it first."
        : meant === undefined
          ? `Write one of: ${known.join(", ")}.`
          : `Write "${meant}".`;
    problems.push(
      at(line, column, `${path.join(".")} ${quoted(value)}, which is not defined`, fix),
    );
  };
  for (const [name, plan] of Object.entries(policy.plans)) {
    demand(["plans", name, "source"], plan.source, Object.keys(policy.sources));
    const to = plan.to.git === undefined ? ["plans", name, "to"] : ["plans", name, "to", "and"];
    demand(to, plan.to.and, Object.keys(policy.destinations));
    problems.push(...captureProblems(name, plan, places));
    problems.push(...exceptProblems(name, policy.plans, places));
    problems.push(...planProblems(name, plan, ownOf(policy.destinations, plan.to.and), places));
  }
  const repositories = Object.entries(policy.destinations).flatMap(([name, { files }]) =>
    files === true ? [] : [name],
  );
  for (const [name, destination] of Object.entries(policy.destinations)) {
    problems.push(...destinationProblems(name, destination, places));
    const others = Object.keys(policy.destinations).filter((other) => other !== name);
    for (const [i, copy] of (destination.copies ?? []).entries()) {
      demand(["destinations", name, "copies", String(i)], copy, others);
      if (ownOf(policy.destinations, copy)?.files !== true) continue;
      const { line, column } = places.ofValue(["destinations", name, "copies", String(i)]);
      const message = `destinations.${name}.copies names ${quoted(copy)}, which keeps plain files`;
      problems.push(at(line, column, message, "Name a repository, or remove it."));
    }
    if (destination.files === true && destination.manifests !== undefined) {
      demand(["destinations", name, "manifests"], destination.manifests, repositories);
    }
  }
  for (const [name, source] of Object.entries(policy.sources)) {
    problems.push(...sourceProblems(name, source, places));
  }
  for (const [name, target] of Object.entries(policy.targets ?? {})) {
    problems.push(...sourceProblems(name, target, places, "targets"));
  }
  problems.push(...classProblems(policy.destinations, places));
  problems.push(...providerProblems(policy.provider ?? {}, policy.sources, places));
  return problems;
}

function captureProblems(
  name: string,
  plan: Parsed["plans"][string],
  places: Places,
): PolicyProblem[] {
  const problem = (key: string, message: string, fix: string): PolicyProblem => {
    const { line, column } = places.ofKey(["plans", name, key]);
    return at(line, column, `plans.${name}.${key}: ${message}`, fix);
  };
  const { capture, guards, to } = plan;
  if (capture === "schema" && guards !== undefined) {
    return [problem("guards", "guards of a plan that captures no rows", "Remove them.")];
  }
  const { git, path, branch, author } = to;
  if (capture !== "schema" && git !== undefined) {
    return [problem("to", "git of a plan that captures rows", 'Write "capture: schema".')];
  }
  if (git === undefined && (path ?? branch ?? author) !== undefined) {
    return [problem("to", "what only git needs, without git", 'Add "git:" or remove it.')];
  }
  return [];
}

function withAbsolutePaths(parsed: Parsed, directory: string): Policy {
  const path = (text: string): string => (isAbsolute(text) ? text : resolve(directory, text));
  const secret = (reference: SecretReference): SecretReference =>
    "file" in reference ? { file: path(reference.file) } : reference;
  const connection = (reference: ConnectionReference): ConnectionReference =>
    "text" in reference ? reference : secret(reference);
  const source = ({ management_token: token, ...entry }: Source): Source => ({
    ...entry,
    connection: connection(entry.connection),
    ...(token === undefined ? {} : { management_token: secret(token) }),
  });
  return {
    name: parsed.name,
    ...(parsed.state === undefined ? {} : { state: path(parsed.state) }),
    sources: mapValues(parsed.sources, source),
    ...(parsed.timezone === undefined ? {} : { timezone: parsed.timezone }),
    destinations: mapValues(parsed.destinations, (entry) => {
      const { credentials, tls = parsed.tls } = entry;
      return {
        ...entry,
        url: schemeOf(entry.url) === undefined ? path(entry.url) : entry.url,
        ...(entry.password === undefined ? {} : { password: secret(entry.password) }),
        ...(entry.beside === undefined || schemeOf(entry.beside) !== undefined
          ? {}
          : { beside: path(entry.beside) }),
        ...(credentials === undefined
          ? {}
          : {
              credentials: mapValues(credentials, (value) =>
                typeof value === "object" ? secret(value) : value,
              ),
            }),
        ...(tls === undefined
          ? {}
          : { tls: { ...tls, ...(tls.ca === undefined ? {} : { ca: path(tls.ca) }) } }),
      };
    }),
    plans: Object.fromEntries(
      Object.entries(parsed.plans).flatMap(([name, plan]) => {
        const made = planOf(plan, { path, secret, directory });
        return made === undefined ? [] : [[name, made]];
      }),
    ),
    targets: mapValues(parsed.targets ?? {}, source),
    ...(parsed.outside === undefined ? {} : { outside: mapValues(parsed.outside, secret) }),
    ...(parsed.provider === undefined ? {} : { provider: parsed.provider }),
  };
}

/** A name of a policy may be one that every object has. */
function ownOf<Value>(record: Readonly<Record<string, Value>>, name: string): Value | undefined {
  return Object.hasOwn(record, name) ? record[name] : undefined;
}

function mapValues<In, Out>(
  record: Readonly<Record<string, In>>,
  change: (value: In) => Out,
): Record<string, Out> {
  return Object.fromEntries(Object.entries(record).map(([key, value]) => [key, change(value)]));
}
