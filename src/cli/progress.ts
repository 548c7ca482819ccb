import type { Clock } from "../kernel/index.ts";
import { formatBytes, formatCount, formatDuration } from "../kernel/index.ts";
import type { Progress } from "../operation/index.ts";
import { printable } from "./printable.ts";
import { createRate } from "./rate.ts";
import type { Rate } from "./rate.ts";
import { fitted, textWidth } from "./width.ts";

/**
 * How far a long operation is, on standard error. On a terminal one live line below the finished steps; elsewhere a
 * plain line when a step ends, and one every ten seconds while it lasts.
 */
export interface ProgressDisplay extends Disposable {
  update(progress: Progress): void;
  /** A line of its own, above the live one. */
  note(text: string): void;
  /** Ends the last step and leaves the cursor on an empty line. */
  finish(): void;
}

export interface ProgressStream {
  write(text: string): unknown;
  readonly isTTY?: boolean;
  readonly columns?: number;
}

export interface ProgressOptions {
  readonly stream: ProgressStream;
  readonly clock: Pick<Clock, "monotonicMs" | "every">;
  /** False where NO_COLOR is set or the terminal knows none. */
  readonly color: boolean;
}

const REDRAW_MS = 100;
const PLAIN_LINE_MS = 10_000;
const DEFAULT_COLUMNS = 80;
const BAR_CELLS = 20;

export function createProgress(options: ProgressOptions): ProgressDisplay {
  return options.stream.isTTY === true ? liveDisplay(options) : plainDisplay(options);
}

/** Nothing is shown: `--json`, `--quiet`. */
export const silentProgress: ProgressDisplay = {
  update: () => undefined,
  note: () => undefined,
  finish: () => undefined,
  [Symbol.dispose]: () => undefined,
};

interface Step {
  progress: Progress;
  /** What earlier steps had done already, where amounts run through. */
  readonly before: Progress;
  readonly startedMs: number;
  readonly rate: Rate;
}

const NOTHING: Progress = { step: "", doneBytes: 0, totalBytes: 0 };

/** Keeps the step that runs; tells when one ends. */
function createSteps(clock: Pick<Clock, "monotonicMs">, onEnd: (step: Step) => void) {
  let current: Step | undefined;
  return {
    current: () => current,
    update: (progress: Progress): void => {
      const nowMs = clock.monotonicMs();
      if (current !== undefined && current.progress.step !== progress.step) onEnd(current);
      if (current === undefined || current.progress.step !== progress.step) {
        // Some amounts run on from step to step, others begin anew.
        const last = current?.progress ?? NOTHING;
        const before = progress.doneBytes >= last.doneBytes ? last : NOTHING;
        current = { progress, before, startedMs: nowMs, rate: createRate() };
      }
      current.progress = progress;
      current.rate.add(nowMs, progress.doneBytes);
    },
    end: (): void => {
      if (current !== undefined) onEnd(current);
      current = undefined;
    },
  };
}

function plainDisplay({ stream, clock }: ProgressOptions): ProgressDisplay {
  const line = (text: string): void => void stream.write(`${text}\n`);
  const steps = createSteps(clock, (step) => line(endedText(step, clock.monotonicMs())));
  const timer = clock.every(PLAIN_LINE_MS, () => {
    const step = steps.current();
    if (step !== undefined) line(`${printable(step.progress.step)}: ${plainText(step)}`);
  });
  return {
    update: steps.update,
    note: (text) => line(printable(text)),
    finish: steps.end,
    [Symbol.dispose]: () => timer[Symbol.dispose](),
  };
}

/** Where nothing is counted, what is being waited for says more than `0 B`. */
function plainText(step: Step): string {
  const { doneBytes, totalBytes, objects, current } = step.progress;
  const counts = doneBytes > 0 || totalBytes > 0 || objects !== undefined;
  return counts || current === undefined ? runningText(step) : printable(current);
}

