import { inspect } from "node:util";
import { describe, expect, test } from "vitest";
import {
  collectBytes,
  concatBytes,
  createLog,
  equalBytes,
  formatBytes,
  counted,
  formatCount,
  formatTime,
  formatDuration,
  fromHex,
  isHexId,
  Secret,
  systemClock,
  toHex,
} from "./index.ts";

describe("units", () => {
  test.for<[number, string]>([
    [0, "0 B"],
    [1023, "1023 B"],
    [1024, "1.0 KiB"],
    [1536 * 1024, "1.5 MiB"],
    [1024 ** 4 * 3, "3.0 TiB"],
    [1024 ** 7, "1048576.0 PiB"],
  ])("%d bytes are %s", ([size, text]) => {
    expect(formatBytes(size)).toBe(text);
  });

  test.for<[number, string]>([
    [12, "12 ms"],
    [12_340, "12.3 s"],
    [245_000, "4 m 05 s"],
    [3_599_600, "1 h 00 m"],
    [7_620_000, "2 h 07 m"],
  ])("%d ms are %s", ([ms, text]) => {
    expect(formatDuration(ms)).toBe(text);
  });

  test("counts are grouped by thousands", () => {
    expect(formatCount(1234567)).toBe("1,234,567");
    expect(formatCount(999n)).toBe("999");
    expect([0, 1, 2000].map((count) => counted(count, "snapshot"))).toEqual([
      "0 snapshots",
      "1 snapshot",
      "2,000 snapshots",
    ]);
    expect(counted(2n, "copy", "copies")).toBe("2 copies");
    expect(formatTime(new Date("2026-11-22T21:30:12.345Z"))).toBe("2026-11-22 21:30:12Z");
  });
});

describe("a secret", () => {
  const secret = new Secret("hunter2");

  test("shows itself to whoever asks for it by name, and to no one else", () => {
    expect(secret.reveal()).toBe("hunter2");
    const shown = [
      String(secret),
      JSON.stringify({ secret }),
      inspect({ secret }),
      "".concat(String(secret)),
    ];
    for (const text of shown) {
      expect(text).not.toContain("hunter2");
      expect(text).toContain("[redacted]");
    }
  });

  test("does not reach the log", () => {
    let written = "";
    const log = createLog("info", { write: (line: string) => void (written += line) });
    log.info({ password: secret }, "opened");
    expect(written).toContain("[redacted]");
    expect(written).not.toContain("hunter2");
  });
});

describe("bytes", () => {
  test("survive hexadecimal and comparison", () => {
    const bytes = Uint8Array.of(0, 127, 255);
    expect(toHex(bytes)).toBe("007fff");
    expect(equalBytes(fromHex("007fff"), bytes)).toBe(true);
    expect(equalBytes(fromHex("007ffe"), bytes)).toBe(false);
    expect(equalBytes(fromHex("007f"), bytes)).toBe(false);
  });

  test("a view into a larger buffer is its own bytes only", () => {
    const view = Uint8Array.of(1, 2, 3, 4).subarray(1, 3);
    expect(toHex(view)).toBe("0203");
    expect(toHex(concatBytes([view, view]))).toBe("02030203");
    expect(concatBytes([view])).toBe(view);
  });

  test("a stream is collected in order", async () => {
    async function* stream(): AsyncGenerator<Uint8Array> {
      yield Uint8Array.of(1);
      yield Uint8Array.of(2, 3);
    }
    expect(toHex(await collectBytes(stream()))).toBe("010203");
  });
});

test("an id is 64 lower-case hex digits", () => {
  expect(isHexId("ab".repeat(32))).toBe(true);
  expect(isHexId("AB".repeat(32))).toBe(false);
  expect(isHexId("ab".repeat(31))).toBe(false);
});

describe("the system clock", () => {
  test("sleep ends at once when the signal aborts, also when it had before", async () => {
    const controller = new AbortController();
    const sleeping = systemClock.sleep(60_000, controller.signal);
    controller.abort(new Error("enough"));
    await expect(sleeping).rejects.toThrow("enough");
    await expect(systemClock.sleep(60_000, AbortSignal.abort("text"))).rejects.toThrow("aborted");
  });

  test("sleep of nothing resolves, every() ticks until it is disposed", async () => {
    await systemClock.sleep(0, new AbortController().signal);
    let resolveTick: () => void = () => undefined;
    const ticked = new Promise<void>((resolve) => (resolveTick = resolve));
    {
      using _ticker = systemClock.every(1, () => resolveTick());
      await expect(ticked).resolves.toBeUndefined();
    }
  });
});
