import { toAppError } from "../../kernel/index.ts";
import { loadArchive } from "../archive/load.ts";
import { sortArchive } from "../archive/sort.ts";
import type { ArchiveToc } from "../archive/toc.ts";
import { rethrowFatal } from "../context.ts";
import { isOwnJobTable, readJobs } from "../cron/jobs.ts";
import type { CronJob } from "../cron/jobs.ts";
import { restoreError } from "../errors.ts";
import { furnitureOf } from "../furniture.ts";
import { CRON_EXTENSION, listJob, runJob } from "./cron-items.ts";
import { readReleaseFacts } from "./facts.ts";
import type { ReleaseFacts } from "./facts.ts";
import { itemsOf } from "./items.ts";
import type { ArchiveItem } from "./items.ts";
import { refusalOf } from "./judge.ts";
import { acquireAdmin, acquireHands } from "./releaser.ts";
import type { Hands } from "./releaser.ts";
import { missingOf, runItem } from "./run.ts";
import { shownStatements } from "./show.ts";
import { ITEM_KINDS } from "./types.ts";
import type {
  ListedItem,
  ReleaseOptions,
  ReleasePlan,
  ReleaseResult,
  ReleasedItem,
} from "./types.ts";

/**
 * What a restore left out, turned on item by item (I5, docs/spec/release.md).
 *
 * 1. the items are told by the snapshot's archive and manifest alone, their state by the target's catalog
 * 2. what was chosen and cannot be released is refused before anything is written
 * 3. each item is recorded, then released, in the order of ITEM_KINDS: what others need comes first, event triggers last
 * 4. the target is read again: released is what is there
 */
export async function planRelease(options: ReleaseOptions): Promise<ReleasePlan> {
  const { manifest } = options;
  const toc = await loadArchive(options);
  const all = isOwnJobTable(toc.entries) ? [] : await readJobs(options);
  const given = {
    toc,
    jobs: all.filter(({ active }) => active),
    sourceDatabase: manifest.database.server.databaseName,
  };
  const found = await look(options, given);
  const { chosen, refused } = choose(found.listed, options.chosen);
  let spent = false;
  return {
    items: found.listed,
    chosen,
    refused,
    execute: async () => {
      if (spent) throw restoreError("plan_spent", { message: "release plan executed before" });
      spent = true;
      return await execute(options, given, { chosen, refused });
    },
  };
}

/** What the snapshot says, once and for all. */
interface Given {
  readonly toc: ArchiveToc;
  /** That were on. */
  readonly jobs: readonly CronJob[];
  readonly sourceDatabase: string;
}

interface Look {
  readonly facts: ReleaseFacts;
  readonly items: readonly ArchiveItem[];
  readonly listed: readonly ListedItem[];
}

async function look(options: ReleaseOptions, given: Given): Promise<Look> {
  const { toc, jobs, sourceDatabase } = given;
  const facts = await readReleaseFacts(options);
  // Of the platform's own nothing is an item, whatever its project holds by now.
  const decide =
    facts.platform === undefined ? undefined : furnitureOf(facts.platform, () => false).decide;
  const { held } = sortArchive(toc, { limits: options.manifest.database.limitedTo, decide });
  const items = itemsOf(toc, held);
  const listed = [
    ...items.map((item) => listItem(item, facts)),
    ...jobs.map((job) =>
      listJob(job, facts, {
        sourceDatabase,
        canInstall: items.some(({ id }) => id === CRON_EXTENSION),
      }),
    ),
  ];
  const rank = ({ kind }: ListedItem): number => ITEM_KINDS.indexOf(kind);
  return { facts, items, listed: listed.toSorted((a, b) => rank(a) - rank(b)) };
}

function listItem(item: ArchiveItem, facts: ReleaseFacts): ListedItem {
  const missing = missingOf(item, facts).filter((entry) => facts.there(entry) === false);
  const why = missing.length === 0 ? undefined : refusalOf(item, facts);
  const state = missing.length === 0 ? "released" : why === undefined ? "withheld" : "refused";
  const warning = warningOf(item);
  return {
    id: item.id,
    kind: item.kind,
    reason: item.reason,
    state,
    ...(why === undefined ? {} : { why }),
    statements: shownStatements(missing.length === 0 ? [] : missingOf(item, facts)),
    needs: item.needs,
    ...(warning === undefined || state === "released" ? {} : { warning }),
  };
}

