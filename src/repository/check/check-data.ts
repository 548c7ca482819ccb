import { createHash } from "node:crypto";
import { AppError, throwIfAborted, toHex } from "../../kernel/index.ts";
import type { Bytes } from "../../kernel/index.ts";
import { objectKey } from "../core.ts";
import { openBytes } from "../crypto/sealed.ts";
import { HEADER_LENGTH_BYTES, parseHeader } from "../pack/header.ts";
import type { PackEntry } from "../pack/header.ts";
import { isMissing, isTruncated } from "../read/blob-reader.ts";
import type { BlobReader } from "../read/blob-reader.ts";
import { Gate } from "../gates.ts";
import { positionsOf } from "./check-packs.ts";
import type { CheckStep, KnownPacks } from "./check-packs.ts";
import { headerRange } from "./verify-pack.ts";
import type { BlobTable, PackVerdict } from "./verify-pack.ts";
import { createPackVerifier } from "./verify-pool.ts";
import type { PackVerifier } from "./verify-pool.ts";

/** Packs up to here are read at once; larger ones, which other writers make, piece by piece. */
const WHOLE_PACK_BYTES = 64 * 1024 * 1024;
const PIECE_BYTES = 8 * 1024 * 1024;
/** Of packs read and not yet verified. */
const IN_FLIGHT_BYTES = 40 * 1024 * 1024;
/** After so many packs that the store does not give, the rest is not even asked for. */
const MAX_UNREADABLE = 5;

export interface DataRead {
  /** Read in full, damaged or not. */
  readonly readPacks: number;
  readonly readBytes: number;
  /** Of those the ones without any finding, by id. */
  readonly goodPacks: readonly string[];
  /** Chosen and not read: the store was away. */
  readonly unreadPacks: number;
  readonly unreadReason?: AppError;
}

/** Reads the chosen packs (by number): name, header, and the hash of every blob. Never calls good what it did not read. */
export async function checkData(
  step: CheckStep,
  reader: BlobReader,
  packs: KnownPacks,
  chosen: readonly number[],
  onRead: (sizeBytes: number) => void,
): Promise<DataRead> {
  const totalBytes = chosen.reduce((sum, number) => sum + (packs.sizes[number] ?? 0), 0);
  const { master, threads } = step.core;
  const started = threads === undefined ? {} : { threads };
  await using verifier = createPackVerifier({ keys: master.keys, totalBytes, ...started });
  const check = new DataCheck(step, reader, packs, verifier);
  const goodPacks: string[] = [];
  let [next, readPacks, readBytes, failures] = [0, 0, 0, 0];
  let unreadReason: AppError | undefined;
  const work = async (): Promise<void> => {
    while (failures < MAX_UNREADABLE) {
      const number = chosen[next++];
      if (number === undefined) return;
      throwIfAborted(step.signal);
      try {
        if (await check.pack(number)) goodPacks.push(reader.index.packIds[number] ?? "");
      } catch (thrown) {
        throwIfAborted(step.signal);
        if (!(thrown instanceof AppError) || thrown.kind !== "unavailable") throw thrown;
        unreadReason ??= thrown;
        failures += 1;
        continue;
      }
      readPacks += 1;
      readBytes += packs.sizes[number] ?? 0;
      onRead(packs.sizes[number] ?? 0);
    }
  };
  await Promise.all(Array.from({ length: verifier.parallel }, work));
  return {
    readPacks,
    readBytes,
    goodPacks,
    unreadPacks: chosen.length - readPacks,
    ...(unreadReason === undefined ? {} : { unreadReason }),
  };
}

class DataCheck {
  readonly #step: CheckStep;
  readonly #reader: BlobReader;
  readonly #packs: KnownPacks;
  readonly #verifier: PackVerifier;
  readonly #inFlight = new Gate(IN_FLIGHT_BYTES);

  constructor(step: CheckStep, reader: BlobReader, packs: KnownPacks, verifier: PackVerifier) {
    this.#step = step;
    this.#reader = reader;
    this.#packs = packs;
    this.#verifier = verifier;
  }

  /** Whether nothing was found about it. */
  async pack(number: number): Promise<boolean> {
    const pack = this.#reader.index.packIds[number] ?? "";
    const sizeBytes = this.#packs.sizes[number] ?? 0;
    const table = this.#tableOf(number);
    const isLarge = sizeBytes > WHOLE_PACK_BYTES;
    const weight = isLarge ? PIECE_BYTES : sizeBytes;
    const signal = this.#step.signal ?? new AbortController().signal;
    await this.#inFlight.enter(weight, signal);
    try {
      const verdict = isLarge
        ? await this.#verifyInPieces(pack, sizeBytes, table)
        : await this.#verifier.verify(await this.#read(pack), pack, table);
      return this.#tell(pack, table, number, verdict);
    } catch (thrown) {
      if (!isMissing(thrown) && !isTruncated(thrown)) throw thrown;
      const message = `pack ${pack.slice(0, 8)} that went or shrank while it was read`;
      this.#step.findings.add("pack_damaged", message, { pack });
      return false;
    } finally {
      this.#inFlight.leave(weight);
    }
  }

