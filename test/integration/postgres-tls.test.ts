import { execFile } from "node:child_process";
import { chown, mkdtemp, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { Secret, toAppError } from "../../src/kernel/index.ts";
import type { AppError } from "../../src/kernel/index.ts";
import { clientProgramText, connect } from "../../src/postgres/index.ts";
import type { Connection } from "../../src/postgres/index.ts";
import { testTools } from "../support/capture.ts";
import { leakedSessions, startCluster } from "../support/cluster.ts";
import type { Cluster } from "../support/cluster.ts";

const run = promisify(execFile);
let folder = "";
let cluster: Cluster;

let oldServer: Cluster;
let plainServer: Cluster;

async function openssl(...args: string[]): Promise<void> {
  await run("openssl", args, { cwd: folder });
}

/** An authority of our own, and a certificate of it for `localhost`. */
async function makeCertificates(): Promise<void> {
  const subject = (name: string): string[] => ["-subj", `/CN=${name}`];
  const key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"];
  await openssl(
    "req",
    "-x509",
    ...key,
    "-keyout",
    "ca.key",
    "-out",
    "ca.crt",
    ...subject("test CA"),
  );
  await openssl(
    "req",
    "-x509",
    ...key,
    "-keyout",
    "x.key",
    "-out",
    "other.crt",
    ...subject("else"),
  );
  await openssl(
    "req",
    ...key,
    "-keyout",
    "server.key",
    "-out",
    "server.csr",
    ...subject("localhost"),
  );
  await writeFile(join(folder, "names"), "subjectAltName=DNS:localhost\n");
  await openssl(
    ..."x509 -req -in server.csr -CA ca.crt -CAkey ca.key -CAcreateserial -days 2 -extfile names -out server.crt".split(
      " ",
    ),
  );
}

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "sparekeep-tls-"));
  await makeCertificates();
  cluster = await startTlsCluster();
  oldServer = await startTlsCluster({ ssl_max_protocol_version: "TLSv1.2" });
  plainServer = await startCluster();
});

async function startTlsCluster(settings: Readonly<Record<string, string>> = {}): Promise<Cluster> {
  const made = await startCluster({ settings });
  const data = join(made.folder, "data");
  const { uid, gid } = await stat(data);
  for (const name of ["server.crt", "server.key"]) {
    const { stdout } = await run("cat", [join(folder, name)]);
    await writeFile(join(data, name), stdout, { mode: 0o600 });
    await chown(join(data, name), uid, gid);
  }
  await made.query("ALTER SYSTEM SET ssl = on");
  await made.stop();
  await made.start();
  return made;
}

afterAll(async () => {
  for (const made of [cluster, oldServer, plainServer]) await made[Symbol.asyncDispose]();
  await rm(folder, { recursive: true, force: true });
});

function url(host: string, parameters: string, made = cluster): Secret {
  const { port, superuser, password } = made;
  return new Secret(`postgresql://${superuser}:${password}@${host}:${port}/postgres?${parameters}`);
}

function open(host: string, parameters: string, signal?: AbortSignal): Promise<Connection> {
  return connect({
    url: url(host, parameters),
    applicationName: "sparekeep test",
    readOnly: true,
    ...(signal === undefined ? {} : { signal }),
  });
}

async function failure(work: Promise<unknown>): Promise<AppError> {
  try {
    await work;
  } catch (error) {
    return toAppError(error);
  }
  throw new Error("expected an error");
}

const ENCRYPTED = "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()";

test("verify-full with the authority named, COPY and cancel included", async () => {
  const abort = new AbortController();
  await using session = await open("localhost", `sslmode=verify-full&sslrootcert=${folder}/ca.crt`);
  expect(await session.query(ENCRYPTED)).toEqual([{ ssl: true }]);
  let sizeBytes = 0;
  for await (const chunk of session.copyOut(
    "COPY (SELECT repeat('x', 99) FROM generate_series(1, 50000)) TO STDOUT",
  )) {
    sizeBytes += chunk.byteLength;
  }
  expect(sizeBytes).toBe(5_000_000);
  const sleeping = failure(session.query("SELECT pg_sleep(60)", [], { signal: abort.signal }));
  for (;;) {
    const active = await cluster.query(
      "SELECT FROM pg_stat_activity WHERE query = 'SELECT pg_sleep(60)' AND state = 'active'",
    );
    if (active.length > 0) break;
  }
  abort.abort();
  expect(await sleeping).toMatchObject({ kind: "cancelled" });
  expect(await session.query("SELECT 1 AS one")).toEqual([{ one: 1 }]);
});

