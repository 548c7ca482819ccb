import { describe, expect, test } from "vitest";
import { fanOut } from "./fan-out.ts";

async function* numbers(end: number, onNext?: (value: number) => void): AsyncGenerator<number> {
  for (let value = 0; value < end; value += 1) {
    onNext?.(value);
    yield value;
  }
}

async function all(chunks: AsyncIterable<number>): Promise<number[]> {
  return Array.fromAsync(chunks);
}

describe("one stream for several readers", () => {
  test("each sees all of it", async () => {
    const readers = fanOut(numbers(5), 3);
    const seen = await Promise.all(readers.map(({ chunks }) => all(chunks)));
    expect(seen).toEqual([0, 1, 2].map(() => [0, 1, 2, 3, 4]));
  });

  test("the next is not asked for before all are done with the last", async () => {
    let asked = -1;
    let working = 0;
    const slow = async (chunks: AsyncIterable<number>, turns: number): Promise<void> => {
      for await (const value of chunks) {
        working += 1;
        for (let turn = 0; turn < turns; turn += 1) await Promise.resolve();
        expect(asked).toBe(value);
        working -= 1;
      }
    };
    const source = numbers(20, (value) => {
      expect(working).toBe(0);
      asked = value;
    });
    const [first, second] = fanOut(source, 2);
    await Promise.all([
      slow(first?.chunks ?? numbers(0), 1),
      slow(second?.chunks ?? numbers(0), 9),
    ]);
    expect(asked).toBe(19);
  });

  test("one that ends early, fails or never begins keeps nobody waiting", async () => {
    const [early, fails, never, whole] = fanOut(numbers(6), 4);
    const ends = async (): Promise<void> => {
      for await (const value of early?.chunks ?? numbers(0)) if (value === 1) break;
    };
    const throws = async (): Promise<void> => {
      for await (const value of fails?.chunks ?? numbers(0))
        if (value === 2) throw new Error("mine");
    };
    never?.leave();
    never?.leave();
    const results = await Promise.allSettled([ends(), throws(), all(whole?.chunks ?? numbers(0))]);
    expect(results).toEqual([
      { status: "fulfilled", value: undefined },
      { status: "rejected", reason: new Error("mine") },
      { status: "fulfilled", value: [0, 1, 2, 3, 4, 5] },
    ]);
  });

  test("an error of the stream is everybody's", async () => {
    async function* broken(): AsyncGenerator<number> {
      yield 1;
      await Promise.resolve();
      throw new Error("lost");
    }
    const results = await Promise.allSettled(fanOut(broken(), 2).map(({ chunks }) => all(chunks)));
    expect(results.map(({ status }) => status)).toEqual(["rejected", "rejected"]);
  });
});
