import { errorTable } from "../kernel/index.ts";

export const objectStoreError = errorTable("objectstore", {
  not_found: {
    kind: "not-found",
    meaning: "There is no object under this key.",
  },
  exists: {
    kind: "usage",
    meaning: "The key is taken; the write was asked to create and not to replace.",
  },
  unavailable: {
    kind: "unavailable",
    meaning: "The store did not answer, or failed in a way that may pass.",
    hint: "Check that the store runs and that its address is right, then run again.",
  },
  denied: {
    kind: "auth",
    meaning: "The store refused: no right to this object or folder, or it can only be read.",
    hint: "Grant this user the right that the message names.",
  },
  full: {
    kind: "exhausted",
    meaning: "The disk, the quota or the largest allowed file size of the store is used up.",
    hint: "Free space at the store or raise its quota, then run again.",
  },
  too_large: {
    kind: "exhausted",
    meaning: "The object is larger than the store takes in one piece: 5 GiB at S3.",
    hint: "Name a folder or a gs: bucket for files of this size.",
  },
  truncated: {
    kind: "corrupt",
    meaning: "An object ends before the bytes that were asked for.",
  },
  invalid_key: {
    kind: "bug",
    meaning: "A key or prefix lies outside the alphabet that a repository uses.",
  },
  no_versions: {
    kind: "incompatible",
    meaning:
      "The store keeps no older versions of its objects, so there is no way back to what it held.",
    hint: "Name a destination whose bucket has versioning turned on.",
  },
  no_place: {
    kind: "config",
    meaning:
      "The store cannot hold this object: restic's REST protocol has no place for records beside a repository.",
    hint: "Name a second store with `beside` at this destination.",
  },
  invalid_location: {
    kind: "config",
    meaning: "The location of the store is not one that this version can open.",
    hint: "Give a folder, as a path or as a file: URL, or the URL of a store.",
  },
  bucket_missing: {
    kind: "config",
    meaning: "The server has no bucket of this name, or not for these credentials.",
    hint: "Create the bucket, or correct its name in the location.",
  },
  wrong_region: {
    kind: "config",
    meaning: "The bucket lies in another region than the one that was asked.",
    hint: "Set region of the destination to the one of the bucket.",
  },
  clock_differs: {
    kind: "config",
    meaning: "The server refuses requests that are dated by this machine's clock.",
    hint: "Set the clock of this machine by NTP.",
  },
  tls_refused: {
    kind: "config",
    meaning: "The server's certificate or TLS version is not accepted; nothing was sent.",
  },
  storage_class: {
    kind: "config",
    meaning:
      "The storage class is unknown, or its objects cannot be read at once: restores and checks would wait for hours.",
  },
  unsupported: {
    kind: "incompatible",
    meaning: "The server does not know or does not allow this kind of request.",
  },
});