test.for([
  ["an authority that nobody knows", "localhost", "sslmode=verify-full"],
  ["another authority", "localhost", "sslmode=verify-full&sslrootcert=FOLDER/other.crt"],
  ["another name", "127.0.0.1", "sslmode=verify-full&sslrootcert=FOLDER/ca.crt"],
] as const)("%s is postgres.tls_failed", async ([, host, parameters]) => {
  expect(await failure(open(host, parameters.replace("FOLDER", folder)))).toMatchObject({
    code: "postgres.tls_failed",
    kind: "auth",
  });
  expect(await leakedSessions(cluster)).toEqual([]);
});

test("an authority's file that is not there is a config error", async () => {
  const parameters = "sslmode=verify-full&sslrootcert=/nonexistent.crt";
  expect(await failure(open("localhost", parameters))).toMatchObject({
    code: "postgres.invalid_url",
    kind: "config",
  });
});

test("client programs verify as we do", async () => {
  const tools = await testTools();
  const ask = (host: string, parameters: string): Promise<string> =>
    clientProgramText(
      { program: tools.psql, args: ["-XAtc", ENCRYPTED], url: url(host, parameters) },
      1000,
    );
  expect(await ask("localhost", `sslmode=verify-full&sslrootcert=${folder}/ca.crt`)).toBe("t\n");
  expect((await failure(ask("localhost", "sslmode=verify-full"))).message).toContain(
    "certificate verify failed",
  );
});

/** Server, host, parameters, what pg's own message says, and what our error tells to do. */
const REFUSED: readonly [string, () => Cluster, string, string, RegExp, RegExp][] = [
  ["no TLS", () => plainServer, "localhost", "", /does not support SSL/, /Switch TLS on/],
  [
    "TLS 1.2 alone where 1.3 is asked for",
    () => oldServer,
    "localhost",
    "&ssl_min_protocol_version=TLSv1.3",
    /protocol version/,
    /ssl_min_protocol_version/,
  ],
  [
    "a wrong name",
    () => cluster,
    "127.0.0.1",
    "",
    /server certificate for|does not match/,
    /host name/,
  ],
];

describe.each(REFUSED)("%s is refused", (_what, server, host, more, libpq, hint) => {
  const target = (): Secret =>
    url(host, `sslmode=verify-full&sslrootcert=${folder}/ca.crt${more}`, server());

  test("by our own sessions, with what to do", async () => {
    const work = connect({ url: target(), applicationName: "sparekeep test", readOnly: true });
    const error = await failure(work);
    expect(error).toMatchObject({ code: "postgres.tls_failed", kind: "auth" });
    expect(error.hint).toMatch(hint);
  });

  test("by pg_dump", async () => {
    const { pgDump } = await testTools();
    const work = clientProgramText({ program: pgDump, args: ["-s"], url: target() }, 1_000_000);
    expect((await failure(work)).message).toMatch(libpq);
  });
});

test("an authority that nobody knows is refused by pg_dump too", async () => {
  const { pgDump } = await testTools();
  const unknown = url("localhost", `sslmode=verify-full&sslrootcert=${folder}/other.crt`);
  const work = clientProgramText({ program: pgDump, args: ["-s"], url: unknown }, 1_000_000);
  expect((await failure(work)).message).toContain("certificate verify failed");
});

test("TLS 1.2 is taken where nothing else is asked for, and 1.3 where the server speaks it", async () => {
  const VERSION = "SELECT version FROM pg_stat_ssl WHERE pid = pg_backend_pid()";
  const verified = `sslmode=verify-full&sslrootcert=${folder}/ca.crt`;
  const ask = async (made: Cluster, more: string): Promise<unknown> => {
    const target = url("localhost", `${verified}${more}`, made);
    await using session = await connect({
      url: target,
      applicationName: "sparekeep test",
      readOnly: true,
    });
    const { pgDump } = await testTools();
    expect(
      await clientProgramText({ program: pgDump, args: ["-s"], url: target }, 1_000_000),
    ).toContain("PostgreSQL database dump complete");
    return (await session.query<{ version: string }>(VERSION))[0]?.version;
  };
  expect(await ask(oldServer, "")).toBe("TLSv1.2");
  expect(await ask(cluster, "&ssl_min_protocol_version=TLSv1.3")).toBe("TLSv1.3");
});
