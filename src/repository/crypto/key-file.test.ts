import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { Secret } from "../../kernel/index.ts";
import { CHEAP_COST, createFakeClock, seededRandom } from "../testing/fixtures.ts";
import { calibrateCost, createKeyFile, openKeyFile, parseKeyFile } from "./key-file.ts";
import { masterKeyOf } from "./master-key.ts";

const random = seededRandom("key-file");
const master = masterKeyOf(random(64));
const password = new Secret("geheim ü");
const key = {
  master,
  password,
  cost: CHEAP_COST,
  created: new Date("2026-01-02T03:04:05Z"),
  username: "backup",
  hostname: "db-1",
};

async function written(): Promise<Record<string, unknown>> {
  const fields: Record<string, unknown> = JSON.parse((await createKeyFile(key, random)).toString());
  return fields;
}

function parse(fields: Record<string, unknown>): unknown {
  return parseKeyFile(Buffer.from(JSON.stringify(fields)), "ab".repeat(32));
}

describe("key files", () => {
  test("give the master key back for the password and nothing for another", async () => {
    const file = parseKeyFile(await createKeyFile(key, random), "ab".repeat(32));
    if (file === undefined) throw new Error("no key");
    expect((await openKeyFile(file, password))?.raw).toEqual(master.raw);
    expect(await openKeyFile(file, new Secret("other"))).toBeUndefined();
  });

  test("have restic's fields in restic's order", async () => {
    const fields = ["created", "username", "hostname", "kdf", "N", "r", "p", "salt", "data"];
    expect(Object.keys(await written())).toEqual(fields);
  });

  test("of a foreign kdf are no key of ours, and no error", async () => {
    expect(parse({ ...(await written()), kdf: "argon2id" })).toBeUndefined();
  });

  test.for([
    ["a cost of 2 TiB of memory", { N: 2 ** 31, r: 8 }],
    ["N that is no power of two", { N: 3 }],
    ["no rounds at all", { p: 0 }],
    ["years of rounds", { p: 1_000_000 }],
  ] as const)("with %s are refused before any memory is taken", async ([, change]) => {
    const fields = { ...(await written()), ...change };
    expect(() => parse(fields)).toThrow(
      expect.objectContaining({ code: "repository.incompatible" }),
    );
  });

  test("that are garbage give repository.key_damaged or incompatible, never another exception", () => {
    fc.assert(
      fc.property(fc.oneof(fc.json(), fc.string()), (text) => {
        expect(() => parseKeyFile(Buffer.from(text), "ab".repeat(32))).toThrow(
          expect.objectContaining({ code: "repository.key_damaged" }),
        );
      }),
    );
  });

  test("that open but hold no master key are damaged", async () => {
    const file = parseKeyFile(await createKeyFile(key, random), "ab".repeat(32));
    const short = { ...key, master: { ...master, raw: master.raw.subarray(0, 40) } };
    const cut = parseKeyFile(await createKeyFile(short, random), "ab".repeat(32));
    if (file === undefined || cut === undefined) throw new Error("no key");
    await expect(openKeyFile(cut, password)).rejects.toThrow(
      expect.objectContaining({ code: "repository.key_damaged" }),
    );
  });

  test("are calibrated by rounds, never below restic's floor", async () => {
    const clock = createFakeClock();
    // This clock says that a derivation takes no time: the most rounds that we ever ask for.
    expect(await calibrateCost(clock, random)).toEqual({ N: 32_768, r: 8, p: 16 });
    let readings = 0;
    const slow = { ...clock, monotonicMs: () => 10_000 * readings++ };
    expect(await calibrateCost(slow, random)).toEqual({ N: 32_768, r: 8, p: 1 });
  });
});
