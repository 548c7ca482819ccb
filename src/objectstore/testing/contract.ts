import { createHash } from "node:crypto";
import { expect } from "vitest";
import { AppError } from "../../kernel/index.ts";
import type { Bytes } from "../../kernel/index.ts";
import { objectStoreError } from "../errors.ts";
import { putLarge } from "../large.ts";
import type { ObjectStat, ObjectStore } from "../object-store.ts";
import { BAD_KEYS, GOOD_KEYS } from "./contract-keys.ts";

/** One promise of the interface, as a function that throws when a store breaks it. */
export interface ContractCase {
  readonly name: string;
  readonly run: (store: ObjectStore) => Promise<void>;
}

const bytesOf = (text: string): Bytes => Buffer.from(text);
const textOf = (bytes: Bytes): string => Buffer.from(bytes).toString();
/** Larger than any single read or write of a driver, and not a multiple of a block. */
const LARGE_BYTES = 3_000_017;
/** The target size of a pack and more than any buffer on the way. */
const PACK_BYTES = 20 * 1024 * 1024 + 13;
/** More than a page of any server. */
const MANY = 1_003;

/** Deterministic and incompressible enough that a shifted, cut or swapped part shows. */
export function patternBytes(sizeBytes: number, seed = 1): Bytes {
  const bytes = new Uint8Array(sizeBytes);
  let state = seed >>> 0 || 1;
  for (let index = 0; index < sizeBytes; index += 1) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    bytes[index] = state >>> 24;
  }
  return bytes;
}

async function* inPieces(
  bytes: Bytes,
  failAt = bytes.byteLength,
): AsyncGenerator<Bytes, void, undefined> {
  for (let at = 0; at < bytes.byteLength; at += 500_000) {
    if (at > failAt) throw objectStoreError("denied", { message: "a stream that breaks off" });
    yield bytes.subarray(at, at + 500_000);
  }
}

let pack: Bytes | undefined;
/** Made once: every store is given it. */
function packBytes(): Bytes {
  pack ??= patternBytes(PACK_BYTES, 9);
  return pack;
}

export async function listKeys(store: ObjectStore, prefix: string): Promise<string[]> {
  const keys: string[] = [];
  for await (const found of store.list(prefix)) keys.push(found.key);
  return keys.sort();
}

/** The code of the AppError that `work` throws; anything else fails the test. */
export async function codeOf(work: () => Promise<unknown>): Promise<string> {
  try {
    await work();
  } catch (thrown) {
    expect(thrown).toBeInstanceOf(AppError);
    return thrown instanceof AppError ? thrown.code : "";
  }
  return "no error";
}

async function expectSame(store: ObjectStore, key: string, expected: Bytes): Promise<void> {
  const found = await store.get(key);
  expect(found.byteLength).toBe(expected.byteLength);
  expect(Buffer.compare(found, expected)).toBe(0);
  expect((await store.stat(key))?.sizeBytes).toBe(expected.byteLength);
}

async function statsBelow(store: ObjectStore, prefix: string): Promise<ObjectStat[]> {
  const found: ObjectStat[] = [];
  for await (const stat of store.list(prefix)) found.push(stat);
  return found;
}

/** Some at once, as a backup does. */
async function putAll(store: ObjectStore, keys: readonly string[]): Promise<void> {
  const rest = keys.values();
  const lane = async (): Promise<void> => {
    for (const key of rest) await store.put(key, [bytesOf("x")]);
  };
  await Promise.all(Array.from({ length: 16 }, lane));
}

