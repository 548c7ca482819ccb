import { formatBytes, formatDuration } from "../src/kernel/index.ts";
import type { OperationContext } from "../src/operation/index.ts";
import { BACKUP_ROLE } from "./marketplace.ts";
import { backUp, demoPolicy, showSnapshot, SOURCE_VARIABLE } from "./phase-backup.ts";
import { bringBack, compare, destroy, startTarget } from "./phase-restore.ts";
import { DATABASE, loadSource, startSource } from "./phase-source.ts";
import type { ServerPrograms } from "./programs.ts";
import type { Screen } from "./screen.ts";
import { createWorkFolder } from "./work-folder.ts";
import type { WorkFolder, WorkFolderOptions } from "./work-folder.ts";

export interface StoryOptions {
  readonly screen: Screen;
  /** Its `env` and `stateDirectory` are replaced by the demo's own. */
  readonly context: OperationContext;
  readonly programs: ServerPrograms;
  readonly scale: number;
  readonly folder: WorkFolderOptions;
  /** Of the backup role, random. */
  readonly backupPassword: string;
}

/** The whole story; everything that it started is gone when this returns or throws, but for what `--keep` keeps. */
export async function tellStory(options: StoryOptions): Promise<void> {
  const { screen, backupPassword } = options;
  const { clock, signal } = options.context;
  const startedMs = clock.monotonicMs();
  await using folder = await createWorkFolder(options.folder);
  const phase = { ...options, clock, signal };

  screen.heading("1/6  A car-parts marketplace, laid out as Supabase does it");
  await using source = await startSource(phase);
  const { image, sizeBytes, loadMs } = await loadSource(phase, source);
  const sourceUrl = source.url(DATABASE, { name: BACKUP_ROLE, password: backupPassword });
  const context: OperationContext = {
    ...options.context,
    stateDirectory: folder.stateDirectory,
    env: (name) => (name === SOURCE_VARIABLE ? sourceUrl : undefined),
  };
  const policy = demoPolicy(folder);

  screen.heading("2/6  Back it up, as a role that can read everything and change nothing");
  const { result, backupMs } = await backUp(screen, context, policy);

  screen.heading("3/6  What the repository holds");
  await showSnapshot(screen, context, policy);

  screen.heading("4/6  The disaster");
  await destroy(screen, source);

  screen.heading("5/6  Get it back, from the repository and its password alone");
  await using target = await startTarget(phase);
  const { restoreMs, withheld } = await bringBack(screen, context, policy, target);

  screen.heading("6/6  Is it the same?");
  const compareMs = await compare(screen, image, target, withheld, signal);
  await folder.keep();
  const took = { loadMs, backupMs, restoreMs, compareMs, allMs: clock.monotonicMs() - startedMs };
  tellEnd(screen, folder, took, { sizeBytes, storedBytes: result.writtenBytes });
}

function tellEnd(
  screen: Screen,
  folder: WorkFolder,
  took: Readonly<Record<"loadMs" | "backupMs" | "restoreMs" | "compareMs" | "allMs", number>>,
  sizes: { readonly sizeBytes: number; readonly storedBytes: number },
): void {
  const line = (name: string, ms: number, note = ""): void =>
    screen.line(`  ${name.padEnd(12)}${formatDuration(ms).padStart(9)}   ${note}`.trimEnd());
  screen.heading(`Destroyed and recovered. The whole demo took ${formatDuration(took.allMs)}:`);
  line("fill", took.loadMs, `${formatBytes(sizes.sizeBytes)} of database`);
  line("back up", took.backupMs, `${formatBytes(sizes.storedBytes)} in the repository`);
  line("restore", took.restoreMs, "indexes, constraints and verification included");
  line("compare", took.compareMs, "by the demo's own comparer, not by Sparekeep");
  screen.heading("Next");
  for (const text of nextSteps(folder)) screen.line(`  ${text}`);
}

function nextSteps(folder: WorkFolder): string[] {
  if (folder.kept === undefined) {
    return [
      "npm run demo -- --keep DIR         leaves you the repository to look into",
      "./sparekeep init --help            your own database, in two commands",
    ];
  }
  const at = `-r ${folder.repository} --password-file ${folder.passwordFile}`;
  return [
    "The repository is a standard restic repository. Stock restic reads it:",
    `restic ${at} snapshots`,
    `restic ${at} check --read-data`,
    "and so does Sparekeep:",
    `./sparekeep ls --repository ${folder.repository} --password-file ${folder.passwordFile}`,
  ];
}
