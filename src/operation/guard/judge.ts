import { counted, formatBytes } from "../../kernel/index.ts";
import type { Guards, GuardSwitch } from "../../policy/index.ts";
import type { CaptureIssue, CaptureIssueCode } from "../../source/index.ts";
import { sumOf } from "./sizes.ts";
import type { PointSizes, Size, TableSize } from "./sizes.ts";

/**
 * A new point against the last good one: what is gone, what lost so much that the disaster may have become the backup (I8).
 * Pure. docs/spec/retention.md §Guards of a new point
 *
 * 1. what the policy excepts is left out of both sides; what this run could not read is left out of the old one
 * 2. each table, and each partitioned table as the sum of its partitions: gone, or fallen by the share
 * 3. a partition that is gone while others of its table are there is rotation: said, no finding
 * 4. the whole of both
 */

export type GuardCode =
  | "table_gone"
  | "table_unreadable"
  | "rows_fell"
  | "bytes_fell"
  | "database_rows_fell"
  | "database_bytes_fell"
  /** What would be compared with cannot be read. */
  | "yardstick_unreadable"
  /** There are points, and every whole one is suspect. */
  | "yardstick_suspect";

export interface GuardFinding {
  readonly code: GuardCode;
  /** A table, `large objects`, `database`, or a snapshot. */
  readonly object: string;
  readonly message: string;
  readonly before?: Measured;
  readonly now?: Measured;
}

interface Measured {
  readonly rows: bigint;
  readonly bytes: bigint;
}

export interface Judgement {
  readonly findings: readonly GuardFinding[];
  /** Partitions that are gone while their table is not. */
  readonly partitionsGone: readonly string[];
  /** Exceptions of the policy that name nothing on either side. */
  readonly unusedExceptions: readonly string[];
}

export interface NewPoint {
  readonly sizes: PointSizes;
  readonly issues: readonly CaptureIssue[];
}

/** Below these a fall says nothing: small tables are emptied and filled every day. */
export const FLOOR_ROWS = 100n;
export const FLOOR_BYTES = 65_536n;
const DEFAULT_PERCENT = 50;

/** The source keeps it from us, for as long as nobody changes that. The other issues say that this run came at a bad moment. */
const LASTING: ReadonlySet<CaptureIssueCode> = new Set([
  "permission_denied",
  "row_security_hidden",
  "table_unreadable",
  "value_too_large",
]);

export function judge(before: PointSizes, now: NewPoint, guards: Guards): Judgement {
  const comparison = new Comparison(before, now, guards);
  return comparison.judgement();
}

class Comparison {
  readonly #before: PointSizes;
  readonly #now: PointSizes;
  readonly #guards: Guards;
  readonly #issues: ReadonlyMap<string, CaptureIssue>;
  readonly #excepted: ReadonlySet<string>;
  readonly #findings: GuardFinding[] = [];
  readonly #partitionsGone: string[] = [];

  constructor(before: PointSizes, now: NewPoint, guards: Guards) {
    this.#before = before;
    this.#now = now.sizes;
    this.#guards = guards;
    this.#issues = new Map(now.issues.map((issue) => [issue.object, issue]));
    this.#excepted = new Set((guards.except ?? []).map(({ table }) => table));
  }

  judgement(): Judgement {
    for (const table of this.#before.tables.values()) {
      if (table.root === undefined && !this.#isExcepted(table)) this.#judgeTable(table);
    }
    for (const root of this.#before.roots.keys()) this.#judgeRoot(root);
    this.#fell("large objects", this.#before.largeObjects, this.#now.largeObjects);
    const findings = [...this.#whole(), ...this.#findings.toSorted(mostFirst)];
    return {
      findings,
      partitionsGone: this.#partitionsGone,
      unusedExceptions: [...this.#excepted].filter((name) => !this.#isKnown(name)),
    };
  }

  #isExcepted({ name, root }: TableSize): boolean {
    return this.#excepted.has(name) || (root !== undefined && this.#excepted.has(root));
  }

  #isKnown(name: string): boolean {
    return [this.#before, this.#now].some(
      ({ tables, roots }) => tables.has(name) || roots.has(name),
    );
  }

  /** A table may have become a partitioned one, or the other way round. */
  #sizeNow(name: string): Size | undefined {
    const partitions = this.#now.roots.get(name);
    return partitions === undefined ? this.#now.tables.get(name) : sumOf(partitions);
  }

  #judgeTable(table: TableSize): void {
    const now = this.#sizeNow(table.name);
    if (now !== undefined) this.#fell(table.name, table, now);
    else this.#lost(table.name, table, `table ${table.name}`);
  }

