import { hash } from "node:crypto";
import type { Bytes } from "../../kernel/index.ts";
import type { ObjectStore } from "../../objectstore/index.ts";
import { objectKey } from "../core.ts";
import { repositoryError } from "../errors.ts";

/** A key file as stored; read again once before it is called damaged. */
export async function loadKey(
  store: ObjectStore,
  id: string,
  signal?: AbortSignal,
): Promise<Bytes> {
  const options = signal === undefined ? {} : { signal };
  for (let attempt = 0; attempt < 2; attempt += 1) {
    const bytes = await store.get(objectKey.key(id), options);
    if (hash("sha256", bytes, "hex") === id) return bytes;
  }
  throw repositoryError("key_damaged", {
    message: `key ${id.slice(0, 8)} whose content is not what its name says`,
    subject: { key: id },
  });
}
