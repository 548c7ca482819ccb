/** prune, check and check --read-data of one repository on a local disk, ours and restic's, each on a copy of it. */
import { randomBytes } from "node:crypto";
import { cpSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { formatBytes, MIB, Secret, systemClock } from "../src/kernel/index.ts";
import type { Bytes } from "../src/kernel/index.ts";
import { createFsStore } from "../src/objectstore/index.ts";
import { createRepository } from "../src/repository/index.ts";
import type { Repository } from "../src/repository/index.ts";
import { build } from "./build.ts";
import { copyText, randomNumbers } from "./copy-text.ts";
import { measure, median, rounded } from "./measure.ts";
import type { Program } from "./measure.ts";
import type { BenchOptions } from "./repository.ts";
import { findRestic } from "./repository.ts";
import type { BenchResult } from "./report.ts";

const WORK = ["prune", "check", "check_read_data"] as const;
type Work = (typeof WORK)[number];

const NIGHTS = 6;
/** Every other night is forgotten. */
const FORGOTTEN = 3;
const OBJECTS = 2_000;

interface Place {
  readonly template: string;
  readonly copy: string;
  readonly passwordFile: string;
  readonly home: string;
}

export async function benchMaintenance({ quick, folder }: BenchOptions): Promise<BenchResult> {
  const tableMib = quick ? 96 : 768;
  const runs = quick ? 3 : 5;
  const place: Place = {
    template: join(folder, "template"),
    copy: join(folder, "copy"),
    passwordFile: join(folder, "password"),
    home: folder,
  };
  writeFileSync(place.passwordFile, "benchmark\n", { mode: 0o600 });
  const made = await fill(place.template, tableMib * MIB);
  const restic = await findRestic();
  const { main } = await build();
  const contenders = { ours: oursAt(main, place), peer: resticAt(restic.path, place) };
  const measured = { ours: emptyRuns(), peer: emptyRuns() };
  for (let run = 0; run < runs; run += 1) {
    // Who goes first changes, so that neither always finds the disk as the other left it.
    const turns = run % 2 === 0 ? (["ours", "peer"] as const) : (["peer", "ours"] as const);
    for (const work of WORK) {
      for (const who of turns) await oneRun(place, contenders[who][work], measured[who], work, who);
    }
  }
  return resultOf(measured, [
    `${made.blobs} blobs, ${formatBytes(made.bytes)} stored: ${NIGHTS} nights of ${tableMib} MiB of COPY text and ${OBJECTS} small objects, a tenth of each changed every night, every other night forgotten; ${runs} runs each, alternating, each prune on a copy of its own.`,
    `prune: ours with --grace 0, which removes at once as restic does; both leave 5 % unused.`,
    `Peer: ${restic.version}; peak memory of prune, check, check --read-data: ${peaksOf(measured.peer)} MiB; ours: ${peaksOf(measured.ours)} MiB.`,
  ]);
}

type Runs = Readonly<Record<Work, { readonly seconds: number[]; readonly peaks: number[] }>>;

function emptyRuns(): Runs {
  const none = (): { seconds: number[]; peaks: number[] } => ({ seconds: [], peaks: [] });
  return { prune: none(), check: none(), check_read_data: none() };
}

async function oneRun(
  place: Place,
  program: Program,
  into: Runs,
  work: Work,
  who: string,
): Promise<void> {
  // A check leaves nothing behind, and needs no copy of its own.
  if (work === "prune") cpSync(place.template, place.copy, { recursive: true });
  const { seconds, peakMib } = await measure(program);
  into[work].seconds.push(seconds);
  into[work].peaks.push(peakMib);
  rmSync(place.copy, { recursive: true, force: true });
  console.log(`${work}, ${who}: ${seconds.toFixed(2)} s (${Math.round(peakMib)} MiB)`);
}

function oursAt(main: string, place: Place): Readonly<Record<Work, Program>> {
  const { template, copy, passwordFile, home } = place;
  const program = (folder: string, ...words: string[]): Program => ({
    command: process.execPath,
    args: [main, ...words, "--quiet", "--repository", folder, "--password-file", passwordFile],
    env: { HOME: home, XDG_STATE_HOME: join(home, "state") },
  });
  return {
    prune: program(copy, "prune", "--yes", "--grace", "0"),
    check: program(template, "check"),
    check_read_data: program(template, "check", "--read-data"),
  };
}

function resticAt(path: string, place: Place): Readonly<Record<Work, Program>> {
  const { template, copy, passwordFile, home } = place;
  const program = (folder: string, ...args: string[]): Program => ({
    command: path,
    args: [...args, "--quiet"],
    env: {
      HOME: home,
      RESTIC_REPOSITORY: folder,
      RESTIC_PASSWORD_FILE: passwordFile,
      RESTIC_CACHE_DIR: join(home, "cache"),
    },
  });
  return {
    prune: program(copy, "prune"),
    check: program(template, "check"),
    check_read_data: program(template, "check", "--read-data"),
  };
}

/** The nights, and what is forgotten of them. */
async function fill(folder: string, tableBytes: number): Promise<{ blobs: number; bytes: number }> {
  const random = (size: number): Bytes => randomBytes(size);
  const store = createFsStore(folder, { random });
  const repository = await createRepository(
    { store, clock: systemClock, random },
    { password: new Secret("benchmark"), hostname: "bench", username: "bench" },
  );
  const ids: string[] = [];
  for (let night = 0; night < NIGHTS; night += 1)
    ids.push(await backUp(repository, night, tableBytes));
  const { blobs } = await repository.check({ readData: false });
  for (const id of ids.filter((_, at) => at % 2 === 0).slice(0, FORGOTTEN)) {
    await store.remove(`snapshots/${id}`);
  }
  let bytes = 0;
  for await (const { sizeBytes } of store.list("data/")) bytes += sizeBytes;
  return { blobs, bytes };
}

async function backUp(repository: Repository, night: number, tableBytes: number): Promise<string> {
  const owner = { hostname: "bench", username: "bench", pid: process.pid };
  await using writer = await repository.acquireWriter(owner);
  const modifiedAt = new Date(0);
  await writer.saveFile(["table"], tableOf(night, tableBytes), { kind: "small-table", modifiedAt });
  for (let object = 0; object < OBJECTS; object += 1) {
    const content = objectOf(object, object % 10 === night % 10 ? night : 0);
    const path = ["objects", `folder ${object % 40}`, `object ${object}`];
    await writer.saveFile(path, content, { kind: "file", modifiedAt });
  }
  const time = new Date(Date.UTC(2026, 9, night + 1));
  return (await writer.commit({ time, paths: ["/app"], tags: ["plan=nightly"] })).id;
}

/** A tenth of its pieces are new every night, here and there. */
async function* tableOf(night: number, sizeBytes: number): AsyncGenerator<Bytes> {
  let piece = 0;
  const fresh = copyText(sizeBytes, 1000 + night);
  for (const bytes of copyText(sizeBytes)) {
    piece += 1;
    yield night > 0 && (piece * 7 + night) % 10 === 0 ? (fresh.next().value ?? bytes) : bytes;
  }
}

async function* objectOf(object: number, version: number): AsyncGenerator<Bytes> {
  const next = randomNumbers(object * 31 + version + 1);
  yield Buffer.from(Array.from({ length: 500 + next(8_000) }, () => next(256)));
}

function peaksOf(runs: Runs): string {
  return WORK.map((work) => Math.round(Math.max(...runs[work].peaks))).join(", ");
}

function resultOf(measured: { ours: Runs; peer: Runs }, notes: readonly string[]): BenchResult {
  const seconds = (runs: Runs): Record<string, number> =>
    Object.fromEntries(WORK.map((work) => [work, rounded(median(runs[work].seconds))]));
  const ratio = (work: Work): number =>
    rounded(median(measured.ours[work].seconds) / median(measured.peer[work].seconds));
  return {
    bench: "maintenance",
    ratios: Object.fromEntries(WORK.map((work) => [work, ratio(work)])),
    ours: seconds(measured.ours),
    peer: seconds(measured.peer),
    notes,
  };
}
