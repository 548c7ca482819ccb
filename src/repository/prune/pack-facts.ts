import { AppError, isHexId } from "../../kernel/index.ts";
import type { Bytes } from "../../kernel/index.ts";
import { BlobIndex } from "../index/blob-index.ts";
import { notAnIndex, openedFiles } from "../index/load-index.ts";
import type { IndexStat } from "../index/load-index.ts";
import { parseIndexFile } from "../index/index-file.ts";
import type { IndexFile } from "../index/index-file.ts";
import { scanIndex } from "../index/scan-index.ts";
import { headerEntryBytes, packOverheadBytes } from "../pack/header.ts";
import type { PackEntry } from "../pack/header.ts";
import { objectKey } from "../core.ts";
import type { RepositoryCore } from "../core.ts";

/**
 * What becomes of a pack.
 *
 *   keep --nobody needs a blob--> mark --grace--> expired -> removed
 *     |--much is unneeded--> repack --copied--> as mark         |needed again
 *     |                                 waiting (marked, grace runs) --> recover -> keep
 *   missing: listed and not there
 */
export type Fate = "keep" | "repack" | "mark" | "waiting" | "expired" | "recover" | "missing";

/** One listed pack; its place in the list is its number in the index. */
export interface PackFacts {
  readonly id: string;
  /** −1: not in the store. */
  storedBytes: number;
  /** What it weighs if it holds exactly what the indexes place in it. */
  expectedBytes: number;
  /** Listed as a pack in use by at least one index file. */
  live: boolean;
  /** Marked by an index file, and since when, where the mark says it. */
  marked: boolean;
  markedAtMs: number | undefined;
  hasTrees: boolean;
  blobs: number;
  usedBlobs: number;
  /** Sealed bytes of blobs that are needed from here. */
  usedBytes: number;
  /** Of all its blobs. */
  sealedBytes: number;
  /** Of what is needed from here: the number of the one lifetime, −1 for nothing yet, −2 for several. */
  lifetime: number;
  /** Blobs of it are needed though its size is wrong: there is no other place. */
  suspect: boolean;
  fate: Fate;
}

/** Whether what an index places there may count as another copy (docs/spec/repository.md, R9). */
export function isBelieved(pack: PackFacts): boolean {
  return pack.storedBytes === pack.expectedBytes;
}

export function unusedBytesOf({ sealedBytes, usedBytes }: PackFacts): number {
  return sealedBytes - usedBytes;
}

/** Whether it stays listed as it is. */
export function stays({ fate }: PackFacts): boolean {
  return fate === "keep" || fate === "recover";
}

export interface ListedFile {
  readonly packs: Uint32Array;
  readonly marked: Uint32Array;
  readonly blobs: number;
}

/** Every index file and every pack that one lists, marked ones included. */
export class PackLedger {
  readonly index = new BlobIndex();
  readonly packs: PackFacts[] = [];
  readonly files = new Map<string, ListedFile>();

  at(number: number): PackFacts {
    const facts = this.packs[number];
    if (facts === undefined) throw new RangeError(`no pack ${number}`);
    return facts;
  }

  packOf(position: number): PackFacts {
    return this.at(this.index.packNumberAt(position));
  }

  numberOf(id: string): number | undefined {
    return this.index.knownPackNumber(id);
  }

  /** Whether it is an index. What was added of one that is none stays: whoever reads the index gives up then. */
  addJson(id: string, json: Bytes): boolean {
    const live: number[] = [];
    let blobs = 0;
    let facts: PackFacts | undefined;
    const scanned = scanIndex(json, {
      pack: (pack) => {
        const number = this.#numbered(pack);
        live.push(number);
        facts = this.at(number);
      },
      blob: (entry) => {
        blobs += 1;
        if (facts !== undefined) this.#addEntry(facts, live.at(-1) ?? 0, entry);
      },
    });
    if (scanned) {
      this.#note(id, live, [], blobs);
      return true;
    }
    const file = parseIndexFile(json);
    if (file !== undefined) this.addFile(id, file);
    return file !== undefined;
  }

