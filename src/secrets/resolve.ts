import { constants, open } from "node:fs/promises";
import type { FileHandle } from "node:fs/promises";
import { Secret } from "../kernel/index.ts";
import { secretsError } from "./errors.ts";

export type SecretReference = { readonly env: string } | { readonly file: string };

export type EnvironmentLookup = (name: string) => string | undefined;

const MAX_SECRET_BYTES = 64 * 1024;

/**
 * The secret that `reference` names. A file is read as restic reads `--password-file`: a byte order mark and white space
 * around the text do not count, so that both open a repository with the same file.
 */
export async function resolveSecret(
  reference: SecretReference,
  env: EnvironmentLookup,
): Promise<Secret> {
  return "env" in reference ? fromEnvironment(reference.env, env) : fromFile(reference.file);
}

function fromEnvironment(name: string, env: EnvironmentLookup): Secret {
  const value = env(name);
  if (value === undefined) {
    throw secretsError("missing", {
      message: `environment variable ${name} that is not set`,
      hint: `Set ${name} and run again.`,
      subject: { env: name },
    });
  }
  if (value === "") throw emptySecret(`environment variable ${name}`, { env: name });
  return new Secret(value);
}

async function fromFile(path: string): Promise<Secret> {
  const file = await openFile(path);
  try {
    await demandPrivate(file, path);
    const buffer = Buffer.alloc(MAX_SECRET_BYTES + 1);
    const { bytesRead } = await file.read(buffer, 0, buffer.length, 0);
    if (bytesRead > MAX_SECRET_BYTES) throw unreadable(path, "larger than 64 KiB");
    const text = textOf(buffer.subarray(0, bytesRead), path).trim();
    buffer.fill(0);
    if (text === "") throw emptySecret(`file ${path}`, { file: path });
    return new Secret(text);
  } finally {
    await file.close();
  }
}

/** A byte replaced because it is no UTF-8 would make another password of it. */
function textOf(bytes: Uint8Array, path: string): string {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    // What the decoder throws could show the bytes.
    throw unreadable(path, "not UTF-8 text");
  }
}

async function openFile(path: string): Promise<FileHandle> {
  try {
    // A named pipe that nobody writes to would be waited for without an end; it is refused below.
    return await open(path, constants.O_RDONLY | constants.O_NONBLOCK);
  } catch (thrown) {
    const code = thrown instanceof Error && "code" in thrown ? thrown.code : undefined;
    if (code === "ENOENT" || code === "ENOTDIR") {
      throw secretsError("missing", {
        message: `secret file ${path} that does not exist`,
        hint: "Create it with mode 0600, or name the right file; `sparekeep init --generate-password` makes that of a new repository.",
        subject: { file: path },
        cause: thrown,
      });
    }
    throw unreadable(path, typeof code === "string" ? code : "unreadable", thrown);
  }
}

/** The opened file is judged, not the name: it cannot be exchanged in between. */
async function demandPrivate(file: FileHandle, path: string): Promise<void> {
  const stat = await file.stat();
  if (!stat.isFile()) throw unreadable(path, "not an ordinary file");
  if ((stat.mode & 0o077) === 0) return;
  throw secretsError("exposed", {
    message: `secret file ${path} open to others (mode ${(stat.mode & 0o777).toString(8).padStart(4, "0")})`,
    hint: `Run: chmod 600 ${path}`,
    subject: { file: path },
  });
}

function emptySecret(what: string, subject: Record<string, string>): Error {
  return secretsError("empty", {
    message: `empty ${what}`,
    hint: "Put the secret there.",
    subject,
  });
}

function unreadable(path: string, why: string, cause?: unknown): Error {
  return secretsError("unreadable", {
    message: `secret file ${path}: ${why}`,
    hint: "Name an ordinary file that you may read.",
    subject: { file: path },
    ...(cause === undefined ? {} : { cause }),
  });
}
