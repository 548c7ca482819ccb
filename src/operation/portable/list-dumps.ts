/*
 * effects
 *   reads         names, sizes and manifests of a destination of plain files; with `verify` every byte of the dumps, and the sealed records of their manifests
 *   writes        one audit record
 *   locks         none
 *   leaves behind nothing
 *   exit codes    0; 1 store not reachable; 3 a file without a manifest, or a manifest without its file; 20 a dump or a manifest differs
 */
import { AppError } from "../../kernel/index.ts";
import { DUMP_MANIFEST_SUFFIX, parseDumpManifest } from "../../manifest/index.ts";
import type { DumpManifest } from "../../manifest/index.ts";
import type { ObjectStat, ObjectStore } from "../../objectstore/index.ts";
import { destinationNamed, dumpNamePattern, filesDestinationNamed } from "../../policy/index.ts";
import type { FilesDestination, Named, Policy } from "../../policy/index.ts";
import { loadDumpRecords } from "../../repository/index.ts";
import type { DumpRecord } from "../../repository/index.ts";
import { recordAccess } from "../audit-log.ts";
import type { OnProgress, OperationContext } from "../context.ts";
import { openDestination, openStore } from "../open.ts";
import { hashOf } from "./store-dump.ts";

export interface ListDumpsOptions {
  readonly policy: Policy;
  readonly destination?: string;
  /** Reads every dump and compares it with its manifest, and that with its record. */
  readonly verify?: boolean;
  readonly onProgress?: OnProgress;
}

export interface DumpLine {
  readonly file: string;
  readonly sizeBytes?: number;
  /**
   * `stored`: as large as its manifest says. `verified`: read now, and what manifest and record say. `unproven`: no
   * manifest, so no dump. `missing`: a manifest without its file. `damaged`: see `trouble`.
   */
  readonly state: "stored" | "verified" | "unproven" | "missing" | "damaged";
  readonly trouble?: string;
  readonly manifest?: DumpManifest;
}

export interface DumpList {
  readonly outcome: "ok" | "incomplete" | "damaged";
  readonly destination: string;
  readonly location: string;
  readonly verified: boolean;
  readonly dumps: readonly DumpLine[];
}

const MAX_MANIFEST_BYTES = 64 * 1024 * 1024;

export async function listDumps(
  context: OperationContext,
  options: ListDumpsOptions,
): Promise<DumpList> {
  const { policy, verify = false, onProgress } = options;
  const { signal } = context;
  const destination = filesDestinationNamed(policy, options.destination);
  await recordAccess(context, policy, "dumps", {
    destination: destination.name,
    ...(verify ? { verify: "yes" } : {}),
  });
  const store = await openStore(context, destination);
  const records = verify ? await recordsOf(context, policy, destination) : undefined;
  const found = await filesIn(store, signal);
  const dumps: DumpLine[] = [];
  for (const file of namesOf(found, policy, destination.name)) {
    const line = await lineOf(store, file, found, signal);
    if (!verify || line.state !== "stored") dumps.push(line);
    else {
      const seen = (doneBytes: number): void =>
        onProgress?.({
          step: "read back",
          doneBytes,
          totalBytes: line.sizeBytes ?? 0,
          current: file,
        });
      dumps.push(await verified(store, line, records, signal, seen));
    }
  }
  return {
    outcome: outcomeOf(dumps),
    destination: destination.name,
    location: store.location,
    verified: verify,
    dumps,
  };
}

function outcomeOf(dumps: readonly DumpLine[]): DumpList["outcome"] {
  const states = new Set(dumps.map(({ state }) => state));
  if (states.has("damaged")) return "damaged";
  return states.has("unproven") || states.has("missing") ? "incomplete" : "ok";
}

async function filesIn(
  store: ObjectStore,
  signal: AbortSignal,
): Promise<ReadonlyMap<string, ObjectStat>> {
  const found = new Map<string, ObjectStat>();
  for await (const stat of store.list("", { signal })) {
    // A dump lies at the top; what others keep in folders below is theirs.
    if (!stat.key.includes("/")) found.set(stat.key, stat);
  }
  return found;
}

