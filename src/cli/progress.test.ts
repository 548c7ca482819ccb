/* oxlint-disable no-control-regex -- what a terminal is sent is made of them */
import { describe, expect, test } from "vitest";
import { MIB } from "../kernel/index.ts";
import { createProgress, silentProgress } from "./progress.ts";
import type { ProgressDisplay } from "./progress.ts";

/** A stage with a clock that is moved by hand; timers tick when it passes them. */
function stage(terminal: { columns: number; color?: boolean } | undefined) {
  let nowMs = 0;
  const timers = new Set<{ everyMs: number; nextMs: number; tick: () => void }>();
  const clock = {
    monotonicMs: () => nowMs,
    every: (everyMs: number, tick: () => void): Disposable => {
      const timer = { everyMs, nextMs: everyMs, tick };
      timers.add(timer);
      return { [Symbol.dispose]: () => void timers.delete(timer) };
    },
  };
  const stream = {
    text: "",
    ...(terminal === undefined ? {} : { isTTY: true, columns: terminal.columns }),
    write(text: string) {
      this.text += text;
    },
  };
  const pass = (ms: number): void => {
    for (const end = nowMs + ms; nowMs < end;) {
      nowMs += 50;
      for (const timer of timers) {
        if (nowMs < timer.nextMs) continue;
        timer.nextMs += timer.everyMs;
        timer.tick();
      }
    }
  };
  const display: ProgressDisplay = createProgress({
    stream,
    clock,
    color: terminal?.color ?? false,
  });
  return { display, stream, pass, timers };
}

/** What a terminal would show: the few codes that we send, carried out. */
function screen(text: string): string[] {
  const lines = [""];
  let row = 0;
  let column = 0;
  const tokens = text.split(/(\r|\n|\u001B\[\d*[AJm])/);
  for (const token of tokens) {
    if (token === "") continue;
    if (token === "\r") column = 0;
    else if (token === "\n") {
      row += 1;
      column = 0;
      lines[row] ??= "";
    } else if (token.endsWith("A") && token.startsWith("\u001B")) row -= Number(token.slice(2, -1));
    else if (token === "\u001B[J") {
      lines.length = row + 1;
      lines[row] = (lines[row] ?? "").slice(0, column);
    } else if (!token.startsWith("\u001B")) {
      lines[row] = (lines[row] ?? "").slice(0, column) + token;
      column += token.length;
    }
  }
  return lines;
}

const tables = (doneMib: number) =>
  ({ step: "tables", doneBytes: doneMib * MIB, totalBytes: 100 * MIB, rows: 5n }) as const;

describe("on a terminal", () => {
  test("one live line with bytes, share, rate and time left, below the finished steps", () => {
    const { display, stream, pass } = stage({ columns: 100 });
    display.update({ step: "schema", doneBytes: 0, totalBytes: 0 });
    pass(500);
    for (let mib = 0; mib <= 20; mib += 1) {
      display.update({ ...tables(mib), current: "public.orders" });
      pass(100);
    }
    expect(screen(stream.text)).toEqual([
      "✓ schema: 500 ms",
      "  tables     ██░░░░░░░░ 20.0 MiB of 100.0 MiB, 20 %, 10.0 MiB/s, 8.0 s left  public.orders",
    ]);
    display.finish();
    expect(screen(stream.text)).toEqual([
      "✓ schema: 500 ms",
      "✓ tables: 20.0 MiB, 5 rows in 2.1 s",
      "",
    ]);
  });

  test("never wider than the terminal, also after it became narrower", () => {
    const { display, stream, pass } = stage({ columns: 80 });
    display.update({ ...tables(10), current: "部".repeat(200) });
    pass(200);
    const [line = ""] = screen(stream.text);
    expect(line.length).toBeLessThan(80);
    stream.columns = 30;
    pass(200);
    expect(stream.text).toContain("\u001B[2A\u001B[J");
    const last = stream.text.slice(stream.text.lastIndexOf("\u001B[J") + 3);
    expect(last.length).toBeLessThan(30);
  });

  test("foreign text sends no code", () => {
    const { display, stream, pass } = stage({ columns: 80 });
    display.update({ ...tables(1), current: "\u001B]0;owned\u0007" });
    pass(200);
    display.note("evil\u001B[2J");
    expect(stream.text).not.toContain("\u001B]");
    expect(stream.text).toContain(String.raw`evil\x1b[2J`);
  });

  test("colours only where they are wanted", () => {
    const plain = stage({ columns: 80 });
    plain.display.update(tables(1));
    plain.display.finish();
    expect(plain.stream.text).not.toMatch(/\u001B\[\d+m/);
    const coloured = stage({ columns: 80, color: true });
    coloured.display.update(tables(1));
    coloured.display.finish();
    expect(coloured.stream.text).toMatch(/\u001B\[32m✓/);
  });

  test("objects are counted where there are no bytes", () => {
    const { display, stream, pass } = stage({ columns: 80 });
    const step = { step: "indexes", doneBytes: 0, totalBytes: 0 };
    display.update({ ...step, objects: { done: 5, total: 20 } });
    pass(100);
    expect(screen(stream.text)).toEqual(["  indexes    ███░░░░░░░ 5 of 20"]);
  });

  test("leaves the screen and no timer when it is disposed in the middle", () => {
    const { display, stream, pass, timers } = stage({ columns: 80 });
    display.update(tables(1));
    pass(100);
    display[Symbol.dispose]();
    expect(screen(stream.text)).toEqual([""]);
    expect(timers.size).toBe(0);
  });
});

describe("elsewhere", () => {
  test("a plain line when a step ends, and one every ten seconds", () => {
    const { display, stream, pass } = stage(undefined);
    display.update({ step: "schema", doneBytes: 0, totalBytes: 0 });
    pass(300);
    display.update(tables(0));
    for (let mib = 1; mib <= 21; mib += 1) {
      pass(1000);
      display.update(tables(mib));
    }
    display.finish();
    expect(stream.text).toBe(
      [
        "schema: 300 ms",
        "tables: 9.0 MiB of 100.0 MiB, 9 %, 1.0 MiB/s, 1 m 31 s left",
        "tables: 19.0 MiB of 100.0 MiB, 19 %, 1.0 MiB/s, 1 m 21 s left",
        "tables: 21.0 MiB, 5 rows in 21.0 s",
        "",
      ].join("\n"),
    );
  });

  test("an amount that was there before a step is not the step's", () => {
    const { display, stream, pass } = stage(undefined);
    display.update(tables(7));
    pass(100);
    display.update({ ...tables(7), step: "finish" });
    pass(100);
    display.finish();
    expect(stream.text).toBe("tables: 7.0 MiB, 5 rows in 100 ms\nfinish: 100 ms\n");
  });
});

test("silent shows nothing and can do everything", () => {
  silentProgress.update(tables(1));
  silentProgress.note("x");
  silentProgress.finish();
  expect(silentProgress[Symbol.dispose]()).toBeUndefined();
});