  #judgeRoot(root: string): void {
    if (this.#excepted.has(root)) return;
    const partitions = this.#before.roots.get(root) ?? [];
    // As a whole, of what this run could read; a partition that cannot be read speaks for itself.
    const readable = partitions.filter((each) => !this.#issues.has(each.name));
    const judged = partitions.filter((each) => !this.#isExcepted(each));
    const now = this.#sizeNow(root);
    const size = sumOf(readable);
    if (now === undefined && readable.length > 0) {
      this.#lost(root, size, `table ${root} with its ${counted(partitions.length, "partition")}`);
    }
    const fell = now !== undefined && this.#fell(root, size, now);
    for (const partition of judged) {
      const same = this.#now.tables.get(partition.name);
      if (same !== undefined) {
        // What the whole lost is told of the whole, once.
        if (!fell) this.#fell(partition.name, partition, same);
      } else if (this.#issues.has(partition.name)) {
        this.#lost(partition.name, partition, `table ${partition.name}`);
      } else if (now !== undefined) this.#partitionsGone.push(partition.name);
    }
  }

  #lost(object: string, before: Size, what: string): void {
    const issue = this.#issues.get(object);
    const had = measured(before);
    if (issue === undefined) {
      if (isOff(this.#guards.tables_gone)) return;
      const message = `${what} is gone; it had ${sizeText(before)}`;
      this.#findings.push({ code: "table_gone", object, message, before: had });
    } else if (LASTING.has(issue.code) && !isOff(this.#guards.tables_unreadable)) {
      const message = `${what} became unreadable (${issue.code}); it had ${sizeText(before)}`;
      this.#findings.push({ code: "table_unreadable", object, message, before: had });
    }
  }

  #fell(object: string, before: Size, now: Size): boolean {
    const code = this.#fallOf(before, now, false);
    if (code === undefined) return false;
    const message = fallText(object, before, now);
    this.#findings.push({ code, object, message, before: measured(before), now: measured(now) });
    return true;
  }

  #fallOf(before: Size, now: Size, whole: boolean): "rows_fell" | "bytes_fell" | undefined {
    const { rows, bytes } = this.#guards;
    // A whole database that is empty needs no floor.
    const emptied = whole && now.rows === 0n;
    if (isFall(rows, before.rows, now.rows, emptied ? 1n : FLOOR_ROWS)) return "rows_fell";
    if (before.format !== now.format && !whole) return undefined;
    return isFall(bytes, before.bytes, now.bytes, FLOOR_BYTES) ? "bytes_fell" : undefined;
  }

  #whole(): readonly GuardFinding[] {
    const counts = (table: TableSize): boolean => !this.#isExcepted(table);
    const before = [...this.#before.tables.values()].filter(
      (table) => counts(table) && !this.#issues.has(table.name),
    );
    const now = [...this.#now.tables.values()].filter(counts);
    // A table that is stored in another format now is the same table of another length.
    const changed = new Set(
      before.flatMap(({ name, format }) => {
        const same = this.#now.tables.get(name);
        return same === undefined || same.format === format ? [] : [name];
      }),
    );
    const total = (tables: readonly TableSize[], objects: Size): Size => ({
      rows: sumOf(tables).rows,
      bytes: sumOf(tables.filter(({ name }) => !changed.has(name))).bytes + objects.bytes,
      format: "",
    });
    const [had, has] = [
      total(before, this.#before.largeObjects),
      total(now, this.#now.largeObjects),
    ];
    const code = this.#fallOf(had, has, true);
    if (code === undefined) return [];
    const message = fallText("the database", had, has);
    const both = { before: measured(had), now: measured(has) };
    return [{ code: `database_${code}`, object: "database", message, ...both }];
  }
}

function isOff(guard: GuardSwitch | undefined): boolean {
  return typeof guard === "object";
}

function isFall(guard: Guards["rows"], before: bigint, now: bigint, floor: bigint): boolean {
  if (guard !== undefined && "off" in guard) return false;
  const percent = BigInt(guard?.percent ?? DEFAULT_PERCENT);
  return before >= floor && (before - now) * 100n >= before * percent;
}

/** Who lost most comes first: what is shown may be cut. */
function mostFirst(a: GuardFinding, b: GuardFinding): number {
  const lost = ({ before, now }: GuardFinding): bigint => (before?.rows ?? 0n) - (now?.rows ?? 0n);
  const more = lost(b) - lost(a);
  return more === 0n ? (a.object < b.object ? -1 : 1) : more > 0n ? 1 : -1;
}

function measured({ rows, bytes }: Size): Measured {
  return { rows, bytes };
}

function fallText(object: string, before: Size, now: Size): string {
  return `${object} fell from ${sizeText(before)} to ${sizeText(now)}`;
}

function sizeText({ rows, bytes }: Size): string {
  return `${counted(rows, "row")} (${formatBytes(Number(bytes))})`;
}
