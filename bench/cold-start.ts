/** One file out of a repository of many blobs, with nothing cached: the index is loaded whole before it is found. */
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { PutObjectCommand } from "@aws-sdk/client-s3";
import { startCeph } from "../test/support/ceph.ts";
import type { Ceph } from "../test/support/ceph.ts";
import type { Program } from "./measure.ts";
import { inTurn } from "./pair.ts";
import type { Pair, Tools } from "./pair.ts";

const FILE = "folder 7/object 00000007";

/** Of the repository `ours` on the disk. */
export function coldStart(tools: Tools, runs: number): Promise<readonly Pair[]> {
  return dumpInTurn(tools, join(tools.folder, "ours"), {}, runs);
}

/** Of the same one, moved into a bucket. */
export async function coldStartS3(
  tools: Tools,
  runs: number,
): Promise<{ readonly pairs: readonly Pair[]; readonly version: string }> {
  await using ceph = await startCeph();
  const bucket = await ceph.createBucket();
  await upload(ceph, bucket, join(tools.folder, "ours"));
  const { accessKey: AWS_ACCESS_KEY_ID, secretKey: AWS_SECRET_ACCESS_KEY } = ceph.owner;
  const location = `s3:${ceph.endpoint}/${bucket}`;
  const credentials = { AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_REGION: "us-east-1" };
  const pairs = await dumpInTurn(tools, location, credentials, runs);
  return { pairs, version: ceph.version };
}

async function upload({ admin }: Ceph, Bucket: string, folder: string): Promise<void> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  for (const entry of entries) {
    if (!entry.isFile()) continue;
    const path = join(entry.parentPath, entry.name);
    const key = path.slice(folder.length + 1);
    await admin.send(new PutObjectCommand({ Bucket, Key: key, Body: await readFile(path) }));
  }
}

async function dumpInTurn(
  { built, folder, passwordFile, restic }: Tools,
  location: string,
  credentials: Readonly<Record<string, string>>,
  runs: number,
): Promise<readonly Pair[]> {
  const where = ["--repository", location, "--password-file", passwordFile];
  const ours: Program = {
    command: process.execPath,
    args: [built.main, "dump", "latest", FILE, ...where],
    env: { HOME: folder, ...credentials },
  };
  const peer: Program = {
    command: restic,
    args: ["--no-cache", "dump", "latest", `/${FILE}`],
    env: { RESTIC_REPOSITORY: location, RESTIC_PASSWORD_FILE: passwordFile, ...credentials },
  };
  const pairs: Pair[] = [];
  for (let run = 0; run < runs; run += 1) {
    const pair = await inTurn(run, ours, peer);
    if (pair.ours.stdout !== pair.peer.stdout || pair.ours.stdout === "") {
      throw new Error("both read something else");
    }
    pairs.push(pair);
  }
  return pairs;
}
