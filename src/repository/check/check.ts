import { bug } from "../../kernel/index.ts";
import type { RepositoryCore } from "../core.ts";
import type { CheckOptions, CheckReport } from "../types.ts";

export function checkRepository(
  _core: RepositoryCore,
  _options: CheckOptions,
): Promise<CheckReport> {
  return Promise.reject(bug("check of a repository that is not built yet"));
}
