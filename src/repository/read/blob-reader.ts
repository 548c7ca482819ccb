import { AppError, equalBytes, throwIfAborted, toHex } from "../../kernel/index.ts";
import type { Bytes } from "../../kernel/index.ts";
import { objectKey } from "../core.ts";
import type { RepositoryCore } from "../core.ts";
import { repositoryError } from "../errors.ts";
import type { BlobIndex, PlacedBlob } from "../index/blob-index.ts";
import { blobIdOf, openBlob } from "../seal.ts";
import type { BlobType } from "../seal.ts";
import { createZstdOpener } from "../zstd-session.ts";

/** Blobs by id: every place that an index names is tried, and all of them once more, before a blob is called damaged. */
export class BlobReader {
  readonly #core: RepositoryCore;
  readonly index: BlobIndex;
  readonly #opener = createZstdOpener();

  constructor(core: RepositoryCore, index: BlobIndex) {
    this.#core = core;
    this.index = index;
  }

  async load(id: Bytes, type: BlobType, signal?: AbortSignal): Promise<Bytes> {
    const places = this.index.positions(id, type).map((position) => this.index.at(position));
    let gone = true;
    let cause: unknown;
    for (const place of [...places, ...places]) {
      throwIfAborted(signal);
      try {
        const plain = this.open(place, await this.fetch(place.pack, place, signal));
        if (plain !== undefined) return plain;
        gone = false;
      } catch (thrown) {
        const missing = isMissing(thrown);
        if (!missing && !isTruncated(thrown)) throw thrown;
        gone = gone && missing;
        cause = thrown;
      }
    }
    throw gone ? notFound(id, type, places, cause) : damaged(id, type, places, cause);
  }

  fetch(
    pack: string,
    { offset, lengthBytes }: { readonly offset: number; readonly lengthBytes: number },
    signal?: AbortSignal,
  ): Promise<Bytes> {
    const options = signal === undefined ? {} : { signal };
    return this.#core.store.getRange(
      objectKey.pack(pack),
      { offset, length: lengthBytes },
      options,
    );
  }

  /** The plaintext when the sealed bytes are this blob, hash included. */
  open(place: PlacedBlob, sealed: Bytes): Bytes | undefined {
    const plain = this.look(place, sealed);
    // Of a compressed one it lies where the next one will.
    return plain === undefined || place.plainBytes === undefined ? plain : Uint8Array.from(plain);
  }

  /** The same, for who is done with it before the next call. */
  look(place: PlacedBlob, sealed: Bytes): Bytes | undefined {
    const plain = openBlob(sealed, place.plainBytes, this.#core.master.keys, this.#opener);
    return plain !== undefined && equalBytes(blobIdOf(plain), place.id) ? plain : undefined;
  }
}

export function isMissing(thrown: unknown): boolean {
  return thrown instanceof AppError && thrown.code === "objectstore.not_found";
}

export function isTruncated(thrown: unknown): boolean {
  return thrown instanceof AppError && thrown.code === "objectstore.truncated";
}

function notFound(
  id: Bytes,
  type: BlobType,
  places: readonly PlacedBlob[],
  cause: unknown,
): AppError {
  const where = places.length === 0 ? "in no index" : "whose pack is gone";
  return repositoryError("blob_not_found", {
    message: `${type} blob ${toHex(id).slice(0, 8)} ${where}`,
    subject: subjectOf(id, places),
    cause,
  });
}

function damaged(
  id: Bytes,
  type: BlobType,
  places: readonly PlacedBlob[],
  cause: unknown,
): AppError {
  return repositoryError("blob_damaged", {
    message: `${type} blob ${toHex(id).slice(0, 8)} damaged at each of ${places.length} places`,
    subject: subjectOf(id, places),
    cause,
  });
}

function subjectOf(id: Bytes, places: readonly PlacedBlob[]): Readonly<Record<string, string>> {
  const packs = places.slice(0, 8).map((place) => place.pack);
  return { blob: toHex(id), ...(packs.length === 0 ? {} : { packs: packs.join(" ") }) };
}
