/*
 * effects
 *   reads         wrapped copies beside the repository, an identity or a paper copy, config and keys
 *   writes        one audit record, `prove` a second one of what it saw; unwrap and escrow a new file of mode 0600
 *   locks         none
 *   leaves behind nothing
 *   exit codes    0; 10 no repository; 12 what was to be proven opens nothing; 20 a wrapped copy is damaged
 */
import { readFile } from "node:fs/promises";
import { AppError } from "../kernel/index.ts";
import type { Bytes, Secret } from "../kernel/index.ts";
import { destinationNamed } from "../policy/index.ts";
import type { Destination, Named, SecretReference } from "../policy/index.ts";
import { listKeys, openRepository } from "../repository/index.ts";
import type { Repository } from "../repository/index.ts";
import { resolveSecret } from "../secrets/index.ts";
import { recordAccess } from "./audit-log.ts";
import type { OperationContext } from "./context.ts";
import { operationError } from "./errors.ts";
import type { KeyOptions, NewPassword } from "./key.ts";
import {
  parseIdentities,
  PASSPHRASE_WORK,
  unwrapWithPassphrase,
  wrapWithPassphrase,
} from "./key/age.ts";
import { demandStrong, demandUnpadded } from "./key/demand-strong.ts";
import { unwrapAll } from "./key/owners.ts";
import { formatPaper, parsePaper } from "./key/paper.ts";
import { sheetHtml, sheetText } from "./key/sheet.ts";
import { createNewFile } from "./new-file.ts";
import { openStore, repositoryContext } from "./open.ts";

/** What holds the password: an owner's identity, a paper copy, or the password itself. */
export type KeyCopy =
  | { readonly kind: "identity"; readonly file: string }
  | { readonly kind: "escrow"; readonly text: string; readonly passphrase: NewPassword }
  | { readonly kind: "password"; readonly password: NewPassword };

export interface UnwrappedPassword {
  readonly location: string;
  readonly repository: string;
  readonly key: string;
  readonly password: Secret;
}

/** Needs no password: the way back where it is lost. The one that opens the repository, of several copies. */
export async function unwrapPassword(
  context: OperationContext,
  options: KeyOptions & { readonly copy: KeyCopy },
): Promise<UnwrappedPassword> {
  const destination = await recorded(context, options, "unwrap");
  const { repository, password } = await openWith(context, destination, options.copy);
  const { location, id, keyId } = repository;
  return { location, repository: id, key: keyId, password };
}

/** Durable in a new file of mode 0600 when it returns. */
export async function savePassword(password: Secret, path: string): Promise<void> {
  await writeNew(path, `${password.reveal()}\n`);
}

export interface KeyProof {
  readonly location: string;
  readonly repository: string;
  readonly via: KeyCopy["kind"];
  readonly key: string;
  readonly owner?: string;
  readonly created?: string;
  readonly provenAt: string;
  /** Other wrapped copies of this identity that open nothing any more. */
  readonly staleCopies: readonly string[];
}

/** That the copy still opens the repository: what it holds is tried on the keys that are there now. */
export async function proveKey(
  context: OperationContext,
  options: KeyOptions & { readonly copy: KeyCopy },
): Promise<KeyProof> {
  const destination = await recorded(context, options, "prove");
  const { repository, staleCopies } = await openWith(context, destination, options.copy);
  const { keys } = await listKeys(repository, context);
  const key = keys.find(({ current }) => current);
  const subject = { destination: destination.name, verb: "proven", via: options.copy.kind };
  await recordAccess(context, options.policy, "key", { ...subject, key: repository.keyId });
  return {
    location: repository.location,
    repository: repository.id,
    via: options.copy.kind,
    key: repository.keyId,
    ...(key?.username === undefined ? {} : { owner: `${key.username}@${key.hostname ?? ""}` }),
    ...(key?.created === undefined ? {} : { created: key.created.toISOString() }),
    provenAt: context.clock.now().toISOString(),
    staleCopies,
  };
}

export interface EscrowOptions extends KeyOptions {
  readonly passphrase: NewPassword;
  readonly allowWeak: boolean;
  /** A new file; `.html` or `.htm` makes a page to print. */
  readonly output: string;
}

export interface EscrowedKey {
  readonly location: string;
  readonly repository: string;
  readonly key: string;
  readonly file: string;
  readonly lines: number;
  readonly weakness?: string;
}

/** The paper copy was read back and opened before it is written. */
export async function escrowKey(
  context: OperationContext,
  options: EscrowOptions,
): Promise<EscrowedKey> {
  const { policy, allowWeak, output } = options;
  const destination = destinationNamed(policy, options.destination);
  const passphrase = await secretOf(context, options.passphrase);
  const what = "passphrase of the paper copy";
  const weakness = demandStrong(context, passphrase, { what, allowWeak, policy, destination });
  await recorded(context, options, "escrow");
  const reference: SecretReference = destination.password;
  const password = await resolveSecret(reference, context.env);
  demandUnpadded(password, "password to be written down");
  const repository = await open(context, destination, password);
  const lines = await sealedLines(context, password, passphrase);
  const { location, id, keyId } = repository;
  const madeAt = context.clock.now();
  const madeBy = `${context.actor}@${context.hostname}`;
  const sheet = { repository: id, location, key: keyId, madeAt, madeBy, lines };
  const text = sheetText(sheet);
  await demandOpens(text, passphrase, password);
  await writeNew(output, /\.html?$/i.test(output) ? sheetHtml(sheet) : text);
  return {
    location,
    repository: id,
    key: keyId,
    file: output,
    lines: lines.length - 1,
    ...(weakness === undefined ? {} : { weakness }),
  };
}

