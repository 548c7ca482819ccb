import { dirname } from "node:path";
import { findProgram } from "./find-program.ts";
import type { RestServerFiles, RestServerOptions } from "./rest-servers.ts";
import { startServer } from "./server-process.ts";
import type { RunningServer } from "./server-process.ts";

/** restic's own rest-server. */
export function startRestServer(
  { root, certificates, user }: RestServerFiles,
  { appendOnly, verifyUploads, maxSizeBytes }: RestServerOptions,
): Promise<RunningServer> {
  return startServer({
    program: findProgram("rest-server", ["restic-rest-server", "rest-server"]),
    args: [
      "--listen",
      "127.0.0.1:0",
      "--path",
      root,
      ...(appendOnly === true ? ["--append-only"] : []),
      ...(maxSizeBytes === undefined ? [] : ["--max-size", `${maxSizeBytes}`]),
      ...(verifyUploads === false ? ["--no-verify-upload"] : []),
      ...(certificates === undefined
        ? []
        : ["--tls", "--tls-cert", certificates.certificateFile, "--tls-key", certificates.keyFile]),
      ...(user === undefined ? ["--no-auth"] : ["--htpasswd-file", user.htpasswd]),
    ],
    env: { HOME: dirname(root), PATH: "/usr/bin:/bin" },
    listening: /start server on 127\.0\.0\.1:(\d+)/,
  });
}
