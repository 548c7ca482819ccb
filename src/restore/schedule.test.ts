import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { TocEntry } from "./archive/toc.ts";
import { createSchedule } from "./schedule.ts";

function entry(dumpId: number, kind: string, dependencies: readonly number[]): TocEntry {
  return {
    dumpId,
    kind,
    tag: `object ${dumpId}`,
    schema: "public",
    section: "post-data",
    definition: "",
    owner: "",
    tablespace: undefined,
    accessMethod: undefined,
    catalogOid: 0,
    oid: 0,
    dependencies,
  };
}

const TABLES = new Map([
  [1, { sizeBytes: 10 }],
  [2, { sizeBytes: 1000 }],
]);

describe("the schedule of the post-data section", () => {
  test("begins with the largest table", () => {
    const small = entry(10, "INDEX", [1]);
    const large = entry(11, "INDEX", [2]);
    const schedule = createSchedule([small, large], TABLES);
    expect(schedule.take()).toBe(large);
    expect(schedule.take()).toBe(small);
    expect(schedule.take()).toBe("wait");
  });

  test("keeps what locks one table apart, and lets its indexes run together", () => {
    const indexes = [entry(10, "INDEX", [1]), entry(11, "INDEX", [1])];
    const key = entry(12, "CONSTRAINT", [1]);
    const schedule = createSchedule([...indexes, key], TABLES);
    expect(schedule.take()).toBe(indexes[0]);
    expect(schedule.take()).toBe(indexes[1]);
    expect(schedule.take()).toBe("wait");
    indexes.forEach((index) => schedule.finish(index));
    expect(schedule.take()).toBe(key);
  });

  test("gives a foreign key after the key that it refers to", () => {
    const foreign = entry(10, "FK CONSTRAINT", [2, 1, 11]);
    const key = entry(11, "CONSTRAINT", [1]);
    const schedule = createSchedule([foreign, key], TABLES);
    expect(schedule.take()).toBe(key);
    expect(schedule.take()).toBe("wait");
    schedule.finish(key);
    expect(schedule.take()).toBe(foreign);
    schedule.finish(foreign);
    expect(schedule.take()).toBeUndefined();
  });

  test("gives each entry once and ends, whatever depends on whatever", () => {
    const kinds = fc.constantFrom("INDEX", "CONSTRAINT", "FK CONSTRAINT", "STATISTICS");
    const one = fc.tuple(kinds, fc.array(fc.integer({ min: 1, max: 30 }), { maxLength: 4 }));
    fc.assert(
      fc.property(
        fc.array(one, { maxLength: 20 }),
        fc.integer({ min: 1, max: 4 }),
        (rows, width) => {
          const entries = rows.map(([kind, needs], index) => entry(index + 10, kind, needs));
          const schedule = createSchedule(entries, TABLES);
          const given: TocEntry[] = [];
          const running: TocEntry[] = [];
          for (;;) {
            const taken = running.length < width ? schedule.take() : "wait";
            if (taken === undefined) break;
            if (taken === "wait") {
              const [first] = running.splice(0, 1);
              if (first === undefined) throw new Error("it waits for nobody");
              schedule.finish(first);
            } else {
              given.push(taken);
              running.push(taken);
            }
          }
          expect(running).toEqual([]);
          expect(given.map((taken) => taken.dumpId).toSorted((a, b) => a - b)).toEqual(
            entries.map((each) => each.dumpId),
          );
        },
      ),
    );
  });
});
