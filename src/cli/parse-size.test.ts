import { expect, test } from "vitest";
import { parseSize, parseTimeLength, parseUnusedLimit } from "./parse-size.ts";

test.for([
  ["0", 0],
  ["1000", 1000],
  ["2k", 2048],
  ["500MiB", 500 * 1024 ** 2],
  ["1.5G", 1.5 * 1024 ** 3],
  ["2 TiB", 2 * 1024 ** 4],
] as const)("the size %s", ([text, bytes]) => {
  expect(parseSize(text)).toBe(bytes);
});

test.for([
  ["5%", { share: 0.05 }],
  ["100%", { share: 1 }],
  ["0", { bytes: 0 }],
  ["1G", { bytes: 1024 ** 3 }],
  ["unlimited", { bytes: Infinity }],
] as const)("the limit %s", ([text, limit]) => {
  expect(parseUnusedLimit(text)).toEqual(limit);
});

test.for([
  ["0", 0],
  ["90m", 5_400_000],
  ["1h30m", 5_400_000],
  ["2d", 172_800_000],
] as const)("the time %s", ([text, ms]) => {
  expect(parseTimeLength(text)).toBe(ms);
});

test.for(["", "x", "-1", "5 apples", "1e9", "101%", "1h x"])("refuses %j", (text) => {
  for (const parse of [parseSize, parseUnusedLimit, parseTimeLength]) {
    expect(() => parse(text)).toThrowError(expect.objectContaining({ code: "cli.usage" }));
  }
});
