import { randomBytes, randomUUID } from "node:crypto";
import { existsSync } from "node:fs";
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import {
  CreateBucketCommand,
  PutBucketPolicyCommand,
  PutBucketVersioningCommand,
  S3Client,
} from "@aws-sdk/client-s3";
import { createCertificates } from "./certificates.ts";
import type { Certificates } from "./certificates.ts";
import { createServerFolder, freePort } from "./server-folder.ts";
import type { ServerFolder } from "./server-folder.ts";

/**
 * One real Ceph on loopback: a monitor, an OSD on a file, a gateway that speaks S3 over http and TLS. About 5 seconds and
 * 150 MB. Needs the packages of scripts/setup/object-servers.js.
 */
export interface Ceph extends AsyncDisposable {
  readonly version: string;
  /** `http://127.0.0.1:PORT` */
  readonly endpoint: string;
  /** `https://localhost:PORT`, with a certificate of {@link certificates}. */
  readonly tlsEndpoint: string;
  readonly certificates: Certificates;
  /** Owns every bucket. */
  readonly owner: CephUser;
  /** May do everything in the buckets that are made with `shared`, except what is denied there. */
  readonly guest: CephUser;
  readonly admin: S3Client;
  /** Answers with its name. */
  createBucket(options?: BucketOptions): Promise<string>;
  /** radosgw-admin. */
  administer(arguments_: readonly string[]): Promise<string>;
}

export interface CephUser {
  readonly accessKey: string;
  readonly secretKey: string;
}

export interface BucketOptions {
  readonly versioned?: boolean;
  readonly locks?: boolean;
  /** Opens it to the guest, who is denied these actions below it: `s3:DeleteObject`. */
  readonly denied?: readonly string[];
  /** Opens it to the guest for these and nothing else: actions, on the bucket (`""`) or below a path in it. */
  readonly allowed?: readonly (readonly [actions: readonly string[], path: string])[];
}

/** The second class of the gateway, besides STANDARD, where no other is asked for. */
export const BULK_CLASS = "STANDARD_IA";

export async function startCeph(classes: readonly string[] = [BULK_CLASS]): Promise<Ceph> {
  if (!existsSync("/usr/bin/radosgw")) {
    throw new Error("Ceph is needed (radosgw, ceph-mon, ceph-osd, ceph-common); run npm run setup");
  }
  const folder = await createServerFolder("ceph");
  try {
    return await startIn(folder, classes);
  } catch (thrown) {
    await folder[Symbol.asyncDispose]();
    throw thrown;
  }
}

async function startIn(folder: ServerFolder, classes: readonly string[]): Promise<Ceph> {
  const certificates = await createCertificates(folder.path);

  const [v2, v1, plain, tls] = await Promise.all([freePort(), freePort(), freePort(), freePort()]);
  const fsid = randomUUID();
  const conf = join(folder.path, "ceph.conf");
  await writeFile(conf, configuration(folder.path, { fsid, v2, v1, plain, tls }));
  for (const name of ["mon", "osd", "run", "rgw"]) await mkdir(join(folder.path, name));
  const withConf = ["-c", conf];
  const keyring = join(folder.path, "keyring");
  await makeKeyring(folder, keyring);
  await startMonitor(folder, { withConf, keyring, fsid, v2, v1 });
  await startStorage(folder, withConf, keyring);
  const administer = (arguments_: readonly string[]): Promise<string> =>
    folder.run("radosgw-admin", [...withConf, ...arguments_]);
  // The first user makes the default zone, in which the class is added.
  const owner = await createUser(administer, "owner");
  const guest = await createUser(administer, "guest");
  for (const name of classes) await addStorageClass(administer, name);
  folder.start("rgw", "radosgw", [...withConf, "-n", "client.rgw", "-f"]);
  const endpoint = `http://127.0.0.1:${plain}`;
  await folder.until("gateway", () => answers(endpoint));
  const admin = clientOf(endpoint, owner);
  return {
    version: (await folder.run("radosgw", ["--version"])).split(" ")[2] ?? "",
    endpoint,
    tlsEndpoint: `https://localhost:${tls}`,
    certificates,
    owner,
    guest,
    admin,
    createBucket: (options) => createBucket(admin, options),
    administer,
    [Symbol.asyncDispose]: async () => {
      admin.destroy();
      await folder[Symbol.asyncDispose]();
    },
  };
}

export function clientOf(endpoint: string, user: CephUser): S3Client {
  return new S3Client({
    endpoint,
    region: "us-east-1",
    forcePathStyle: true,
    credentials: { accessKeyId: user.accessKey, secretAccessKey: user.secretKey },
  });
}

interface Places {
  readonly fsid: string;
  readonly v2: number;
  readonly v1: number;
  readonly plain: number;
  readonly tls: number;
}

/**
 * cephx stays on: without it the gateway waits for ever. The short intervals of the monitor make the start four times as
 * fast: by default it gathers changes for a second each.
 */
function configuration(path: string, { fsid, v2, v1, plain, tls }: Places): string {
  return `[global]
fsid = ${fsid}
mon host = [v2:127.0.0.1:${v2}/0,v1:127.0.0.1:${v1}/0]
public addr = 127.0.0.1
cluster addr = 127.0.0.1
mon data = ${path}/mon
osd data = ${path}/osd
rgw data = ${path}/rgw
run dir = ${path}/run
admin socket = ${path}/run/$name.asok
keyring = ${path}/keyring
log file = ${path}/$name.log
paxos propose interval = 0.02
paxos min wait = 0.01
mon tick interval = 1
mon allow pool size one = true
mon data avail crit = 1
mon data avail warn = 1
mon max pg per osd = 2000
osd pool default size = 1
osd pool default min size = 1
osd pool default pg num = 8
osd pool default pgp num = 8
osd pool default pg autoscale mode = off
osd crush chooseleaf type = 0
osd heartbeat interval = 1
osd objectstore = bluestore
osd memory target = 1073741824
bluestore block create = true
bluestore block size = 8589934592
rgw frontends = beast endpoint=127.0.0.1:${plain} ssl_endpoint=127.0.0.1:${tls} ssl_certificate=${path}/tls.pem
`;
}

