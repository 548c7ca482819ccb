import { createServer } from "node:http";
import type { IncomingMessage, ServerResponse } from "node:http";
import { once } from "node:events";
import { describe, expect, test } from "vitest";
import { AppError, MIB, Secret, systemClock } from "../kernel/index.ts";
import { openObjectStore } from "./index.ts";
import type { ObjectStore } from "./index.ts";
import { codeOf, listKeys } from "./testing/index.ts";

type Answer = (response: ServerResponse, query: URLSearchParams, request: IncomingMessage) => void;

interface Answering extends AsyncDisposable {
  readonly store: ObjectStore;
  /** Waits that the store asked for, in ms. */
  readonly waits: readonly number[];
}

const VERSIONED = "<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>";

/** A server that says about its bucket what any would, and about everything else what the test wants it to. */
async function answering(answer: Answer, versioning = VERSIONED): Promise<Answering> {
  const server = createServer((request, response) => {
    const { searchParams: query } = new URL(request.url ?? "/", "http://127.0.0.1");
    if (query.has("versioning")) xml(response, versioning);
    else if (query.has("object-lock")) {
      xml(response, "<Error><Code>ObjectLockConfigurationNotFoundError</Code></Error>", 404);
    } else answer(response, query, request);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("no port");
  let sleptMs = 0;
  const waits: number[] = [];
  const clock = {
    ...systemClock,
    monotonicMs: () => systemClock.monotonicMs() + sleptMs,
    sleep: async (ms: number) => {
      waits.push(ms);
      // Three times are patience enough.
      sleptMs += ms + 400_000;
    },
  };
  const credentials = { id: new Secret("id"), secret: new Secret("secret") };
  const store = await openObjectStore(`s3:http://127.0.0.1:${address.port}/bucket/shop`, {
    clock,
    random: (size) => new Uint8Array(size),
    settings: {
      s3: { credentials },
      limits: { concurrency: 4, downloadBytesPerSecond: 1_000_000_000 },
    },
  });
  return {
    store,
    waits,
    [Symbol.asyncDispose]: async () => {
      const closed = once(server, "close");
      server.close();
      server.closeAllConnections();
      await closed;
    },
  };
}

function xml(response: ServerResponse, body: string, status = 200): void {
  response.writeHead(status, { "content-type": "application/xml" });
  response.end(`<?xml version="1.0" encoding="UTF-8"?>${body}`);
}

function contents(...keys: string[]): string {
  const entry = (key: string): string =>
    `<Contents><Key>${key}</Key><LastModified>2026-01-02T03:04:05.000Z</LastModified><Size>1</Size></Contents>`;
  return keys.map(entry).join("");
}

describe("what an S3 server says of its objects", () => {
  test.for([
    ["nothing", ""],
    ["a page for people", "<html><body>Sign in</body></html>"],
    ["an error in place of a listing", "<Error><Code>InternalError</Code></Error>"],
    [
      "a listing that does not say whether it is whole",
      `<ListBucketResult>${contents("shop/config")}</ListBucketResult>`,
    ],
    [
      "a listing that is cut",
      `<ListBucketResult><IsTruncated>false</IsTruncated>${contents("shop/a")}<Contents><Key>sho`,
    ],
  ] as const)("is no listing where it is %s", async ([, body]) => {
    await using answers = await answering((response) => {
      response.writeHead(200, { "content-type": "application/xml" });
      response.end(body);
    });
    const { store } = answers;
    expect(await codeOf(() => listKeys(store, ""))).toBe("objectstore.unavailable");
    expect(await codeOf(() => versionsOf(store))).toBe("objectstore.unavailable");
  });

  test("is no endless listing where a page ends where the one before did", async () => {
    await using answers = await answering((response, query) => {
      const more =
        "<IsTruncated>true</IsTruncated><NextContinuationToken>t</NextContinuationToken><NextKeyMarker>shop/a</NextKeyMarker>";
      const root = query.has("versions") ? "ListVersionsResult" : "ListBucketResult";
      xml(response, `<${root}>${more}${contents("shop/a")}</${root}>`);
    });
    const { store } = answers;
    expect(await codeOf(() => listKeys(store, ""))).toBe("objectstore.unavailable");
    expect(await codeOf(() => versionsOf(store))).toBe("objectstore.unavailable");
  });

  test.for([200, 500])("is no flood of text, with status %s", async (status) => {
    let sentWhole = 0;
    await using answers = await answering((response) => {
      response.writeHead(status, { "content-type": "application/xml" });
      let sentBytes = 0;
      const flood = (): void => {
        // Three times what is taken, and buffers on the way.
        if (sentBytes >= 192 * MIB) {
          sentWhole += 1;
          response.end();
        } else {
          sentBytes += MIB;
          response.write(" ".repeat(MIB), flood);
        }
      };
      response.on("error", () => undefined);
      flood();
    });
    expect(await codeOf(() => listKeys(answers.store, ""))).toBe("objectstore.unavailable");
    expect(sentWhole).toBe(0);
  });

  test("leaves out what lies elsewhere, whatever was asked", async () => {
    await using answers = await answering((response) => {
      const keys = contents("else/config", "shop/config", "shop/%C3%A4", "sho/p");
      xml(response, `<ListBucketResult><IsTruncated>false</IsTruncated>${keys}</ListBucketResult>`);
    });
    expect(await listKeys(answers.store, "")).toEqual(["config"]);
  });

  test.for([true, false])(
    "goes on behind a page that ends at a key of others, encoded (%s)",
    async (encodesMarker) => {
      const keys = ["shop/data/a%20b", "shop/data/a b", "shop/data/x", "shop/data/ä ö", "shop/z"];
      const sorted = keys.sort((a, b) => Buffer.from(a).compare(Buffer.from(b)));
      const asked: string[] = [];
      const encode = (key: string): string => encodeURIComponent(key).replaceAll("%2F", "/");
      await using answers = await answering((response, query) => {
        const marker = query.get("key-marker") ?? "";
        asked.push(marker);
        if (asked.length > sorted.length) throw new Error("listing that never ends");
        const key = sorted.find((next) => Buffer.from(next).compare(Buffer.from(marker)) > 0) ?? "";
        const isLast = key === sorted.at(-1);
        const next = encodesMarker ? encode(key) : key;
        const more = isLast
          ? "<IsTruncated>false</IsTruncated>"
          : `<IsTruncated>true</IsTruncated><NextKeyMarker>${next}</NextKeyMarker><NextVersionIdMarker>v</NextVersionIdMarker>`;
        const version = `<Version><Key>${encode(key)}</Key><VersionId>v</VersionId><IsLatest>true</IsLatest><LastModified>2026-01-02T03:04:05.000Z</LastModified><Size>1</Size></Version>`;
        xml(
          response,
          `<ListVersionsResult><EncodingType>url</EncodingType>${more}${version}</ListVersionsResult>`,
        );
      });
      expect(await versionsOf(answers.store)).toEqual(["data/x", "z"]);
      expect(asked).toEqual(["", ...sorted.slice(0, -1)]);
    },
  );
});

test("a bucket whose versioning is suspended has versions and keeps no new ones", async () => {
  const suspended = VERSIONED.replace("Enabled", "Suspended");
  await using answers = await answering((response) => response.end(), suspended);
  expect(answers.store.versions?.suspended).toBe(true);
  await using keeping = await answering((response) => response.end());
  expect(keeping.store.versions).toBeDefined();
  expect(keeping.store.versions?.suspended).toBeUndefined();
});

describe("what an S3 server sends of an object", () => {
  test.for([
    ["another range", "bytes 5-8/100", "5678"],
    ["a range of another unit", "lines 2-5/100", "2345"],
    ["more than the range", "bytes 2-7/100", "234567"],
  ] as const)("is not its range where it is %s", async ([, range, body]) => {
    await using answers = await answering((response) => {
      response.writeHead(206, { "content-range": range, "content-length": body.length });
      response.end(body);
    });
    const read = (): Promise<unknown> => answers.store.getRange("config", { offset: 2, length: 4 });
    expect(await codeOf(read)).toBe("objectstore.unavailable");
  });

  test("is its range where the server gives all of it", async () => {
    await using answers = await answering((response) => response.end("0123456789"));
    const found = await answers.store.getRange("config", { offset: 2, length: 4 });
    expect(Buffer.from(found).toString()).toBe("2345");
  });

  test("is not kept in memory where it is larger than any object of ours", async () => {
    await using answers = await answering((response) => {
      response.writeHead(200, { "content-length": 2 ** 30 + 1 });
      response.write("x");
    });
    expect(await codeOf(() => answers.store.get("config"))).toBe("objectstore.unavailable");
  });
});

describe("an S3 server in trouble", () => {
  test("is left alone for as long as it asks", async () => {
    let asked = 0;
    await using answers = await answering((response) => {
      asked += 1;
      if (asked > 1) response.end("whole");
      else {
        response.writeHead(503, { "retry-after": "77" });
        response.end("<Error><Code>SlowDown</Code></Error>");
      }
    });
    await answers.store.get("config");
    expect(answers.waits).toEqual([77_000]);
  });

  test("writes nothing into our errors but the names of its own", async () => {
    await using answers = await answering((response, _query, { headers }) => {
      const echoed = headers.authorization ?? "";
      xml(
        response,
        `<Error><Code>${echoed}</Code><Message>${echoed}</Message><Region>${echoed}</Region></Error>`,
        400,
      );
    });
    const error: unknown = await answers.store.get("config").catch((thrown: unknown) => thrown);
    if (!(error instanceof AppError)) throw new Error("no error");
    const { code, message, subject, hint } = error;
    expect(code).toBe("objectstore.unsupported");
    expect(JSON.stringify({ message, subject, hint })).not.toContain("AWS4");
    expect(message).toBe("request to read config in bucket bucket: answered with 400");
  });

  test.for(["constructor", "toString", "__proto__"])("may call its error %s", async (name) => {
    await using answers = await answering((response) => {
      xml(response, `<Error><Code>${name}</Code><Message>x</Message></Error>`, 400);
    });
    expect(await codeOf(() => answers.store.get("config"))).toBe("objectstore.unsupported");
  });
});

async function versionsOf(store: ObjectStore): Promise<string[]> {
  const keys: string[] = [];
  for await (const { key } of store.versions?.list("") ?? []) keys.push(key);
  return keys;
}
