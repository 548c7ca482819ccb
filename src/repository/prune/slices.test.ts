import { describe, expect, test } from "vitest";
import { AppError } from "../../kernel/index.ts";
import { acquireLock } from "../lock/lock.ts";
import { keysOf, rows, WRITER } from "../testing/fixtures.ts";
import { coreOf } from "../testing/poison.ts";
import { backUp, createSmall, faultsOf, forget, openSmall, plan } from "../testing/small-packs.ts";
import { executePrune } from "./execute.ts";

async function withForgotten() {
  const fixture = await createSmall();
  const gone = await backUp(fixture, { gone: rows(24_000, "gone") });
  await backUp(fixture, { kept: rows(100, "kept") });
  await forget(fixture.store, gone);
  return fixture;
}

describe("the exclusive lock of a prune (engine-traps 19)", () => {
  test("is let go within five minutes, however slow the store, and others come in between", async () => {
    const fixture = await withForgotten();
    const { store, clock } = fixture;
    const core = await coreOf(fixture);
    const held: number[] = [];
    let since: number | undefined;
    let backups = 0;
    const repository = await openSmall(
      {
        ...fixture,
        clock: {
          ...clock,
          sleep: async (ms, signal) => {
            await clock.sleep(ms, signal);
            // The pause between two slices.
            if (ms !== 2000) return;
            await using _ = await acquireLock(core, { exclusive: false, owner: WRITER });
            backups += 1;
          },
        },
      },
      {
        ...store,
        put: async (key, body, options) => {
          await store.put(key, body, options);
          if (key.startsWith("locks/")) since ??= clock.now().getTime();
        },
        remove: async (key, options) => {
          if (key.startsWith("data/")) clock.advance(15_000);
          await store.remove(key, options);
          if (!key.startsWith("locks/") || since === undefined) return;
          held.push(clock.now().getTime() - since);
          since = undefined;
        },
      },
    );
    const planned = await plan(repository, { graceMs: 0 });
    expect(planned.remove.packs).toBeGreaterThan(18);
    const report = await executePrune(repository, planned, { owner: WRITER });
    expect(report.removed.packs).toBe(planned.remove.packs);
    // Eight at once, together two minutes: two such turns fill a slice.
    expect(Math.max(...held)).toBe(240_000);
    expect(backups).toBeGreaterThan(0);
    expect(await faultsOf(fixture.repository)).toEqual([]);
  });

  test("is waited for, without turning away whoever begins meanwhile", async () => {
    const fixture = await withForgotten();
    const { clock } = fixture;
    const core = await coreOf(fixture);
    const other = await acquireLock(core, { exclusive: false, owner: WRITER });
    let asked = 0;
    const locksSeen: number[] = [];
    const repository = await openSmall(
      {
        ...fixture,
        clock: {
          ...clock,
          sleep: async (ms, signal) => {
            await clock.sleep(ms, signal);
            if (ms !== 5000) return;
            asked += 1;
            locksSeen.push((await keysOf(fixture.store, "locks/")).length);
            if (asked === 4) await other[Symbol.asyncDispose]();
          },
        },
      },
      fixture.store,
    );
    const planned = await plan(repository, { graceMs: 0 });
    const options = { owner: WRITER, lockWaitMs: 60_000 };
    const report = await executePrune(repository, planned, options);
    expect(report.removed.packs).toBe(planned.remove.packs);
    expect(locksSeen).toEqual([1, 1, 1, 1]);
  });

  test("is waited for no longer than was asked for", async () => {
    const fixture = await withForgotten();
    await using _ = await acquireLock(await coreOf(fixture), { exclusive: false, owner: WRITER });
    const planned = await plan(fixture.repository, { graceMs: 0 });
    const options = { owner: WRITER, lockWaitMs: 60_000 };
    const failed = await executePrune(fixture.repository, planned, options).catch(
      (thrown: unknown) => thrown,
    );
    expect(failed).toBeInstanceOf(AppError);
    expect(failed).toMatchObject({ code: "repository.locked" });
  });
});
