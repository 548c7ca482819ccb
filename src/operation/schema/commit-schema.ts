import { collectBytes } from "../../kernel/index.ts";
import type { GitTarget } from "../../policy/index.ts";
import { commitFolder } from "../../program/index.ts";
import type { Repository } from "../../repository/index.ts";
import { parseArchiveToc } from "../../restore/index.ts";
import type { OperationContext } from "../context.ts";
import { operationError } from "../errors.ts";
import { readManifest } from "../manifest-of.ts";
import { schemaFiles } from "./files.ts";

/** What became of the definitions of a point in the git repository of its plan. */
export interface SchemaCommit {
  readonly url: string;
  readonly branch: string;
  readonly path: string;
  /** `null`: nothing had changed since the last one. */
  readonly commit: string | null;
  /** `A`, `M` or `D`, and the file. */
  readonly changes: readonly string[];
}

export interface SchemaToCommit {
  readonly repository: Repository;
  readonly snapshot: string;
  readonly source: string;
  /** `before a migration`: first line of the message. Never the command, which may hold a password. */
  readonly when?: string;
}

/** From the stored point, as a stranger would read it: what is committed lies in the repository. */
export async function commitSchema(
  context: OperationContext,
  target: GitTarget,
  { repository, snapshot, source, when }: SchemaToCommit,
): Promise<SchemaCommit> {
  const { signal } = context;
  const author = authorOf(context, target);
  const point = await repository.resolveSnapshot(snapshot, { signal });
  const reader = await repository.acquireReader({ signal });
  const { database } = await readManifest(reader, point, signal);
  const stored = await reader.find(point, database.schema.path.split("/"), { signal });
  const archive = await collectBytes(reader.read(stored, { signal }));
  const { url, branch, path } = target;
  const made = await commitFolder(context, {
    url,
    branch,
    path,
    files: schemaFiles(parseArchiveToc(archive)),
    message: `Schema of ${source}${when === undefined ? "" : ` ${when}`}\n\nSparekeep-Snapshot: ${snapshot}\n`,
    author,
    at: context.clock.now(),
  });
  return { url, branch, path, commit: made.commit ?? null, changes: made.changes };
}

/** Of the policy or the environment; an error where neither names one. */
export function authorOf(
  { env }: OperationContext,
  { author }: GitTarget,
): { readonly name: string; readonly email: string } {
  if (author !== undefined) return author;
  const [name, email] = [env("GIT_AUTHOR_NAME"), env("GIT_AUTHOR_EMAIL")];
  const plain = (text: string | undefined): text is string =>
    text !== undefined && text !== "" && !/[<>\p{Cc}]/u.test(text);
  if (plain(name) && plain(email)) return { name, email };
  throw operationError("git_author_missing", { message: "a commit without an author" });
}