const putCases: readonly ContractCase[] = [
  {
    name: "gives back what was put, its size too",
    run: async (store) => {
      await store.put("config", [bytesOf("one")]);
      await expectSame(store, "config", bytesOf("one"));
    },
  },
  {
    name: "joins the parts of a body in order, empty ones included",
    run: async (store) => {
      await store.put("data/aa/parts", ["a", "", "bc", "", "def"].map(bytesOf));
      await expectSame(store, "data/aa/parts", bytesOf("abcdef"));
    },
  },
  {
    name: "joins more parts than one system call takes",
    run: async (store) => {
      const parts = Array.from({ length: 2_500 }, (_, index) => patternBytes(7, index + 1));
      await store.put("data/aa/many", parts);
      await expectSame(store, "data/aa/many", Buffer.concat(parts));
    },
  },
  {
    name: "holds an empty object",
    run: async (store) => {
      await store.put("empty", []);
      await expectSame(store, "empty", new Uint8Array());
      expect(await listKeys(store, "")).toEqual(["empty"]);
    },
  },
  {
    name: "holds a large object",
    run: async (store) => {
      const large = patternBytes(LARGE_BYTES);
      await store.put("data/bb/large", [large.subarray(0, 1_000_003), large.subarray(1_000_003)]);
      await expectSame(store, "data/bb/large", large);
    },
  },
  {
    name: "holds an object of the size of a pack",
    run: async (store) => {
      const body = packBytes();
      await store.put("data/cc/pack", [body], { ifAbsent: true });
      await expectSame(store, "data/cc/pack", body);
      const range = { offset: PACK_BYTES - 100_003, length: 100_003 };
      const end = await store.getRange("data/cc/pack", range);
      expect(Buffer.compare(end, body.subarray(range.offset))).toBe(0);
    },
  },
  {
    name: "takes a stream under its name whole, once, and not when it breaks off",
    run: async (store) => {
      const large = patternBytes(LARGE_BYTES);
      const md5 = createHash("md5").update(large).digest();
      const body = { sizeBytes: LARGE_BYTES, md5, open: () => inPieces(large) };
      await putLarge(store, "stream.dump", body, { ifAbsent: true });
      await expectSame(store, "stream.dump", large);
      const again = (): Promise<void> => putLarge(store, "stream.dump", body, { ifAbsent: true });
      expect(await codeOf(again)).toBe("objectstore.exists");
      const broken = { ...body, open: () => inPieces(large, LARGE_BYTES / 2) };
      const breaks = (): Promise<void> =>
        putLarge(store, "broken.dump", broken, { ifAbsent: true });
      expect(await codeOf(breaks)).toBe("objectstore.denied");
      expect(await listKeys(store, "")).toEqual(["stream.dump"]);
    },
  },
  {
    name: "holds keys of every sign that is allowed, as long as they may be, each its own",
    run: async (store) => {
      for (const key of GOOD_KEYS) await store.put(key, [bytesOf(key)], { ifAbsent: true });
      for (const key of GOOD_KEYS) await expectSame(store, key, bytesOf(key));
      expect(await listKeys(store, "")).toEqual(GOOD_KEYS.toSorted());
      for (const key of GOOD_KEYS) await store.remove(key);
      expect(await listKeys(store, "")).toEqual([]);
    },
  },
  {
    name: "does not change the body and keeps no hold of it",
    run: async (store) => {
      const body = bytesOf("kept");
      await store.put("a", [body]);
      expect(textOf(body)).toBe("kept");
      body.fill(0);
      expect(textOf(await store.get("a"))).toBe("kept");
      (await store.get("a")).fill(0);
      expect(textOf(await store.get("a"))).toBe("kept");
    },
  },
  {
    name: "replaces an object without ifAbsent",
    run: async (store) => {
      await store.put("a", [bytesOf("the first and longer one")]);
      await store.put("a", [bytesOf("second")]);
      await expectSame(store, "a", bytesOf("second"));
    },
  },
  {
    name: "refuses a taken key with ifAbsent and leaves what lies there",
    run: async (store) => {
      await store.put("a", [bytesOf("first")], { ifAbsent: true });
      const code = await codeOf(() => store.put("a", [bytesOf("second")], { ifAbsent: true }));
      expect(code).toBe("objectstore.exists");
      await expectSame(store, "a", bytesOf("first"));
      expect(await listKeys(store, "")).toEqual(["a"]);
    },
  },
  {
    name: "lets exactly one of many concurrent ifAbsent puts win",
    run: async (store) => {
      const bodies = Array.from({ length: 12 }, (_, index) => patternBytes(50_000, index + 1));
      const codes = await Promise.all(
        bodies.map((body) => codeOf(() => store.put("locks/one", [body], { ifAbsent: true }))),
      );
      const winners = codes.flatMap((code, index) => (code === "no error" ? [index] : []));
      expect(winners).toHaveLength(1);
      expect(codes.filter((code) => code === "objectstore.exists")).toHaveLength(11);
      await expectSame(store, "locks/one", bodies[winners[0] ?? -1] ?? new Uint8Array());
    },
  },
];

