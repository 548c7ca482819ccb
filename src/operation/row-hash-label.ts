/** Derives the key of the row hashes from the master key: the same in every snapshot of a repository. */
export const ROW_HASH_LABEL = "sparekeep row hash v1";
