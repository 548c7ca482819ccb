import type { RandomBytes, Secret } from "../../kernel/index.ts";
import type { Manifest } from "../../manifest/index.ts";
import type { ClientTools } from "../../postgres/index.ts";
import type { Snapshot, SnapshotReader } from "../../repository/index.ts";

export const ITEM_KINDS = [
  "extension",
  "foreign server",
  "user mapping",
  "publication",
  "subscription",
  "trigger",
  "rule",
  "cron job",
  "event trigger",
  "foreign data wrapper",
  "language",
] as const;

export type ItemKind = (typeof ITEM_KINDS)[number];

export interface ReleaseOptions {
  readonly reader: SnapshotReader;
  readonly snapshot: Snapshot;
  readonly manifest: Manifest;
  readonly targetUrl: Secret;
  readonly tools: ClientTools;
  readonly random: RandomBytes;
  readonly signal?: AbortSignal;
  /** Ids of items, and kinds of which all that can be released are. */
  readonly chosen: {
    readonly items: readonly string[];
    readonly kinds: readonly ItemKind[];
  };
  /** Called before an item is touched, and awaited: the record of it is durable then (I9). */
  readonly onItem: (id: string) => Promise<void>;
}

/** `released`: all of it is at the target. `refused`: not from here, and `why` says what to do. */
export type ItemState = "withheld" | "released" | "refused";

export interface ListedItem {
  /** `trigger public.orders tell_the_shop`: what `--item` takes. */
  readonly id: string;
  readonly kind: ItemKind;
  /** Why the restore left it out. */
  readonly reason: string;
  readonly state: ItemState;
  readonly why?: string;
  /** What will run, in order; texts between quotes are hidden where they may hold keys, addresses or passwords. */
  readonly statements: readonly string[];
  /** Ids of items that must be released before. */
  readonly needs: readonly string[];
  /** What the release brings besides what its name says. */
  readonly warning?: string;
}

export interface ReleasedItem {
  readonly id: string;
  readonly outcome: "released" | "failed";
  readonly message?: string;
  readonly hint?: string;
}

export interface ReleaseResult {
  readonly outcome: "complete" | "incomplete";
  readonly released: readonly ReleasedItem[];
}

export interface ReleasePlan {
  readonly items: readonly ListedItem[];
  /** In the order of execution; empty where nothing was chosen. */
  readonly chosen: readonly ListedItem[];
  /** Chosen by their kind, and not possible here. */
  readonly refused: readonly ListedItem[];
  execute(): Promise<ReleaseResult>;
}
