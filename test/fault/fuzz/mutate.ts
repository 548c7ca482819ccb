/** Garbage with a purpose: valid files with something wrong in them. The same for the same seed. */

export type Random = (below: number) => number;

/** mulberry32. */
export function seeded(seed: number): Random {
  let state = seed >>> 0;
  return (below) => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return Math.floor((((t ^ (t >>> 14)) >>> 0) / 0x1_0000_0000) * below);
  };
}

/** Stands in JSON text where JSON.stringify could not write it. */
const RAW = "\u0001raw:";
const HOSTILE: readonly unknown[] = [
  null,
  true,
  -1,
  0,
  0.5,
  32,
  2 ** 31,
  2 ** 32 - 1,
  2 ** 32,
  2 ** 53,
  1e308,
  `${RAW}1e999`,
  `${RAW}-0`,
  `${RAW}${"9".repeat(400)}`,
  `${RAW}${"[".repeat(20_000)}${"]".repeat(20_000)}`,
  `${RAW}${'{"a":'.repeat(20_000)}1${"}".repeat(20_000)}`,
  `${RAW}"\\ud800"`,
  `${RAW}"\\u0000"`,
  "",
  "..",
  "/etc/passwd",
  "x".repeat(100_000),
  "ab".repeat(32),
  "AB".repeat(32),
  "0001-01-01T00:00:00Z",
  "9999-12-31T23:59:59.999999999+14:00",
  [],
  {},
  { __proto__: null, constructor: 1, toString: "x" },
  Array.from({ length: 2_000 }, () => null),
];

export function mutateJson(json: string, random: Random): Uint8Array {
  if (random(4) === 0) return mutateBytes(Buffer.from(json), random);
  const root: unknown = JSON.parse(json);
  const changed = changeSomewhere(root, random);
  const text = JSON.stringify(changed).replaceAll(
    /"\\u0001raw:((?:[^"\\]|\\.)*)"/g,
    (_, raw: string) => String(JSON.parse(`"${raw}"`)),
  );
  return Buffer.from(text);
}

function changeSomewhere(value: unknown, random: Random): unknown {
  const isArray = Array.isArray(value);
  const inner = typeof value === "object" && value !== null ? Object.keys(value) : [];
  if (inner.length === 0 || random(6) === 0) return HOSTILE[random(HOSTILE.length)];
  const key = inner[random(inner.length)] ?? "";
  const entries = Object.entries(value as Record<string, unknown>);
  const what = random(8);
  const changed = entries.flatMap(([name, field]): [string, unknown][] => {
    if (name !== key) return [[name, field]];
    if (what === 0) return [];
    if (what === 1)
      return [
        [name, field],
        [`${name}2`, field],
      ];
    return [[name, changeSomewhere(field, random)]];
  });
  return isArray ? changed.map(([, field]) => field) : Object.fromEntries(changed);
}

export function mutateBytes(bytes: Uint8Array, random: Random): Uint8Array {
  const from = random(bytes.byteLength + 1);
  const length = random(Math.min(64, bytes.byteLength + 1));
  const [head, rest] = [bytes.subarray(0, from), bytes.subarray(from)];
  switch (random(6)) {
    case 0:
      return head;
    case 1:
      return Buffer.concat([head, rest.subarray(length)]);
    case 2:
      return Buffer.concat([head, rest.subarray(0, length), rest]);
    case 3:
      return Buffer.concat([head, Buffer.from(Array.from({ length }, () => random(256))), rest]);
    case 4:
      return Buffer.concat([head, Buffer.alloc(length, 0xff), rest.subarray(length)]);
    default: {
      const flipped = Buffer.from(bytes);
      const at = Math.min(from, Math.max(0, bytes.byteLength - 1));
      flipped[at] = (flipped[at] ?? 0) ^ (1 << random(8));
      return flipped;
    }
  }
}
