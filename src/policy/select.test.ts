import { expect, test } from "vitest";
import type { Policy } from "./policy.ts";
import { destinationNamed, planNamed, repositoryOnlyPolicy, targetNamed } from "./select.ts";

const plan = { source: "db", capture: "everything", to: "local" } as const;
const policy: Policy = {
  name: "shop",
  sources: {},
  destinations: { local: { url: "/r", password: { env: "K" } } },
  plans: { nightly: plan, weekly: plan },
  targets: {},
};

test("the only one needs no name", () => {
  expect(destinationNamed(policy)).toEqual({ name: "local", url: "/r", password: { env: "K" } });
});

test("several need one", () => {
  expect(() => planNamed(policy)).toThrow(
    expect.objectContaining({
      code: "policy.ambiguous",
      message: "2 plans to choose from",
      hint: "Name one of: nightly, weekly.",
    }),
  );
  expect(planNamed(policy, "weekly").name).toBe("weekly");
});

test("a wrong name is answered with the one that was meant", () => {
  expect(() => planNamed(policy, "nigthly")).toThrow(
    expect.objectContaining({
      code: "policy.unknown_name",
      message: 'unknown plan "nigthly"',
      hint: 'Write "nightly".',
    }),
  );
  expect(() => planNamed(policy, "toString")).toThrow(/unknown plan "toString"/);
});

test("none is none", () => {
  expect(() => targetNamed(policy)).toThrow(
    expect.objectContaining({ message: "no target in the policy" }),
  );
});

test("a repository and its password are a policy", () => {
  const only = repositoryOnlyPolicy("/r", { env: "K" });
  expect(destinationNamed(only)).toMatchObject({ name: "repository", url: "/r" });
});