  #read(pack: string): Promise<Bytes> {
    const { core, signal } = this.#step;
    const room = (sizeBytes: number): Bytes => this.#verifier.room(sizeBytes);
    return core.store.get(objectKey.pack(pack), signal === undefined ? { room } : { signal, room });
  }

  /** In the order of their places. */
  #tableOf(number: number): BlobTable {
    const { index } = this.#reader;
    const positions = [...positionsOf(this.#packs.groups, number)].sort(
      (a, b) => index.offsetAt(a) - index.offsetAt(b) || a - b,
    );
    const ids = new Uint8Array(positions.length * 32);
    const places = new Uint32Array(positions.length * 3);
    for (const [i, position] of positions.entries()) {
      ids.set(index.idAt(position), i * 32);
      const plainBytes = index.compressedAt(position) ? index.plainLengthAt(position) : 0;
      places.set([index.offsetAt(position), index.lengthAt(position), plainBytes], i * 3);
    }
    return { ids, places };
  }

  #tell(
    pack: string,
    { places }: BlobTable,
    number: number,
    { nameFits, header, damaged }: PackVerdict,
  ): boolean {
    const { findings } = this.#step;
    const short = pack.slice(0, 8);
    let good = true;
    const found = (...finding: Parameters<typeof findings.add>): void => {
      good = false;
      findings.add(...finding);
    };
    if (!nameFits) {
      const message = `pack ${short} whose content is not what its name says`;
      found("pack_damaged", message, { pack });
    }
    const indexed = this.#entriesOf(number);
    const entries = header === undefined ? undefined : parseHeader(header);
    if (entries === undefined) {
      found("pack_header_damaged", `pack ${short} whose header cannot be read`, { pack });
    } else {
      for (const { blob, where } of differences(indexed, entries)) {
        const message =
          where === "index"
            ? `blob ${blob.slice(0, 8)} that an index places where pack ${short} has none`
            : `blob ${blob.slice(0, 8)} that pack ${short} holds and no index lists`;
        found("index_differs", message, { pack, blob });
      }
    }
    for (let i = 0; i < places.length / 3; i += 1) {
      if (damaged[i] !== 1) continue;
      const entry = indexed[i];
      const blob = entry === undefined ? "" : toHex(entry.id);
      const message = `${entry?.type ?? ""} blob ${blob.slice(0, 8)} damaged in pack ${short}`;
      found("blob_damaged", message, { pack, blob });
    }
    return good && this.#packs.expected[number] === this.#packs.sizes[number];
  }

  #entriesOf(number: number): readonly PackEntry[] {
    const { index } = this.#reader;
    return [...positionsOf(this.#packs.groups, number)]
      .sort((a, b) => index.offsetAt(a) - index.offsetAt(b) || a - b)
      .map((position) => index.at(position));
  }

  /** A pack larger than any of ours: never in memory as a whole, on this thread. */
  async #verifyInPieces(pack: string, sizeBytes: number, table: BlobTable): Promise<PackVerdict> {
    const { core, signal } = this.#step;
    const options = signal === undefined ? {} : { signal };
    const key = objectKey.pack(pack);
    const read = async (offset: number, length: number): Promise<Bytes> => {
      const there = Math.max(0, Math.min(length, sizeBytes - offset));
      if (there === 0) return new Uint8Array(0);
      return await core.store.getRange(key, { offset, length: there }, options);
    };
    const digest = createHash("sha256");
    for (let offset = 0; offset < sizeBytes; offset += PIECE_BYTES) {
      digest.update(await read(offset, PIECE_BYTES));
    }
    const tail = await read(sizeBytes - HEADER_LENGTH_BYTES, HEADER_LENGTH_BYTES);
    const range = headerRange(sizeBytes, tail);
    const header =
      range === undefined
        ? undefined
        : openBytes(await read(range.offset, range.length), core.master.keys);
    const damaged = new Uint8Array(table.places.length / 3);
    for (const [i, place] of placesOf(table, pack).entries()) {
      throwIfAborted(signal);
      const sealed = await read(place.offset, place.lengthBytes);
      if (this.#reader.open(place, sealed) === undefined) damaged[i] = 1;
    }
    const nameFits = digest.digest("hex") === pack;
    return { nameFits, damaged, ...(header === undefined ? {} : { header }) };
  }
}

function placesOf({ ids, places }: BlobTable, pack: string) {
  return Array.from({ length: places.length / 3 }, (_, i) => {
    const [offset = 0, lengthBytes = 0, plainBytes = 0] = places.subarray(i * 3, i * 3 + 3);
    const id = ids.subarray(i * 32, i * 32 + 32);
    const plain = plainBytes === 0 ? {} : { plainBytes };
    return { id, type: "data" as const, pack, offset, lengthBytes, ...plain };
  });
}

interface Difference {
  readonly blob: string;
  /** Which of the two alone has it. */
  readonly where: "index" | "header";
}

function differences(
  indexed: readonly PackEntry[],
  header: readonly PackEntry[],
): readonly Difference[] {
  const same = indexed.length === header.length && indexed.every((a, i) => isSame(a, header[i]));
  if (same) return [];
  const listed = new Set(header.map(keyOfEntry));
  const found: Difference[] = [];
  for (const entry of indexed) {
    if (!listed.delete(keyOfEntry(entry))) found.push({ blob: toHex(entry.id), where: "index" });
  }
  for (const key of listed) found.push({ blob: key.slice(0, 64), where: "header" });
  return found;
}

function isSame(a: PackEntry, b: PackEntry | undefined): boolean {
  if (b === undefined || a.offset !== b.offset || a.lengthBytes !== b.lengthBytes) return false;
  if (a.type !== b.type || (a.plainBytes ?? 0) !== (b.plainBytes ?? 0)) return false;
  return Buffer.compare(a.id, b.id) === 0;
}

export function keyOfEntry({ id, type, offset, lengthBytes, plainBytes }: PackEntry): string {
  return [toHex(id), type, offset, lengthBytes, plainBytes ?? 0].join(" ");
}
