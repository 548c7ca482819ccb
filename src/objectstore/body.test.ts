import { Readable } from "node:stream";
import { expect, test } from "vitest";
import { readBody } from "./body.ts";
import { codeOf } from "./testing/index.ts";

const bytes = (text: string): Buffer => Buffer.from(text);

test("is put together in one buffer of its size", async () => {
  const body = Readable.from([bytes("ab"), bytes(""), bytes("cde")]);
  expect(Buffer.from(await readBody(body, { key: "k", sizeBytes: 5 })).toString()).toBe("abcde");
});

test.for([
  ["ends before its size", Readable.from([bytes("ab")])],
  ["goes on beyond its size", Readable.from([bytes("abcdef")])],
  ["breaks off", Readable.from(breaksOff())],
  ["is no bytes", Readable.from(["abcde"])],
  ["is no stream", "abcde"],
] as const)("that %s is a transfer that may pass", async ([, body]) => {
  const read = () => readBody(body, { key: "k", sizeBytes: 5 });
  expect(await codeOf(read)).toBe("objectstore.unavailable");
});

test("of a length that no memory holds is one too", async () => {
  const read = () => readBody(Readable.from([bytes("a")]), { key: "k", sizeBytes: 2 ** 60 });
  expect(await codeOf(read)).toBe("objectstore.unavailable");
});

async function* breaksOff(): AsyncGenerator<Buffer> {
  yield bytes("abc");
  throw Object.assign(new Error("socket hang up"), { code: "ECONNRESET" });
}

test("ends with the signal, also while nothing comes", async () => {
  const control = new AbortController();
  const body = new Readable({ read: () => control.abort() });
  const read = () => readBody(body, { key: "k", sizeBytes: 5, signal: control.signal });
  expect(await codeOf(read)).toBe("kernel.cancelled");
  expect(body.destroyed).toBe(true);
});
