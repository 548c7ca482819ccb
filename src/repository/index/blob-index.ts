import { randomInt } from "node:crypto";
import type { Bytes } from "../../kernel/index.ts";
import { bug, toHex } from "../../kernel/index.ts";
import type { Bitset } from "../bitset.ts";
import type { BlobType } from "../seal.ts";

/**
 * Which blobs there are and where, for millions of them: open addressing over flat arrays, no object a blob.
 *
 *   entry, 48 bytes: id 8 × u32 ‖ pack number (bit 31: tree) ‖ offset ‖ sealed length ‖ plain length (0: not compressed)
 *   slots, 4 bytes each, at most three quarters full: position + 1 of an entry, 0 free
 *
 * That is at most 48 + 4 / 0.375 = 59 bytes a blob. Entries lie in segments, so that growing never copies them. The
 * same blob at several places is several entries: all are candidates.
 */
const WORDS = 12;
const SEGMENT_BITS = 14;
const SEGMENT_ENTRIES = 1 << SEGMENT_BITS;
const SEGMENT_MASK = SEGMENT_ENTRIES - 1;
const TREE_BIT = 0x8000_0000;
/** Claimed by a writer, not yet in a pack. */
const NO_PACK = 0x7fff_ffff;
const MAX_PACKS = NO_PACK - 1;
const FIRST_SLOTS = 1 << 12;
/**
 * Places of one blob; more are passed over. Writers at once make two or three; what lists thousands is poison, which would
 * otherwise cost the square of its number. `repair index` finds the true place again by the packs' sizes.
 */
const MAX_PLACES = 4096;
/** Slots that are made before anything needs them: for a hundred million blobs. */
const MOST_EXPECTED = 1 << 27;
const NO_POSITIONS: readonly number[] = [];

export interface BlobPlace {
  readonly pack: string;
  readonly offset: number;
  readonly lengthBytes: number;
  /** Only of a compressed blob. */
  readonly plainBytes?: number;
}

export interface PlacedBlob extends BlobPlace {
  readonly id: Bytes;
  readonly type: BlobType;
}

export class BlobIndex {
  readonly packIds: string[] = [];
  /** The index files that were read, each with the numbers of the packs that it lists. */
  readonly files: { readonly id: string; readonly packs: Uint32Array }[] = [];
  readonly #packNumbers = new Map<string, number>();
  readonly #segments: Uint32Array[] = [];
  #slots = new Uint32Array(FIRST_SLOTS);
  /** Blobs that have all the places that they may have: none, unless an index is poisoned. */
  readonly #full = new Set<string>();
  #repeats = false;
  readonly #salt = randomInt(0x1_0000_0000);
  #size = 0;
  #lostPacks: Bitset | undefined;

  /** Entries, each place of a blob counted. */
  get size(): number {
    return this.#size;
  }

  /** Whether some blob may have several places: in most repositories none has. */
  get hasRepeats(): boolean {
    return this.#repeats;
  }

  /** Bytes of the arrays, for the test that bounds them. */
  get memoryBytes(): number {
    return this.#segments.length * SEGMENT_ENTRIES * WORDS * 4 + this.#slots.byteLength;
  }

  packNumber(id: string): number {
    const known = this.#packNumbers.get(id);
    if (known !== undefined) return known;
    const number = this.packIds.length;
    if (number >= MAX_PACKS) throw bug("index of more packs than 31 bits can number");
    this.packIds.push(id);
    this.#packNumbers.set(id, number);
    return number;
  }

  /** `undefined` where no index names the pack. */
  knownPackNumber(id: string): number | undefined {
    return this.#packNumbers.get(id);
  }

  /** By pack number: what lies in these does not count as known to `claim`. */
  disbelieve(lostPacks: Bitset): void {
    this.#lostPacks = lostPacks;
  }

  believesPack(pack: number): boolean {
    return this.#lostPacks?.has(pack) !== true;
  }