  addFile(id: string, { packs, marked }: IndexFile): void {
    let blobs = 0;
    const add = (pack: string, entries: readonly PackEntry[]): number => {
      const number = this.#numbered(pack);
      for (const entry of entries) this.#addEntry(this.at(number), number, entry);
      blobs += entries.length;
      return number;
    };
    const live = packs.map((pack) => add(pack.id, pack.entries));
    const numbers = marked.map((pack) => {
      const number = add(pack.id, pack.entries);
      const facts = this.at(number);
      facts.marked = true;
      // The later of two marks counts: the longer wait.
      const atMs = pack.markedAt?.getTime() ?? facts.markedAtMs ?? 0;
      if (pack.markedAt !== undefined) facts.markedAtMs = Math.max(facts.markedAtMs ?? 0, atMs);
      return number;
    });
    this.#note(id, live, numbers, blobs);
  }

  #numbered(pack: string): number {
    const number = this.index.packNumber(pack);
    this.packs[number] ??= newFacts(pack);
    return number;
  }

  #note(id: string, live: readonly number[], marked: readonly number[], blobs: number): void {
    for (const number of live) this.at(number).live = true;
    this.files.set(id, { packs: Uint32Array.from(live), marked: Uint32Array.from(marked), blobs });
  }

  #addEntry(facts: PackFacts, number: number, entry: PackEntry): void {
    const sizeBefore = this.index.size;
    this.index.add(entry, number);
    // The same place again, by another index file.
    if (this.index.size === sizeBefore) return;
    facts.blobs += 1;
    facts.sealedBytes += entry.lengthBytes;
    facts.expectedBytes += entry.lengthBytes + headerEntryBytes(entry.plainBytes !== undefined);
    if (entry.type === "tree") facts.hasTrees = true;
  }
}

function newFacts(id: string): PackFacts {
  return {
    id,
    storedBytes: -1,
    expectedBytes: packOverheadBytes(0),
    live: false,
    marked: false,
    markedAtMs: undefined,
    hasTrees: false,
    blobs: 0,
    usedBlobs: 0,
    usedBytes: 0,
    sealedBytes: 0,
    lifetime: -1,
    suspect: false,
    fate: "keep",
  };
}

/** Takes these index files in. A damaged one stops everything: what it lists may be needed. */
export async function readIndexFiles(
  core: RepositoryCore,
  ledger: PackLedger,
  files: readonly IndexStat[],
  onFile: (file: ListedFile) => void,
  signal?: AbortSignal,
): Promise<void> {
  for await (const opened of openedFiles(core, files, signal)) {
    if ("error" in opened) throw opened.error;
    if (!ledger.addJson(opened.id, opened.json)) throw notAnIndex(opened.id);
    const listed = ledger.files.get(opened.id);
    if (listed !== undefined) onFile(listed);
  }
}

export interface UnlistedPack {
  readonly id: string;
  readonly sizeBytes: number;
  readonly modifiedAt: Date;
}

export interface StoredPacks {
  readonly unlisted: readonly UnlistedPack[];
  readonly packs: number;
  readonly bytes: number;
}

/** The packs of the store: sizes of the listed ones into the ledger, the others as they are. Asked after the indexes. */
export async function readStoredPacks(
  core: RepositoryCore,
  ledger: PackLedger,
  signal?: AbortSignal,
): Promise<StoredPacks> {
  const unlisted: UnlistedPack[] = [];
  let packs = 0;
  let bytes = 0;
  const options = signal === undefined ? {} : { signal };
  for await (const { key, sizeBytes, modifiedAt } of core.store.list("data/", options)) {
    const id = key.slice(key.lastIndexOf("/") + 1);
    if (!isHexId(id) || key !== objectKey.pack(id)) continue;
    packs += 1;
    bytes += sizeBytes;
    const number = ledger.numberOf(id);
    if (number === undefined) unlisted.push({ id, sizeBytes, modifiedAt });
    else ledger.at(number).storedBytes = sizeBytes;
  }
  return { unlisted, packs, bytes };
}

export function isGone(thrown: unknown): boolean {
  return thrown instanceof AppError && thrown.code === "objectstore.not_found";
}
