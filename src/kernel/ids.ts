declare const brand: unique symbol;
type Branded<Base, Name extends string> = Base & { readonly [brand]: Name };

/** SHA-256 of a blob's plaintext, 64 lower-case hex digits. */
export type BlobId = Branded<string, "BlobId">;
/** SHA-256 of a pack file as stored. */
export type PackId = Branded<string, "PackId">;
/** SHA-256 of a snapshot file as stored. */
export type SnapshotId = Branded<string, "SnapshotId">;
/** SHA-256 of an index file as stored. */
export type IndexId = Branded<string, "IndexId">;
/** SHA-256 of a lock file as stored. */
export type LockId = Branded<string, "LockId">;
/** SHA-256 of a key file as stored. */
export type KeyId = Branded<string, "KeyId">;
export type RunId = Branded<string, "RunId">;

/** Asked for every id of every tree and index: a loop takes a third of what a regular expression does. */
export function isHexId(text: string): boolean {
  if (text.length !== 64) return false;
  for (let at = 0; at < 64; at += 1) {
    const code = text.charCodeAt(at);
    if (!((code >= 0x30 && code <= 0x39) || (code >= 0x61 && code <= 0x66))) return false;
  }
  return true;
}

/* The casts below are the only places where a brand is given. The caller has checked or computed the digits. */
/* oxlint-disable typescript/no-unsafe-type-assertion */
export const asBlobId = (hex: string): BlobId => hex as BlobId;
export const asPackId = (hex: string): PackId => hex as PackId;
export const asSnapshotId = (hex: string): SnapshotId => hex as SnapshotId;
export const asIndexId = (hex: string): IndexId => hex as IndexId;
export const asLockId = (hex: string): LockId => hex as LockId;
export const asKeyId = (hex: string): KeyId => hex as KeyId;
export const asRunId = (text: string): RunId => text as RunId;
/* oxlint-enable typescript/no-unsafe-type-assertion */
