/**
 * What grows: small objects in one flat folder and in many, and a cold start against the index of many blobs. The peer
 * is stock restic on the same folders, and on the same repository for the cold start.
 */
import { mkdirSync, writeFileSync } from "node:fs";
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { build } from "./build.ts";
import { coldStart, coldStartS3 } from "./cold-start.ts";
import { copyText } from "./copy-text.ts";
import { measure, median, rounded } from "./measure.ts";
import type { Program } from "./measure.ts";
import { inTurn } from "./pair.ts";
import type { Pair, Tools } from "./pair.ts";
import type { BenchResult } from "./report.ts";
import { findRestic } from "./repository.ts";
import type { BenchOptions } from "./repository.ts";

const OBJECT_BYTES = 4096;

export async function benchScale({ quick, folder }: BenchOptions): Promise<BenchResult> {
  const objects = quick ? 30_000 : 300_000;
  const blobs = quick ? 100_000 : 1_000_000;
  const runs = quick ? 1 : 3;
  const passwordFile = join(folder, "password");
  writeFileSync(passwordFile, "benchmark\n", { mode: 0o600 });
  const { path: restic, version } = await findRestic();
  const tools = { folder, passwordFile, built: await build(), restic };
  const flat = await smallObjects(tools, join(folder, "flat"), { objects, folders: 1, runs });
  const many = await smallObjects(tools, join(folder, "many"), { objects, folders: 1000, runs });
  await measure(oursProgram(tools, "blobs", String(blobs)));
  const cold = await coldStart(tools, runs);
  const s3 = await coldStartS3(tools, runs);
  const pairs = {
    flat: flat.first,
    many: many.first,
    flat_unchanged: flat.unchanged,
    cold_start: cold,
    cold_start_s3: s3.pairs,
  };
  return {
    bench: "scale",
    ratios: {
      ...mapped(pairs, (pair) => rounded(wall(pair, "ours") / wall(pair, "peer"))),
      one_more_bytes: rounded(flat.oneMore.ours / flat.oneMore.peer, 3),
      rss: Math.round(
        Math.max(
          ...Object.values(pairs)
            .flat()
            .map(({ ours }) => ours.peakMib),
        ),
      ),
    },
    ours: {
      ...mapped(pairs, (pair) => rounded(wall(pair, "ours"))),
      one_more_bytes: flat.oneMore.ours,
      cold_start_rss: peak(cold, "ours"),
    },
    peer: {
      ...mapped(pairs, (pair) => rounded(wall(pair, "peer"))),
      one_more_bytes: flat.oneMore.peer,
      cold_start_rss: peak(cold, "peer"),
    },
    notes: [
      `flat, many: ${objects} objects of ${OBJECT_BYTES} bytes in one folder, in 1,000; ${runs} runs, alternating. Peer: ${version}, its default compression.`,
      "flat_unchanged: the same again. restic passes over files by size and time and reads none; ours has no local list to go by here, so every object is read and hashed: the bucket source, which knows ETags, comes later.",
      "one_more_bytes: written when one object is added to the flat folder.",
      `cold_start: no cache; opens a repository of ${blobs} blobs, loads its index and gives one file (\`sparekeep dump\`, \`restic --no-cache dump\`); the same repository, made by ours.`,
      `cold_start_s3: the same, out of a bucket of a real Ceph ${s3.version} on the same two cores, plain http on loopback.`,
      "rss: our peak over all of it, MiB.",
    ],
  };
}

interface Shape {
  readonly objects: number;
  readonly folders: number;
  readonly runs: number;
}

interface SmallObjects {
  readonly first: readonly Pair[];
  readonly unchanged: readonly Pair[];
  readonly oneMore: { readonly ours: number; readonly peer: number };
}

async function smallObjects(tools: Tools, source: string, shape: Shape): Promise<SmallObjects> {
  writeObjects(source, shape);
  const ours = oursOf(tools, source);
  const peer = peerOf(tools, source);
  const first: Pair[] = [];
  const unchanged: Pair[] = [];
  for (let run = 0; run < shape.runs; run += 1) {
    await clear(tools);
    await measure(ours.init);
    await measure(peer.init);
    first.push(await inTurn(run, ours.backup, peer.backup));
    unchanged.push(await inTurn(run, ours.backup, peer.backup));
  }
  writeFileSync(join(source, "one more"), "one more object");
  const before = await sizes(tools);
  await inTurn(0, ours.backup, peer.backup);
  const after = await sizes(tools);
  await clear(tools);
  await rm(source, { recursive: true, force: true });
  return {
    first,
    unchanged,
    oneMore: { ours: after.ours - before.ours, peer: after.peer - before.peer },
  };
}

function writeObjects(source: string, { objects, folders }: Shape): void {
  const text = copyText(objects * OBJECT_BYTES);
  let piece: Uint8Array = new Uint8Array(0);
  for (let i = 0; i < objects; i += 1) {
    if (piece.byteLength < OBJECT_BYTES) {
      const next = text.next();
      if (next.done !== true) piece = next.value;
    }
    const folder = folders === 1 ? source : join(source, `folder ${i % folders}`);
    if (i < folders) mkdirSync(folder, { recursive: true });
    writeFileSync(join(folder, `object ${i}`), piece.subarray(0, OBJECT_BYTES));
    piece = piece.subarray(OBJECT_BYTES);
  }
}

interface Contender {
  readonly init: Program;
  readonly backup: Program;
}

function oursProgram({ built, folder, passwordFile }: Tools, verb: string, what: string): Program {
  const args = [built.smallObjects, verb, join(folder, "ours"), passwordFile, what];
  return { command: process.execPath, args };
}

function oursOf(tools: Tools, source: string): Contender {
  return { init: oursProgram(tools, "init", ""), backup: oursProgram(tools, "folder", source) };
}

function peerOf({ folder, passwordFile, restic }: Tools, source: string): Contender {
  const env = {
    RESTIC_REPOSITORY: join(folder, "peer"),
    RESTIC_PASSWORD_FILE: passwordFile,
    RESTIC_CACHE_DIR: join(folder, "cache"),
  };
  const program = (...args: string[]): Program => ({
    command: restic,
    args: [...args, "--quiet"],
    env,
  });
  return { init: program("init"), backup: program("backup", source) };
}

async function clear({ folder }: Tools): Promise<void> {
  for (const name of ["ours", "peer", "cache"]) {
    await rm(join(folder, name), { recursive: true, force: true });
  }
}

async function sizes({ folder }: Tools): Promise<{ ours: number; peer: number }> {
  const size = async (name: string): Promise<number> => {
    const { stdout } = await measure({ command: "du", args: ["-sb", join(folder, name)] });
    return Number.parseInt(stdout, 10);
  };
  return { ours: await size("ours"), peer: await size("peer") };
}

function wall(pairs: readonly Pair[], whose: keyof Pair): number {
  return median(pairs.map((pair) => pair[whose].seconds));
}

function peak(pairs: readonly Pair[], whose: keyof Pair): number {
  return Math.round(Math.max(...pairs.map((pair) => pair[whose].peakMib)));
}

function mapped<Value>(
  record: Readonly<Record<string, Value>>,
  change: (value: Value) => number,
): Record<string, number> {
  return Object.fromEntries(Object.entries(record).map(([key, value]) => [key, change(value)]));
}
