import { dirname } from "node:path";
import { findProgram } from "./find-program.ts";
import type { RestServerFiles, RestServerOptions } from "./rest-servers.ts";
import { startServer } from "./server-process.ts";
import type { RunningServer } from "./server-process.ts";

/** `rclone serve restic`. Nothing of the environment: 1.60 ends where AWS_CA_BUNDLE is set. */
export function startRclone(
  { root, certificates, user }: RestServerFiles,
  { appendOnly }: RestServerOptions,
): Promise<RunningServer> {
  return startServer({
    program: findProgram("rclone"),
    args: [
      "serve",
      "restic",
      "--addr",
      "127.0.0.1:0",
      "--config",
      "/dev/null",
      root,
      ...(appendOnly === true ? ["--append-only"] : []),
      ...(certificates === undefined
        ? []
        : ["--cert", certificates.certificateFile, "--key", certificates.keyFile]),
      ...(user === undefined ? [] : ["--htpasswd", user.htpasswd]),
    ],
    env: { HOME: dirname(root), PATH: "/usr/bin:/bin" },
    listening: /Serving restic REST API on https?:\/\/127\.0\.0\.1:(\d+)\//,
  });
}
