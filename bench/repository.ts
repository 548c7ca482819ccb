/** COPY text into a repository on a local disk, cold and again unchanged, against `restic backup --stdin`. */
import { createWriteStream, existsSync, readdirSync, writeFileSync } from "node:fs";
import { rm } from "node:fs/promises";
import { basename, join } from "node:path";
import { pipeline } from "node:stream/promises";
import { Readable } from "node:stream";
import { MIB } from "../src/kernel/index.ts";
import { build } from "./build.ts";
import { copyText } from "./copy-text.ts";
import { measure, median, rounded } from "./measure.ts";
import type { Measured, Program } from "./measure.ts";
import type { BenchResult } from "./report.ts";

export interface BenchOptions {
  readonly quick: boolean;
  readonly folder: string;
}

export async function benchRepository({ quick, folder }: BenchOptions): Promise<BenchResult> {
  const sizeMib = quick ? 256 : 1024;
  const runs = quick ? 3 : 5;
  const input = join(folder, "copy-text");
  const passwordFile = join(folder, "password");
  writeFileSync(passwordFile, "benchmark\n", { mode: 0o600 });
  await pipeline(Readable.from(copyText(sizeMib * MIB)), createWriteStream(input));
  const restic = await findRestic();
  const { stdinBackup } = await build();
  const ours = oursAt(stdinBackup, join(folder, "ours"), passwordFile, input);
  const peer = resticAt(restic.path, join(folder, "peer"), passwordFile, input, folder);
  const measured = { ours: emptyRuns(), peer: emptyRuns() };
  for (let run = 0; run < runs; run += 1) {
    const turns = [
      { contender: ours, into: measured.ours },
      { contender: peer, into: measured.peer },
    ];
    // Who goes first changes, so that neither always finds the disk as the other left it.
    for (const { contender, into } of run % 2 === 0 ? turns : turns.toReversed()) {
      await oneRun(contender, into);
    }
  }
  return resultOf(measured, [
    `${sizeMib} MiB of generated COPY text, ${runs} runs each, alternating; both verify what they sealed.`,
    `Peer: ${restic.version}, its default compression; peak memory ${Math.round(median(measured.peer.peaks))} MiB.`,
    `Stored: ours ${rounded(median(measured.ours.storedMib), 1)} MiB, restic ${rounded(median(measured.peer.storedMib), 1)} MiB.`,
  ]);
}

interface Contender {
  readonly folder: string;
  readonly init: Program;
  readonly backup: Program;
}

interface Runs {
  readonly cold: number[];
  readonly unchanged: number[];
  readonly peaks: number[];
  readonly storedMib: number[];
}

function emptyRuns(): Runs {
  return { cold: [], unchanged: [], peaks: [], storedMib: [] };
}

async function oneRun(contender: Contender, into: Runs): Promise<void> {
  await rm(contender.folder, { recursive: true, force: true });
  await measure(contender.init);
  const cold = await measure(contender.backup);
  const stored = await measure({ command: "du", args: ["-sb", contender.folder] });
  const unchanged = await measure(contender.backup);
  into.cold.push(cold.seconds);
  into.unchanged.push(unchanged.seconds);
  into.peaks.push(Math.max(cold.peakMib, unchanged.peakMib));
  into.storedMib.push(Number.parseInt(stored.stdout, 10) / MIB);
  await rm(contender.folder, { recursive: true, force: true });
  console.log(
    `${basename(contender.backup.command)}: ${line(cold)} cold, ${line(unchanged)} unchanged`,
  );
}

function line({ seconds, peakMib }: Measured): string {
  return `${seconds.toFixed(2)} s (${Math.round(peakMib)} MiB)`;
}

function oursAt(script: string, folder: string, passwordFile: string, input: string): Contender {
  const program = (verb: string): Program => ({
    command: process.execPath,
    args: [script, verb, folder, passwordFile],
    stdin: input,
  });
  return { folder, init: program("init"), backup: program("backup") };
}

function resticAt(
  path: string,
  folder: string,
  passwordFile: string,
  input: string,
  home: string,
): Contender {
  const env = {
    RESTIC_REPOSITORY: folder,
    RESTIC_PASSWORD_FILE: passwordFile,
    RESTIC_CACHE_DIR: join(home, "cache"),
  };
  return {
    folder,
    init: { command: path, args: ["init", "--quiet"], env },
    backup: { command: path, args: ["backup", "--quiet", "--stdin"], env, stdin: input },
  };
}

/** The newest that the set-up fetched, else the system's. */
export async function findRestic(): Promise<{ path: string; version: string }> {
  const tools = join(import.meta.dirname, "../.tools/restic");
  const versions = existsSync(tools) ? readdirSync(tools) : [];
  const newest = versions
    .toSorted((a, b) => b.localeCompare(a, "en", { numeric: true }))
    .map((version) => join(tools, version, "usr/bin/restic"))
    .find((path) => existsSync(path));
  const path = newest ?? "restic";
  const { stdout } = await measure({ command: path, args: ["version"] });
  return { path, version: stdout.trim().split(" compiled")[0] ?? "restic" };
}

function resultOf(measured: { ours: Runs; peer: Runs }, notes: readonly string[]): BenchResult {
  const { ours, peer } = measured;
  const rss = Math.round(Math.max(...ours.peaks));
  return {
    bench: "repository",
    ratios: {
      cold: rounded(median(ours.cold) / median(peer.cold)),
      unchanged: rounded(median(ours.unchanged) / median(peer.unchanged)),
      rss,
    },
    ours: {
      cold: rounded(median(ours.cold)),
      unchanged: rounded(median(ours.unchanged)),
      rss,
    },
    peer: {
      cold: rounded(median(peer.cold)),
      unchanged: rounded(median(peer.unchanged)),
      rss: Math.round(Math.max(...peer.peaks)),
    },
    notes,
  };
}
