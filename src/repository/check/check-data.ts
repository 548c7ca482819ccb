import { createHash } from "node:crypto";
import { throwIfAborted, toHex } from "../../kernel/index.ts";
import type { Bytes } from "../../kernel/index.ts";
import { objectKey } from "../core.ts";
import { openBytes } from "../crypto/sealed.ts";
import { HEADER_LENGTH_BYTES, parseHeader } from "../pack/header.ts";
import type { PackEntry } from "../pack/header.ts";
import { isMissing, isTruncated } from "../read/blob-reader.ts";
import type { BlobReader } from "../read/blob-reader.ts";
import { positionsOf } from "./check-packs.ts";
import type { CheckStep, KnownPacks } from "./check-packs.ts";

/** Packs up to here are read at once; larger ones, which other writers make, piece by piece. */
const WHOLE_PACK_BYTES = 64 * 1024 * 1024;
const PIECE_BYTES = 8 * 1024 * 1024;
const PARALLEL_PACKS = 2;

/** Bytes of one pack by place; an empty array where the pack ends before. */
type ReadPiece = (offset: number, lengthBytes: number) => Promise<Bytes>;

/** Reads every pack that an index names: its name, its header, and the hash of every blob. Answers the bytes read. */
export async function checkData(
  step: CheckStep,
  reader: BlobReader,
  packs: KnownPacks,
  onRead: (sizeBytes: number) => void,
): Promise<void> {
  const numbers = [...reader.index.packIds.keys()].filter((number) => !packs.missing.has(number));
  let next = 0;
  const work = async (): Promise<void> => {
    for (let number = numbers[next++]; number !== undefined; number = numbers[next++]) {
      throwIfAborted(step.signal);
      await checkPack(step, reader, packs, number);
      onRead(packs.sizes[number] ?? 0);
    }
  };
  await Promise.all(Array.from({ length: PARALLEL_PACKS }, work));
}

async function checkPack(
  step: CheckStep,
  reader: BlobReader,
  packs: KnownPacks,
  number: number,
): Promise<void> {
  const pack = reader.index.packIds[number] ?? "";
  const sizeBytes = packs.sizes[number] ?? 0;
  try {
    const read = await pieceReader(step, pack, sizeBytes);
    if ((await hashOf(read, sizeBytes)) !== pack) {
      const message = `pack ${pack.slice(0, 8)} whose content is not what its name says`;
      step.findings.add("pack_damaged", message, { pack });
    }
    await checkHeader(step, reader, { pack, sizeBytes, read, packs, number });
    await checkBlobs(step, reader, { pack, read, positions: positionsOf(packs.groups, number) });
  } catch (thrown) {
    if (!isMissing(thrown) && !isTruncated(thrown)) throw thrown;
    const message = `pack ${pack.slice(0, 8)} that went or shrank while it was read`;
    step.findings.add("pack_damaged", message, { pack });
  }
}

async function pieceReader(step: CheckStep, pack: string, sizeBytes: number): Promise<ReadPiece> {
  const { store } = step.core;
  const options = step.signal === undefined ? {} : { signal: step.signal };
  const key = objectKey.pack(pack);
  if (sizeBytes <= WHOLE_PACK_BYTES) {
    const whole = await store.get(key, options);
    return (offset, length) => Promise.resolve(whole.subarray(offset, offset + length));
  }
  return async (offset, length) => {
    const there = Math.max(0, Math.min(length, sizeBytes - offset));
    if (there === 0) return new Uint8Array(0);
    return await store.getRange(key, { offset, length: there }, options);
  };
}

async function hashOf(read: ReadPiece, sizeBytes: number): Promise<string> {
  const digest = createHash("sha256");
  for (let offset = 0; offset < sizeBytes; offset += PIECE_BYTES) {
    digest.update(await read(offset, Math.min(PIECE_BYTES, sizeBytes - offset)));
  }
  return digest.digest("hex");
}

interface HeaderQuestion {
  readonly pack: string;
  readonly number: number;
  readonly sizeBytes: number;
  readonly read: ReadPiece;
  readonly packs: KnownPacks;
}

async function checkHeader(
  { core, findings }: CheckStep,
  { index }: BlobReader,
  { pack, number, sizeBytes, read, packs }: HeaderQuestion,
): Promise<void> {
  const entries = await readHeader(read, sizeBytes, (sealed) =>
    openBytes(sealed, core.master.keys),
  );
  if (entries === undefined) {
    const message = `pack ${pack.slice(0, 8)} whose header cannot be read`;
    findings.add("pack_header_damaged", message, { pack });
    return;
  }
  const listed = new Set(entries.map(keyOfEntry));
  for (const position of positionsOf(packs.groups, number)) {
    const place = index.at(position);
    if (listed.delete(keyOfEntry(place))) continue;
    const blob = toHex(place.id);
    const message = `blob ${blob.slice(0, 8)} that an index places where pack ${pack.slice(0, 8)} has none`;
    findings.add("index_differs", message, { pack, blob });
  }
  for (const entry of listed) {
    const blob = entry.slice(0, 64);
    const message = `blob ${blob.slice(0, 8)} that pack ${pack.slice(0, 8)} holds and no index lists`;
    findings.add("index_differs", message, { pack, blob });
  }
}

function keyOfEntry({ id, type, offset, lengthBytes, plainBytes }: PackEntry): string {
  return [toHex(id), type, offset, lengthBytes, plainBytes ?? 0].join(" ");
}

async function readHeader(
  read: ReadPiece,
  sizeBytes: number,
  open: (sealed: Bytes) => Bytes | undefined,
): Promise<readonly PackEntry[] | undefined> {
  if (sizeBytes < HEADER_LENGTH_BYTES) return undefined;
  const tail = Buffer.from(await read(sizeBytes - HEADER_LENGTH_BYTES, HEADER_LENGTH_BYTES));
  const length = tail.readUInt32LE(0);
  const offset = sizeBytes - HEADER_LENGTH_BYTES - length;
  if (offset < 0 || length > WHOLE_PACK_BYTES) return undefined;
  const header = open(await read(offset, length));
  return header === undefined ? undefined : parseHeader(header);
}

async function checkBlobs(
  { findings, signal }: CheckStep,
  reader: BlobReader,
  { pack, read, positions }: { pack: string; read: ReadPiece; positions: Uint32Array },
): Promise<void> {
  for (const position of positions) {
    throwIfAborted(signal);
    const place = reader.index.at(position);
    if (reader.open(place, await read(place.offset, place.lengthBytes)) !== undefined) continue;
    const blob = toHex(place.id);
    const message = `${place.type} blob ${blob.slice(0, 8)} damaged in pack ${pack.slice(0, 8)}`;
    findings.add("blob_damaged", message, { pack, blob });
  }
}
