/** The restic repository format, version 2, over any object store. */
export type * from "./types.ts";
export { repositoryError } from "./errors.ts";
export { createRepository, openRepository } from "./open.ts";
export { restoreFiles } from "./read/restore-files.ts";
export type { RestoredFiles, RestoreFilesOptions } from "./read/restore-files.ts";
export { storedNameOf } from "./tree/names.ts";
