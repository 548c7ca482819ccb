/**
 * Outside programs run safely: arguments without secrets, an environment that is given and not inherited, an end that is
 * judged, nothing left behind. Imports only the kernel.
 *
 * 1. no shell; the program is named by its path
 * 2. content goes in and comes out as bytes, with back-pressure; half of it never looks like all of it
 * 3. an abort, or a consumer that stops, ends the program before we go on
 * 4. a secret goes through a pipe of its own
 */
export { programError } from "./errors.ts";
export { findProgram } from "./find-program.ts";
export { collectOutput, failure, lastWords } from "./collect-output.ts";
export { runProgram } from "./run-program.ts";
export type { ProgramExit, ProgramRun } from "./run-program.ts";
export { openKeyring } from "./gpg/keyring.ts";
export type { EncryptOptions, Keyring, KeyringOptions } from "./gpg/keyring.ts";
export { decrypt } from "./gpg/decrypt.ts";
export type { DecryptOptions } from "./gpg/decrypt.ts";
export { HEAD_BYTES, parseMessageHead } from "./gpg/packets.ts";
export type { MessageHead } from "./gpg/packets.ts";
export type { Recipient } from "./gpg/recipients.ts";
export { commitFolder } from "./git.ts";
export type { CommittedFolder, FolderCommit, GitContext } from "./git.ts";
export { runCommand } from "./command.ts";
export type { CommandEnd } from "./command.ts";
