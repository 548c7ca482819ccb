import { counted } from "../kernel/index.ts";
import type { BackupResult } from "../operation/index.ts";
import { printable } from "./printable.ts";

export function schemaCommitLine(git: NonNullable<BackupResult["git"]>): string {
  const where = `${git.url}, branch ${git.branch}, ${git.path}/`;
  if (git.commit === null) return printable(`nothing new for ${where}`);
  const files = counted(git.changes.length, "file");
  return printable(`commit ${git.commit.slice(0, 8)} of ${files} in ${where}`);
}
