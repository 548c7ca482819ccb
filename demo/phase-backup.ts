import { formatTable } from "../src/cli/index.ts";
import { formatBytes, formatCount, formatDuration } from "../src/kernel/index.ts";
import { backup, init, listEntries, listSnapshots } from "../src/operation/index.ts";
import type { BackupResult, OperationContext } from "../src/operation/index.ts";
import type { Policy } from "../src/policy/index.ts";
import type { WorkFolder } from "./work-folder.ts";
import type { Screen } from "./screen.ts";
import { demoError } from "./errors.ts";

/** Name of the variable that the policy takes the source's connection from; it exists in the context alone. */
export const SOURCE_VARIABLE = "MARKETPLACE_URL";

/** What a user writes into `sparekeep.yaml`, as a value. */
export function demoPolicy(folder: WorkFolder): Policy {
  return {
    name: "demo",
    state: folder.stateDirectory,
    sources: { marketplace: { kind: "postgres", connection: { env: SOURCE_VARIABLE } } },
    destinations: {
      folder: { url: folder.repository, password: { file: folder.passwordFile } },
    },
    plans: { nightly: { source: "marketplace", capture: "everything", to: "folder" } },
    targets: {},
  };
}

export async function backUp(
  screen: Screen,
  context: OperationContext,
  policy: Policy,
): Promise<{ readonly result: BackupResult; readonly backupMs: number }> {
  await screen.step(
    "create",
    () => init(context, { policy, generatePassword: true }),
    ({ destinations }) =>
      `encrypted repository ${destinations[0]?.repository.slice(0, 8) ?? ""} made, with a random password,`,
  );
  const { value: result, tookMs } = await screen.during((onProgress) =>
    backup(context, { policy, onProgress }),
  );
  const { readBytes, writtenBytes } = result;
  for (const issue of result.issues) screen.line(`missing: ${issue.object}: ${issue.message}`);
  if (result.outcome !== "complete") {
    throw demoError("different", { message: "incomplete backup of the marketplace" });
  }
  screen.line(
    `Snapshot ${result.snapshot.slice(0, 8)}: ${formatCount(result.tables)} tables, ${formatCount(result.rows)} rows, ${result.outcome}, in ${formatDuration(tookMs)}.`,
  );
  screen.line(
    `${formatBytes(readBytes)} became ${formatBytes(writtenBytes)}, encrypted: ${(readBytes / writtenBytes).toFixed(1)} times smaller.`,
  );
  return { result, backupMs: tookMs };
}

/** As `sparekeep snapshots` and `sparekeep ls` show it. */
export async function showSnapshot(
  screen: Screen,
  context: OperationContext,
  policy: Policy,
): Promise<void> {
  const snapshots = await listSnapshots(context, { policy });
  const rows = snapshots.map((snapshot) => [
    snapshot.id.slice(0, 8),
    snapshot.time.replace("T", " ").replace(/\.\d+Z$/, "Z"),
    snapshot.plan ?? "-",
    snapshot.source ?? "-",
    snapshot.outcome,
  ]);
  for (const line of formatTable(["ID", "TIME", "PLAN", "SOURCE", "OUTCOME"], rows)) {
    screen.line(line);
  }
  screen.line();
  const { entries } = await listEntries(context, { policy, snapshot: "latest", recursive: true });
  const sizes = new Map<string, FolderSize>();
  for await (const entry of entries) {
    if (entry.type !== "file") continue;
    const top = placeOf(entry.path);
    const size = sizes.get(top) ?? { files: 0, sizeBytes: 0 };
    sizes.set(top, { files: size.files + 1, sizeBytes: size.sizeBytes + entry.sizeBytes });
  }
  const lines = [...sizes].map(([path, size]) => [
    path,
    formatCount(size.files),
    formatBytes(size.sizeBytes),
  ]);
  for (const line of formatTable(["IN IT", "FILES", "SIZE"], lines, ["FILES", "SIZE"])) {
    screen.line(line);
  }
}

interface FolderSize {
  readonly files: number;
  readonly sizeBytes: number;
}

/** Tables by schema, scripts together, everything else by its own name. */
function placeOf(path: string): string {
  const parts = path.replace(/^\//, "").split("/");
  if (parts[0] !== "database") return parts.join("/");
  if (parts.length === 2 && path.endsWith(".sql")) return "database/*.sql";
  if (parts.length === 2) return parts.join("/");
  return `${parts.slice(0, parts[1] === "tables" ? 3 : 2).join("/")}/`;
}
