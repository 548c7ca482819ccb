import { existsSync } from "node:fs";
import { mkdir, writeFile } from "node:fs/promises";
import { userInfo } from "node:os";
import { join } from "node:path";
import { CreateBucketCommand } from "@aws-sdk/client-s3";
import { clientOf } from "./ceph.ts";
import type { CephUser } from "./ceph.ts";
import { createServerFolder, freePort } from "./server-folder.ts";
import type { ServerFolder } from "./server-folder.ts";

/**
 * A real OpenStack Swift with its S3 door (s3api) on loopback: it answers 501 to a conditional PUT. About 5 seconds.
 * Needs `python3-swift`, which brings no service; the servers are started from its modules.
 */
export interface Swift extends AsyncDisposable {
  readonly version: string;
  readonly endpoint: string;
  readonly user: CephUser;
  createBucket(name: string): Promise<void>;
}

const PYTHON = "/usr/bin/python3";
const SERVERS = ["account", "container", "object"] as const;

export async function startSwift(): Promise<Swift> {
  if (!existsSync("/usr/lib/python3/dist-packages/swift/proxy/server.py")) {
    throw new Error("OpenStack Swift is needed (python3-swift); run npm run setup");
  }
  const folder = await createServerFolder("swift");
  try {
    return await startIn(folder);
  } catch (thrown) {
    await folder[Symbol.asyncDispose]();
    throw thrown;
  }
}

async function startIn(folder: ServerFolder): Promise<Swift> {
  const at = (name: string): string => join(folder.path, name);
  await mkdir(at("devices/d1"), { recursive: true });
  await mkdir(at("cache"));
  await writeFile(at("run.py"), RUN);
  await writeFile(at("localcache.py"), CACHE);
  await writeFile(at("swift.conf"), SWIFT_CONF);
  const start = (name: string): void => folder.start(name, PYTHON, [at("run.py"), name]);
  for (const name of SERVERS) {
    const port = await freePort();
    await makeRing(folder, name, port);
    await writeFile(at(`${name}-server.conf`), serverConf(folder.path, name, port));
    start(`${name}-server`);
  }
  const port = await freePort();
  await writeFile(at("proxy-server.conf"), proxyConf(folder.path, port));
  start("proxy-server");
  const endpoint = `http://127.0.0.1:${port}`;
  let version = "";
  await folder.until("Swift", async () => {
    version = await versionAt(endpoint);
    return version !== "";
  });
  const user = { accessKey: "test:tester", secretKey: "testing" };
  const admin = clientOf(endpoint, user);
  return {
    version,
    endpoint,
    user,
    createBucket: async (name) => {
      await admin.send(new CreateBucketCommand({ Bucket: name }));
    },
    [Symbol.asyncDispose]: async () => {
      admin.destroy();
      await folder[Symbol.asyncDispose]();
    },
  };
}

async function makeRing(folder: ServerFolder, name: string, port: number): Promise<void> {
  const ring = (...arguments_: string[]): Promise<string> =>
    folder.run(PYTHON, [join(folder.path, "run.py"), "ring", `${name}.builder`, ...arguments_]);
  await ring("create", "2", "1", "0");
  await ring("add", `r1z1-127.0.0.1:${port}/d1`, "1");
  await ring("rebalance");
}

async function versionAt(endpoint: string): Promise<string> {
  try {
    const answer: unknown = await (await fetch(`${endpoint}/info`)).json();
    return /"swift":\s*\{"version":\s*"([^"]+)"/.exec(JSON.stringify(answer))?.[1] ?? "";
  } catch {
    // Not yet listening.
    return "";
  }
}

/** Swift looks for its one fixed file in /etc. */
const RUN = `import os, sys
home = os.path.dirname(os.path.abspath(__file__))
import swift.common.utils as utils
utils.SWIFT_CONF_FILE = os.path.join(home, "swift.conf")
what = sys.argv[1]
if what == "ring":
    from swift.cli.ringbuilder import main
    main(["swift-ring-builder"] + sys.argv[2:])
else:
    from swift.common.wsgi import run_wsgi
    sys.exit(run_wsgi(os.path.join(home, what + ".conf"), what, default_port=0, verbose=True,
                      capture_stdout=False, capture_stderr=False))
`;

/** In place of memcached, which would be one more daemon: there is one proxy process. */
const CACHE = `class Cache:
    def __init__(self):
        self.kept = {}
    def get(self, key, raise_on_error=False):
        return self.kept.get(key)
    def set(self, key, value, *more, **named):
        self.kept[key] = value
    def delete(self, key, *more, **named):
        self.kept.pop(key, None)
    def incr(self, key, delta=1, time=0):
        self.kept[key] = int(self.kept.get(key, 0)) + int(delta)
        return self.kept[key]
    def decr(self, key, delta=1, time=0):
        return self.incr(key, -int(delta), time)

def filter_factory(global_conf, **conf):
    cache = Cache()
    def make(app):
        def filtered(env, start_response):
            env["swift.cache"] = cache
            return app(env, start_response)
        return filtered
    return make
`;

const SWIFT_CONF = `[swift-hash]
swift_hash_path_suffix = suffix
swift_hash_path_prefix = prefix
[storage-policy:0]
name = default
default = yes
`;

function common(path: string, port: number): string {
  return `[DEFAULT]
bind_ip = 127.0.0.1
bind_port = ${port}
workers = 0
user = ${userInfo().username}
swift_dir = ${path}
devices = ${path}/devices
mount_check = false
fallocate_reserve = 0
recon_cache_path = ${path}/cache
`;
}

function serverConf(path: string, name: string, port: number): string {
  return `${common(path, port)}[pipeline:main]
pipeline = ${name}-server
[app:${name}-server]
use = egg:swift#${name}
`;
}

function proxyConf(path: string, port: number): string {
  const filters = ["catch_errors", "proxy_logging", "listing_formats", "bulk", "slo", "dlo"];
  return `${common(path, port)}[pipeline:main]
pipeline = catch_errors cache proxy_logging listing_formats s3api tempauth bulk slo dlo proxy_logging proxy-server
[app:proxy-server]
use = egg:swift#proxy
account_autocreate = true
[filter:cache]
paste.filter_factory = localcache:filter_factory
[filter:s3api]
use = egg:swift#s3api
auth_pipeline_check = false
location = us-east-1
[filter:tempauth]
use = egg:swift#tempauth
user_test_tester = testing .admin
${filters.map((name) => `[filter:${name}]\nuse = egg:swift#${name}\n`).join("")}`;
}
