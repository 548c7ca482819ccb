import { spawn } from "node:child_process";
import { once } from "node:events";
import { chown, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { connect as connectSocket, createServer } from "node:net";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { serverUser } from "../../demo/server-user.ts";
import type { Cluster } from "./cluster.ts";

const PROGRAM = "/usr/sbin/pgbouncer";

export interface Pooler extends AsyncDisposable {
  url(database: string): string;
}

/** A real PgBouncer in session mode, in front of the cluster, for its superuser. */
export async function startPgBouncer(
  cluster: Cluster,
  settings: Readonly<Record<string, string>> = {},
): Promise<Pooler> {
  const folder = await mkdtemp(join(tmpdir(), "sparekeep-bouncer-"));
  const port = await freePort();
  const users = join(folder, "users");
  const config = join(folder, "config");
  await writeFile(users, `"${cluster.superuser}" "${cluster.password}"\n`);
  const lines = {
    listen_addr: "127.0.0.1",
    listen_port: String(port),
    unix_socket_dir: "",
    auth_type: "scram-sha-256",
    auth_file: users,
    pool_mode: "session",
    default_pool_size: "12",
    logfile: join(folder, "log"),
    ...settings,
  };
  await writeFile(
    config,
    [
      "[databases]",
      `* = host=127.0.0.1 port=${cluster.port}`,
      "[pgbouncer]",
      ...Object.entries(lines).map(([name, value]) => `${name} = ${value}`),
      "",
    ].join("\n"),
  );
  const { uid, gid } = serverUser();
  if (uid !== undefined && gid !== undefined) {
    for (const path of [folder, users, config]) await chown(path, uid, gid);
  }
  const child = spawn(PROGRAM, ["-q", config], {
    cwd: folder,
    stdio: "ignore",
    ...(uid === undefined || gid === undefined ? {} : { uid, gid }),
  });
  const ended = once(child, "exit").then(() => true);
  // A test that ends without its end does not leave it behind.
  const kill = (): void => void child.kill("SIGKILL");
  process.once("exit", kill);
  const stop = async (): Promise<void> => {
    child.kill("SIGKILL");
    await ended;
    process.off("exit", kill);
    await rm(folder, { recursive: true, force: true });
  };
  while (!(await answers(port))) {
    if (!(await Promise.race([ended, delay(50, false)]))) continue;
    const log = await readFile(join(folder, "log"), "utf8").catch(String);
    await stop();
    throw new Error(`pgbouncer ended at its start: ${log.slice(-1000)}`);
  }
  return {
    url: (database) => {
      const at = new URL(cluster.url(database));
      at.port = String(port);
      return at.href;
    },
    [Symbol.asyncDispose]: stop,
  };
}

async function answers(port: number): Promise<boolean> {
  const socket = connectSocket(port, "127.0.0.1");
  try {
    await once(socket, "connect");
    return true;
  } catch {
    return false;
  } finally {
    socket.destroy();
  }
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, "close");
  return port;
}