const readCases: readonly ContractCase[] = [
  {
    name: "reads exactly the range",
    run: async (store) => {
      const large = patternBytes(LARGE_BYTES);
      await store.put("data/bb/large", [large]);
      for (const [offset, length] of [
        [0, 1],
        [0, LARGE_BYTES],
        [1_048_575, 1_048_579],
        [LARGE_BYTES - 1, 1],
        [LARGE_BYTES, 0],
      ] as const) {
        const found = await store.getRange("data/bb/large", { offset, length });
        expect(found.byteLength).toBe(length);
        expect(Buffer.compare(found, large.subarray(offset, offset + length))).toBe(0);
      }
    },
  },
  {
    name: "says truncated when the object ends before the range",
    run: async (store) => {
      await store.put("a", [bytesOf("12345")]);
      for (const range of [
        { offset: 0, length: 6 },
        { offset: 5, length: 1 },
        { offset: 100, length: 1 },
      ]) {
        expect(await codeOf(() => store.getRange("a", range))).toBe("objectstore.truncated");
      }
    },
  },
  {
    name: "says not_found where there is no object, folders included",
    run: async (store) => {
      await store.put("data/ab/x", [bytesOf("x")]);
      for (const key of ["nothing", "data", "data/ab", "data/ab/x/y", "data/cd/x"]) {
        expect(await codeOf(() => store.get(key))).toBe("objectstore.not_found");
        const range = { offset: 0, length: 1 };
        expect(await codeOf(() => store.getRange(key, range))).toBe("objectstore.not_found");
        expect(await store.stat(key)).toBeUndefined();
      }
    },
  },
  {
    name: "dates an object by its own clock, the same in stat and list",
    run: async (store) => {
      await store.put("a", [bytesOf("x")]);
      const found = await store.stat("a");
      expect(found?.modifiedAt.getTime()).toBeGreaterThan(0);
      expect(await statsBelow(store, "")).toEqual([found]);
    },
  },
];

const listCases: readonly ContractCase[] = [
  {
    name: "lists every object below a prefix, once, with its size",
    run: async (store) => {
      const keys = ["config", "data/00/a", "data/00/b", "data/01/a", "data0", "index/a", "a-b_c.d"];
      for (const [index, key] of keys.entries()) await store.put(key, [patternBytes(index)]);
      const sizes = (await statsBelow(store, "")).map(({ key, sizeBytes }) => [key, sizeBytes]);
      expect(Object.fromEntries(sizes)).toEqual(
        Object.fromEntries(keys.map((key, index) => [key, index])),
      );
      expect(sizes).toHaveLength(keys.length);
      expect(await listKeys(store, "data/")).toEqual(["data/00/a", "data/00/b", "data/01/a"]);
      expect(await listKeys(store, "data/00/")).toEqual(["data/00/a", "data/00/b"]);
    },
  },
  {
    name: "lists more than a page, each once, and ends when it is aborted on the way",
    run: async (store) => {
      const keys = Array.from({ length: MANY }, (_, index) => `index/k${index}`);
      await putAll(store, keys);
      expect(await listKeys(store, "index/")).toEqual(keys.toSorted());
      for (const after of [1, MANY - 1]) {
        const control = new AbortController();
        let given = 0;
        const list = async (): Promise<void> => {
          for await (const found of store.list("index/", { signal: control.signal })) {
            expect(found.sizeBytes).toBe(1);
            given += 1;
            if (given === after) control.abort();
          }
        };
        expect(await codeOf(list)).toBe("kernel.cancelled");
        expect(given).toBe(after);
      }
      expect((await statsBelow(store, "index/")).length).toBe(MANY);
    },
  },
  {
    name: "lists nothing below a prefix that does not exist",
    run: async (store) => {
      await store.put("config", [bytesOf("x")]);
      expect(await listKeys(store, "snapshots/")).toEqual([]);
      expect(await listKeys(store, "config/")).toEqual([]);
    },
  },
  {
    name: "lists what was just put and not what was just removed",
    run: async (store) => {
      for (const key of ["index/a", "index/b", "index/c"]) await store.put(key, [bytesOf("x")]);
      await store.remove("index/b");
      expect(await listKeys(store, "index/")).toEqual(["index/a", "index/c"]);
    },
  },
  {
    name: "lets a listing be left early and objects be removed while it runs",
    run: async (store) => {
      for (let index = 0; index < 50; index += 1) await store.put(`data/k${index}`, [bytesOf("x")]);
      for await (const found of store.list("data/")) {
        expect(found.sizeBytes).toBe(1);
        break;
      }
      for await (const found of store.list("data/")) await store.remove(found.key);
      expect(await listKeys(store, "")).toEqual([]);
    },
  },
];

