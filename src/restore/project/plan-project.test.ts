import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { AUTH_FIELDS } from "../../../test/support/management-api-description.ts";
import { WRITES } from "../../../test/support/management-api-writes.ts";
import { AUTH_NEVER_NULL, AUTH_SETTINGS } from "./auth-settings.ts";
import { planProject, requestBody, secretNeeds } from "./plan-project.ts";
import { BY_HAND, LAST_SERVICES, SERVICES } from "./services.ts";
import type { ProjectSide, SecretState } from "./types.ts";

const ALL = [...SERVICES, ...LAST_SERVICES].map(({ name }) => name);

function side(
  documents: Record<string, unknown>,
  functions: Record<string, unknown> = {},
): ProjectSide {
  const files = Object.entries(functions).map(
    ([slug, each]) => [slug, new Map(Object.entries(each as Record<string, string>))] as const,
  );
  const named = new Map(Object.entries(documents));
  const rest = [...ALL, ...Object.keys(BY_HAND), "functions", "edge-secrets"];
  const absent = rest.filter((name) => !named.has(name)).map((name) => [name, "none"] as const);
  return { documents: named, functions: new Map(files), absent: new Map(absent) };
}

const NO_SECRETS = new Map<string, SecretState>();

describe("what is set by a request", () => {
  test("is what the description's bodies take: of auth all but three that it only answers", () => {
    const body =
      WRITES.find(({ path }) => path.endsWith("/config/auth"))?.request?.properties ?? {};
    expect([...AUTH_SETTINGS].toSorted()).toEqual(Object.keys(body).toSorted());
    expect(Object.keys(AUTH_FIELDS)).toHaveLength(AUTH_SETTINGS.size + 3);
    const never = Object.entries(body).filter(([, schema]) => schema.nullable !== true);
    expect([...AUTH_NEVER_NULL].toSorted()).toEqual(never.map(([name]) => name).toSorted());
  });

  test("goes where the description says, in the way that it says", () => {
    for (const { name, method, path, permission } of [...SERVICES, ...LAST_SERVICES]) {
      const described = WRITES.find((one) => one.path === `/v1/projects/{ref}${path}`);
      expect({ name, ...described }).toMatchObject({ name, method, permission });
    }
  });
});

