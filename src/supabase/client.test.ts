import { once } from "node:events";
import { createServer } from "node:https";
import type { AddressInfo } from "node:net";
import { inspect } from "node:util";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { AppError, Secret } from "../kernel/index.ts";
import { createTemporaryFolder } from "../objectstore/testing/index.ts";
import { createCertificates } from "../../test/support/certificates.ts";
import { startManagementApi } from "../../test/support/management-api.ts";
import type { Fault, ManagementStandIn } from "../../test/support/management-api.ts";
import { createManagementApi } from "./client.ts";
import type { ManagementApi, ManagementApiOptions } from "./client.ts";

let standIn: ManagementStandIn;
let slept: number[];
beforeEach(async () => {
  standIn = await startManagementApi();
  slept = [];
});
afterEach(async () => {
  const { violations } = standIn;
  await standIn[Symbol.asyncDispose]();
  expect(violations).toEqual([]);
});

/** A clock that sleeps without waiting. */
function api(changes: Partial<ManagementApiOptions> = {}): ManagementApi {
  let nowMs = 0;
  return createManagementApi(standIn.state.ref, {
    token: new Secret(standIn.token),
    address: standIn.address,
    clock: {
      monotonicMs: () => nowMs,
      sleep: (ms) => {
        slept.push(ms);
        nowMs += ms;
        return Promise.resolve();
      },
    },
    random: (size) => new Uint8Array(size),
    signal: new AbortController().signal,
    version: "1.2.3",
    ...changes,
  });
}

async function errorOf(work: Promise<unknown>): Promise<AppError> {
  try {
    await work;
  } catch (thrown) {
    if (thrown instanceof AppError) return thrown;
    throw thrown;
  }
  throw new Error("nothing was thrown");
}

async function untrustedServer(): Promise<AsyncDisposable & { readonly address: string }> {
  await using folder = await createTemporaryFolder();
  const { certificate: cert, key } = await createCertificates(folder.path);
  const server = createServer({ cert, key }, (_incoming, answer) => void answer.end("{}"));
  server.listen(0, "localhost");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  return {
    address: `https://localhost:${port}`,
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections();
      server.close();
      await once(server, "close");
    },
  };
}

const BACKUPS = "GET /database/backups";

describe("answers", () => {
  test("of a project and its backups, newest first", async () => {
    standIn.state.answers["/database/backups"] = {
      region: "eu-central-1",
      walg_enabled: true,
      pitr_enabled: true,
      backups: [
        { is_physical_backup: true, status: "FAILED", inserted_at: "2026-11-24T02:00:00.123456" },
        { is_physical_backup: true, status: "COMPLETED", inserted_at: "2026-11-25T02:00:00+00:00" },
      ],
      physical_backup_data: {
        earliest_physical_backup_date_unix: 1_763_000_000,
        latest_physical_backup_date_unix: 1_764_000_000,
      },
    };
    expect(await api().project()).toMatchObject({ region: "eu-central-1", organization: "acme" });
    expect(await api().backups()).toMatchObject({
      pitr: true,
      backups: [{ status: "COMPLETED" }, { at: new Date("2026-11-24T02:00:00.123Z") }],
      earliest: new Date(1_763_000_000_000),
    });
  });

  test.for([
    ["an unknown word", { pitr_enabled: "yes" }],
    ["a missing key", { pitr_enabled: undefined }],
    ["a status of tomorrow", { backups: [{ is_physical_backup: true, status: "NEW" }] }],
    ["a window upside down", window(2, 1)],
    ["a time that is none", window(-1, 1)],
    ["a list that is none", { backups: {} }],
  ] as const)("with %s are refused, not filled in", async ([, change]) => {
    const body = JSON.stringify({ ...plain(), ...change });
    standIn.fail(BACKUPS, { body });
    const error = await errorOf(api().backups());
    expect(error.code).toBe("supabase.answer_invalid");
    expect(error.message).toMatch(/^answer to backups with something else than /);
  });

  test.for([
    ["HTML", { body: "<html>", contentType: "text/html" }],
    ["cut JSON", { body: '{"region":' }],
    ["bytes that are no text", { body: "[]", contentType: "application/octet-stream" }],
  ] as const)("of %s are refused", async ([, fault]) => {
    standIn.fail(BACKUPS, fault);
    expect((await errorOf(api().backups())).code).toBe("supabase.answer_invalid");
  });

  test("without an end are cut off", async () => {
    standIn.fail(BACKUPS, { body: `"${"x".repeat(9 * 1024 * 1024)}"` });
    expect((await errorOf(api().backups())).code).toBe("supabase.answer_too_large");
  });

  test("of another project are refused", async () => {
    standIn.state.project["ref"] = "tsrqponmlkjihgfedcba";
    expect((await errorOf(api().project())).code).toBe("supabase.answer_invalid");
  });

  function plain(): Record<string, unknown> {
    return {
      region: "x",
      walg_enabled: true,
      pitr_enabled: true,
      backups: [],
      physical_backup_data: {},
    };
  }

  function window(earliest: number, latest: number): Record<string, unknown> {
    return {
      physical_backup_data: {
        earliest_physical_backup_date_unix: earliest,
        latest_physical_backup_date_unix: latest,
      },
    };
  }
});

