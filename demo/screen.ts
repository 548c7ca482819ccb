import { createProgress, printable } from "../src/cli/index.ts";
import type { ProgressStream } from "../src/cli/index.ts";
import type { Clock } from "../src/kernel/index.ts";
import { formatDuration } from "../src/kernel/index.ts";
import type { OnProgress } from "../src/operation/index.ts";

export interface Timed<Value> {
  readonly value: Value;
  readonly tookMs: number;
}

/** What the story is told on. */
export interface Screen {
  heading(text: string): void;
  line(text?: string): void;
  /** Live while it runs, and a line for each step that ended. */
  during<Value>(work: (onProgress: OnProgress) => Promise<Value>): Promise<Timed<Value>>;
  /** One line, which says at the end what was done. */
  step<Value>(
    running: string,
    work: (onObjects: (done: number, total: number) => void) => Promise<Value>,
    say: (value: Value) => string,
  ): Promise<Timed<Value>>;
}

export interface ScreenOptions {
  readonly stream: ProgressStream;
  readonly clock: Clock;
  readonly color: boolean;
}

export function createScreen({ stream, clock, color }: ScreenOptions): Screen {
  const isLive = stream.isTTY === true;
  const style = (code: string, text: string): string =>
    isLive && color ? `\u001B[${code}m${text}\u001B[0m` : text;
  const line = (text = ""): void => void stream.write(`${text}\n`);
  return {
    line,
    heading: (text) => line(`\n${style("1", text)}`),
    during: async (work) => {
      const startedMs = clock.monotonicMs();
      using progress = createProgress({ stream, clock, color });
      const value = await work((update) => progress.update(update));
      progress.finish();
      return { value, tookMs: clock.monotonicMs() - startedMs };
    },
    step: async (running, work, say) => {
      const startedMs = clock.monotonicMs();
      const value = await whileShown();
      const tookMs = clock.monotonicMs() - startedMs;
      const tick = isLive ? `${style("32", "✓")} ` : "";
      line(`${tick}${printable(say(value))} in ${formatDuration(tookMs)}`);
      return { value, tookMs };

      async function whileShown() {
        using progress = createProgress({ stream, clock, color });
        const nothing = { step: running, doneBytes: 0, totalBytes: 0 };
        if (isLive) progress.update(nothing);
        return await work((done, total) => {
          if (isLive) progress.update({ ...nothing, objects: { done, total } });
        });
      }
    },
  };
}
