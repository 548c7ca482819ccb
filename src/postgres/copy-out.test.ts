import { describe, expect, test } from "vitest";
import { CopyOutQueue, CopyOutStatement } from "./copy-out.ts";

const socket = (): { pauses: number; resumes: number; pause(): void; resume(): void } => ({
  pauses: 0,
  resumes: 0,
  pause() {
    this.pauses += 1;
  },
  resume() {
    this.resumes += 1;
  },
});

function statement(): CopyOutStatement {
  return new CopyOutStatement({
    sql: "COPY t TO STDOUT",
    source: socket(),
    translate: (thrown) => (thrown instanceof Error ? thrown : new Error(String(thrown))),
  });
}

async function drain(copy: CopyOutStatement): Promise<string> {
  let text = "";
  for (;;) {
    const chunk = await copy.queue.next();
    if (chunk === undefined) return text;
    text += Buffer.from(chunk).toString();
  }
}

describe("the end of a COPY", () => {
  test("all its marks: the rows, and their count", async () => {
    const copy = statement();
    copy.queue.push(Buffer.from("1\n2\n"));
    copy.handleCopyDone();
    copy.handleCommandComplete({ text: "COPY 2" });
    copy.handleReadyForQuery();
    expect(await drain(copy)).toBe("1\n2\n");
    expect(copy.rows).toBe(2n);
  });

  test("rows that were thrown away: an error, though all marks came", async () => {
    const copy = statement();
    copy.queue.push(Buffer.from("1\n2\n"));
    copy.queue.discard();
    copy.handleCopyDone();
    copy.handleCommandComplete({ text: "COPY 2" });
    copy.handleReadyForQuery();
    await expect(drain(copy)).rejects.toMatchObject({ code: "postgres.copy_incomplete" });
  });

  test.for([
    ["no CopyDone", (copy: CopyOutStatement) => copy.handleCommandComplete({ text: "COPY 2" })],
    ["no CommandComplete", (copy: CopyOutStatement) => copy.handleCopyDone()],
    [
      "another command's tag",
      (copy: CopyOutStatement) => {
        copy.handleCopyDone();
        copy.handleCommandComplete({ text: "SELECT 2" });
      },
    ],
  ] as const)("%s: an error, though rows came", async ([, marks]) => {
    const copy = statement();
    copy.queue.push(Buffer.from("1\n2\n"));
    marks(copy);
    copy.handleReadyForQuery();
    await expect(drain(copy)).rejects.toMatchObject({
      code: "postgres.copy_incomplete",
      kind: "corrupt",
    });
  });
});

describe("the queue", () => {
  test("pauses the socket when the consumer lags, and lets it go on later", async () => {
    const source = socket();
    const queue = new CopyOutQueue(source);
    queue.push(Buffer.alloc(1024 * 1024 - 1));
    expect(source.pauses).toBe(0);
    queue.push(Buffer.alloc(300 * 1024));
    expect([source.pauses, source.resumes]).toEqual([1, 0]);
    queue.end();
    let sizeBytes = 0;
    for (let chunk = await queue.next(); chunk !== undefined; chunk = await queue.next()) {
      sizeBytes += chunk.byteLength;
    }
    expect(sizeBytes).toBe(1024 * 1024 - 1 + 300 * 1024);
    expect([source.pauses, source.resumes]).toEqual([1, 1]);
  });

  test("gathers small pieces, and passes large ones on, all in order", async () => {
    const queue = new CopyOutQueue(socket());
    const sizes = [10, 20, 40_000, 5, 70_000, 70_000, 300_000, 1];
    for (const [i, size] of sizes.entries()) queue.push(Buffer.alloc(size, i));
    queue.end();
    const chunks: Buffer[] = [];
    for (let chunk = await queue.next(); chunk !== undefined; chunk = await queue.next()) {
      chunks.push(Buffer.from(chunk));
    }
    const sent = Buffer.concat(sizes.map((size, i) => Buffer.alloc(size, i)));
    expect(Buffer.concat(chunks).equals(sent)).toBe(true);
    expect(chunks.length).toBeLessThan(sizes.length);
  });

  test("a large piece is not copied", async () => {
    const queue = new CopyOutQueue(socket());
    const large = Buffer.alloc(64 * 1024);
    queue.push(large);
    expect(await queue.next()).toBe(large);
  });

  test("an error comes before rows that were still queued", async () => {
    const queue = new CopyOutQueue(socket());
    queue.push(Buffer.alloc(512 * 1024));
    queue.fail(new Error("lost"));
    await expect(queue.next()).rejects.toThrow("lost");
  });
});
