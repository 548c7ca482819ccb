import type { AppError } from "../kernel/index.ts";

/** What JSON lets stand and a terminal would obey. */
const OBEYED = /[\u007F-\u009F\u200B-\u200F\u2028-\u202E\u2060-\u206F\uFEFF]/g;

/** One JSON document: bigints as decimal strings, secrets redacted by their own `toJSON`. */
export function toJson(value: unknown, indent = 2): string {
  const text = JSON.stringify(
    value,
    (_key, item: unknown) => (typeof item === "bigint" ? item.toString() : item),
    indent,
  );
  return text.replaceAll(
    OBEYED,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}

export function errorDocument(error: AppError): unknown {
  const { code, kind, message, subject } = error;
  return { error: { code, kind, message, hint: error.hint ?? null, subject } };
}