/** Newlines fill up to a multiple of five bytes, so that base32 needs no padding; restic and we trim them off. */
async function sealedLines(
  context: OperationContext,
  password: Secret,
  passphrase: Secret,
): Promise<readonly string[]> {
  const work = context.keyCost === undefined ? PASSPHRASE_WORK : Math.log2(context.keyCost.N);
  const text = `${password.reveal()}\n`;
  // "age-encryption.org/v1", "-> scrypt SALT WORK", the wrapped file key, "--- MAC", each with its newline.
  const headerBytes = 22 + (10 + 22 + 1 + String(work).length + 1) + 44 + (4 + 44);
  const sealedBytes = headerBytes + 16 + Buffer.byteLength(text) + 16;
  const fill = "\n".repeat((5 - (sealedBytes % 5)) % 5);
  return formatPaper(await wrapWithPassphrase(text + fill, passphrase, work));
}

async function demandOpens(text: string, passphrase: Secret, password: Secret): Promise<void> {
  const opened = await unwrapWithPassphrase(parsePaper(text), "paper copy", passphrase);
  if (opened?.reveal() === password.reveal()) return;
  throw operationError("wrap_damaged", {
    message: "paper copy that does not open again",
    hint: "Test the memory of this machine, then run it again.",
  });
}

async function recorded(
  context: OperationContext,
  options: KeyOptions,
  verb: string,
): Promise<Named<Destination>> {
  const destination = destinationNamed(options.policy, options.destination);
  await recordAccess(context, options.policy, "key", { destination: destination.name, verb });
  return destination;
}

interface OpenedWith {
  readonly repository: Repository;
  readonly password: Secret;
  readonly staleCopies: readonly string[];
}

async function openWith(
  context: OperationContext,
  destination: Destination,
  copy: KeyCopy,
): Promise<OpenedWith> {
  if (copy.kind === "identity") return await openWithIdentity(context, destination, copy.file);
  const password =
    copy.kind === "password"
      ? await secretOf(context, copy.password)
      : await passwordOnPaper(copy.text, await secretOf(context, copy.passphrase));
  return { repository: await open(context, destination, password), password, staleCopies: [] };
}

async function openWithIdentity(
  context: OperationContext,
  destination: Destination,
  file: string,
): Promise<OpenedWith> {
  const identities = await parseIdentities(await resolveSecret({ file }, context.env));
  const store = await openStore(context, destination);
  const copies = await unwrapAll(store, identities, context);
  const staleCopies: string[] = [];
  let found: Pick<OpenedWith, "repository" | "password"> | undefined;
  let refused: AppError | undefined;
  for (const { file: id, password } of copies) {
    try {
      const repository = await open(context, destination, password);
      found ??= { repository, password };
    } catch (thrown) {
      if (!(thrown instanceof AppError) || thrown.code !== "repository.wrong_password")
        throw thrown;
      refused = thrown;
      staleCopies.push(id);
    }
  }
  if (found !== undefined) return { ...found, staleCopies };
  // Kind and code are those of a wrong password: exit 12.
  throw refused ?? operationError("identity_unfit", { message: "identity without a copy" });
}

async function passwordOnPaper(text: string, passphrase: Secret): Promise<Secret> {
  const password = await unwrapWithPassphrase(parsePaper(text), "paper copy", passphrase);
  if (password !== undefined) return password;
  throw operationError("passphrase_wrong", {
    message: "passphrase that does not open the paper copy",
  });
}

async function open(
  context: OperationContext,
  destination: Destination,
  password: Secret,
): Promise<Repository> {
  const { signal } = context;
  return await openRepository(await repositoryContext(context, destination), { password, signal });
}

async function secretOf(context: OperationContext, from: NewPassword): Promise<Secret> {
  return "typed" in from ? from.typed : await resolveSecret(from, context.env);
}

const MAX_SHEET_BYTES = 1024 * 1024;

/** The text of a paper copy in a file. What is on paper is no secret without its passphrase: any mode will do. */
export async function readSheet(path: string): Promise<string> {
  let bytes: Bytes;
  try {
    bytes = await readFile(path);
  } catch (cause) {
    throw operationError("paper_mistyped", {
      message: `paper copy ${path} that cannot be read`,
      hint: "Name the file that holds the typed lines.",
      subject: { file: path },
      cause,
    });
  }
  return Buffer.from(bytes.subarray(0, MAX_SHEET_BYTES)).toString("utf8");
}

async function writeNew(path: string, text: string): Promise<void> {
  await using file = await createNewFile(path, 0o600);
  await file.write(Buffer.from(text));
  await file.sync();
}