  /** Slots for so many entries in all, so that they are not made anew again and again. More or fewer may come. */
  expect(entries: number): void {
    let slots = this.#slots.length;
    while (entries * 4 > slots * 3 && slots < MOST_EXPECTED) slots *= 2;
    if (slots > this.#slots.length) this.#resize(slots);
  }

  /** Takes back what was added since there were so many entries and packs. */
  rewind(entries: number, packs: number): void {
    this.#size = entries;
    this.#segments.length = Math.ceil(entries / SEGMENT_ENTRIES);
    for (const id of this.packIds.splice(packs)) this.#packNumbers.delete(id);
    // Found again by whoever adds to such a blob.
    this.#full.clear();
    this.#resize(this.#slots.length);
  }

  /** One place of a blob; the same place again is ignored. */
  add(blob: Omit<PlacedBlob, "pack">, pack: number): void {
    const tag = tagOf(blob.type, pack);
    const plain = blob.plainBytes ?? 0;
    const mask = this.#makeRoom();
    const first = wordOf(blob.id, 0);
    let slot = this.#slotOf(first, wordOf(blob.id, 4));
    // Nearly always the blob is new, and the first walk over its slots ends where it goes.
    for (let taken = this.#slots[slot] ?? 0; taken !== 0; taken = this.#slots[slot] ?? 0) {
      if (this.#is(taken - 1, first, blob.id, blob.type)) {
        this.#addAgain(blob, tag, plain);
        return;
      }
      slot = (slot + 1) & mask;
    }
    this.#slots[slot] = this.#append(blob.id, tag, blob.offset, blob.lengthBytes, plain) + 1;
  }

  /** Of a blob that has a place: another one. */
  #addAgain(blob: Omit<PlacedBlob, "pack">, tag: number, plain: number): void {
    if (this.#isFull(blob.id, blob.type)) return;
    const places = this.positions(blob.id, blob.type);
    if (places.length >= MAX_PLACES) this.#full.add(keyOf(blob.id, blob.type));
    for (const p of places) {
      const same = this.#word(p, 8) === tag && this.#word(p, 9) === blob.offset;
      if (same && this.#word(p, 10) === blob.lengthBytes && this.#word(p, 11) === plain) return;
    }
    this.#repeats = true;
    this.#insert(blob.id, tag, blob.offset, blob.lengthBytes, plain);
  }

  /** Known without counting its places again. */
  #isFull(id: Bytes, type: BlobType): boolean {
    return this.#full.size > 0 && this.#full.has(keyOf(id, type));
  }

  /** Whether some place of the blob is believed, or somebody claimed it. */
  believes(id: Bytes, type: BlobType): boolean {
    for (const p of this.positions(id, type)) {
      // A claim before this one has no pack yet, and is in no set.
      if (this.believesPack(this.packNumberAt(p))) return true;
    }
    return false;
  }

  /** True when the blob was unknown until now, or is only where nothing is believed; it is known from here on. */
  claim(id: Bytes, type: BlobType): boolean {
    if (this.believes(id, type)) return false;
    this.#insert(id, tagOf(type, NO_PACK), 0, 0, 0);
    return true;
  }

  has(id: Bytes, type: BlobType): boolean {
    return this.position(id, type) >= 0;
  }

  /** Every place of the blob, in the order in which they were added. */
  positions(id: Bytes, type: BlobType): readonly number[] {
    return this.has(id, type) ? this.#all(id, type) : NO_POSITIONS;
  }

  /** The first place, or −1. */
  position(id: Bytes, type: BlobType): number {
    const first = wordOf(id, 0);
    const mask = this.#slots.length - 1;
    for (let slot = this.#slotOf(first, wordOf(id, 4)); ; slot = (slot + 1) & mask) {
      const position = (this.#slots[slot] ?? 0) - 1;
      if (position < 0 || this.#is(position, first, id, type)) return position;
    }
  }

  /** Every place of the blob that lies at this one, in the same order. */
  placesOf(position: number): readonly number[] {
    const mask = this.#slots.length - 1;
    const found: number[] = [];
    for (let slot = this.#slotAt(position); ; slot = (slot + 1) & mask) {
      const other = (this.#slots[slot] ?? 0) - 1;
      if (other < 0) return found;
      if (this.#isSame(other, position)) found.push(other);
    }
  }

  /** Whether this is the place that `position` answers for its blob: so that each blob is met once. */
  isFirst(position: number): boolean {
    const mask = this.#slots.length - 1;
    for (let slot = this.#slotAt(position); ; slot = (slot + 1) & mask) {
      const other = (this.#slots[slot] ?? 0) - 1;
      if (other < 0 || this.#isSame(other, position)) return other === position;
    }
  }

  at(position: number): PlacedBlob {
    const plain = this.#word(position, 11);
    return {
      id: this.idAt(position),
      type: this.#word(position, 8) >= TREE_BIT ? "tree" : "data",
      pack: this.packIds[this.packNumberAt(position)] ?? "",
      offset: this.#word(position, 9),
      lengthBytes: this.#word(position, 10),
      ...(plain === 0 ? {} : { plainBytes: plain }),
    };
  }

  packNumberAt(position: number): number {
    return this.#word(position, 8) & NO_PACK;
  }

  offsetAt(position: number): number {
    return this.#word(position, 9);
  }

  lengthAt(position: number): number {
    return this.#word(position, 10);
  }

  compressedAt(position: number): boolean {
    return this.#word(position, 11) !== 0;
  }

  /** Length of the plaintext as the index states it. */
  plainLengthAt(position: number): number {
    const plain = this.#word(position, 11);
    return plain === 0 ? Math.max(0, this.#word(position, 10) - 32) : plain;
  }

  isTreeAt(position: number): boolean {
    return this.#word(position, 8) >= TREE_BIT;
  }

  idAt(position: number): Bytes {
    const out = Buffer.allocUnsafe(32);
    for (let i = 0; i < 8; i += 1) out.writeUInt32LE(this.#word(position, i), i * 4);
    return out;
  }

  #word(position: number, word: number): number {
    const segment = this.#segments[position >>> SEGMENT_BITS];
    return segment?.[(position & SEGMENT_MASK) * WORDS + word] ?? 0;
  }

  /** In one pass: a poisoned index may list one blob any number of times. */
  #all(id: Bytes, type: BlobType): readonly number[] {
    const first = wordOf(id, 0);
    const mask = this.#slots.length - 1;
    const found: number[] = [];
    for (let slot = this.#slotOf(first, wordOf(id, 4)); ; slot = (slot + 1) & mask) {
      const position = (this.#slots[slot] ?? 0) - 1;
      if (position < 0) return found;
      if (this.#is(position, first, id, type)) found.push(position);
    }
  }

  #is(position: number, first: number, id: Bytes, type: BlobType): boolean {
    return this.#word(position, 0) === first && this.#equals(position, id, type);
  }

  #equals(position: number, id: Bytes, type: BlobType): boolean {
    if (this.isTreeAt(position) !== (type === "tree")) return false;
    for (let i = 1; i < 8; i += 1) if (this.#word(position, i) !== wordOf(id, i * 4)) return false;
    return true;
  }

  #isSame(a: number, b: number): boolean {
    if (a === b) return true;
    if (this.isTreeAt(a) !== this.isTreeAt(b)) return false;
    for (let i = 0; i < 8; i += 1) if (this.#word(a, i) !== this.#word(b, i)) return false;
    return true;
  }

  #insert(id: Bytes, tag: number, offset: number, length: number, plain: number): void {
    this.#makeRoom();
    this.#link(this.#append(id, tag, offset, length, plain));
  }

  /** For one entry more; what is to be masked with to stay within the slots. */
  #makeRoom(): number {
    if ((this.#size + 1) * 4 > this.#slots.length * 3) this.#resize(this.#slots.length * 2);
    return this.#slots.length - 1;
  }

  /** Its position; no slot leads there yet. */
  #append(id: Bytes, tag: number, offset: number, length: number, plain: number): number {
    const position = this.#size;
    const within = position & SEGMENT_MASK;
    if (within === 0) this.#segments.push(new Uint32Array(SEGMENT_ENTRIES * WORDS));
    const segment = this.#segments[position >>> SEGMENT_BITS];
    if (segment === undefined) throw bug("index segment that was not made");
    const at = within * WORDS;
    for (let i = 0; i < 8; i += 1) segment[at + i] = wordOf(id, i * 4);
    segment[at + 8] = tag;
    segment[at + 9] = offset;
    segment[at + 10] = length;
    segment[at + 11] = plain;
    this.#size += 1;
    return position;
  }

  /** Ids in an index are whatever its writer says: without the salt it could let all of them fall into one slot. */
  #slotOf(first: number, second: number): number {
    const mixed = Math.imul(first ^ this.#salt, 0x9e37_79b1) ^ Math.imul(second, 0x85eb_ca6b);
    return (mixed ^ (mixed >>> 15)) & (this.#slots.length - 1);
  }

  #slotAt(position: number): number {
    return this.#slotOf(this.#word(position, 0), this.#word(position, 1));
  }

  #link(position: number): void {
    const mask = this.#slots.length - 1;
    let slot = this.#slotAt(position);
    while (this.#slots[slot] !== 0) slot = (slot + 1) & mask;
    this.#slots[slot] = position + 1;
  }

  #resize(slots: number): void {
    this.#slots = new Uint32Array(slots);
    for (let p = 0; p < this.#size; p += 1) this.#link(p);
  }
}

function keyOf(id: Bytes, type: BlobType): string {
  return `${type} ${toHex(id)}`;
}

function tagOf(type: BlobType, pack: number): number {
  return type === "tree" ? pack + TREE_BIT : pack;
}

function wordOf(id: Bytes, at: number): number {
  const low = (id[at] ?? 0) | ((id[at + 1] ?? 0) << 8) | ((id[at + 2] ?? 0) << 16);
  return (low | ((id[at + 3] ?? 0) << 24)) >>> 0;
}
