import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { systemClock } from "../kernel/index.ts";
import { createMemoryStore } from "../objectstore/index.ts";
import type { ObjectStore, StoreFacts } from "../objectstore/index.ts";
import { parsePolicy } from "../policy/index.ts";
import type { Policy } from "../policy/index.ts";
import { doctor } from "./doctor.ts";
import type { Finding } from "./finding.ts";
import { init } from "./init.ts";
import { testContext } from "./testing/context.ts";

const TEXT = `sparekeep: 1
name: shop
sources: { db: { kind: postgres, connection: { env: DB } } }
destinations:
  bucket: { url: "s3://bucket/shop", password: { file: ./key } }
plans: { full: { source: db, capture: everything, to: bucket } }
`;

const GOOD: StoreFacts = {
  conditionalWrites: "honoured",
  lock: "enforced",
  lockBypass: false,
  versioned: true,
};

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "sparekeep-doctor-store-"));
});
afterEach(() => rm(folder, { recursive: true }));

interface Asked {
  readonly facts?: Partial<StoreFacts>;
  readonly store?: (store: ObjectStore) => ObjectStore;
  readonly policy?: (policy: Policy) => Policy;
  readonly probe?: boolean;
}

/** What doctor says of the bucket, and how often it was probed. */
async function examine(asked: Asked): Promise<{ findings: readonly Finding[]; probes: number }> {
  let probes = 0;
  const inner = createMemoryStore({ clock: systemClock, objectLock: true });
  const probing: ObjectStore = {
    ...inner,
    probe: async () => {
      probes += 1;
      return { ...GOOD, ...asked.facts };
    },
  };
  const store = asked.store?.(probing) ?? probing;
  const context = testContext({ stateDirectory: join(folder, "state"), storeAt: () => store });
  const parsed = parsePolicy({ text: TEXT, file: "p.yaml", directory: folder });
  await init(context, { policy: parsed, generatePassword: true });
  const policy = asked.policy?.(parsed) ?? parsed;
  const probe = asked.probe === undefined ? {} : { probe: asked.probe };
  const { findings } = await doctor(context, { policy, nodeVersion: "v24.0.0", ...probe });
  return { findings: findings.filter(({ subject }) => subject === "destination bucket"), probes };
}

const withLock =
  (mode: "governance" | "compliance") =>
  (policy: Policy): Policy => {
    const days = { years: 0, months: 0, days: 30, hours: 0, minutes: 0, seconds: 0 };
    const { bucket } = policy.destinations;
    if (bucket === undefined) throw new Error("no destination");
    return { ...policy, destinations: { bucket: { ...bucket, lock: { mode, for: days } } } };
  };

describe("doctor on a bucket", () => {
  test("tells what it does, after one probe", async () => {
    const { findings, probes } = await examine({});
    expect(findings.map(({ status, message }) => `${status} ${message.split(":")[0]}`)).toEqual([
      expect.stringMatching(/^ok repository \w{8} opens; no snapshot yet$/),
      "ok conditional writes honoured",
      "ok older versions are kept",
      "ok Object Lock holds against deletion, as tried; `lock",
    ]);
    expect(probes).toBe(1);
  });

  test.for([
    [{ conditionalWrites: "ignored" }, "ok", /conditional writes ignored: .* the later one wins/],
    [{ conditionalWrites: "refused" }, "ok", /conditional writes not understood/],
    [{ conditionalWrites: "unknown" }, "warn", /conditional writes not tried/],
    [{ versioned: false }, "ok", /no older versions are kept/],
    [{ versioned: "unknown" }, "warn", /whether older versions are kept/],
    [{ lock: "none" }, "ok", /no Object Lock: `lock:` in the policy would need a bucket/],
    [{ lock: "not enforced" }, "warn", /deleted what was locked/],
  ] as const)("that has %j: %s", async ([facts, status, words]) => {
    const { findings } = await examine({ facts });
    const matching = findings.filter(({ message }) => words.test(message));
    expect(matching.map((finding) => finding.status)).toEqual([status]);
  });

  test.for([
    [{}, "compliance", "ok", /holds locked versions against deletion/],
    [{ lockBypass: true }, "governance", "fail", /may pass over governance mode/],
    [{ lockBypass: true }, "compliance", "warn", /may pass over governance mode/],
    [{ lock: "not enforced" }, "compliance", "fail", /deleted a version that was locked/],
    [{ lock: "unknown" }, "compliance", "warn", /could not be tried/],
  ] as const)("that has %j, where the policy locks in %s mode: %s", async (given) => {
    const [facts, mode, status, words] = given;
    const { findings, probes } = await examine({ facts, policy: withLock(mode) });
    const matching = findings.filter(({ message }) => words.test(message));
    expect([matching.map((finding) => finding.status), probes]).toEqual([[status], 1]);
  });

  test("without Object Lock, where the policy wants it, says what that takes", async () => {
    const store = ({ lock: _lock, ...rest }: ObjectStore): ObjectStore => rest;
    const { findings } = await examine({ store, policy: withLock("governance") });
    expect(findings).toContainEqual(
      expect.objectContaining({
        status: "fail",
        fix: "Use a bucket that was created with versioning and Object Lock.",
      }),
    );
  });

  test("that is only read is not written to for a try, nor any with --no-probe", async () => {
    const unwritten = (policy: Policy): Policy => ({ ...policy, plans: {} });
    for (const asked of [{ policy: unwritten }, { probe: false }]) {
      const { findings, probes } = await examine(asked);
      expect([findings.length, probes]).toEqual([1, 0]);
    }
  });

  test("behind restic's REST protocol has no room for records, unless some lies beside", async () => {
    const store = ({ probe: _probe, ...rest }: ObjectStore): ObjectStore => rest;
    const rest =
      (beside?: string) =>
      (policy: Policy): Policy => {
        const { bucket } = policy.destinations;
        if (bucket === undefined) throw new Error("no destination");
        const url = "rest:https://backup.example/shop/";
        return { ...policy, destinations: { bucket: { ...bucket, url, beside } } };
      };
    const { findings } = await examine({ store, policy: rest() });
    const records = { status: "warn", message: expect.stringMatching(/^no room for records/) };
    expect(findings).toContainEqual(expect.objectContaining(records));
    const beside = await examine({ store, policy: rest(folder) });
    expect(beside.findings).not.toContainEqual(expect.objectContaining(records));
  });
});