function warningOf({ kind, id }: ArchiveItem): string | undefined {
  if (kind === "extension" && id !== CRON_EXTENSION) {
    return "every function that calls it can call out from then on, also one that policies, defaults or views call";
  }
  if (kind === "event trigger") {
    return "it belongs to the login, and its function runs with the rights of whoever changes the schema, a superuser's too";
  }
  return undefined;
}

type Chosen = Pick<ReleasePlan, "chosen" | "refused">;

function choose(listed: readonly ListedItem[], wanted: ReleaseOptions["chosen"]): Chosen {
  const unknown = wanted.items.find((id) => listed.every((item) => item.id !== id));
  if (unknown !== undefined) {
    throw restoreError("item_unknown", { message: `no withheld item ${JSON.stringify(unknown)}` });
  }
  const isNamed = (item: ListedItem): boolean => wanted.items.includes(item.id);
  const named = listed.filter((item) => isNamed(item) || wanted.kinds.includes(item.kind));
  const open = named.filter(({ state }) => state !== "released");
  const blocked = (item: ListedItem): string | undefined =>
    item.why ?? lacking(item, { listed, chosen: named });
  const refused = open
    .map((item) => ({ item, why: blocked(item) }))
    .filter(({ why }) => why !== undefined);
  const [first] = refused.filter(({ item }) => isNamed(item));
  if (first !== undefined) {
    throw restoreError("item_refused", {
      message: `${first.item.id}: ${first.why ?? ""}`,
      hint: "Run `sparekeep release` without --item to see what is possible here.",
    });
  }
  return {
    chosen: open.filter((item) => blocked(item) === undefined),
    refused: refused.map(({ item, why }) => ({ ...item, ...(why === undefined ? {} : { why }) })),
  };
}

/** Something that it needs is neither there nor released together with it. */
function lacking(
  item: ListedItem,
  {
    listed,
    chosen,
  }: { readonly listed: readonly ListedItem[]; readonly chosen: readonly ListedItem[] },
): string | undefined {
  const need = item.needs.find((id) => {
    const needed = listed.find((other) => other.id === id);
    if (needed === undefined || needed.state === "released") return false;
    return needed.state === "refused" || !chosen.includes(needed);
  });
  return need === undefined ? undefined : `it needs ${need}, which is not released`;
}

async function execute(
  options: ReleaseOptions,
  given: Given,
  { chosen, refused }: Chosen,
): Promise<ReleaseResult> {
  // The target may have changed while the plan was read.
  const { facts, items, listed } = await look(options, given);
  const done = new Map<string, ReleasedItem>();
  const run = async (wanted: readonly ListedItem[], hands: Hands): Promise<void> => {
    for (const { id } of wanted) {
      const item = items.find((one) => one.id === id);
      const job = given.jobs.find((one) => one.id === id);
      const now = listed.find((one) => one.id === id);
      if (now === undefined || now.state === "released") continue;
      await options.onItem(id);
      try {
        if (now.why !== undefined) throw restoreError("item_refused", { message: now.why });
        if (job !== undefined) await runJob(job, hands, facts);
        if (item === undefined) continue;
        await runItem(item, { hands, facts, archiveDatabase: given.toc.databaseName });
      } catch (thrown) {
        rethrowFatal(thrown);
        done.set(id, failedItem(now, thrown, facts));
      }
    }
  };
  const [triggers, others] = [true, false].map((acts) =>
    chosen.filter(({ kind }) => (kind === "event trigger") === acts),
  );
  if (others !== undefined && others.length > 0) {
    await using hands = await acquireHands(options, facts);
    await run(others, hands);
  }
  // When nothing is left to do as a superuser that an event trigger could see.
  if (triggers !== undefined && triggers.length > 0) {
    await using hands = await acquireAdmin(options, facts);
    await run(triggers, hands);
  }
  const after = await look(options, given);
  const released = chosen.map(({ id }): ReleasedItem => {
    const failed = done.get(id);
    if (failed !== undefined) return failed;
    const isThere = after.listed.find((item) => item.id === id)?.state === "released";
    if (isThere) return { id, outcome: "released" };
    return { id, outcome: "failed", message: "not there after it was released" };
  });
  const complete = refused.length === 0 && released.every(({ outcome }) => outcome === "released");
  return { outcome: complete ? "complete" : "incomplete", released };
}

function failedItem(
  { id, statements }: ListedItem,
  thrown: unknown,
  facts: ReleaseFacts,
): ReleasedItem {
  const { message, hint: given } = toAppError(thrown);
  const byOwner = `As its owner or a superuser run: ${statements.join("; ")}.`;
  const hint = facts.superuser ? given : byOwner;
  return { id, outcome: "failed", message, ...(hint === undefined ? {} : { hint }) };
}
