import { expect, test } from "vitest";
import { dumpName, dumpNamePattern, dumpNameProblem } from "./dump-name.ts";

const AT = new Date("2026-01-17T23:30:05Z");

test.for([
  ["shop_{date}.dump.gpg", "UTC", "shop_20260117.dump.gpg"],
  ["shop_{date}.dump.gpg", "Africa/Johannesburg", "shop_20260118.dump.gpg"],
  ["{date}-{time}.gpg", "Africa/Johannesburg", "20260118-013005.gpg"],
] as const)("%s in %s", ([template, timezone, name]) => {
  expect(dumpNameProblem(template)).toBeUndefined();
  expect(dumpName(template, AT, timezone)).toBe(name);
  expect(dumpNamePattern(template).test(name)).toBe(true);
  expect(dumpNamePattern(template).test(`x${name}`)).toBe(false);
});

test.for([
  ["shop.dump.gpg", "a name without {date}, which every run would share"],
  ["a/{date}.gpg", "a name with a slash"],
  ["../{date}", "a name with a slash"],
  ["..{date}", "a name that is hidden or leads elsewhere"],
  ["x..{date}", "a name that is hidden or leads elsewhere"],
  [".{date}", "a name that is hidden or leads elsewhere"],
  ["{date}_{host}", "the unknown placeholder {host}"],
  ["{date}_{__proto__}", "the unknown placeholder {__proto__}"],
  ["{date} x", "a name of unusual characters"],
  ["{date}{", "a name of unusual characters"],
  ["{date}\n", "a name of unusual characters"],
  [`{date}${"x".repeat(200)}`, "a name of more than 200 characters, or that of a manifest"],
  ["{date}.manifest.json", "a name of more than 200 characters, or that of a manifest"],
] as const)("%s is refused", ([template, message]) => {
  expect(dumpNameProblem(template)?.message).toBe(message);
});
