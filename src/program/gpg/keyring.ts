/**
 * gpg in a folder of its own: its keys are those of the files named, and nothing else; neither the user's keyring nor their
 * options are read or changed, and no key is looked for in the network.
 */
import { rmSync } from "node:fs";
import { mkdtemp, open, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import type { Bytes, Secret } from "../../kernel/index.ts";
import { collectOutput, failure } from "../collect-output.ts";
import { programError } from "../errors.ts";
import { runProgram } from "../run-program.ts";
import type { ProgramRun } from "../run-program.ts";
import { chooseRecipients, parseKeyListing } from "./recipients.ts";
import type { Recipient } from "./recipients.ts";

export interface Keyring extends AsyncDisposable {
  /** Refuses the first name to which nothing can be encrypted. */
  recipients(names: readonly string[]): Promise<readonly Recipient[]>;
  /** The encrypted bytes; ends only when gpg ended well and said that it used AES256. */
  encrypt(plaintext: AsyncIterable<Bytes>, options: EncryptOptions): AsyncIterable<Bytes>;
}

export interface EncryptOptions {
  readonly for: readonly Recipient[] | { readonly passphrase: Secret };
  readonly signal?: AbortSignal | undefined;
}

export interface KeyringOptions {
  /** Path of gpg. */
  readonly gpg: string;
  /** Exported public keys, armored or not. */
  readonly keyFiles: readonly string[];
  readonly signal?: AbortSignal | undefined;
}

const MAX_KEY_FILE_BYTES = 1024 * 1024;
const MOMENT_MS = 60_000;
const COMMON = ["--no-options", "--batch", "--no-tty", "--quiet"];
/** OpenPGP's number of AES with 256 bits. */
const AES256 = 9;

export async function openKeyring(options: KeyringOptions): Promise<Keyring> {
  // Made 0700 by mkdtemp; a short path, for sockets have short names.
  const home = await mkdtemp(join(tmpdir(), "sk-gpg-"));
  const onExit = (): void => rmSync(home, { recursive: true, force: true });
  process.once("exit", onExit);
  const close = async (): Promise<void> => {
    await endAgents(options.gpg, home);
    await rm(home, { recursive: true, force: true, maxRetries: 5 });
    process.off("exit", onExit);
  };
  try {
    for (const file of options.keyFiles) await importKeys(options, home, file);
  } catch (thrown) {
    await close();
    throw thrown;
  }
  const base = runIn(options.gpg, home);
  return {
    recipients: async (names) => {
      const args = [...COMMON, "--homedir", home, "--with-colons", "--fixed-list-mode"];
      const listing = await collectOutput(
        { ...base, args: [...args, "--list-keys"], signal: options.signal },
        MOMENT_MS,
      );
      return chooseRecipients(names, parseKeyListing(listing));
    },
    encrypt: (plaintext, encryption) =>
      runProgram({ ...base, ...encrypting(options.gpg, home, encryption), stdin: plaintext }),
    [Symbol.asyncDispose]: close,
  };
}

function runIn(gpg: string, home: string): Pick<ProgramRun, "program" | "env" | "cwd"> {
  return { program: gpg, cwd: home, env: { LC_ALL: "C", HOME: home, GNUPGHOME: home } };
}

/** Started by some versions for passphrases; whatever it answers, the folder goes next. */
async function endAgents(gpg: string, home: string): Promise<void> {
  const run = { ...runIn(join(dirname(gpg), "gpgconf"), home), judge: () => undefined };
  await collectOutput({ ...run, args: ["--homedir", home, "--kill", "all"] }, MOMENT_MS);
}

function encrypting(
  gpg: string,
  home: string,
  options: EncryptOptions,
): Pick<ProgramRun, "args" | "judge" | "secret" | "signal"> {
  const args = [
    ...COMMON,
    "--homedir",
    home,
    "--status-fd",
    "2",
    "--trust-model",
    "always",
    "--no-auto-key-locate",
    "--no-encrypt-to",
    "--no-throw-keyids",
    "--compress-algo",
    "none",
    "--cipher-algo",
    "AES256",
    "--output",
    "-",
  ];
  const judge: ProgramRun["judge"] = (exit, stderr) => {
    if (exit.code !== 0) throw failure(gpg, exit, withoutStatus(stderr));
    const [, mdc, cipher] = /^\[GNUPG:\] BEGIN_ENCRYPTION (\d+) (\d+)/m.exec(stderr) ?? [];
    if (mdc !== undefined && Number(cipher) === AES256) return;
    throw programError("message_invalid", {
      message: `gpg encrypted with cipher ${cipher ?? "unknown"} where AES256 was asked for`,
    });
  };
  const { signal } = options;
  if ("passphrase" in options.for) {
    const slow = ["--s2k-mode", "3", "--s2k-digest-algo", "SHA512", "--s2k-count", "65011712"];
    const asked = ["--pinentry-mode", "loopback", "--passphrase-fd", "3"];
    const { passphrase } = options.for;
    return { args: [...args, ...slow, ...asked, "--symmetric"], judge, secret: passphrase, signal };
  }
  const recipients = options.for.flatMap(({ fingerprint }) => ["--recipient", fingerprint]);
  return { args: [...args, ...recipients, "--encrypt"], judge, signal };
}

export function withoutStatus(stderr: string): string {
  return stderr
    .split("\n")
    .filter((line) => !line.startsWith("[GNUPG:] "))
    .join("\n");
}

async function importKeys(
  { gpg, signal }: KeyringOptions,
  home: string,
  file: string,
): Promise<void> {
  const bytes = await readKeyFile(file);
  const args = [...COMMON, "--homedir", home, "--import-options", "import-minimal", "--import"];
  const run = { ...runIn(gpg, home), args, stdin: once(bytes), signal };
  const judge: ProgramRun["judge"] = (exit, stderr) => {
    if (exit.code !== 0)
      throw unreadable(file, "in which gpg finds no public key", failure(gpg, exit, stderr));
  };
  await collectOutput({ ...run, judge }, MOMENT_MS);
}

async function* once(bytes: Bytes): AsyncGenerator<Bytes, void, undefined> {
  yield bytes;
}

/** Public keys alone: a private one has no business on a server that only encrypts. */
async function readKeyFile(path: string): Promise<Bytes> {
  let bytes: Buffer;
  try {
    await using file = await open(path, "r");
    const buffer = Buffer.alloc(MAX_KEY_FILE_BYTES + 1);
    const { bytesRead } = await file.read(buffer, 0, buffer.length, 0);
    bytes = buffer.subarray(0, bytesRead);
  } catch (thrown) {
    throw unreadable(path, "that cannot be read", thrown);
  }
  if (bytes.byteLength > MAX_KEY_FILE_BYTES) throw unreadable(path, "of more than 1 MiB");
  if (isSecret(bytes)) throw unreadable(path, "with a private key in it");
  return bytes;
}

const SECRET_KEY_TAGS = new Set([5, 7]);

function isSecret(bytes: Bytes): boolean {
  if (Buffer.from(bytes).includes("-----BEGIN PGP PRIVATE KEY")) return true;
  const [first = 0] = bytes;
  if ((first & 0x80) === 0) return false;
  return SECRET_KEY_TAGS.has((first & 0x40) === 0 ? (first >> 2) & 0x0f : first & 0x3f);
}

function unreadable(file: string, how: string, cause?: unknown): Error {
  return programError("key_file_unreadable", {
    message: `file of public keys ${file} ${how}`,
    subject: { file },
    ...(cause === undefined ? {} : { cause }),
  });
}
