import { cliError } from "./errors.ts";

const POWERS = ["", "k", "m", "g", "t"];

/** `500MiB`, `10G`, `2 TiB`, `1000`: binary units, as restic takes them. */
export function parseSize(text: string): number {
  const [, number, prefix = ""] = /^(\d+(?:\.\d+)?)\s*([kmgt]?)(?:i?b)?$/i.exec(text.trim()) ?? [];
  if (number !== undefined) {
    return Math.floor(Number(number) * 1024 ** POWERS.indexOf(prefix.toLowerCase()));
  }
  throw cliError("usage", {
    message: `size "${text.slice(0, 20)}" that is none`,
    hint: "Write for example 500MiB or 10G.",
  });
}

/** `5%`, a size, or `unlimited`. */
export function parseUnusedLimit(
  text: string,
): { readonly bytes: number } | { readonly share: number } {
  if (text.trim() === "unlimited") return { bytes: Infinity };
  const percent = /^(\d{1,2}(?:\.\d+)?|100)\s*%$/.exec(text.trim())?.[1];
  return percent === undefined ? { bytes: parseSize(text) } : { share: Number(percent) / 100 };
}

const UNIT_MS: Readonly<Record<string, number>> = {
  s: 1000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
};

/** `24h`, `90m`, `2d`, `1h30m`, `0`. */
export function parseTimeLength(text: string): number {
  const trimmed = text.trim().toLowerCase();
  if (trimmed === "0") return 0;
  if (/^(?:\d{1,6}[smhd])+$/.test(trimmed)) {
    return [...trimmed.matchAll(/(\d+)([smhd])/g)].reduce(
      (sum, [, count, unit]) => sum + Number(count) * (UNIT_MS[unit ?? ""] ?? 0),
      0,
    );
  }
  throw cliError("usage", {
    message: `length of time "${text.slice(0, 20)}" that is none`,
    hint: "Write for example 24h, 90m or 2d; 0 for none.",
  });
}
