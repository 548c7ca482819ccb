import type { ConnectionFacts } from "../objectstore/index.ts";
import { coreOf } from "./core.ts";
import type { Repository } from "./types.ts";

/** What was seen on the wire since the repository was opened; `undefined`: its store is not behind a network. */
export function connectionOf(repository: Repository): ConnectionFacts | undefined {
  return coreOf(repository).store.connection?.();
}
