import { toHex } from "../../kernel/index.ts";
import type { Bytes } from "../../kernel/index.ts";
import type { RepositoryCore } from "../core.ts";
import { openKeyFile, parseKeyFile } from "../crypto/key-file.ts";
import { formatIndex } from "../index/index-file.ts";
import { indexFiles } from "../index/load-index.ts";
import type { IndexedPack } from "../index/index-file.ts";
import type { Snapshot } from "../types.ts";
import { saveUnpacked, unpackedPrefix } from "../unpacked.ts";
import { listIds } from "../list.ts";
import { PASSWORD } from "./fixtures.ts";
import type { Fixture } from "./fixtures.ts";

/** What somebody with the key may add to a repository: the damage that MACs do not see. */

export async function coreOf(fixture: Fixture): Promise<RepositoryCore> {
  const { store, clock, random, repository } = fixture;
  const file = parseKeyFile(await store.get(`keys/${repository.keyId}`), repository.keyId);
  const master = file === undefined ? undefined : await openKeyFile(file, PASSWORD);
  if (master === undefined) throw new Error("no key");
  return { store, clock, random, master };
}

export async function readIndexes(core: RepositoryCore): Promise<readonly IndexedPack[]> {
  const packs: IndexedPack[] = [];
  for await (const loaded of indexFiles(core)) {
    if ("packs" in loaded) packs.push(...loaded.packs);
  }
  return packs;
}

/** One more index file; indexes are read in the order of their ids, so it is sealed until its id fits. */
export async function addIndex(
  core: RepositoryCore,
  json: Bytes,
  order: "before" | "after",
): Promise<string> {
  const others = await listIds(core.store, unpackedPrefix.index);
  for (;;) {
    const { id } = await saveUnpacked(core, "index", json);
    const fits = others.every((other) => (order === "before" ? id < other : id > other));
    if (fits) return id;
    await core.store.remove(`${unpackedPrefix.index}${id}`);
  }
}

/** Every blob once more, in a pack that does not exist; or one data blob listed as a tree where it truly lies. */
export async function poison(
  fixture: Fixture,
  _snapshot: Snapshot,
  order: "before" | "after",
  options: { readonly asTree?: string } = {},
): Promise<string> {
  const core = await coreOf(fixture);
  const packs = await readIndexes(core);
  const bogus = "ba".repeat(32);
  if (options.asTree === undefined) {
    const entries = packs.flatMap((pack) => pack.entries);
    await addIndex(core, formatIndex([{ id: bogus, entries }]), order);
    return bogus;
  }
  const listed = packs.map(({ id, entries }) => ({
    id,
    entries: entries
      .filter((entry) => toHex(entry.id) === options.asTree)
      .map((entry) => ({ ...entry, type: "tree" as const })),
  }));
  await addIndex(core, formatIndex(listed), order);
  return bogus;
}
