/**
 * Names of the outside world, led to this machine: `SPAREKEEP_TEST_HOSTS` is JSON, `{ "db.REF.supabase.co:5432": 4711 }`
 * with ports of loopback; 0 is a network that cannot be reached, as IPv6 is for many. Loaded by `--import`: what is
 * verified of a certificate stays the name. Any other host beyond loopback is refused, so that no test leaves the machine.
 */
import { Socket } from "node:net";

const ports = JSON.parse(process.env["SPAREKEEP_TEST_HOSTS"] ?? "{}") as Record<string, number>;
const connect = Reflect.get(Socket.prototype, "connect") as unknown as (
  this: Socket,
  ...rest: unknown[]
) => Socket;

function redirected(this: Socket, port: unknown, host: unknown, ...rest: unknown[]): Socket {
  if (typeof port !== "number" || typeof host !== "string" || host.startsWith("127.")) {
    return connect.call(this, port, host, ...rest);
  }
  const to = ports[`${host}:${port}`] ?? 0;
  if (to !== 0) return connect.call(this, to, "127.0.0.1", ...rest);
  const error = Object.assign(new Error(`connect ENETUNREACH ${host}:${port}`), {
    code: "ENETUNREACH",
  });
  process.nextTick(() => this.destroy(error));
  return this;
}

Socket.prototype.connect = redirected;
