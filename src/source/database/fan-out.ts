/**
 * One stream for several readers, chunk by chunk: the next one is asked for when all that still read have asked. A
 * chunk is theirs until then. Each reader that ends early lets the others go on; an error of the stream is everybody's.
 */
export function fanOut<Chunk>(
  source: AsyncIterator<Chunk, void, undefined>,
  readers: number,
): readonly FanReader<Chunk>[] {
  const reading = new Set<object>();
  const waiting = new Map<object, Waiting<Chunk>>();
  const pull = async (): Promise<void> => {
    const asked = [...waiting.values()];
    waiting.clear();
    try {
      const result = await source.next();
      for (const one of asked) one.resolve(result);
    } catch (thrown) {
      for (const one of asked) one.reject(thrown);
    }
  };
  const pullWhenAllAsked = (): void => {
    if (reading.size > 0 && waiting.size === reading.size) void pull();
  };
  return Array.from({ length: readers }, () => {
    const reader = {};
    reading.add(reader);
    const next = (): Promise<IteratorResult<Chunk, void>> =>
      new Promise((resolve, reject) => {
        waiting.set(reader, { resolve, reject });
        pullWhenAllAsked();
      });
    const leave = (): void => {
      reading.delete(reader);
      waiting.delete(reader);
      pullWhenAllAsked();
    };
    const iterator = {
      next,
      return: (): Promise<IteratorResult<Chunk, void>> => {
        leave();
        return Promise.resolve({ done: true, value: undefined });
      },
    };
    return { chunks: { [Symbol.asyncIterator]: () => iterator }, leave };
  });
}

export interface FanReader<Chunk> {
  readonly chunks: AsyncIterable<Chunk>;
  /** For one that may never have begun to read: the others do not wait for it any more. Any number of times. */
  readonly leave: () => void;
}

interface Waiting<Chunk> {
  readonly resolve: (result: IteratorResult<Chunk, void>) => void;
  readonly reject: (reason: unknown) => void;
}
