import { toAppError } from "../kernel/index.ts";
import type { AppError, Bytes } from "../kernel/index.ts";
import { objectStoreError } from "./errors.ts";
import { isSuccess, statusError } from "./http.ts";
import { totalBytes } from "./keys.ts";
import type { PutOptions } from "./object-store.ts";
import type { RestClient } from "./rest.ts";

interface RestObject {
  readonly key: string;
  readonly path: string;
  readonly body: readonly Bytes[];
}

/** Keys whose last write got no answer: the server may be at work on them, or have them. */
export type Doubts = Set<string>;

/**
 * 1. The repository's folder is made with its config; making it again is no error.
 * 2. Look first, with `ifAbsent` for the answer: rest-server refuses a taken name by itself, rclone without --append-only
 *    overwrites it. What is shorter than ours after a write without an answer is that write, still on its way (rclone
 *    writes under the final name and removes it by name when it fails): come back later, and leave it alone meanwhile.
 * 3. POST; the answer comes when the server has all of it.
 * 4. Refused (403) and the name is taken: `exists`, or without `ifAbsent` remove it and POST again; there is no
 *    replacing in one step.
 * 5. Look at its size. Where nothing was before, and no retry will meet a server still at work, what is shorter than what
 *    was sent is removed.
 */
export async function putObject(
  client: RestClient,
  object: RestObject,
  options: PutOptions | undefined,
  doubts: Doubts,
): Promise<void> {
  const { key } = object;
  const ifAbsent = options?.ifAbsent === true;
  if (key === "config") await createFolder(client, options);
  const before = await client.stat(key, options);
  if (ifAbsent && before !== undefined) throw refusal(object, before.sizeBytes, doubts);
  let answered = false;
  try {
    await post(client, object, options, ifAbsent ? "refuse" : "remove", () => {
      answered = true;
    });
    await verify(client, object, options);
    doubts.delete(key);
  } catch (thrown) {
    const { kind } = toAppError(thrown);
    if (!answered && kind === "unavailable") doubts.add(key);
    const mayBeCut = kind === "cancelled" || (answered && kind === "unavailable");
    if (before === undefined && mayBeCut) await removeCut(client, object);
    throw thrown;
  }
}

function refusal({ key, body }: RestObject, foundBytes: number, doubts: Doubts): AppError {
  if (!doubts.has(key) || foundBytes >= totalBytes(body)) return taken(key);
  return objectStoreError("unavailable", {
    message: `object ${key}, of which the server still has ${foundBytes} bytes of an earlier write`,
    subject: { key },
  });
}

async function createFolder(client: RestClient, options: PutOptions | undefined): Promise<void> {
  const answer = await client.ask("POST", "?create=true", options);
  if (!isSuccess(answer)) throw statusError(answer, "creation of the repository's folder", {});
}

async function post(
  client: RestClient,
  object: RestObject,
  options: PutOptions | undefined,
  whenTaken: "refuse" | "remove" | "give up",
  onAnswer: () => void,
): Promise<void> {
  const { key, path, body } = object;
  const headers = { "content-type": "application/octet-stream" };
  const answer = await client.ask("POST", path, options, { body, headers });
  onAnswer();
  if (isSuccess(answer)) return;
  const refused = statusError(answer, `write of ${key}`, { key });
  if (answer.status !== 403 || whenTaken === "give up") throw refused;
  if ((await client.stat(key, options)) === undefined) throw refused;
  if (whenTaken === "refuse") throw taken(key);
  await client.remove(key, options);
  await post(client, object, options, "give up", onAnswer);
}

async function verify(
  client: RestClient,
  { key, body }: RestObject,
  options: PutOptions | undefined,
): Promise<void> {
  const found = await client.stat(key, options);
  const sizeBytes = totalBytes(body);
  if (found?.sizeBytes === sizeBytes) return;
  throw objectStoreError("unavailable", {
    message: `object ${key} of ${found?.sizeBytes ?? "no"} bytes after a write of ${sizeBytes}`,
    subject: { key, sizeBytes },
  });
}

function taken(key: string): AppError {
  return objectStoreError("exists", { message: `object ${key} already there`, subject: { key } });
}

/** Also after an abort, hence without the signal. */
async function removeCut(client: RestClient, { key, body }: RestObject): Promise<void> {
  try {
    const found = await client.stat(key, undefined);
    if (found !== undefined && found.sizeBytes < totalBytes(body))
      await client.remove(key, undefined);
  } catch {
    // The put failed and says so. A server that cannot be reached or lets nothing be removed keeps the part, if it has
    // one; its name is the hash of the whole, so no reader takes it for that.
  }
}
