import { expect, test } from "vitest";
import { parsePolicy } from "../policy/index.ts";
import { classFindings } from "./doctor-classes.ts";
import type { Finding } from "./finding.ts";
import { testContext } from "./testing/context.ts";

const TEXT = `sparekeep: 1
name: shop
sources: { db: { kind: postgres, connection: { env: DB } } }
destinations:
  production: { class: production, url: "s3://a/x", password: { env: P1 }, credentials: { access_key: { env: A1 }, secret_key: { env: S1 } } }
  offsite: { class: production, url: "gs://b/x", password: { env: P2 } }
  audit: { class: audit, url: "s3://c/x", password: { env: P3 }, credentials: { access_key: { env: A3 }, secret_key: { env: S3 } } }
plans: { nightly: { source: db, capture: everything, to: production } }
`;
const APART = { P1: "one", P2: "one", P3: "three", A1: "a1", S1: "s1", A3: "a3", S3: "s3" };

function found(env: Readonly<Record<string, string>>, text = TEXT): Promise<readonly Finding[]> {
  const policy = parsePolicy({ text, file: "p.yaml", directory: "/x" });
  const context = testContext({ stateDirectory: "/nowhere", env: (name) => env[name] });
  return classFindings(context, policy);
}

test("secrets are apart where no value stands in two classes; within one it may", async () => {
  expect(await found(APART)).toMatchObject([{ status: "ok", subject: "classes" }]);
});

test("the same value behind two references is found, and not repeated", async () => {
  const findings = await found({ ...APART, P3: "one", S3: "s1" });
  expect(findings.map(({ status, message }) => [status, message]).toSorted()).toEqual([
    ["fail", "password of audit (class audit) is password of offsite (class production)"],
    ["fail", "password of audit (class audit) is password of production (class production)"],
    ["fail", "secret_key of audit (class audit) is secret_key of production (class production)"],
  ]);
  expect(JSON.stringify(findings)).not.toMatch(/"one"|"s1"/);
});

test("what cannot be read was not compared, and is no class's good word; a policy without classes has none", async () => {
  const { P3: _gone, ...rest } = APART;
  expect(await found(rest)).toMatchObject([
    { status: "warn", message: "not compared, since it cannot be read: password of audit" },
  ]);
  expect(await found(APART, TEXT.replaceAll(/class: \w+, /g, ""))).toEqual([]);
});
