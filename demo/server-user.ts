import { readFileSync } from "node:fs";
import { demoError } from "./errors.ts";

/** Whom the server runs as: PostgreSQL refuses root. Empty when we are an ordinary user already. */
export interface ServerUser {
  readonly uid?: number;
  readonly gid?: number;
}

const CANDIDATES = ["postgres", "_postgres", "nobody", "daemon"];

export function serverUser(): ServerUser {
  if (process.getuid?.() !== 0) return {};
  return unprivilegedUser(readFileSync("/etc/passwd", "utf8"));
}

export function unprivilegedUser(passwd: string): ServerUser {
  const accounts = parsePasswd(passwd);
  for (const name of CANDIDATES) {
    const account = accounts.get(name);
    if (account !== undefined && account.uid > 0) return account;
  }
  throw demoError("no_server_user", {
    message: `none of the users ${CANDIDATES.join(", ")} in /etc/passwd`,
  });
}

export function parsePasswd(text: string): Map<string, { uid: number; gid: number }> {
  const accounts = new Map<string, { uid: number; gid: number }>();
  for (const line of text.split("\n")) {
    const [name, , uid, gid] = line.split(":");
    if (name === undefined || uid === undefined || gid === undefined) continue;
    accounts.set(name, { uid: Number(uid), gid: Number(gid) });
  }
  return accounts;
}
