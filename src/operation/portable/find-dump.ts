import { createHash } from "node:crypto";
import { open } from "node:fs/promises";
import { basename } from "node:path";
import { MIB, throwIfAborted } from "../../kernel/index.ts";
import type { Bytes } from "../../kernel/index.ts";
import { DUMP_MANIFEST_SUFFIX, parseDumpManifest } from "../../manifest/index.ts";
import type { DumpManifest } from "../../manifest/index.ts";
import { readLarge } from "../../objectstore/index.ts";
import type { ObjectStore } from "../../objectstore/index.ts";
import { dumpPlanNamed, filesDestinationNamed } from "../../policy/index.ts";
import type { Policy } from "../../policy/index.ts";
import type { OperationContext } from "../context.ts";
import { operationError } from "../errors.ts";
import { openStore } from "../open.ts";
import { loadDumpManifest } from "./list-dumps.ts";
import { isFile } from "./local-policy.ts";
import { createSpool, readFileBytes } from "./spool.ts";

export interface WantedDump {
  readonly policy: Policy;
  readonly what: string;
  readonly destination?: string;
}

/** The ciphertext at hand, hashed as it is now; opened as often as needed. */
export interface FoundDump extends AsyncDisposable {
  readonly manifest: DumpManifest;
  readonly location: string;
  readonly sizeBytes: number;
  readonly sha256: string;
  open(): AsyncIterable<Bytes>;
}

export async function findDump(context: OperationContext, wanted: WantedDump): Promise<FoundDump> {
  const { policy, what } = wanted;
  if (Object.hasOwn(policy.plans, what)) {
    const plan = dumpPlanNamed(policy, what);
    const store = await openStore(context, filesDestinationNamed(policy, plan.to));
    return fetchDump(context, store, await newestOf(context, store, plan.name));
  }
  if (await isFile(what)) return takeLocal(context, what);
  const store = await openStore(context, filesDestinationNamed(policy, wanted.destination));
  return fetchDump(context, store, what);
}

/** By what the manifests say, not by the store's clock. */
async function newestOf(
  { signal }: OperationContext,
  store: ObjectStore,
  plan: string,
): Promise<string> {
  let newest: DumpManifest | undefined;
  for await (const { key, sizeBytes } of store.list("", { signal })) {
    if (key.includes("/") || !key.endsWith(DUMP_MANIFEST_SUFFIX)) continue;
    const file = key.slice(0, -DUMP_MANIFEST_SUFFIX.length);
    const manifest = await loadDumpManifest(store, file, sizeBytes, signal);
    if (manifest.plan !== plan) continue;
    if (newest === undefined || manifest.completedAt > newest.completedAt) newest = manifest;
  }
  if (newest !== undefined) return newest.file;
  throw unproven(`no dump of plan ${plan} at ${store.location}`, plan);
}

async function fetchDump(
  { signal }: OperationContext,
  store: ObjectStore,
  file: string,
): Promise<FoundDump> {
  const dump = await store.stat(file, { signal });
  const beside = await store.stat(`${file}${DUMP_MANIFEST_SUFFIX}`, { signal });
  if (dump === undefined) throw unproven(`no dump ${file} at ${store.location}`, file);
  if (beside === undefined) throw unproven(`dump ${file} without a manifest`, file);
  const manifest = await loadDumpManifest(store, file, beside.sizeBytes, signal);
  const spool = await createSpool();
  try {
    for await (const piece of readLarge(store, file, dump.sizeBytes, { signal })) {
      await spool.write(piece);
    }
    const spooled = await spool.finish();
    return {
      manifest,
      location: store.location,
      sizeBytes: spooled.sizeBytes,
      sha256: spooled.sha256,
      open: () => spooled.open(),
      [Symbol.asyncDispose]: async () => {
        await spool[Symbol.asyncDispose]();
      },
    };
  } catch (thrown) {
    await spool[Symbol.asyncDispose]();
    throw thrown;
  }
}

async function takeLocal({ signal }: OperationContext, path: string): Promise<FoundDump> {
  const file = basename(path);
  const manifestPath = `${path}${DUMP_MANIFEST_SUFFIX}`;
  if (!(await isFile(manifestPath))) throw unproven(`file ${path} without ${manifestPath}`, path);
  const manifest = parseDumpManifest(await readSmall(manifestPath), file);
  const openFile = (): AsyncIterable<Bytes> => readFileBytes(path);
  const hash = createHash("sha256");
  let sizeBytes = 0;
  for await (const piece of openFile()) {
    throwIfAborted(signal);
    hash.update(piece);
    sizeBytes += piece.byteLength;
  }
  return {
    manifest,
    location: path,
    sizeBytes,
    sha256: hash.digest("hex"),
    open: openFile,
    [Symbol.asyncDispose]: async () => undefined,
  };
}

const MAX_MANIFEST_BYTES = 64 * MIB;

/** One that is larger is cut, and then is none. */
async function readSmall(path: string): Promise<Bytes> {
  await using file = await open(path, "r");
  const { size } = await file.stat();
  const bytes = Buffer.alloc(Math.min(size, MAX_MANIFEST_BYTES));
  const { bytesRead } = await file.read(bytes, 0, bytes.length, 0);
  return bytes.subarray(0, bytesRead);
}

function unproven(message: string, file: string): Error {
  return operationError("dump_unproven", { message, subject: { file } });
}
