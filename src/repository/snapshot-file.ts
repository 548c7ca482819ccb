import { asBlobId, asSnapshotId } from "../kernel/index.ts";
import type { Bytes, SnapshotId } from "../kernel/index.ts";
import { hexIdOf, objectOf, parseJson, stringListOf, stringOf, timeOf } from "./json.ts";
import type { JsonObject } from "./json.ts";
import { goJsonString, goTime } from "./tree/go-json.ts";
import type { Snapshot } from "./types.ts";

/** restic's snapshot files. docs/spec/repository.md §snapshot */
export interface NewSnapshot {
  readonly time: Date;
  readonly tree: string;
  readonly paths: readonly string[];
  readonly hostname: string;
  readonly username: string;
  readonly tags: readonly string[];
  readonly programVersion: string;
}

export function formatSnapshot(snapshot: NewSnapshot): Bytes {
  const head = `"time":${goTime(snapshot.time)},"tree":"${snapshot.tree}"`;
  const paths = `"paths":${stringList(snapshot.paths)}`;
  const who = `"hostname":${goJsonString(snapshot.hostname)},"username":${goJsonString(snapshot.username)}`;
  const tags = snapshot.tags.length === 0 ? "" : `,"tags":${stringList(snapshot.tags)}`;
  const program = `"program_version":${goJsonString(snapshot.programVersion)}`;
  return Buffer.from(`{${head},${paths},${who}${tags},${program}}`);
}

function stringList(list: readonly string[]): string {
  return `[${list.map(goJsonString).join(",")}]`;
}

export function parseSnapshot(json: Bytes, id: SnapshotId): Snapshot | undefined {
  const fields = objectOf(parseJson(json));
  return fields === undefined ? undefined : snapshotOf(fields, id);
}

export function snapshotOf(fields: JsonObject, id: SnapshotId): Snapshot | undefined {
  const time = timeOf(fields["time"]);
  const tree = hexIdOf(fields["tree"]);
  const paths = stringListOf(fields["paths"]);
  const tags = stringListOf(fields["tags"]);
  if (time === undefined || tree === undefined) return undefined;
  if (paths === undefined || tags === undefined) return undefined;
  const parent = hexIdOf(fields["parent"]);
  const original = originalOf(fields);
  const programVersion = stringOf(fields["program_version"]);
  return {
    id,
    time,
    hostname: stringOf(fields["hostname"]) ?? "",
    username: stringOf(fields["username"]) ?? "",
    paths,
    tags,
    tree: asBlobId(tree),
    ...(parent === undefined ? {} : { parent: asSnapshotId(parent) }),
    ...(original === undefined ? {} : { original: asSnapshotId(original) }),
    ...(programVersion === undefined ? {} : { programVersion }),
  };
}

const NO_ID = "0".repeat(64);

/** restic writes an id of zeros where Go's pointer would be nil: none. */
function originalOf(fields: JsonObject): string | undefined {
  const id = hexIdOf(fields["original"]);
  return id === NO_ID ? undefined : id;
}
