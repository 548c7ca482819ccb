import { expect, test } from "vitest";
import { createKeyTurns } from "./key-turns.ts";

test("one at a time for a key, also after one that failed; others at once", async () => {
  const turns = createKeyTurns();
  const events: string[] = [];
  const gate = Promise.withResolvers<void>();
  const step = (key: string, name: string, wait?: Promise<void>) =>
    turns.run(key, async () => {
      events.push(`${name} begins`);
      await wait;
      events.push(`${name} ends`);
      if (name === "first") throw new Error("planted");
    });
  const first = step("a", "first", gate.promise).catch(() => "failed");
  const second = step("a", "second");
  const third = step("a", "third");
  await step("b", "other");
  expect(events).toEqual(["first begins", "other begins", "other ends"]);
  gate.resolve();
  expect(await first).toBe("failed");
  await Promise.all([second, third]);
  expect(events.slice(3)).toEqual([
    "first ends",
    "second begins",
    "second ends",
    "third begins",
    "third ends",
  ]);
});