async function makeKeyring(folder: ServerFolder, keyring: string): Promise<void> {
  const all = ["mon", "allow *", "osd", "allow *"];
  const users: readonly (readonly [string, readonly string[]])[] = [
    ["mon.", ["mon", "allow *"]],
    ["client.admin", all],
    ["osd.0", ["mon", "allow profile osd", "osd", "allow *"]],
    ["client.rgw", ["mon", "allow rwx", "osd", "allow rwx"]],
  ];
  await folder.run("ceph-authtool", ["--create-keyring", keyring]);
  for (const [name, caps] of users) {
    const pairs = caps.flatMap((cap, index) => (index % 2 === 0 ? ["--cap", cap] : [cap]));
    await folder.run("ceph-authtool", [keyring, "--gen-key", "-n", name, ...pairs]);
  }
}

interface MonitorPlaces {
  readonly withConf: readonly string[];
  readonly keyring: string;
  readonly fsid: string;
  readonly v2: number;
  readonly v1: number;
}

async function startMonitor(folder: ServerFolder, places: MonitorPlaces): Promise<void> {
  const { withConf, keyring, fsid, v2, v1 } = places;
  const map = join(folder.path, "monmap");
  const addresses = `[v2:127.0.0.1:${v2},v1:127.0.0.1:${v1}]`;
  await folder.run("monmaptool", ["--create", "--addv", "a", addresses, "--fsid", fsid, map]);
  const mkfs = ["--mkfs", "-i", "a", "--monmap", map, "--keyring", keyring];
  await folder.run("ceph-mon", [...withConf, ...mkfs]);
  folder.start("mon", "ceph-mon", [...withConf, "-i", "a", "-f"]);
}

async function startStorage(
  folder: ServerFolder,
  withConf: readonly string[],
  keyring: string,
): Promise<void> {
  const uuid = randomUUID();
  const ceph = (...arguments_: string[]): Promise<string> =>
    folder.run("ceph", [...withConf, "--connect-timeout", "60", ...arguments_]);
  await ceph("osd", "new", uuid, "0");
  const mkfs = ["-i", "0", "--mkfs", "--osd-uuid", uuid, "--keyring", keyring];
  await folder.run("ceph-osd", [...withConf, ...mkfs]);
  folder.start("osd", "ceph-osd", [...withConf, "-i", "0", "-f"]);
  await folder.until("OSD", async () => (await ceph("osd", "stat")).includes("1 up"));
}

/** Before the gateway starts: it reads its classes once. */
async function addStorageClass(administer: Ceph["administer"], name: string): Promise<void> {
  const placement = ["--placement-id", "default-placement", "--storage-class", name];
  await administer(["zonegroup", "placement", "add", "--rgw-zonegroup", "default", ...placement]);
  await administer(
    [
      ["zone", "placement", "add", "--rgw-zone", "default", ...placement],
      ["--data-pool", "default.rgw.buckets.data"],
    ].flat(),
  );
}

async function answers(endpoint: string): Promise<boolean> {
  try {
    await (await fetch(endpoint)).arrayBuffer();
    return true;
  } catch {
    // Not yet listening.
    return false;
  }
}

async function createUser(administer: Ceph["administer"], name: string): Promise<CephUser> {
  const user = { accessKey: `KEY${name.toUpperCase()}`, secretKey: `secret-of-${name}` };
  const keys = ["--access-key", user.accessKey, "--secret-key", user.secretKey];
  await administer(["user", "create", "--uid", name, "--display-name", name, ...keys]);
  return user;
}

async function createBucket(admin: S3Client, options: BucketOptions = {}): Promise<string> {
  const { versioned = false, locks = false } = options;
  const bucket = `b-${randomBytes(6).toString("hex")}`;
  await admin.send(new CreateBucketCommand({ Bucket: bucket, ObjectLockEnabledForBucket: locks }));
  if (versioned && !locks) {
    const command = { Bucket: bucket, VersioningConfiguration: { Status: "Enabled" as const } };
    await admin.send(new PutBucketVersioningCommand(command));
  }
  const statements = statementsFor(bucket, options);
  if (statements.length > 0) {
    const policy = JSON.stringify({ Version: "2012-10-17", Statement: statements });
    await admin.send(new PutBucketPolicyCommand({ Bucket: bucket, Policy: policy }));
  }
  return bucket;
}

function statementsFor(bucket: string, { denied, allowed = [] }: BucketOptions): object[] {
  const Principal = { AWS: ["arn:aws:iam:::user/guest"] };
  const at = (path: string): string => `arn:aws:s3:::${bucket}${path === "" ? "" : `/${path}`}`;
  const everywhere = { Principal, Resource: [at(""), at("*")] };
  const statements: object[] = allowed.map(([actions, path]) => ({
    Effect: "Allow",
    Principal,
    Action: actions,
    Resource: [at(path)],
  }));
  if (denied === undefined) return statements;
  statements.push({ Effect: "Allow", Action: ["s3:*"], ...everywhere });
  if (denied.length > 0) statements.push({ Effect: "Deny", Action: denied, ...everywhere });
  return statements;
}
