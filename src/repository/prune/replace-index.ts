import { hash } from "node:crypto";
import { throwIfAborted } from "../../kernel/index.ts";
import type { Bytes } from "../../kernel/index.ts";
import { objectKey } from "../core.ts";
import type { RepositoryCore } from "../core.ts";
import { BLOBS_PER_INDEX } from "../index/index-collector.ts";
import { formatPack, joinIndex } from "../index/index-file.ts";
import type { MarkedPack } from "../index/index-file.ts";
import { loadIndexFile } from "../index/load-index.ts";
import { lockIndexLike } from "../immutable/lock-indexes.ts";
import type { PackEntry } from "../pack/header.ts";
import { saveUnpacked } from "../unpacked.ts";
import { filesToReplace, listing } from "./index-files.ts";
import type { PackFacts, PackLedger } from "./pack-facts.ts";
import type { Slice } from "./slices.ts";
import type { PruneState } from "./state.ts";

const PARALLEL_REMOVALS = 8;

/**
 * Writes anew the index files that say what is no longer so. Each old one goes only after everything that it lists, as far
 * as it is to be listed, is durable in new ones. Ends early when the slice is over, and says so; everything is whole then.
 */
export async function replaceIndexFiles(
  core: RepositoryCore,
  state: PruneState,
  slice: Slice,
  onReplaced: () => void,
): Promise<boolean> {
  const writer = new IndexRewriter(core, state, slice);
  await writer.relistDropped();
  for (const id of filesToReplace(state.ledger, state.heldFiles)) {
    throwIfAborted(slice.signal);
    await writer.replace(id);
    onReplaced();
    if (slice.isOver()) break;
  }
  await writer.flush();
  return filesToReplace(state.ledger, state.heldFiles).length === 0;
}

class IndexRewriter {
  readonly #core: RepositoryCore;
  readonly #state: PruneState;
  readonly #slice: Slice;
  #packs: Bytes[] = [];
  #marked: Bytes[] = [];
  #lists = { packs: new Set<number>(), marked: new Set<number>() };
  #blobs = 0;
  /** What this run has listed anew, so that a pack of several old files is listed once. */
  readonly #listed = new Set<string>();
  /** Old files of which everything has been taken over. */
  #covered: string[] = [];
  #listedByHeld: ReadonlySet<number> | undefined;

  constructor(core: RepositoryCore, state: PruneState, slice: Slice) {
    this.#core = core;
    this.#state = state;
    this.#slice = slice;
  }

  async replace(id: string): Promise<void> {
    const file = await loadIndexFile(this.#core, id, this.#slice.signal);
    for (const pack of file.packs) await this.#add(pack, "live");
    for (const pack of file.marked) await this.#add(pack, "marked");
    this.#covered.push(id);
  }

  /** Durable, and the old files that it stands for are gone, when this returns. */
  async flush(): Promise<void> {
    const covered = this.#covered;
    this.#covered = [];
    if (this.#packs.length + this.#marked.length > 0) await this.#save();
    for (let at = 0; at < covered.length; at += PARALLEL_REMOVALS) {
      const group = covered.slice(at, at + PARALLEL_REMOVALS);
      await Promise.all(group.map((id) => this.#removeOld(id)));
    }
  }

  /** Taken out of the index by an earlier slice, and then needed by a snapshot that appeared. */
  async relistDropped(): Promise<void> {
    const { ledger, dropped } = this.#state;
    for (const number of dropped) {
      const pack = ledger.at(number);
      if (listing(pack) !== "live") continue;
      await this.#append({ id: pack.id, entries: entriesOf(ledger, number) }, number, "live");
      dropped.delete(number);
    }
    await this.flush();
  }

  async #add(pack: MarkedPack, was: "live" | "marked"): Promise<void> {
    const { ledger, dropped } = this.#state;
    const number = ledger.numberOf(pack.id);
    // Of this run's own new files: its packs are in use.
    if (number === undefined) return await this.#append(pack, undefined, was);
    const facts = ledger.at(number);
    const how = listing(facts);
    if (how === "not") dropped.add(number);
    else await this.#append(withTime(pack, facts, how, this.#slice.nowMs), number, how);
  }

  async #append(
    pack: MarkedPack,
    number: number | undefined,
    how: "live" | "marked",
  ): Promise<void> {
    const json = formatPack(pack);
    const once = `${how} ${hash("sha256", json, "hex")}`;
    if (this.#listed.has(once)) return;
    this.#listed.add(once);
    (how === "live" ? this.#packs : this.#marked).push(json);
    if (number !== undefined) {
      (how === "live" ? this.#lists.packs : this.#lists.marked).add(number);
    }
    this.#blobs += pack.entries.length;
    if (this.#blobs >= BLOBS_PER_INDEX) await this.flush();
  }

  async #removeOld(id: string): Promise<void> {
    await this.#core.store.remove(objectKey.index(id), { signal: this.#slice.signal });
    this.#state.ledger.files.delete(id);
  }

  /** A pack that is held must stay listed as long (R13): by a file that is held too. */
  async #lock(id: string, numbers: readonly number[]): Promise<void> {
    const { ledger } = this.#state;
    this.#listedByHeld ??= listedByHeld(this.#state);
    const listed = this.#listedByHeld;
    const packs = numbers.filter((number) => !listed.has(number)).map((n) => ledger.at(n).id);
    const { signal, nowMs } = this.#slice;
    await lockIndexLike(this.#core, id, packs, { storeTime: new Date(nowMs), signal });
  }

  async #save(): Promise<void> {
    const json = joinIndex(this.#packs, this.#marked);
    const { id } = await saveUnpacked(this.#core, "index", json, this.#slice.signal);
    const packs = Uint32Array.from(this.#lists.packs);
    const marked = Uint32Array.from(this.#lists.marked);
    await this.#lock(id, [...packs, ...marked]);
    this.#state.ledger.files.set(id, { packs, marked, blobs: this.#blobs });
    for (const number of marked) this.#state.ledger.at(number).marked = true;
    this.#packs = [];
    this.#marked = [];
    this.#lists = { packs: new Set(), marked: new Set() };
    this.#blobs = 0;
  }
}

/** Numbers of the packs that an index file lists which the store keeps: a reader finds them there. */
function listedByHeld({ ledger, heldFiles }: PruneState): ReadonlySet<number> {
  const files = [...heldFiles].flatMap((id) => ledger.files.get(id) ?? []);
  return new Set(files.flatMap(({ packs, marked }) => [...packs, ...marked]));
}

/** A mark begins when it is made; a mark of others that states no time begins now. */
function withTime(
  { id, entries }: MarkedPack,
  { fate, markedAtMs }: PackFacts,
  how: "live" | "marked",
  nowMs: number,
): MarkedPack {
  if (how === "live") return { id, entries };
  const atMs = fate === "mark" ? nowMs : (markedAtMs ?? nowMs);
  return { id, entries, markedAt: new Date(atMs) };
}

/** From the index in memory: no file lists them any more. */
function entriesOf({ index }: PackLedger, number: number): readonly PackEntry[] {
  const entries: PackEntry[] = [];
  for (let position = 0; position < index.size; position += 1) {
    if (index.packNumberAt(position) === number) entries.push(index.at(position));
  }
  return entries.sort((a, b) => a.offset - b.offset);
}