const removeCases: readonly ContractCase[] = [
  {
    name: "removes an object, and removing it again is no error",
    run: async (store) => {
      await store.put("locks/a", [bytesOf("x")]);
      await store.remove("locks/a");
      await store.remove("locks/a");
      await store.remove("never/was");
      expect(await store.stat("locks/a")).toBeUndefined();
      expect(await codeOf(() => store.get("locks/a"))).toBe("objectstore.not_found");
      await store.put("locks/a", [bytesOf("again")], { ifAbsent: true });
      expect(textOf(await store.get("locks/a"))).toBe("again");
    },
  },
];

const refusalCases: readonly ContractCase[] = [
  {
    name: "refuses keys and prefixes outside the alphabet before anything happens",
    run: async (store) => {
      const range = { offset: 0, length: 1 };
      for (const key of BAD_KEYS) {
        for (const work of [
          () => store.put(key, [bytesOf("x")]),
          () => store.get(key),
          () => store.getRange(key, range),
          () => store.stat(key),
          () => store.remove(key),
        ]) {
          expect(await codeOf(work)).toBe("objectstore.invalid_key");
        }
      }
      for (const prefix of ["/", "data", "../", "data//", "a b/"]) {
        expect(await codeOf(() => listKeys(store, prefix))).toBe("objectstore.invalid_key");
      }
      expect(await listKeys(store, "")).toEqual([]);
    },
  },
  {
    name: "does nothing once the signal is aborted",
    run: async (store) => {
      await store.put("a", [bytesOf("x")]);
      const signal = AbortSignal.abort();
      const options = { signal };
      for (const work of [
        () => store.put("b", [bytesOf("x")], options),
        () => store.get("a", options),
        () => store.getRange("a", { offset: 0, length: 1 }, options),
        () => store.stat("a", options),
        () => statsOf(store, options),
        () => store.remove("a", options),
      ]) {
        expect(await codeOf(work)).toBe("kernel.cancelled");
      }
      expect(await listKeys(store, "")).toEqual(["a"]);
    },
  },
  {
    name: "leaves the whole object or none when a put is aborted on its way",
    run: async (store) => {
      const body = [patternBytes(1_000_000, 3), patternBytes(1_000_000, 4)];
      const control = new AbortController();
      const put = codeOf(() => store.put("data/aa/cut", body, { signal: control.signal }));
      control.abort();
      const code = await put;
      expect(["no error", "kernel.cancelled"]).toContain(code);
      const found = await store.stat("data/aa/cut");
      if (code === "no error") await expectSame(store, "data/aa/cut", Buffer.concat(body));
      else expect(found === undefined || found.sizeBytes === 2_000_000).toBe(true);
      const listed = await listKeys(store, "");
      expect(listed).toEqual(found === undefined ? [] : ["data/aa/cut"]);
    },
  },
];

async function statsOf(store: ObjectStore, options: { signal: AbortSignal }): Promise<void> {
  for await (const found of store.list("", options)) expect(found.key).toBe("a");
}

export const CONTRACT: readonly ContractCase[] = [
  ...putCases,
  ...readCases,
  ...listCases,
  ...removeCases,
  ...refusalCases,
];
