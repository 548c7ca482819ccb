import { isWord, nameOf, tokenize } from "../tokens.ts";
import type { TocEntry } from "./toc.ts";

/** `TABLE public.parts`, for people. */
export function describeEntry(entry: TocEntry): string {
  const name = entry.schema === undefined ? entry.tag : `${entry.schema}.${entry.tag}`;
  return `${entry.kind} ${name}`;
}

export interface ExtensionEntry {
  readonly name: string;
  readonly schema: string | undefined;
}

/** `CREATE EXTENSION IF NOT EXISTS name WITH SCHEMA schema;`, or `undefined` for any other text. */
export function extensionOf(entry: TocEntry): ExtensionEntry | undefined {
  const tokens = tokenize(entry.definition);
  const head = ["CREATE", "EXTENSION", "IF", "NOT", "EXISTS"];
  if (tokens === undefined || !head.every((word, at) => isWord(tokens[at], word))) return undefined;
  const name = nameOf(tokens[5]);
  const schema =
    isWord(tokens[6], "WITH") && isWord(tokens[7], "SCHEMA") ? nameOf(tokens[8]) : undefined;
  const length = schema === undefined ? 7 : 10;
  if (name === undefined || tokens.length !== length) return undefined;
  return { name, schema };
}
