/*
 * effects
 *   reads         indexes, one snapshot, the blobs of one file
 *   writes        one audit record; the file's content to the caller
 *   locks         none
 *   leaves behind nothing
 *   exit codes    0; 1 no such snapshot or path; 10 no repository; 12 wrong password; 20 the file is damaged
 */
import { rm } from "node:fs/promises";
import type { Bytes } from "../kernel/index.ts";
import { destinationNamed } from "../policy/index.ts";
import type { Policy } from "../policy/index.ts";
import { recordAccess } from "./audit-log.ts";
import type { OperationContext } from "./context.ts";
import { orErased } from "./erased.ts";
import { createNewFile } from "./new-file.ts";
import { openDestination, recordedView } from "./open.ts";
import type { View } from "./open.ts";
import { entryPath } from "./path-text.ts";

export interface DumpOptions extends View {
  readonly policy: Policy;
  readonly destination?: string;
  readonly snapshot: string;
  readonly path: string;
}

export interface DumpedFile {
  readonly snapshot: string;
  readonly path: string;
  readonly sizeBytes: number;
  /** Each blob is compared with its hash before it is given; a damaged one throws in the middle. */
  readonly content: AsyncIterable<Bytes>;
}

export async function dumpFile(
  context: OperationContext,
  options: DumpOptions,
): Promise<DumpedFile> {
  const { signal } = context;
  const destination = destinationNamed(options.policy, options.destination);
  await recordAccess(context, options.policy, "dump", {
    destination: destination.name,
    snapshot: options.snapshot,
    path: options.path,
    ...recordedView(options),
  });
  const repository = await openDestination(context, destination, options);
  const snapshot = await repository.resolveSnapshot(options.snapshot, { signal });
  const reader = await repository.acquireReader({ signal });
  const entry = await orErased(repository, snapshot, options.path, signal, () =>
    reader.find(snapshot, entryPath(options.path), { signal }),
  );
  return {
    snapshot: snapshot.id,
    path: options.path,
    sizeBytes: entry.sizeBytes,
    content: reader.read(entry, { signal }),
  };
}

export interface SavedDump {
  readonly snapshot: string;
  readonly path: string;
  readonly output: string;
  readonly sizeBytes: number;
}

/** Into a file that is not there yet; a file that could not be written whole is removed again. */
export async function saveDump(
  context: OperationContext,
  options: DumpOptions,
  output: string,
): Promise<SavedDump> {
  const { snapshot, path, sizeBytes, content } = await dumpFile(context, options);
  await using file = await createNewFile(output, 0o600);
  try {
    for await (const chunk of content) await file.write(chunk);
    await file.sync();
  } catch (thrown) {
    await rm(output, { force: true });
    throw thrown;
  }
  return { snapshot, path, output, sizeBytes };
}
