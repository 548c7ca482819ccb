import type { Bytes } from "../../kernel/index.ts";
import { countOf, objectOf, parseJson, stringOf, timeOf } from "../json.ts";
import { goJsonString, goTime } from "../tree/go-json.ts";

/** restic's lock files. docs/spec/repository.md §locks */
export interface LockFile {
  readonly time: Date;
  readonly exclusive: boolean;
  readonly hostname: string;
  readonly username: string;
  readonly pid: number;
}

export function formatLock(lock: LockFile): Bytes {
  const who = `"hostname":${goJsonString(lock.hostname)},"username":${goJsonString(lock.username)}`;
  const head = `"time":${goTime(lock.time)},"exclusive":${lock.exclusive}`;
  return Buffer.from(`{${head},${who},"pid":${lock.pid}}`);
}

export function parseLock(json: Bytes): LockFile | undefined {
  const fields = objectOf(parseJson(json));
  const time = timeOf(fields?.["time"]);
  const exclusive = fields?.["exclusive"];
  const hostname = stringOf(fields?.["hostname"]);
  const username = stringOf(fields?.["username"]);
  const pid = countOf(fields?.["pid"]);
  if (time === undefined || typeof exclusive !== "boolean" || pid === undefined) return undefined;
  if (hostname === undefined || username === undefined) return undefined;
  return { time, exclusive, hostname, username, pid };
}
