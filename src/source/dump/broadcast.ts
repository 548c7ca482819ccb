import type { Bytes } from "../../kernel/index.ts";

/**
 * One stream for several readers, each of whom gets every piece; the slowest sets the pace, and nothing is held besides the
 * piece under way. What the source throws, all of them throw. A reader that stops early no longer holds the others up;
 * when the last one stops, the source is ended.
 */
export function broadcast(source: AsyncIterable<Bytes>, readers: number): AsyncIterable<Bytes>[] {
  const iterator = source[Symbol.asyncIterator]();
  let active = readers;
  let waiting: ((step: Promise<IteratorResult<Bytes, unknown>>) => void)[] = [];
  const turn = (): void => {
    if (active === 0 || waiting.length < active) return;
    const asking = waiting;
    waiting = [];
    const step = iterator.next();
    for (const give of asking) give(step);
  };
  const ask = (): Promise<IteratorResult<Bytes, unknown>> => {
    const { promise, resolve } = Promise.withResolvers<IteratorResult<Bytes, unknown>>();
    waiting.push(resolve);
    turn();
    return promise;
  };
  const read = async function* (): AsyncGenerator<Bytes, void, undefined> {
    try {
      for (let step = await ask(); step.done !== true; step = await ask()) yield step.value;
    } finally {
      active -= 1;
      if (active === 0) await iterator.return?.();
      else turn();
    }
  };
  return Array.from({ length: readers }, read);
}