describe("errors", () => {
  test.for([
    [401, "supabase.token_refused"],
    [402, "supabase.plan_lacks_it"],
    [403, "supabase.not_permitted"],
    [404, "supabase.not_found"],
    [422, "supabase.request_refused"],
    [302, "supabase.request_refused"],
  ] as const)("%i is %s and asked once", async ([status, code]) => {
    standIn.fail(BACKUPS, { status, headers: { location: "https://evil.example/" } });
    const error = await errorOf(api().backups());
    expect(error.code).toBe(code);
    expect(error.hint).toBeTruthy();
    expect(standIn.requests).toHaveLength(1);
  });

  test("what the server writes, and the token, stand in none", async () => {
    standIn.fail(BACKUPS, { status: 403, body: '{"message":"\\u001b[2J secret"}' });
    const error = await errorOf(api().backups());
    const shown = `${error.message}${String(error.hint)}${JSON.stringify(error.subject)}`;
    expect(shown).not.toMatch(/secret|\[2J|sbp_/);
    expect(error.message).toContain("backups_read");
  });

  test("a token that is not known", async () => {
    const error = await errorOf(api({ token: new Secret("sbp_other") }).backups());
    expect(error.code).toBe("supabase.token_refused");
  });

  test.for(["http://api.example", "ftp://x", "nonsense", "https://u:p@api.example"])(
    "the address %s",
    (address) => {
      expect(() => api({ address })).toThrow(
        expect.objectContaining({ code: "supabase.invalid_address" }),
      );
    },
  );

  test("a reference that would be another path", () => {
    expect(() =>
      createManagementApi("../organizations/acm", {
        token: new Secret("x"),
        version: "1",
        random: (size) => new Uint8Array(size),
        clock: { monotonicMs: () => 0, sleep: () => Promise.resolve() },
        signal: new AbortController().signal,
      }),
    ).toThrow(expect.objectContaining({ code: "supabase.not_found" }));
  });
});

describe("patience", () => {
  const brief: Fault = { status: 429, headers: { "Retry-After": "7" } };

  test("waits as long as Retry-After says", async () => {
    standIn.fail(BACKUPS, brief, { status: 503 });
    await api().backups();
    expect(slept[0]).toBe(7000);
    expect(standIn.requests).toHaveLength(3);
  });

  test("takes X-RateLimit-Reset where Retry-After is missing", async () => {
    standIn.limit = 0;
    const asked = api().backups();
    await errorOf(asked);
    expect(slept[0]).toBe(60_000);
  });

  test("waits before a request that would be one too many", async () => {
    standIn.limit = 1;
    const client = api();
    await client.backups();
    expect(slept).toEqual([]);
    standIn.limit = 120;
    await client.backups();
    expect(slept).toEqual([60_000]);
  });

  test("ends, with the last error", async () => {
    standIn.fail(BACKUPS, ...Array.from({ length: 60 }, () => ({ status: 500 })));
    const error = await errorOf(api({ patienceMs: 5000 }).backups());
    expect(error).toMatchObject({ code: "supabase.unavailable", kind: "unavailable" });
    expect(slept.reduce((sum, ms) => sum + ms, 0)).toBeLessThanOrEqual(5000);
  });

  test("outlasts a connection that ends, and one that hangs", async () => {
    standIn.fail(BACKUPS, { instead: "drop" }, { instead: "hang" });
    await api({ requestTimeoutMs: 200 }).backups();
    expect(standIn.requests).toHaveLength(3);
  });

  test("ends at once when it is asked to stop", async () => {
    const controller = new AbortController();
    standIn.fail(BACKUPS, { instead: "hang" });
    const asked = api({ signal: controller.signal }).backups();
    controller.abort();
    expect((await errorOf(asked)).kind).toBe("cancelled");
  });

  test("a server that is not trusted is final", async () => {
    await using server = await untrustedServer();
    const error = await errorOf(api({ address: server.address }).backups());
    expect(error).toMatchObject({ code: "supabase.untrusted", kind: "config" });
    expect(slept).toEqual([]);
  });
});

describe("a restore", () => {
  const RESTORE = "POST /database/backups/restore-pitr";

  test("is asked for in whole seconds", async () => {
    await api().restoreTo(new Date("2026-11-20T14:31:07.900Z"));
    expect(standIn.state.restoresAsked).toEqual([Date.UTC(2026, 10, 20, 14, 31, 7) / 1000]);
  });

  test("is asked for again only where it was refused for haste", async () => {
    standIn.fail(RESTORE, { status: 429, headers: { "Retry-After": "1" } });
    await api().restoreTo(new Date(0));
    expect(standIn.state.restoresAsked).toEqual([0]);
  });

  test.for([{ instead: "lose" }, { status: 500 }, { status: 503 }] as const)(
    "is asked for once where %o leaves it open",
    async (fault) => {
      standIn.fail(RESTORE, fault);
      expect((await errorOf(api().restoreTo(new Date(0)))).code).toBe("supabase.unavailable");
      expect(standIn.requests).toHaveLength(1);
    },
  );
});

describe("a change", () => {
  const auth = {
    what: "auth",
    method: "PATCH",
    path: "/config/auth",
    permission: "auth_config_write",
    body: { smtp_pass: "secret-0815", jwt_exp: 60 },
  } as const;
  const sent = (): number => standIn.requests.filter(({ method }) => method !== "GET").length;

  test("is sent once, and again only where the API says that it did not take it", async () => {
    standIn.fail("PATCH /config/auth", { status: 429, headers: { "retry-after": "7" } });
    await api().change(auth);
    expect({ sent: sent(), slept }).toEqual({ sent: 2, slept: [7000] });
    expect(standIn.state.answers["/config/auth"]).toMatchObject({ jwt_exp: 60 });
    for (const fault of [{ status: 503 }, { instead: "drop" }, { instead: "lose" }] as const) {
      const before = sent();
      standIn.fail("PATCH /config/auth", fault);
      const error = await errorOf(api().change(auth));
      expect({ code: error.code, sent: sent() }).toEqual({
        code: "supabase.unavailable",
        sent: before + 1,
      });
    }
  });

  test("that is refused is told by its status and permission, without what was sent or said", async () => {
    const said = { status: 400, body: '{"message":"bad secret-0815"}' };
    standIn.fail("PATCH /config/auth", said);
    const refused = await errorOf(api().change(auth));
    expect(refused).toMatchObject({ code: "supabase.request_refused", subject: { status: 400 } });
    expect(inspect(refused)).not.toContain("secret-0815");
    standIn.state.denied = ["edge_functions_secrets_write"];
    const value = new Secret("secret-0815");
    const denied = await errorOf(api().setEdgeSecrets([{ name: "STRIPE_KEY", value }]));
    expect(denied.message).toContain("edge_functions_secrets_write");
    expect(inspect(denied)).not.toContain("secret-0815");
  });

  test("of a function carries its files under the paths that they were deployed with", async () => {
    const files = ["source/index.ts", "../_shared/a b.ts", "source/däta.json"];
    await api().deployFunction({
      slug: "hello-2",
      name: "Hello",
      entrypointPath: "source/index.ts",
      verifyJwt: false,
      files: files.map((path) => ({ path, bytes: Buffer.from(`of ${path}`) })),
    });
    const there = await api().functionSource("hello-2");
    expect(there.map(({ path, bytes }) => [path, Buffer.from(bytes).toString()])).toEqual(
      files.map((path) => [path, `of ${path}`]),
    );
    const listed = await api().functions();
    expect(listed.find(({ slug }) => slug === "hello-2")).toMatchObject({ verifyJwt: false });
  });
});

describe("sources of a function", () => {
  test("with their paths, byte for byte", async () => {
    const files = await api().functionSource("hello");
    expect(files.map(({ path, bytes }) => [path, Buffer.from(bytes).toString()])).toEqual([
      ["source/index.ts", 'Deno.serve(() => new Response("hi"));\r\n'],
      ["../_shared/cors.ts", "export const cors = {};\n"],
    ]);
  });

  test.for([
    ["no multipart", "{}", "application/json"],
    ["no boundary", "--x", "multipart/form-data"],
    ["a body that breaks off", "--x\r\nA: b\r\n\r\nfile", "multipart/form-data; boundary=x"],
    [
      "a part without a path",
      "--x\r\nA: b\r\n\r\nfile\r\n--x--",
      "multipart/form-data; boundary=x",
    ],
    ["nothing", "--x--", "multipart/form-data; boundary=x"],
  ] as const)("of %s are refused", async ([, body, contentType]) => {
    standIn.fail("GET /functions/hello/body", { body, contentType });
    expect((await errorOf(api().functionSource("hello"))).code).toBe("supabase.answer_invalid");
  });
});
