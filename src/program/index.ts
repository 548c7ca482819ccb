/** Outside programs run safely: no shell, arguments as a list, a stated environment, a deadline, an end that is judged. */
export { programError } from "./errors.ts";
export { commitFolder } from "./git.ts";
export type { CommittedFolder, FolderCommit, GitContext } from "./git.ts";
export { runCommand } from "./command.ts";
export type { CommandEnd } from "./command.ts";
