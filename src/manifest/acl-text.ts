import { manifestError } from "./errors.ts";

/** The text form of an aclitem array: grantee, `=`, letters (with a star: grantable), `/`, grantor. */

export interface AclItem {
  /** Empty for PUBLIC. */
  readonly grantee: string;
  readonly privileges: readonly { readonly letter: string; readonly grantable: boolean }[];
  readonly grantor: string;
}

const ITEM =
  /^(?<grantee>"(?:[^"]|"")*"|[^"=]*)=(?<letters>[a-zA-Z*]*)\/(?<grantor>"(?:[^"]|"")*"|[^"]*)$/s;

export function parseAcl(text: string): readonly AclItem[] {
  return splitArray(text).map((item) => {
    const groups = ITEM.exec(item)?.groups;
    if (groups === undefined) throw damaged(text);
    return {
      grantee: unquote(groups["grantee"] ?? ""),
      privileges: [...(groups["letters"] ?? "").matchAll(/([a-zA-Z])(\*?)/g)].map((match) => ({
        letter: match[1] ?? "",
        grantable: match[2] === "*",
      })),
      grantor: unquote(groups["grantor"] ?? ""),
    };
  });
}

function splitArray(text: string): readonly string[] {
  if (!text.startsWith("{") || !text.endsWith("}")) throw damaged(text);
  const body = text.slice(1, -1);
  const items: string[] = [];
  const element = /(?:"((?:[^"\\]|\\.)*)"|([^",{}\\]+))(?:,|$)/sy;
  while (element.lastIndex < body.length) {
    const match = element.exec(body);
    if (match === null) throw damaged(text);
    items.push(match[1]?.replaceAll(/\\(.)/gs, "$1") ?? match[2] ?? "");
  }
  return items;
}

function unquote(name: string): string {
  return name.startsWith('"') ? name.slice(1, -1).replaceAll('""', '"') : name;
}

function damaged(text: string): Error {
  return manifestError("damaged", {
    message: "access rights of a large object that cannot be read",
    subject: { acl: text.slice(0, 200) },
  });
}
