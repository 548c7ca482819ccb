import { throwIfAborted } from "../kernel/index.ts";
import type { Bytes } from "../kernel/index.ts";
import { objectStoreError } from "./errors.ts";
import { unlessAborted } from "./in-turn.ts";
import { keyHistories } from "./key-history.ts";
import { parseKey } from "./keys.ts";
import { noObject } from "./no-object.ts";
import type {
  ObjectStat,
  ObjectStore,
  ObjectVersion,
  ObjectVersions,
  WaitOptions,
} from "./object-store.ts";
import { readOnly } from "./readonly.ts";

/** Versions that are remembered for look-ups, at about 200 bytes each. */
const REMEMBERED = 100_000;

/**
 * The store as it was at `moment` by its own clock, for reading only: what was removed or overwritten later is there, what
 * came later is not. A version that was deleted for good since then is missed; an older one shows in its place.
 */
export function asOf(store: ObjectStore, moment: Date): ObjectStore {
  const versions = requireVersions(store);
  const past = new Past(versions, moment);
  const { connection } = store;
  return readOnly({
    location: `${store.location} as of ${moment.toISOString()}`,
    // Refused by `readOnly` before they come here.
    put: (key, body, options) => store.put(key, body, options),
    remove: (key, options) => store.remove(key, options),
    get: async (key, options) => {
      const { version } = await past.existing(key, options);
      return await versions.get(key, version, options);
    },
    getRange: async (key, range, options): Promise<Bytes> => {
      const { version } = await past.existing(key, options);
      return await versions.getRange(key, version, range, options);
    },
    stat: async (key, options) => {
      const found = await past.find(key, options);
      return found === undefined ? undefined : statOf(found);
    },
    list: (prefix, options) => listPast(versions, moment, prefix, options),
    ...(connection === undefined ? {} : { connection }),
  });
}

export function requireVersions({ versions, location }: ObjectStore): ObjectVersions {
  if (versions !== undefined) return versions;
  throw objectStoreError("no_versions", {
    message: `store ${location} without older versions`,
    subject: { location },
  });
}

async function* listPast(
  versions: ObjectVersions,
  moment: Date,
  prefix: string,
  options: WaitOptions | undefined,
): AsyncGenerator<ObjectStat> {
  for await (const { past } of keyHistories(versions, prefix, moment, options)) {
    if (past !== undefined) yield statOf(past);
  }
}

function statOf({ key, sizeBytes, modifiedAt }: ObjectVersion): ObjectStat {
  return { key, sizeBytes, modifiedAt };
}

type Folder = ReadonlyMap<string, ObjectVersion>;

interface Listing {
  readonly folder: Promise<Folder>;
  readonly control: AbortController;
  waiting: number;
  done: boolean;
  /** 0 until it is listed. */
  size: number;
}

/** Look-ups by key, one listing a folder; what was at a moment does not change, so a listing stays good. */
class Past {
  readonly #versions: ObjectVersions;
  readonly #moment: Date;
  readonly #folders = new Map<string, Listing>();
  #remembered = 0;

  constructor(versions: ObjectVersions, moment: Date) {
    this.#versions = versions;
    this.#moment = moment;
  }

  async existing(key: string, options: WaitOptions | undefined): Promise<ObjectVersion> {
    const found = await this.find(key, options);
    if (found === undefined) throw noObject(key);
    return found;
  }

  async find(key: string, options: WaitOptions | undefined): Promise<ObjectVersion | undefined> {
    throwIfAborted(options?.signal);
    parseKey(key);
    const folder = key.slice(0, key.lastIndexOf("/") + 1);
    // A listing of the root would be one of the whole store.
    const listed = await (folder === ""
      ? this.#listed(key, options?.signal, (signal) => this.#atRoot(key, signal))
      : this.#listed(folder, options?.signal, (signal) => this.#below(folder, signal)));
    return listed.get(key);
  }

  async #atRoot(key: string, signal: AbortSignal): Promise<Folder> {
    const all = keyHistories(this.#versions, "", this.#moment, { signal });
    for await (const { key: found, past } of all) {
      if (found === key) return new Map(past === undefined ? [] : [[key, past]]);
    }
    return new Map();
  }

  async #below(folder: string, signal: AbortSignal): Promise<Folder> {
    const found = new Map<string, ObjectVersion>();
    for await (const { key, past } of keyHistories(this.#versions, folder, this.#moment, {
      signal,
    })) {
      if (past !== undefined) found.set(key, past);
    }
    return found;
  }

  /** Several may wait for one listing: it is left when the last of them is. */
  async #listed(
    name: string,
    signal: AbortSignal | undefined,
    list: (signal: AbortSignal) => Promise<Folder>,
  ): Promise<Folder> {
    const listing = this.#folders.get(name) ?? this.#start(name, list);
    listing.waiting += 1;
    try {
      await unlessAborted(listing.folder, signal);
      return await listing.folder;
    } finally {
      listing.waiting -= 1;
      if (listing.waiting === 0 && !listing.done) {
        if (this.#folders.get(name) === listing) this.#folders.delete(name);
        listing.control.abort();
      }
    }
  }

  #start(name: string, list: (signal: AbortSignal) => Promise<Folder>): Listing {
    const control = new AbortController();
    const listing: Listing = {
      control,
      waiting: 0,
      done: false,
      size: 0,
      folder: list(control.signal).then(
        (folder) => {
          listing.done = true;
          listing.size = folder.size;
          this.#remembered += folder.size;
          this.#forgetOldest(name);
          return folder;
        },
        (thrown: unknown) => {
          listing.done = true;
          if (this.#folders.get(name) === listing) this.#folders.delete(name);
          throw thrown;
        },
      ),
    };
    this.#folders.set(name, listing);
    return listing;
  }

  #forgetOldest(newest: string): void {
    for (const [name, { size }] of this.#folders) {
      if (this.#remembered <= REMEMBERED) return;
      if (name === newest || size === 0) continue;
      this.#folders.delete(name);
      this.#remembered -= size;
    }
  }
}
