import { mkdir, open, readFile, rename } from "node:fs/promises";
import type { FileHandle } from "node:fs/promises";
import { join } from "node:path";
import { checkChain, formatRecord, nextRecord, readTail } from "../access/index.ts";
import type { AccessAction, ChainHead, ChainReport } from "../access/index.ts";
import { AppError, throwIfAborted, toHex } from "../kernel/index.ts";
import type { Bytes } from "../kernel/index.ts";
import type { Policy } from "../policy/index.ts";
import type { OperationContext } from "./context.ts";
import { operationError } from "./errors.ts";
import { acquireLockFile } from "./lock-file.ts";

/**
 * The audit log on disk: one record a line, appended and synced before the access that it names (I9,
 * docs/spec/audit.md). `audit.head` notes the last record, so that a cut end is found.
 */

const TAIL_BYTES = 64 * 1024;

export function auditFolder(context: OperationContext, policy: Policy): string {
  return policy.state ?? join(context.stateDirectory, policy.name);
}

/** Durable when this returns; the access may happen then, and must not when this throws. */
export async function recordAccess(
  context: OperationContext,
  policy: Policy,
  action: AccessAction,
  subject: Readonly<Record<string, string>>,
): Promise<void> {
  const folder = auditFolder(context, policy);
  try {
    await append(context, folder, action, subject);
  } catch (thrown) {
    throwIfAborted(context.signal);
    throw inWords(thrown, folder);
  }
}

function inWords(thrown: unknown, folder: string): unknown {
  if (thrown instanceof AppError && thrown.code === "access.chain_broken") {
    return operationError("audit_broken", {
      message: thrown.message,
      hint: `Move ${folder} aside as evidence; a new chain begins in its place.`,
      subject: { folder },
      cause: thrown,
    });
  }
  if (!(thrown instanceof Error) || !("syscall" in thrown)) return thrown;
  return operationError("audit_unwritable", {
    message: `audit log in ${folder} that cannot be written: ${thrown.message.split(",")[0] ?? ""}`,
    subject: { folder },
    cause: thrown,
  });
}

async function append(
  context: OperationContext,
  folder: string,
  action: AccessAction,
  subject: Readonly<Record<string, string>>,
): Promise<void> {
  await mkdir(folder, { recursive: true, mode: 0o700 });
  await using _lock = await acquireLockFile(join(folder, "audit.lock"), context);
  const noted = await readNotedHead(folder);
  const file = await open(join(folder, "audit.jsonl"), "a+", 0o600);
  try {
    const { bytes, whole } = await readEnd(file);
    const tail = readTail(bytes, whole, noted);
    const { actor, hostname: host } = context;
    const access = { at: context.clock.now(), actor, host, action, subject };
    const record = nextRecord(tail.head, access, tail.torn);
    const line = Buffer.from(`${tail.needsNewline ? "\n" : ""}${formatRecord(record)}`);
    await writeAll(file, line);
    await file.sync();
    await noteHead(context, folder, { seq: record.seq, hash: record.hash });
  } finally {
    await file.close();
  }
}

/** One write in append mode; what a full disk cut off is torn, and the next record names it. */
async function writeAll(file: FileHandle, bytes: Bytes): Promise<void> {
  const { bytesWritten } = await file.write(bytes);
  if (bytesWritten < bytes.byteLength) await file.writeFile(bytes.subarray(bytesWritten));
}

async function readEnd(file: FileHandle): Promise<{ bytes: Bytes; whole: boolean }> {
  const { size } = await file.stat();
  const length = Math.min(size, TAIL_BYTES);
  const buffer = Buffer.alloc(length);
  let filled = 0;
  while (filled < length) {
    const { bytesRead } = await file.read(buffer, filled, length - filled, size - length + filled);
    if (bytesRead === 0) break;
    filled += bytesRead;
  }
  return { bytes: buffer.subarray(0, filled), whole: size <= TAIL_BYTES };
}

/** Replaced as a whole: either the old or the new note is there, also after a crash. Synced with its folder. */
async function noteHead(context: OperationContext, folder: string, head: ChainHead): Promise<void> {
  const path = join(folder, "audit.head");
  const next = `${path}.${toHex(context.random(8))}`;
  const file = await open(next, "wx", 0o600);
  try {
    await file.writeFile(`${head.seq} ${head.hash}\n`);
    await file.sync();
  } finally {
    await file.close();
  }
  await rename(next, path);
  const directory = await open(folder, "r");
  try {
    await directory.sync();
  } finally {
    await directory.close();
  }
}

async function readNotedHead(folder: string): Promise<ChainHead | undefined> {
  let text: string;
  try {
    text = await readFile(join(folder, "audit.head"), "utf8");
  } catch (thrown) {
    if (thrown instanceof Error && "code" in thrown && thrown.code === "ENOENT") return undefined;
    throw thrown;
  }
  const match = /^([1-9]\d{0,15}) ([0-9a-f]{64})\n$/.exec(text);
  if (match?.[1] === undefined || match[2] === undefined) {
    throw operationError("audit_broken", {
      message: `note of the last audit record in ${folder} that is not one`,
      hint: `Move ${folder} aside as evidence; a new chain begins in its place.`,
      subject: { folder },
    });
  }
  return { seq: Number(match[1]), hash: match[2] };
}

/** The whole chain from its first record, for `doctor`. `undefined` when nothing was ever recorded. */
export async function checkAuditLog(folder: string): Promise<ChainReport | undefined> {
  const noted = await readNotedHead(folder);
  let file: FileHandle;
  try {
    file = await open(join(folder, "audit.jsonl"), "r");
  } catch (thrown) {
    const missing = thrown instanceof Error && "code" in thrown && thrown.code === "ENOENT";
    if (!missing) throw thrown;
    return noted === undefined ? undefined : checkChain([], noted);
  }
  try {
    const chunks: AsyncIterable<Bytes> = file.createReadStream({ autoClose: false });
    return await checkChain(chunks, noted);
  } finally {
    await file.close();
  }
}
