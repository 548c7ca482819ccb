import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { Secret, toAppError } from "../kernel/index.ts";
import { jsonItems } from "./json-items.ts";
import { createTurns } from "./in-turn.ts";
import { basicAuth, parseRestLocation } from "./rest-location.ts";
import { restKey, restPath, restTypes } from "./rest-paths.ts";
import { codeOf } from "./testing/index.ts";

const ID = "2b9f".padEnd(64, "0");

describe("the location", () => {
  test.for([
    ["rest:https://backup.example/shop/", "https://backup.example/shop/"],
    ["REST:https://backup.example:8000/a/b", "https://backup.example:8000/a/b/"],
    ["rest:https://backup.example", "https://backup.example/"],
    ["rest:http://127.0.0.1:8000/shop", "http://127.0.0.1:8000/shop/"],
    ["rest:http://localhost/shop", "http://localhost/shop/"],
  ])("%s is %s", ([location = "", href]) => {
    expect(parseRestLocation(location).href).toBe(href);
  });

  test.for([
    "rest:http://backup.example/shop",
    "rest:https://ann:hunter2@backup.example/shop",
    "rest:https://backup.example/shop?password=hunter2",
    "rest:https://backup.example/shop#hunter2",
    "rest:/srv/hunter2",
    "rest:",
    "rest:ftp://backup.example/hunter2",
  ])("%s is refused and not repeated", async (location) => {
    const parse = async (): Promise<unknown> => parseRestLocation(location);
    expect(await codeOf(parse)).toBe("objectstore.invalid_location");
    await expect(parse()).rejects.not.toThrow("hunter2");
  });

  test("credentials are basic authentication, a half of them is refused", async () => {
    expect(basicAuth({})).toBeUndefined();
    expect(basicAuth({ username: "ann", password: new Secret("ü:x") })).toBe(
      `Basic ${Buffer.from("ann:ü:x").toString("base64")}`,
    );
    for (const half of [{ password: new Secret("x") }, { username: "a:b" }]) {
      expect(await codeOf(async () => basicAuth(half))).toBe("objectstore.invalid_location");
    }
  });
});

describe("the protocol's places", () => {
  test.for([
    ["config", "config"],
    [`data/2b/${ID}`, `data/${ID}`],
    [`keys/${ID}`, `keys/${ID}`],
    [`locks/${ID}`, `locks/${ID}`],
    [`snapshots/${ID}`, `snapshots/${ID}`],
    [`index/${ID}`, `index/${ID}`],
  ])("%s is %s, and back", ([key = "", path = ""]) => {
    expect(restPath(key)).toBe(path);
  });

  test("names of packs and of the others are keys again, foreign names none", () => {
    expect(restKey("data", ID)).toBe(`data/2b/${ID}`);
    expect(restKey("locks", ID)).toBe(`locks/${ID}`);
    for (const name of ["", "tmp", `${ID}.part`, "../config"]) {
      expect(restKey("data", name)).toBeUndefined();
    }
  });

  test.for([
    "a",
    "data",
    `data/${ID}`,
    `data/2c/${ID}`,
    `data/2b9/${ID}`,
    `data/2b/${ID}/x`,
    `keys/2b/${ID}`,
    "keys/name",
    `keys/${ID.toUpperCase()}`,
    `sparekeep/holds/${ID}`,
    `config/${ID}`,
  ])("%s has none", (key) => {
    expect(restPath(key)).toBeUndefined();
  });

  test("only what can lie below a prefix is asked for", () => {
    expect(restTypes("")).toEqual({
      types: ["keys", "locks", "snapshots", "index", "data"],
      config: true,
    });
    expect(restTypes("data/")).toEqual({ types: ["data"], config: false });
    expect(restTypes("data/2b/")).toEqual({ types: ["data"], config: false });
    for (const prefix of ["sparekeep/", "sparekeep/holds/", "config/", "keys/2b/"]) {
      expect(restTypes(prefix)).toEqual({ types: [], config: false });
    }
  });
});

describe("a JSON list, item by item", () => {
  test("is what JSON.parse gives, whatever its spaces", () => {
    fc.assert(
      fc.property(
        fc.array(fc.jsonValue(), { maxLength: 8 }),
        fc.constantFrom(undefined, 1, "\t", "\r\n "),
        (list, space) => {
          const text = JSON.stringify(list, undefined, space);
          expect([...jsonItems(Buffer.from(` ${text}\n`))]).toEqual(JSON.parse(text));
        },
      ),
    );
  });

  test("cut anywhere is an error, never a shorter list", () => {
    fc.assert(
      fc.property(fc.array(fc.jsonValue(), { maxLength: 5 }), fc.nat(), (list, at) => {
        const json = Buffer.from(JSON.stringify(list));
        const cut = json.subarray(0, at % json.byteLength);
        expect(() => [...jsonItems(cut)]).toThrow(SyntaxError);
      }),
    );
  });

  test("garbage is a SyntaxError and nothing else", () => {
    fc.assert(
      fc.property(
        fc.string({
          unit: fc.constantFrom("[", "]", "{", "}", ",", ":", '"', "\\", " ", "1", "a"),
        }),
        (text) => {
          expect(outcomeOf(() => [...jsonItems(Buffer.from(text))])).toEqual(
            outcomeOf(() => {
              const whole: unknown = JSON.parse(text);
              if (!Array.isArray(whole)) throw new SyntaxError("no list");
              return whole;
            }),
          );
        },
      ),
      { numRuns: 2_000 },
    );
  });
});

/** The name of the error, or what came of it. */
function outcomeOf(work: () => unknown): unknown {
  try {
    return work();
  } catch (thrown) {
    return thrown instanceof Error ? thrown.name : thrown;
  }
}

describe("turns", () => {
  test("one after the other under one name, at once under two, also after a failure", async () => {
    const inTurn = createTurns();
    const events: string[] = [];
    const work = (event: string) => async (): Promise<void> => {
      events.push(`${event} begins`);
      await Promise.resolve();
      events.push(`${event} ends`);
      if (event === "a1") throw new Error("planned");
    };
    const all = await Promise.allSettled([
      inTurn("a", undefined, work("a1")),
      inTurn("a", undefined, work("a2")),
      inTurn("b", undefined, work("b1")),
    ]);
    expect(all.map(({ status }) => status)).toEqual(["rejected", "fulfilled", "fulfilled"]);
    expect(events.filter((event) => event.startsWith("a"))).toEqual([
      "a1 begins",
      "a1 ends",
      "a2 begins",
      "a2 ends",
    ]);
    expect(events.indexOf("b1 begins")).toBeLessThan(events.indexOf("a2 begins"));
  });

  test("who is aborted leaves at once, and nobody overtakes who is at work", async () => {
    const inTurn = createTurns();
    const gate = Promise.withResolvers<void>();
    const control = new AbortController();
    const first = inTurn("a", undefined, () => gate.promise);
    const second = inTurn("a", control.signal, async () => "never").catch(toAppError);
    let ran = false;
    const third = inTurn("a", undefined, async () => {
      ran = true;
    });
    control.abort();
    expect(await second).toMatchObject({ code: "kernel.cancelled" });
    await new Promise((resolve) => setImmediate(resolve));
    expect(ran).toBe(false);
    gate.resolve();
    await Promise.all([first, third]);
    expect(ran).toBe(true);
  });
});
