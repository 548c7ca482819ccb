import { cliError } from "./errors.ts";

const MAX_COUNT = 64;

export function parseCount(text: string): number {
  const count = /^\d{1,3}$/.test(text) ? Number(text) : 0;
  if (count >= 1 && count <= MAX_COUNT) return count;
  throw cliError("usage", {
    message: `count "${text.slice(0, 20)}" out of range`,
    hint: `Write a number from 1 to ${MAX_COUNT}.`,
  });
}
