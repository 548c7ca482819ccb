import { readFile } from "node:fs/promises";
import { drillError } from "./errors.ts";

/** Whom the server runs as: PostgreSQL refuses root. `undefined` when we are an ordinary user already. */
export interface ServerUser {
  readonly uid: number;
  readonly gid: number;
}

/** Of PostgreSQL's packages, else one that owns nothing. */
const CANDIDATES = ["postgres", "_postgres", "nobody"];

export async function serverUser(ownUid: number | undefined): Promise<ServerUser | undefined> {
  if (ownUid !== 0) return undefined;
  return ordinaryUser(await readFile("/etc/passwd", "utf8"));
}

export function ordinaryUser(passwd: string): ServerUser {
  const accounts = new Map(passwd.split("\n").map((line) => [line.split(":")[0], line.split(":")]));
  for (const name of CANDIDATES) {
    const [, , uid, gid] = accounts.get(name) ?? [];
    if (Number(uid) > 0 && Number(gid) > 0) return { uid: Number(uid), gid: Number(gid) };
  }
  throw drillError("no_server_user", { message: `none of the users ${CANDIDATES.join(", ")}` });
}