describe("a plan", () => {
  const json = fc.jsonValue({ maxDepth: 2 });
  const anySide = fc
    .record(Object.fromEntries(ALL.map((name) => [name, json])), { requiredKeys: [] })
    .map((documents) => side(documents));

  test("for a project that is as the snapshot asks for nothing; no two of any form make it throw", () => {
    fc.assert(
      fc.property(anySide, anySide, (a, b) => {
        expect(planProject(a, a, NO_SECRETS).requests).toEqual([]);
        const plan = planProject(a, b, NO_SECRETS);
        for (const request of plan.requests) requestBody(request, plan, a, () => "");
        secretNeeds(a, b);
      }),
    );
  });

  test("takes null, empty and left out for the same", () => {
    const auth = (value: unknown): ProjectSide => side({ auth: { smtp_host: value } });
    for (const value of [null, "", undefined]) {
      expect(planProject(auth(value), auth(null), NO_SECRETS).settings).toEqual([]);
    }
    expect(planProject(auth(null), auth("x"), NO_SECRETS).settings).toMatchObject([{ sign: "-" }]);
    expect(planProject(auth("x"), auth(""), NO_SECRETS).settings).toMatchObject([{ sign: "+" }]);
  });

  test("says of a value that no request takes why, and sends the rest", () => {
    const [to, from] = [
      side({ realtime: { private_only: null, suspend: false, tomorrow: 1 } }),
      side({ realtime: { private_only: true, suspend: true, tomorrow: 2, later: 3 } }),
    ];
    const plan = planProject(to, from, NO_SECRETS);
    expect(plan.settings).toMatchObject([
      { setting: "later", sign: "!", reason: "the snapshot does not hold it" },
      { setting: "private_only", sign: "!", reason: "the API takes no null for it" },
      { setting: "suspend", sign: "*" },
      { setting: "tomorrow", sign: "!", reason: expect.stringContaining("no request") as unknown },
    ]);
    expect(plan.requests).toMatchObject([{ service: "realtime", settings: ["suspend"] }]);
    const [request] = plan.requests;
    if (request === undefined) throw new Error("no request");
    expect(requestBody(request, plan, to, () => "")).toEqual({ suspend: false });
  });

  test("of PostgreSQL's settings sends all of them, since the request may replace what is there", () => {
    const to = side({ postgres: { work_mem: "8MB", max_connections: 60 } });
    const from = side({ postgres: { work_mem: "4MB", max_connections: 60, wal_keep_size: "1GB" } });
    const plan = planProject(to, from, NO_SECRETS);
    expect(plan.settings).toMatchObject([
      { setting: "wal_keep_size", sign: "-" },
      { setting: "work_mem", sign: "*" },
    ]);
    const [request] = plan.requests;
    if (request === undefined) throw new Error("no request");
    expect(requestBody(request, plan, to, () => "")).toEqual({
      max_connections: 60,
      work_mem: "8MB",
    });
  });

  test("names what differs and no request sets, and what only one side could be asked for", () => {
    const to = side({ addons: [{ type: "pitr", variant: "pitr_7" }], network: { config: {} } });
    const from: ProjectSide = { ...side({ addons: [] }), absent: new Map([["network", "402"]]) };
    const settings = planProject(to, from, NO_SECRETS).settings;
    expect(settings).toContainEqual(expect.objectContaining({ service: "addons", sign: "!" }));
    expect(settings).toContainEqual({
      service: "network",
      setting: "",
      sign: "!",
      reason: "this project does not have it: 402",
    });
    // Neither in its answers nor among what it says not to have: it could not be read.
    const auth = planProject(side({ auth: {} }), from, NO_SECRETS).settings;
    expect(auth).toContainEqual(
      expect.objectContaining({
        service: "auth",
        reason: expect.stringContaining("blind") as unknown,
      }),
    );
  });
});

describe("a function", () => {
  const listed = (fields: object): object => ({
    slug: "f",
    name: "f",
    status: "ACTIVE",
    version: 1,
    verifyJwt: true,
    entrypointPath: "file:///tmp/x/source/index.ts",
    ...fields,
  });
  const files = { "source/index.ts": "aa", "../_shared/cors.ts": "bb" };
  const project = (fields: object, sources: object = files): ProjectSide =>
    side({ functions: [listed(fields)] }, { f: sources });
  const plan = (to: ProjectSide, from: ProjectSide): readonly unknown[] =>
    planProject(to, from, NO_SECRETS).settings;

  test("is the same on another builder and in another version, and not with another source", () => {
    const there = {
      version: 9,
      entrypointPath: "file:///var/y/source/index.ts",
      bundleSha256: "q",
    };
    expect(plan(project({}), project(there))).toEqual([]);
    expect(plan(project({}), project({ verifyJwt: false }))).toMatchObject([{ sign: "*" }]);
    expect(plan(project({}), project({}, { ...files, "source/index.ts": "cc" }))).toMatchObject([
      { sign: "*", setting: "f" },
    ]);
    expect(plan(project({}), side({ functions: [] }))).toMatchObject([{ sign: "+" }]);
  });

  test.for([
    ["a name that the API deploys not", { slug: "1f" }, { "1f": files }],
    ["no file where it begins", { entrypointPath: "file:///tmp/x/other.ts" }, { f: files }],
    ["an import map that is none of its files", { importMapPath: "deno.json" }, { f: files }],
    ["a path with a quote", {}, { f: { ...files, 'a".ts': "cc" } }],
    ["no sources", {}, {}],
  ] as const)("with %s is named and not sent", ([, fields, sources]) => {
    const to = side({ functions: [listed(fields)] }, sources);
    const { settings, requests } = planProject(to, side({ functions: [] }), NO_SECRETS);
    expect({ settings, requests }).toMatchObject({ settings: [{ sign: "!" }], requests: [] });
  });
});
