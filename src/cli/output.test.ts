import { PassThrough, Writable } from "node:stream";
import { expect, test } from "vitest";
import { confirmByTyping } from "./confirm.ts";
import { createOutput } from "./output.ts";
import { silentLog, systemClock } from "../kernel/index.ts";
import { testRuntime } from "./testing/runtime.ts";

const { signal } = new AbortController();

function failing(code: string): Writable {
  return new Writable({
    highWaterMark: 1,
    write: (_chunk, _encoding, done) => done(Object.assign(new Error(code), { code })),
  });
}

test("a reader that went away is known from a disk that is full", async () => {
  await expect(createOutput(failing("EPIPE"), signal).line("x")).rejects.toMatchObject({
    code: "cli.output_closed",
  });
  await expect(createOutput(failing("ENOSPC"), signal).line("x")).rejects.toMatchObject({
    code: "cli.output_failed",
    message: "standard output that cannot be written: ENOSPC",
  });
});

test("a disk found full after the last write was taken is told by flush", async () => {
  const late = new Writable({
    write: (_chunk, _encoding, done) => {
      const full = Object.assign(new Error("full"), { code: "ENOSPC" });
      setImmediate(() => done(full));
    },
  });
  const output = createOutput(late, signal);
  await output.line("x");
  await expect(output.flush()).rejects.toMatchObject({ code: "cli.output_failed" });
  await expect(output.flush()).rejects.toMatchObject({ code: "cli.output_failed" });
  await createOutput(new PassThrough(), signal).flush();
});

test("what is written waits for a slow reader", async () => {
  const stream = new PassThrough({ highWaterMark: 4 });
  const output = createOutput(stream, signal);
  let done = false;
  const writing = output.write("more than four bytes").then(() => {
    done = true;
  });
  await Promise.resolve();
  expect(done).toBe(false);
  expect(String(stream.read())).toBe("more than four bytes");
  await writing;
});

test("waiting for a reader ends with the signal", async () => {
  const controller = new AbortController();
  const output = createOutput(new PassThrough({ highWaterMark: 1 }), controller.signal);
  const writing = output.write("xx");
  controller.abort();
  await expect(writing).rejects.toThrow(/abort/i);
});

function asking(stdin: PassThrough & { isTTY?: boolean }) {
  const runtime = testRuntime({
    clock: systemClock,
    random: (size) => new Uint8Array(size),
    log: silentLog,
    signal,
    actor: "ann",
    hostname: "web1",
    pid: 1,
    env: () => undefined,
    toolDirectories: [],
    stateDirectory: "/nowhere",
    version: "1.2.3",
  });
  return { ...runtime, stdin };
}

test("a plan is confirmed by typing exactly its name", async () => {
  const terminal = (): PassThrough => Object.assign(new PassThrough(), { isTTY: true });
  const refused = { code: "cli.not_confirmed" };
  const yes = terminal();
  yes.write("shop\n");
  await confirmByTyping(asking(yes), "Type shop:", "shop");
  for (const answer of ["", "y", "Shop", "shop2"]) {
    const no = terminal();
    no.write(`${answer}\n`);
    await expect(confirmByTyping(asking(no), "Type shop:", "shop")).rejects.toMatchObject(refused);
  }
  const ended = terminal();
  ended.end();
  await expect(confirmByTyping(asking(ended), "Type shop:", "shop")).rejects.toMatchObject(refused);
  const nobody = new PassThrough();
  await expect(confirmByTyping(asking(nobody), "?", "shop")).rejects.toMatchObject(refused);
});
