import type { Bytes } from "../../kernel/index.ts";
import { repositoryError } from "../errors.ts";
import { latin1 } from "../tree/names.ts";
import { bytesOfName } from "../tree/pending.ts";
import type { EntryPath } from "../types.ts";

/** Paths by true names, as a tree of them. */
export interface PathSet {
  /** This entry itself, with everything below. */
  whole: boolean;
  readonly below: Map<string, PathSet>;
}

export function pathSet(paths: readonly EntryPath[]): PathSet {
  const root = emptySet();
  for (const path of paths) {
    if (path.length === 0) {
      throw repositoryError("invalid_path", {
        message: "the whole snapshot as a path to leave out",
      });
    }
    let at = root;
    for (const part of path) {
      const name = latin1(bytesOfName(part));
      const next = at.below.get(name) ?? emptySet();
      at.below.set(name, next);
      at = next;
    }
    at.whole = true;
  }
  return root;
}

export function childOf(set: PathSet, name: Bytes): PathSet | undefined {
  return set.below.get(latin1(name));
}

export function namesOf(set: PathSet): readonly Bytes[] {
  return [...set.below.keys()].map((name) => Buffer.from(name, "latin1"));
}

function emptySet(): PathSet {
  return { whole: false, below: new Map() };
}
