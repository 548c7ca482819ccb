/** Bytes a second over the last few seconds, and from it the time left. */
export interface Rate {
  add(atMs: number, doneBytes: number): void;
  bytesPerSecond(): number | undefined;
  leftMs(doneBytes: number, totalBytes: number): number | undefined;
}

const WINDOW_MS = 8000;
const MIN_SPAN_MS = 400;

export function createRate(): Rate {
  let samples: { atMs: number; doneBytes: number }[] = [];
  const bytesPerSecond = (): number | undefined => {
    const first = samples[0];
    const last = samples.at(-1);
    if (first === undefined || last === undefined) return undefined;
    const spanMs = last.atMs - first.atMs;
    if (spanMs < MIN_SPAN_MS) return undefined;
    return ((last.doneBytes - first.doneBytes) * 1000) / spanMs;
  };
  return {
    add: (atMs, doneBytes) => {
      samples = samples.filter((sample) => atMs - sample.atMs <= WINDOW_MS);
      const last = samples.at(-1);
      if (last !== undefined && atMs - last.atMs < MIN_SPAN_MS / 4) samples.pop();
      samples.push({ atMs, doneBytes });
    },
    bytesPerSecond,
    leftMs: (doneBytes, totalBytes) => {
      const rate = bytesPerSecond();
      if (rate === undefined || rate <= 0 || totalBytes <= doneBytes) return undefined;
      return ((totalBytes - doneBytes) * 1000) / rate;
    },
  };
}
