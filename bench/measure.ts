/** Runs programs side by side and measures them from outside: wall time from start to end, and peak memory. */
import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { closeSync, openSync, readFileSync } from "node:fs";
import { once } from "node:events";

export interface Measured {
  readonly seconds: number;
  /** Largest resident set, MiB; of the process that was started, not of its children. */
  readonly peakMib: number;
  readonly stdout: string;
}

export interface Program {
  readonly command: string;
  readonly args: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  /** A file; nothing when left out. */
  readonly stdin?: string;
  /** `discard` for what a benchmark only lets pass. */
  readonly stdout?: "keep" | "discard";
}

export async function measure(program: Program): Promise<Measured> {
  return measurePipe([program]);
}

/** Each program's output is the next one's input; the peak is the last one's. */
export async function measurePipe(programs: readonly Program[]): Promise<Measured> {
  const started = performance.now();
  const children: ChildProcess[] = [];
  for (const [i, program] of programs.entries()) {
    children.push(start(program, children[i - 1], i === programs.length - 1));
  }
  const last = children.at(-1);
  if (last === undefined) throw new Error("no program to measure");
  const peak = watchPeak(last.pid ?? 0);
  const texts = programs.map(() => ({ out: "", err: "" }));
  children.forEach((child, i) => {
    const text = texts[i];
    if (text === undefined) return;
    if (child === last) child.stdout?.on("data", (chunk: Buffer) => (text.out += chunk.toString()));
    child.stderr?.on("data", (chunk: Buffer) => (text.err += chunk.toString()));
  });
  const ends = await Promise.all(children.map((child) => once(child, "close")));
  const seconds = (performance.now() - started) / 1000;
  const peakMib = peak.stop();
  ends.forEach(([code], i) => {
    if (code === 0) return;
    throw new Error(
      `${programs[i]?.command ?? ""} ended with ${String(code)}: ${texts[i]?.err ?? ""}${texts[i]?.out ?? ""}`,
    );
  });
  return { seconds, peakMib, stdout: texts.at(-1)?.out ?? "" };
}

function start(program: Program, before: ChildProcess | undefined, isLast: boolean): ChildProcess {
  const input = program.stdin === undefined ? "ignore" : openSync(program.stdin, "r");
  try {
    const child = spawn(program.command, program.args, {
      env: { PATH: process.env["PATH"] ?? "", LANG: "C.UTF-8", ...program.env },
      stdio: [
        before === undefined ? input : "pipe",
        isLast && program.stdout === "discard" ? "ignore" : "pipe",
        "pipe",
      ],
    });
    const source = before?.stdout ?? undefined;
    if (source !== undefined && child.stdin !== null) source.pipe(child.stdin);
    return child;
  } finally {
    if (typeof input === "number") closeSync(input);
  }
}

function watchPeak(pid: number): { stop: () => number } {
  let peakKib = 0;
  const read = (): void => {
    try {
      const status = readFileSync(`/proc/${pid}/status`, "utf8");
      peakKib = Math.max(peakKib, Number(/VmHWM:\s+(\d+)/.exec(status)?.[1] ?? 0));
    } catch {
      // Ended, or a system without /proc: the last value stands, and 0 is reported as not measured.
    }
  };
  const timer = setInterval(read, 20);
  return {
    stop: () => {
      clearInterval(timer);
      return peakKib / 1024;
    },
  };
}

export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  const upper = sorted[middle] ?? Number.NaN;
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] ?? upper) + upper) / 2;
}

export function rounded(value: number, digits = 2): number {
  return Number(value.toFixed(digits));
}
