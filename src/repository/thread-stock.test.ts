import { execFileSync } from "node:child_process";
import { once } from "node:events";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { BroadcastChannel } from "node:worker_threads";
import { afterEach, describe, expect, test } from "vitest";
import { startThread, ThreadStock } from "./thread-stock.ts";

const STOCK = fileURLToPath(new URL("thread-stock.ts", import.meta.url));
const stocks: ThreadStock[] = [];

function programOf(source: string): URL {
  return new URL(`data:text/javascript,${encodeURIComponent(source)}`);
}

function stockOf(source: string, count: number, idleMs?: number): ThreadStock {
  const stock = new ThreadStock(programOf(source), count, idleMs);
  stocks.push(stock);
  return stock;
}

afterEach(async () => {
  for (const stock of stocks.splice(0)) await stock[Symbol.asyncDispose]();
});

/** Threads that answer on a channel of this name to whoever calls there. */
function answering(name: string): string {
  return `import { BroadcastChannel } from "node:worker_threads";
    import { parentPort } from "node:worker_threads";
    const channel = new BroadcastChannel("${name}");
    channel.onmessage = ({ data }) => { if (data === "who?") channel.postMessage("I"); };
    parentPort.on("message", () => parentPort.postMessage("here"));
    channel.postMessage("started");`;
}

function callers(name: string): {
  heard: () => number;
  forget: () => void;
  channel: BroadcastChannel;
} {
  const channel = new BroadcastChannel(name);
  let heard = 0;
  channel.addEventListener("message", () => void (heard += 1));
  return { channel, heard: () => heard, forget: () => void (heard = 0) };
}

function call(channel: BroadcastChannel): void {
  // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a channel has no origin
  channel.postMessage("who?");
}

async function until(condition: () => boolean): Promise<void> {
  const end = performance.now() + 20_000;
  while (!condition()) {
    if (performance.now() > end) throw new Error("not within 20 s");
    await sleep(10);
  }
}

describe("threads started ahead", () => {
  test("are the ones that are taken, and then others", async () => {
    const { channel, heard } = callers("taken");
    const stock = stockOf(answering("taken"), 2);
    await until(() => heard() === 2);
    const program = programOf(answering("taken"));
    const threads = [stock.take(program), stock.take(program), stock.take(program)];
    expect(new Set(threads).size).toBe(3);
    for (const thread of threads) {
      thread.postMessage("hello", []);
      expect(await once(thread, "message")).toEqual(["here"]);
    }
    // The third is the only one that started only now.
    expect(heard()).toBe(3);
    await Promise.all(threads.map((thread) => thread.terminate()));
    channel.close();
  });

  test("end with whoever owns them", async () => {
    const { channel, heard, forget } = callers("owned");
    const stock = stockOf(answering("owned"), 2);
    await until(() => heard() === 2);
    await stock[Symbol.asyncDispose]();
    forget();
    call(channel);
    await sleep(300);
    expect(heard()).toBe(0);
    channel.close();
  });

  test("end when nobody takes them", async () => {
    const { channel, heard, forget } = callers("idle");
    stockOf(answering("idle"), 2, 500);
    // However long they take to start: who is left would answer.
    await sleep(3000);
    forget();
    call(channel);
    await sleep(500);
    expect(heard()).toBe(0);
    channel.close();
  });

  test("are not given to who wants another program", async () => {
    const stock = stockOf(answering("one program"), 1);
    const other = `import { parentPort } from "node:worker_threads"; parentPort.postMessage("other");`;
    const worker = stock.take(programOf(other));
    expect(await once(worker, "message")).toEqual(["other"]);
    await worker.terminate();
  });

  test("that the system does not give are left out", () => {
    const program = `import { ThreadStock, SEAL_WORKER } from ${JSON.stringify(STOCK)};
      new ThreadStock(new URL("no-such-scheme://"), 2);
      console.log("there");`;
    const args = ["--input-type=module-typescript", "--eval", program];
    const told = execFileSync(process.execPath, args, { env: {}, encoding: "utf8" });
    expect(told).toBe("there\n");
  });

  test("that ended are dropped, and the next one tells whoever took it", async () => {
    const stock = stockOf(`process.exit(7)`, 1);
    await sleep(500);
    const worker = stock.take(programOf(`process.exit(7)`));
    expect(await once(worker, "exit")).toEqual([7]);
  });

  test("that fail are not unhandled", async () => {
    const stock = stockOf(`throw new Error("no")`, 1);
    await sleep(500);
    const [thrown]: unknown[] = await once(
      stock.take(programOf(`throw new Error("no")`)),
      "error",
    ).catch((error: unknown) => [error]);
    expect(thrown).toMatchObject({ message: "no" });
  });

  test("keep no process alive", () => {
    const program = `import { ThreadStock, SEAL_WORKER } from ${JSON.stringify(STOCK)};
      new ThreadStock(SEAL_WORKER, 2, 600_000);`;
    const args = ["--input-type=module-typescript", "--eval", program];
    expect(execFileSync(process.execPath, args, { env: {}, timeout: 20_000 }).byteLength).toBe(0);
  });

  test("get neither our environment nor our flags", async () => {
    const source = `import { parentPort } from "node:worker_threads";
      parentPort.postMessage([Object.keys(process.env), process.execArgv]);`;
    const worker = startThread(new URL(`data:text/javascript,${encodeURIComponent(source)}`));
    expect(await once(worker, "message")).toEqual([[[], []]]);
    await worker.terminate();
  });
});
