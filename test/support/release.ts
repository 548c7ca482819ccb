import { randomBytes } from "node:crypto";
import { Secret } from "../../src/kernel/index.ts";
import type { ReleaseOptions } from "../../src/restore/index.ts";
import { restoreOptions } from "./restore.ts";
import type { Made } from "./restore.ts";

export function releaseOptions(
  made: Made,
  url: string,
  chosen: Partial<ReleaseOptions["chosen"]> = {},
  more: Partial<ReleaseOptions> = {},
): ReleaseOptions {
  const { reader, snapshot, manifest, tools } = restoreOptions(made, url);
  return {
    reader,
    snapshot,
    manifest,
    tools,
    targetUrl: new Secret(url),
    random: (size) => randomBytes(size),
    chosen: { items: [], kinds: [], ...chosen },
    onItem: async () => {},
    ...more,
  };
}
