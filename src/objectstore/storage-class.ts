import { objectStoreError } from "./errors.ts";

export interface StorageClass {
  readonly store: "s3" | "google";
  readonly name: string;
  /** An object removed or replaced earlier is paid for until then. */
  readonly minimumDays: number;
  /** Whether a read answers at once, without a request to bring the object back first. */
  readonly immediate: boolean;
}

const S3_CLASSES: readonly (readonly [string, number, boolean])[] = [
  ["STANDARD", 0, true],
  ["REDUCED_REDUNDANCY", 0, true],
  ["STANDARD_IA", 30, true],
  ["ONEZONE_IA", 30, true],
  // Its archive tiers, which are not immediate, are off unless the bucket is configured to have them.
  ["INTELLIGENT_TIERING", 0, true],
  ["GLACIER_IR", 90, true],
  ["GLACIER", 90, false],
  ["DEEP_ARCHIVE", 180, false],
  ["EXPRESS_ONEZONE", 0, true],
];

const GOOGLE_CLASSES: readonly (readonly [string, number, boolean])[] = [
  ["STANDARD", 0, true],
  ["NEARLINE", 30, true],
  ["COLDLINE", 90, true],
  ["ARCHIVE", 365, true],
  ["MULTI_REGIONAL", 0, true],
  ["REGIONAL", 0, true],
  ["DURABLE_REDUCED_AVAILABILITY", 0, true],
];

/** As the vendors document them. */
export const STORAGE_CLASSES: readonly StorageClass[] = [
  ...S3_CLASSES.map((row) => classOf("s3", row)),
  ...GOOGLE_CLASSES.map((row) => classOf("google", row)),
];

function classOf(
  store: StorageClass["store"],
  [name, minimumDays, immediate]: readonly [string, number, boolean],
): StorageClass {
  return { store, name, minimumDays, immediate };
}

export function findStorageClass(
  store: StorageClass["store"],
  name: string,
): StorageClass | undefined {
  return STORAGE_CLASSES.find((known) => known.store === store && known.name === name);
}

/**
 * Refuses a class that a backup cannot live in: a restore, a check and a prune read packs and would wait for hours.
 * `ownClasses`: the server is another vendor's and may have classes of its own, whose terms we cannot know.
 */
export function requireUsableClass(
  store: StorageClass["store"],
  name: string,
  { ownClasses }: { readonly ownClasses: boolean },
): void {
  const known = findStorageClass(store, name);
  if (known?.immediate === true) return;
  const usable = STORAGE_CLASSES.filter((other) => other.store === store && other.immediate);
  const hint = `Choose one of ${usable.map((other) => other.name).join(", ")}.`;
  const subject = { storageClass: name };
  if (known !== undefined) {
    throw objectStoreError("storage_class", {
      message: `storage class ${name}, whose objects cannot be read at once`,
      subject,
      hint,
    });
  }
  if (ownClasses && /^[A-Za-z0-9_-]{1,64}$/.test(name)) return;
  throw objectStoreError("storage_class", {
    message: `unknown storage class ${JSON.stringify(name)}`,
    subject,
    hint,
  });
}