/** Those with a manifest, and those that are called as a plan of ours would call them. In order of their names. */
function namesOf(
  found: ReadonlyMap<string, ObjectStat>,
  { plans }: Policy,
  destination: string,
): readonly string[] {
  const patterns = Object.values(plans).flatMap((plan) =>
    plan.capture === "pg_dump" && plan.to === destination ? [dumpNamePattern(plan.file)] : [],
  );
  const names = new Set<string>();
  for (const key of found.keys()) {
    if (key.endsWith(DUMP_MANIFEST_SUFFIX)) names.add(key.slice(0, -DUMP_MANIFEST_SUFFIX.length));
    else if (patterns.some((pattern) => pattern.test(key))) names.add(key);
  }
  return [...names].sort();
}

async function lineOf(
  store: ObjectStore,
  file: string,
  found: ReadonlyMap<string, ObjectStat>,
  signal: AbortSignal,
): Promise<DumpLine> {
  const stat = found.get(file);
  const size = stat === undefined ? {} : { sizeBytes: stat.sizeBytes };
  const listed = found.get(`${file}${DUMP_MANIFEST_SUFFIX}`);
  if (listed === undefined) {
    return { file, ...size, state: "unproven", trouble: "no manifest: the run did not end well" };
  }
  let manifest: DumpManifest;
  try {
    manifest = await loadDumpManifest(store, file, listed.sizeBytes, signal);
  } catch (thrown) {
    if (!(thrown instanceof AppError) || thrown.code !== "manifest.dump_damaged") throw thrown;
    return { file, ...size, state: "damaged", trouble: thrown.message };
  }
  if (stat === undefined) {
    return { file, state: "missing", trouble: "a manifest without its file", manifest };
  }
  if (stat.sizeBytes !== manifest.ciphertext.sizeBytes) {
    const trouble = `${stat.sizeBytes} bytes where the manifest says ${manifest.ciphertext.sizeBytes}`;
    return { file, ...size, state: "damaged", trouble, manifest };
  }
  return { file, ...size, state: "stored", manifest };
}

export async function loadDumpManifest(
  store: ObjectStore,
  file: string,
  sizeBytes: number,
  signal: AbortSignal,
): Promise<DumpManifest> {
  const key = `${file}${DUMP_MANIFEST_SUFFIX}`;
  // One that is larger is cut, and then is none: nobody fills our memory with it.
  const length = Math.min(sizeBytes, MAX_MANIFEST_BYTES);
  return parseDumpManifest(await store.getRange(key, { offset: 0, length }, { signal }), file);
}

async function recordsOf(
  context: OperationContext,
  policy: Policy,
  { manifests }: Named<FilesDestination>,
): Promise<readonly DumpRecord[] | undefined> {
  if (manifests === undefined) return undefined;
  const repository = await openDestination(context, destinationNamed(policy, manifests));
  return loadDumpRecords(repository, { signal: context.signal });
}

async function verified(
  store: ObjectStore,
  line: DumpLine,
  records: readonly DumpRecord[] | undefined,
  signal: AbortSignal,
  onRead: (sizeBytes: number) => void,
): Promise<DumpLine> {
  const { file, manifest } = line;
  if (manifest === undefined) return line;
  const hash = await hashOf(store, file, signal, onRead);
  if (hash !== manifest.ciphertext.sha256) {
    return { ...line, state: "damaged", trouble: "its bytes are not those of its manifest" };
  }
  if (records === undefined) return { ...line, state: "verified" };
  const trouble = differenceFromRecord(manifest, records, store.location);
  return trouble === undefined
    ? { ...line, state: "verified" }
    : { ...line, state: "damaged", trouble };
}

/** One file may have several records, of runs on different days under one name: one of them must be this one. */
function differenceFromRecord(
  manifest: DumpManifest,
  records: readonly DumpRecord[],
  location: string,
): string | undefined {
  const own = records.filter((one) => one.file === manifest.file && one.location === location);
  if (own.length === 0) return "no sealed record says that it was ever made";
  const text = JSON.stringify(manifest);
  return own.some((one) => JSON.stringify(one.manifest) === text)
    ? undefined
    : "its manifest is not the one in the sealed record";
}
