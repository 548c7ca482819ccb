import { throwIfAborted } from "../kernel/index.ts";
import type { Bytes } from "../kernel/index.ts";
import { objectStoreError } from "./errors.ts";
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

interface Remembered {
  readonly listing: Promise<Folder>;
  /** 0 until it is listed. */
  size: number;
}

/** Look-ups by key, one listing a folder; what was at a moment does not change, so a listing stays good. */
class Past {
  readonly #versions: ObjectVersions;
  readonly #moment: Date;
  readonly #folders = new Map<string, Remembered>();
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
    const listing = folder === "" ? this.#atRoot(key) : this.#below(folder);
    const found = (await listing).get(key);
    throwIfAborted(options?.signal);
    return found;
  }

  #atRoot(key: string): Promise<Folder> {
    return this.#remember(key, async () => {
      for await (const { key: found, past } of keyHistories(this.#versions, "", this.#moment)) {
        if (found === key) return new Map(past === undefined ? [] : [[key, past]]);
      }
      return new Map();
    });
  }

  #below(folder: string): Promise<Folder> {
    return this.#remember(folder, async () => {
      const found = new Map<string, ObjectVersion>();
      for await (const { key, past } of keyHistories(this.#versions, folder, this.#moment)) {
        if (past !== undefined) found.set(key, past);
      }
      return found;
    });
  }

  /** Without a signal: others may wait for the same listing. */
  #remember(name: string, list: () => Promise<Folder>): Promise<Folder> {
    const known = this.#folders.get(name);
    if (known !== undefined) return known.listing;
    const listing = list().then(
      (folder) => {
        remembered.size = folder.size;
        this.#remembered += folder.size;
        this.#forgetOldest(name);
        return folder;
      },
      (thrown: unknown) => {
        this.#folders.delete(name);
        throw thrown;
      },
    );
    const remembered: Remembered = { listing, size: 0 };
    this.#folders.set(name, remembered);
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
