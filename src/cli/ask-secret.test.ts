import { PassThrough } from "node:stream";
import { describe, expect, test } from "vitest";
import { kernelError } from "../kernel/index.ts";
import { codeOf } from "../objectstore/testing/index.ts";
import { askNewSecret, askSecret } from "./ask-secret.ts";
import { cliContext, testRuntime } from "./testing/runtime.ts";
import type { TestRuntime } from "./testing/runtime.ts";

interface Terminal {
  readonly runtime: TestRuntime;
  readonly modes: boolean[];
  readonly stdin: PassThrough;
  abort(): void;
}

function terminal(): Terminal {
  const abort = new AbortController();
  const context = cliContext("/nowhere", { signal: abort.signal });
  const modes: boolean[] = [];
  const stdin = new PassThrough();
  const setRawMode = (raw: boolean): void => void modes.push(raw);
  const input = Object.assign(stdin, { isTTY: true, setRawMode });
  return {
    runtime: { ...testRuntime(context), stdin: input },
    modes,
    stdin,
    abort: () => abort.abort(kernelError("cancelled", { message: "stop" })),
  };
}

describe("a secret that is typed", () => {
  test.for([
    ["as it is", "gehéim \u{1F511}!\r", "gehéim \u{1F511}!"],
    ["with what was taken back", "ab\u{1F511}\u007F\u007Fcd\u007F\n", "ac"],
    ["to the end of input", "abc\u0004", "abc"],
  ])("is taken %s, without an echo", async ([, typed = "", secret]) => {
    const { runtime, modes, stdin } = terminal();
    const asked = askSecret(runtime, "new password", "--x");
    stdin.write(typed);
    expect((await asked).reveal()).toBe(secret);
    expect(modes).toEqual([true, false]);
    expect(runtime.stderr.text).toBe("new password: \n");
    expect(runtime.stdout.text).toBe("");
    expect(stdin.isPaused()).toBe(true);
  });

  test("twice must be the same twice", async () => {
    const both = async (first: string, second: string) => {
      const { runtime, stdin } = terminal();
      const asked = askNewSecret(runtime, "new password", "--x");
      stdin.write(first);
      setImmediate(() => stdin.write(second));
      return await asked;
    };
    expect((await both("one\r", "one\r")).reveal()).toBe("one");
    expect((await both("one\rone\r", "")).reveal()).toBe("one");
    expect(await codeOf(() => both("one\r", "two\r"))).toBe("cli.usage");
    expect(await codeOf(() => both("\r", "\r"))).toBe("cli.usage");
  });

  test("ends with Ctrl-C, by key or by signal, and leaves the terminal as it was", async () => {
    const byKey = terminal();
    const asked = askSecret(byKey.runtime, "password", "--x");
    byKey.stdin.write("ab\u0003");
    expect(await codeOf(() => asked)).toBe("kernel.cancelled");
    expect(byKey.modes).toEqual([true, false]);
    const bySignal = terminal();
    const other = askSecret(bySignal.runtime, "password", "--x");
    bySignal.abort();
    expect(await codeOf(() => other)).toBe("kernel.cancelled");
    expect(bySignal.modes).toEqual([true, false]);
  });

  test("without a terminal is an error that names the way out", async () => {
    const runtime = testRuntime(cliContext("/nowhere"));
    await expect(askSecret(runtime, "new password", "--a and --b")).rejects.toMatchObject({
      code: "cli.usage",
      message: "new password and no terminal to type it on",
      hint: "Give one of --a and --b.",
    });
  });
});
