import { toHex } from "../../kernel/index.ts";
import { coreOf } from "../core.ts";
import { objectOf, stringOf } from "../json.ts";
import type { JsonObject } from "../json.ts";
import type { Repository } from "../types.ts";
import { loadRecords, saveRecord } from "./record.ts";

/**
 * Sealed copies of the manifests of plain files: whoever changes a file and the manifest beside it cannot change these. The
 * form of a manifest is its writer's. docs/spec/dump.md §records
 */
export interface DumpRecord {
  /** The store of the file, for people. */
  readonly location: string;
  readonly file: string;
  readonly manifest: JsonObject;
}

interface WaitOptions {
  readonly signal?: AbortSignal;
}

/** Durable when this returns. */
export async function saveDumpRecord(
  repository: Repository,
  { location, file, manifest }: DumpRecord,
  { signal }: WaitOptions = {},
): Promise<string> {
  const core = coreOf(repository);
  const at = core.clock.now().toISOString();
  const nonce = toHex(core.random(8));
  return saveRecord(core, "dumps", { type: "dump", location, file, at, nonce, manifest }, signal);
}

/** Oldest first by the store's clock. */
export async function loadDumpRecords(
  repository: Repository,
  { signal }: WaitOptions = {},
): Promise<readonly DumpRecord[]> {
  const found = await loadRecords(coreOf(repository), "dumps", parseDumpRecord, signal);
  return found.map(({ value }) => value);
}

function parseDumpRecord(fields: JsonObject): DumpRecord | undefined {
  const location = stringOf(fields["location"]);
  const file = stringOf(fields["file"]);
  const manifest = objectOf(fields["manifest"]);
  if (location === undefined || file === undefined || manifest === undefined) return undefined;
  return { location, file, manifest };
}
