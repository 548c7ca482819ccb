import { statfs } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { counted, formatBytes, formatTime, GIB } from "../kernel/index.ts";
import type { FilesDestination, RepositoryDestination } from "../policy/index.ts";
import type { OperationContext } from "./context.ts";
import { examineLock } from "./doctor-lock.ts";
import type { Finding } from "./finding.ts";
import { keyFindings } from "./doctor-keys.ts";
import { probeDestination, storeFindings } from "./doctor-store.ts";
import { openDestination, openStore } from "./open.ts";

const LITTLE_SPACE_BYTES = 5 * GIB;
const LITTLE_SPACE_SHARE = 0.05;

export async function examineDestination(
  context: OperationContext,
  subject: string,
  destination: RepositoryDestination,
  { isWritten }: { readonly isWritten: boolean },
): Promise<readonly Finding[]> {
  const repository = await openDestination(context, destination);
  const snapshots = await repository.snapshots({ signal: context.signal });
  const newest = snapshots.at(-1)?.time;
  const message = `repository ${repository.id.slice(0, 8)} opens; ${newest === undefined ? "no snapshot yet" : `${counted(snapshots.length, "snapshot")}, newest ${formatTime(newest)}`}`;
  const findings: Finding[] = [{ status: "ok", subject, message }];
  const ahead = (snapshots.at(-1)?.time.getTime() ?? 0) - context.clock.now().getTime();
  if (ahead > 60_000) {
    const fix = "Set the clock of this machine; retention and locks depend on it.";
    findings.push({ status: "warn", subject, message: "newest snapshot lies in the future", fix });
  }
  const point = snapshots.at(-1);
  const store = await openStore(context, destination);
  const facts = await probeDestination(context, store, destination, isWritten);
  findings.push(...storeFindings(subject, destination, facts));
  const looked = { store, facts, repository, ...(point === undefined ? {} : { newest: point }) };
  findings.push(...(await examineLock(context, subject, destination, looked)));
  findings.push(...(await keyFindings(context, subject, destination, repository)));
  return [...findings, ...(await spaceFindings(subject, destination.url))];
}

/** Plain files: whether the store answers. Nothing is tried out by writing: what lies there belongs to people. */
export async function examineFiles(
  context: OperationContext,
  subject: string,
  destination: FilesDestination,
): Promise<readonly Finding[]> {
  const store = await openStore(context, destination);
  let files = 0;
  for await (const _found of store.list("", { signal: context.signal })) files += 1;
  const message = `${counted(files, "plain file")} at ${store.location}`;
  const answers: Finding = { status: "ok", subject, message };
  // A folder that is not there yet is made by the first dump.
  return files === 0 ? [answers] : [answers, ...(await spaceFindings(subject, destination.url))];
}

/** Of a folder alone: other stores do not tell. */
async function spaceFindings(subject: string, url: string): Promise<readonly Finding[]> {
  const isFile = /^file:/i.test(url);
  if (!isFile && /^[a-z][a-z0-9+.-]+:/i.test(url)) return [];
  const folder = isFile ? fileURLToPath(url) : url;
  const { bavail, blocks, bsize } = await statfs(folder);
  const freeBytes = bavail * bsize;
  const message = `${formatBytes(freeBytes)} free of ${formatBytes(blocks * bsize)}`;
  if (freeBytes > LITTLE_SPACE_BYTES || bavail / blocks > LITTLE_SPACE_SHARE) {
    return [{ status: "ok", subject, message }];
  }
  return [{ status: "warn", subject, message: `only ${message}`, fix: "Free disk space there." }];
}
