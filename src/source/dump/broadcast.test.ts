import { expect, test } from "vitest";
import { collectBytes } from "../../kernel/index.ts";
import type { Bytes } from "../../kernel/index.ts";
import { broadcast } from "./broadcast.ts";

interface Watched {
  readonly source: AsyncIterable<Bytes>;
  given: number;
  ended: boolean;
}

function pieces(count: number, failAt?: number): Watched {
  const seen = { given: 0, ended: false };
  const give = async function* (): AsyncGenerator<Bytes, void, undefined> {
    try {
      for (let i = 0; i < count; i += 1) {
        if (i === failAt) throw new Error("broke off");
        seen.given += 1;
        yield Buffer.from([i]);
      }
    } finally {
      seen.ended = true;
    }
  };
  return Object.assign(seen, { source: give() });
}

const bytesOf = async (from: AsyncIterable<Bytes> | undefined): Promise<number[]> => [
  ...(await collectBytes(from ?? pieces(0).source)),
];

test("every reader gets every piece", async () => {
  const readers = broadcast(pieces(5).source, 2);
  expect(await Promise.all(readers.map(bytesOf))).toEqual([
    [0, 1, 2, 3, 4],
    [0, 1, 2, 3, 4],
  ]);
});

test("nothing is asked for before the slowest has asked", async () => {
  const watched = pieces(5);
  const [fast, slow] = broadcast(watched.source, 2).map((one) => one[Symbol.asyncIterator]());
  const first = fast?.next();
  expect(watched.given).toBe(0);
  await slow?.next();
  await first;
  expect(watched.given).toBe(1);
});

test("what the source throws, all of them throw", async () => {
  const results = await Promise.allSettled(broadcast(pieces(5, 2).source, 2).map(bytesOf));
  expect(results.map(({ status }) => status)).toEqual(["rejected", "rejected"]);
});

test("one that stops does not hold the other up, and the last one ends the source", async () => {
  const watched = pieces(5);
  const [stopping, going] = broadcast(watched.source, 2);
  const stops = async (): Promise<void> => {
    for await (const _piece of stopping ?? []) break;
  };
  const [, all] = await Promise.all([stops(), bytesOf(going)]);
  expect(all).toEqual([0, 1, 2, 3, 4]);
  expect(watched.ended).toBe(true);
});
