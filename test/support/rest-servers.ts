import { createHash } from "node:crypto";
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { Secret } from "../../src/kernel/index.ts";
import type { RestSettings, TlsSettings } from "../../src/objectstore/index.ts";
import { createTemporaryFolder } from "../../src/objectstore/testing/index.ts";
import { createCertificates } from "./certificates.ts";
import type { Certificates } from "./certificates.ts";
import { startRclone } from "./rclone.ts";
import { startRestServer } from "./rest-server.ts";
import type { RunningServer } from "./server-process.ts";

/** How one of the two servers of restic's REST protocol is started. */
export interface RestServerOptions {
  readonly appendOnly?: boolean;
  readonly tls?: boolean;
  readonly auth?: boolean;
  /** rest-server compares each upload with its name, the hash, unless told not to. */
  readonly verifyUploads?: boolean;
  /** rest-server's quota. */
  readonly maxSizeBytes?: number;
}

export interface RestServerFiles {
  readonly root: string;
  readonly certificates: Certificates | undefined;
  readonly user:
    | { readonly name: string; readonly password: string; readonly htpasswd: string }
    | undefined;
}

export interface RestServer extends AsyncDisposable {
  /** `http://127.0.0.1:PORT/`. */
  readonly url: string;
  /** What it serves, as files. */
  readonly root: string;
  readonly settings: { readonly rest: RestSettings; readonly tls: TlsSettings };
  readonly certificates: Certificates | undefined;
}

export type RestServerKind = "rclone" | "rest-server";
export const REST_SERVERS: readonly RestServerKind[] = ["rclone", "rest-server"];

const USER = { name: "ann", password: "correct horse: ü" };

export async function startRest(
  kind: RestServerKind,
  options: RestServerOptions = {},
): Promise<RestServer> {
  const folder = await createTemporaryFolder();
  const root = join(folder.path, "root");
  await mkdir(root);
  const certificates =
    options.tls === true
      ? await createCertificates(folder.path, ["DNS:localhost", "IP:127.0.0.1"])
      : undefined;
  const htpasswd = join(folder.path, "htpasswd");
  const digest = createHash("sha1").update(USER.password).digest("base64");
  if (options.auth === true) await writeFile(htpasswd, `${USER.name}:{SHA}${digest}\n`);
  const user = options.auth === true ? { ...USER, htpasswd } : undefined;
  const files = { root, certificates, user };
  const server: RunningServer =
    kind === "rclone" ? await startRclone(files, options) : await startRestServer(files, options);
  const scheme = certificates === undefined ? "http" : "https";
  return {
    root,
    certificates,
    url: `${scheme}://127.0.0.1:${server.port}/`,
    settings: {
      rest: user === undefined ? {} : { username: user.name, password: new Secret(user.password) },
      tls: certificates === undefined ? {} : { certificateAuthorities: certificates.authority },
    },
    [Symbol.asyncDispose]: async () => {
      await server[Symbol.asyncDispose]();
      await folder[Symbol.asyncDispose]();
    },
  };
}
