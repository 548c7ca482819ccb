/**
 * COPY text of an application's tables, the same bytes for the same seed: keys that count up, uuids, timestamps,
 * prices, words, JSON, NULLs. Roughly as compressible as a real database's (zstd -3 leaves about a third).
 */
import type { Bytes } from "../src/kernel/index.ts";

const WORDS = (
  "brake caliper front rear left right Toyota Corolla Hilux Ford Ranger Polo Golf engine gearbox alternator starter " +
  "bumper headlight mirror door bonnet radiator condenser clutch suspension shock absorber strut wheel bearing rim tyre " +
  "exhaust catalytic converter used good condition original part number please contact seller collect Durban Cape Town " +
  "Johannesburg Pretoria warranty thirty days no returns fits models from year urgent looking for quote available today"
).split(" ");
const STATES = ["open", "quoted", "accepted", "shipped", "closed", "cancelled"];

/** xorshift128: enough for data that must only look alike every time. */
export function randomNumbers(seed: number): (below: number) => number {
  let [x, y, z, w] = [seed | 1, 362436069, 521288629, 88675123];
  return (below) => {
    const t = x ^ (x << 11);
    x = y;
    y = z;
    z = w;
    w = (w ^ (w >>> 19) ^ t ^ (t >>> 8)) >>> 0;
    return Math.floor((w / 0x100000000) * below);
  };
}

/** `count` rows from `firstId` on. */
export function copyRows(firstId: number, count: number, next: (below: number) => number): string {
  const rows: string[] = [];
  for (let id = firstId; id < firstId + count; id += 1) {
    rows.push(
      `${id}\t${uuid(next)}\t${next(90_000)}\t${STATES[next(STATES.length)]}\t${next(4_000_000) / 100}\t` +
        `${timestamp(id, next)}\t${next(3) === 0 ? "\\N" : timestamp(id, next)}\t${sentence(next)}\t` +
        `{"vin": "${vin(next)}", "km": ${next(400_000)}, "tags": ["${word(next)}", "${word(next)}"]}\n`,
    );
  }
  return rows.join("");
}

/** About `sizeBytes` of them, in pieces of a quarter of a MiB. */
export function* copyText(sizeBytes: number, seed = 1): Generator<Bytes> {
  const next = randomNumbers(seed);
  let made = 0;
  for (let id = 1; made < sizeBytes; id += 1024) {
    const piece = Buffer.from(copyRows(id, 1024, next));
    const wanted = piece.subarray(0, sizeBytes - made);
    made += wanted.byteLength;
    yield wanted;
  }
}

function uuid(next: (below: number) => number): string {
  const part = (): string => next(0x10000).toString(16).padStart(4, "0");
  return `${part()}${part()}-${part()}-4${part().slice(1)}-a${part().slice(1)}-${part()}${part()}${part()}`;
}

function timestamp(id: number, next: (below: number) => number): string {
  const day = 1 + (Math.floor(id / 4096) % 28);
  const two = (value: number): string => String(value).padStart(2, "0");
  return `2026-${two(1 + (Math.floor(id / 114_688) % 12))}-${two(day)} ${two(next(24))}:${two(next(60))}:${two(next(60))}.${String(next(1_000_000)).padStart(6, "0")}+00`;
}

function sentence(next: (below: number) => number): string {
  const count = 4 + next(18);
  return Array.from({ length: count }, () => word(next)).join(" ");
}

function word(next: (below: number) => number): string {
  return WORDS[next(WORDS.length)] ?? "";
}

function vin(next: (below: number) => number): string {
  return Array.from({ length: 17 }, () => "ABCDEFGHJKLMNPRSTUVWXYZ0123456789"[next(33)]).join("");
}
