import { describe, expect, test } from "vitest";
import {
  AppError,
  bug,
  errorTable,
  exitCodeOf,
  isAbort,
  KIND_RULES,
  throwIfAborted,
  toAppError,
} from "./errors.ts";
import type { ErrorKind } from "./errors.ts";

const sample = errorTable("sample", {
  broken: { kind: "corrupt", meaning: "A thing is broken.", hint: "Mend it." },
  busy: { kind: "locked", meaning: "A thing is busy." },
});

describe("an error table", () => {
  test("gives the code its layer, its kind and its standing hint", () => {
    const error = sample("broken", { message: "pack 1a2b ends early", subject: { pack: "1a2b" } });
    expect(error).toMatchObject({
      code: "sample.broken",
      kind: "corrupt",
      message: "pack 1a2b ends early",
      subject: { pack: "1a2b" },
      hint: "Mend it.",
    });
  });

  test("prefers the hint of the occurrence", () => {
    expect(sample("broken", { message: "x", hint: "Call home." }).hint).toBe("Call home.");
    expect(sample("busy", { message: "x" }).hint).toBeUndefined();
  });
});

test("with() adds ids and keeps the first cause", () => {
  const cause = new Error("socket");
  const error = sample("broken", { message: "m", subject: { a: 1 }, cause }).with({ b: 2 });
  expect(error).toMatchObject({ code: "sample.broken", subject: { a: 1, b: 2 }, hint: "Mend it." });
  expect(error.cause).toBe(cause);
});

describe("exit codes", () => {
  test.for<[ErrorKind, number]>([
    ["usage", 2],
    ["config", 2],
    ["auth", 1],
    ["not-found", 1],
    ["locked", 11],
    ["unavailable", 1],
    ["exhausted", 1],
    ["corrupt", 20],
    ["incompatible", 1],
    ["objective-missed", 21],
    ["cancelled", 130],
    ["bug", 1],
  ])("%s gives %i", ([kind, exitCode]) => {
    expect(KIND_RULES[kind].exitCode).toBe(exitCode);
    expect(exitCodeOf(new AppError("any.code", kind, { message: "m" }))).toBe(exitCode);
  });

  test.for<[string, ErrorKind, number]>([
    ["repository.not_found", "not-found", 10],
    ["repository.wrong_password", "auth", 12],
  ])("%s is restic's", ([code, kind, exitCode]) => {
    expect(exitCodeOf(new AppError(code, kind, { message: "m" }))).toBe(exitCode);
  });
});

describe("toAppError", () => {
  test("passes an AppError through", () => {
    const error = sample("busy", { message: "m" });
    expect(toAppError(error)).toBe(error);
  });

  test("calls an abort kernel.cancelled", () => {
    const abort = new DOMException("aborted", "AbortError");
    expect(isAbort(abort)).toBe(true);
    expect(toAppError(abort)).toMatchObject({ code: "kernel.cancelled", kind: "cancelled" });
  });

  test("calls anything else kernel.bug and keeps it as the cause", () => {
    const thrown = new TypeError("x is not a function");
    expect(toAppError(thrown)).toMatchObject({ code: "kernel.bug", kind: "bug", cause: thrown });
    expect(toAppError("text").message).toBe("unexpected error: text");
    expect(bug("impossible", { id: 1 })).toMatchObject({ code: "kernel.bug", subject: { id: 1 } });
  });
});

describe("throwIfAborted", () => {
  test("is quiet without a signal and before the abort", () => {
    expect(() => throwIfAborted(undefined)).not.toThrow();
    expect(() => throwIfAborted(new AbortController().signal)).not.toThrow();
  });

  test("throws the caller's own error, else kernel.cancelled", () => {
    const own = sample("busy", { message: "m" });
    expect(() => throwIfAborted(AbortSignal.abort(own))).toThrow(own);
    expect(() => throwIfAborted(AbortSignal.abort())).toThrowError(
      expect.objectContaining({ code: "kernel.cancelled" }),
    );
  });
});
