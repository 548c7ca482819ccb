import { describe, expect, test } from "vitest";
import type { ObjectStore } from "../object-store.ts";
import { CONTRACT } from "./contract.ts";

/** Empty at the start of every case. */
export interface StoreUnderTest extends AsyncDisposable {
  readonly store: ObjectStore;
}

/** What every driver and every wrapper must pass. */
export function describeObjectStore(name: string, open: () => Promise<StoreUnderTest>): void {
  describe(`${name} keeps the contract of an object store`, () => {
    test.for(CONTRACT)("$name", async ({ run }) => {
      expect.hasAssertions();
      await using opened = await open();
      await run(opened.store);
    });
  });
}

/** The names of the promises that a store breaks. */
export async function brokenPromises(open: () => Promise<StoreUnderTest>): Promise<string[]> {
  const broken: string[] = [];
  for (const { name, run } of CONTRACT) {
    await using opened = await open();
    try {
      await run(opened.store);
    } catch {
      broken.push(name);
    }
  }
  return broken;
}