function liveDisplay({ stream, clock, color }: ProgressOptions): ProgressDisplay {
  let shownWidth = 0;
  const columns = (): number => stream.columns ?? DEFAULT_COLUMNS;
  const dim = (text: string): string => (color ? `\u001B[2m${text}\u001B[22m` : text);
  const green = (text: string): string => (color ? `\u001B[32m${text}\u001B[39m` : text);
  // A line that was drawn on a wider terminal covers several rows after it became narrower.
  const erase = (): void => {
    if (shownWidth === 0) return;
    const rowsAbove = Math.max(0, Math.ceil(shownWidth / Math.max(1, columns())) - 1);
    stream.write(`\r${rowsAbove > 0 ? `\u001B[${rowsAbove}A` : ""}\u001B[J`);
    shownWidth = 0;
  };
  const steps = createSteps(clock, (step) => {
    erase();
    const text = fitted(endedText(step, clock.monotonicMs()), columns() - 3);
    stream.write(`${green("✓")} ${text}\n`);
  });
  const draw = (): void => {
    const step = steps.current();
    if (step === undefined) return;
    const { bar, text } = liveText(step, columns() - 1, clock.monotonicMs());
    erase();
    stream.write(bar + dim(text));
    shownWidth = textWidth(bar + text);
  };
  const timer = clock.every(REDRAW_MS, draw);
  return {
    update: (progress) => {
      const before = steps.current()?.progress.step;
      steps.update(progress);
      if (before !== progress.step) draw();
    },
    note: (text) => {
      erase();
      stream.write(`${printable(text)}\n`);
      draw();
    },
    finish: () => {
      erase();
      steps.end();
    },
    [Symbol.dispose]: () => {
      timer[Symbol.dispose]();
      erase();
    },
  };
}

function liveText(step: Step, columns: number, nowMs: number): { bar: string; text: string } {
  const { doneBytes, objects, current } = step.progress;
  const name = printable(step.progress.step).padEnd(10);
  const share = shareOf(step.progress);
  const cells = share === undefined || columns < 60 ? 0 : columns < 100 ? BAR_CELLS / 2 : BAR_CELLS;
  const full = Math.round((share ?? 0) * cells);
  const meter = cells === 0 ? "" : `${"█".repeat(full)}${"░".repeat(cells - full)} `;
  const bar = fitted(`  ${name} ${meter}`, columns);
  const waiting = formatDuration(Math.floor((nowMs - step.startedMs) / 1000) * 1000);
  const figures =
    doneBytes > 0 || objects !== undefined ? runningText(step) : waiting.replace("0 ms", "");
  const what = current === undefined ? "" : `  ${printable(current)}`;
  return { bar, text: fitted(`${figures}${what}`, columns - textWidth(bar)) };
}

function shareOf({ doneBytes, totalBytes, objects }: Progress): number | undefined {
  if (objects !== undefined) return Math.min(1, objects.done / Math.max(1, objects.total));
  return totalBytes > 0 ? Math.min(1, doneBytes / totalBytes) : undefined;
}

/** `120.1 MiB of 280.0 MiB, 43 %, 45.2 MiB/s, 3.5 s left` */
function runningText(step: Step): string {
  const { doneBytes, totalBytes, objects } = step.progress;
  if (objects !== undefined) return `${formatCount(objects.done)} of ${formatCount(objects.total)}`;
  const known = totalBytes > doneBytes;
  const rate = step.rate.bytesPerSecond();
  const leftMs = step.rate.leftMs(doneBytes, totalBytes);
  return [
    known ? `${formatBytes(doneBytes)} of ${formatBytes(totalBytes)}` : formatBytes(doneBytes),
    ...(known ? [`${Math.floor((doneBytes * 100) / totalBytes)} %`] : []),
    ...(rate === undefined ? [] : [`${formatBytes(Math.round(rate))}/s`]),
    ...(leftMs === undefined ? [] : [`${formatDuration(Math.max(1000, leftMs))} left`]),
  ].join(", ");
}

/** `tables: 280.0 MiB, 412,000 rows in 6.1 s` */
function endedText(step: Step, nowMs: number): string {
  const { doneBytes, rows, objects } = step.progress;
  const newBytes = doneBytes - step.before.doneBytes;
  const newRows = rows === step.before.rows ? undefined : rows;
  const amounts = [
    ...(objects === undefined ? [] : [formatCount(objects.done)]),
    ...(newBytes > 0 ? [formatBytes(newBytes)] : []),
    ...(newRows === undefined || newRows === 0n ? [] : [`${formatCount(newRows)} rows`]),
  ].join(", ");
  const duration = formatDuration(nowMs - step.startedMs);
  return `${printable(step.progress.step)}: ${amounts === "" ? "" : `${amounts} in `}${duration}`;
}
