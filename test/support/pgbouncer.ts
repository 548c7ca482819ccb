import { chown, copyFile, mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { once } from "node:events";
import { spawn } from "node:child_process";
import { createServer } from "node:net";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pgBouncerAt } from "../../scripts/setup/pgbouncer.js";
import { ROOT } from "../../scripts/setup/place.js";
import type { Certificates } from "./certificates.ts";
import type { Cluster } from "./cluster.ts";

export interface PgBouncer extends AsyncDisposable {
  readonly port: number;
  url(database: string, role?: { readonly name: string; readonly password: string }): string;
}

export interface PgBouncerOptions {
  readonly mode: "session" | "transaction" | "statement";
  readonly settings?: Readonly<Record<string, string>>;
  /** Whom every user is at the server. */
  readonly role?: { readonly name: string; readonly password: string };
  /** It then asks for TLS. */
  readonly certificates?: Certificates;
  readonly users?: readonly { readonly name: string; readonly password: string }[];
}

/** A real PgBouncer before the cluster, on a port of its own. It runs as the user nobody where we are root. */
export async function startPgBouncer(
  cluster: Cluster,
  { mode, settings = {}, users = [], certificates, role }: PgBouncerOptions,
): Promise<PgBouncer> {
  const folder = await mkdtemp(join(tmpdir(), "sparekeep-pgbouncer-"));
  const port = await freePort();
  const superuser = { name: cluster.superuser, password: cluster.password };
  const quoted = (text: string): string => `"${text.replaceAll('"', '""')}"`;
  const all = [superuser, ...users];
  const list = all.map(({ name, password }) => `${quoted(name)} ${quoted(password)}\n`);
  const file = (name: string): string => join(folder, name);
  await writeFile(file("users.txt"), list.join(""));
  const tls = certificates === undefined ? {} : await tlsSettings(folder, certificates);
  const lines = Object.entries({
    listen_addr: "127.0.0.1",
    listen_port: String(port),
    unix_socket_dir: "",
    auth_type: "scram-sha-256",
    auth_file: file("users.txt"),
    pool_mode: mode,
    ignore_startup_parameters: "options,extra_float_digits",
    ...tls,
    ...settings,
  }).map(([key, value]) => `${key} = ${value}\n`);
  const as = role === undefined ? "" : ` user='${role.name}' password='${role.password}'`;
  const databases = `[databases]\n* = host=127.0.0.1 port=${cluster.port}${as}\n`;
  await writeFile(file("pgbouncer.ini"), `${databases}[pgbouncer]\n${lines.join("")}`);
  const isRoot = process.getuid?.() === 0;
  if (isRoot) {
    for (const name of ["", ...(await readdir(folder))]) await chown(file(name), 65_534, 65_534);
  }
  const { program, libraries } = pgBouncerAt(ROOT);
  const child = spawn(program, [file("pgbouncer.ini")], {
    env: { PATH: "/usr/bin:/bin", ...libraries },
    stdio: ["ignore", "pipe", "pipe"],
    ...(isRoot ? { uid: 65_534, gid: 65_534 } : {}),
  });
  const ended = once(child, "close");
  await listening(child, program);
  return {
    port,
    url: (database, { name, password } = superuser) =>
      `postgresql://${encodeURIComponent(name)}:${encodeURIComponent(password)}@127.0.0.1:${port}/${database}`,
    [Symbol.asyncDispose]: async () => {
      // It waits for clients on SIGINT; SIGTERM ends it at once.
      child.kill("SIGTERM");
      await ended;
      await rm(folder, { recursive: true, force: true });
    },
  };
}

async function tlsSettings(
  folder: string,
  { keyFile, certificateFile }: Certificates,
): Promise<Record<string, string>> {
  const [key, certificate] = [join(folder, "tls.key"), join(folder, "tls.crt")];
  await copyFile(keyFile, key);
  await copyFile(certificateFile, certificate);
  return {
    client_tls_sslmode: "require",
    client_tls_key_file: key,
    client_tls_cert_file: certificate,
  };
}

async function listening(child: ReturnType<typeof spawn>, program: string): Promise<void> {
  let output = "";
  await new Promise<void>((resolve, reject) => {
    const hear = (bytes: Buffer): void => {
      output += bytes.toString();
      if (/process up/.test(output)) resolve();
    };
    child.stdout?.on("data", hear);
    child.stderr?.on("data", hear);
    child.once("error", reject);
    child.once("close", () => reject(new Error(`${program} ended:\n${output}`)));
  });
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, "close");
  return port;
}
