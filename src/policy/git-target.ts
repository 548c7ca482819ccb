import { isAbsolute, resolve } from "node:path";
import { z } from "zod";
import { readBy } from "./read-by.ts";

/** Where a plan of `capture: schema` commits to. docs/spec/policy.md */
export interface GitTarget {
  /** Whatever `git push` takes: a bare repository's folder, `https://…`, `ssh://…`, `HOST:PATH`. */
  readonly url: string;
  /** Folder inside it that belongs to the plan: whatever else lies there is removed. */
  readonly path: string;
  readonly branch: string;
  /** `Name <address>`; else `GIT_AUTHOR_NAME` and `GIT_AUTHOR_EMAIL` of the environment. */
  readonly author?: { readonly name: string; readonly email: string };
}

const PASSWORD = /^[a-z][a-z0-9+.-]*:\/\/[^/@]*:[^/@]*@/i;
const url = readBy(
  "no place that git can push to",
  "Write a folder, an address without a password in it, or HOST:PATH.",
  // A control character could end a line in somebody's terminal; a dash at the start is an option of git.
  (text) =>
    text === "" || text.startsWith("-") || PASSWORD.test(text) || /\p{Cc}/u.test(text)
      ? undefined
      : text,
);

const SEGMENT = /^(?!\.{1,2}$)(?!\.git$)[A-Za-z0-9._-]+$/i;
const path = readBy(
  "no folder inside the repository",
  'Write for example "schema/": letters, digits, dots, dashes and underscores between slashes.',
  (text) => {
    const trimmed = text.replace(/\/$/, "");
    return trimmed.split("/").every((part) => SEGMENT.test(part)) ? trimmed : undefined;
  },
);

const branch = readBy("no name of a branch", 'Write for example "main".', (text) =>
  /^[A-Za-z0-9][A-Za-z0-9_]*(?:[./-][A-Za-z0-9_]+)*$/.test(text) && !text.endsWith(".lock")
    ? text
    : undefined,
);

const author = readBy(
  "no author",
  'Write for example "Sparekeep <backups@example.com>".',
  (text) => {
    const [, name, email] = /^([^<>\p{Cc}]*[^<>\p{Cc}\s])\s*<([^<>\p{Cc}\s]+)>$/u.exec(text) ?? [];
    return name === undefined || email === undefined ? undefined : { name, email };
  },
);

/** A name alone is a destination; with `git`, `and` is the one where the recovery point lies. */
export const placesSchema = z.preprocess(
  (value) => (typeof value === "string" ? { and: value } : value),
  z.strictObject({
    and: z.string(),
    git: url.optional(),
    path: path.optional(),
    branch: branch.optional(),
    author: author.optional(),
  }),
);

export function gitTargetOf(
  {
    git,
    path: folder = "schema",
    branch: named = "main",
    author: by,
  }: z.output<typeof placesSchema>,
  directory: string,
): GitTarget | undefined {
  if (git === undefined) return undefined;
  // As git itself tells a folder from HOST:PATH: no colon before the first slash.
  const elsewhere = /^[^/]*:/.test(git) || isAbsolute(git);
  return {
    url: elsewhere ? git : resolve(directory, git),
    path: folder,
    branch: named,
    ...(by === undefined ? {} : { author: by }),
  };
}
