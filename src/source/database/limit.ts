/**
 * A capture of some tables alone: what the plan's names mean in this database. A partitioned table means its
 * partitions, a table with children also those: never fewer rows than a SELECT from that name would give. Pure, but for
 * the queries at the end.
 */
import type { DatabaseManifest, Limits, NamedTable } from "../../manifest/index.ts";
import { tableNameText } from "../../policy/index.ts";
import type { Connection } from "../../postgres/index.ts";
import { captureIssue, displayName } from "./issues.ts";
import type { Relation } from "./relations.ts";
import type { CaptureIssue } from "./types.ts";

export interface ForeignKey {
  readonly schema: string;
  readonly table: string;
  readonly name: string;
  readonly from: number;
  readonly to: number;
}

/** What the catalogs know beyond tables, read only where a capture is limited. */
export interface LimitFacts {
  readonly foreignKeys: readonly ForeignKey[];
  /** Of the names that are no tables: `view`, `materialized view`, … */
  readonly otherKinds: ReadonlyMap<string, string>;
  /** By name, the tables whose columns use it. */
  readonly sequences: ReadonlyMap<string, readonly number[]>;
}

export interface Limit {
  readonly limits: Limits;
  /** Whose rows are captured. */
  readonly selected: ReadonlySet<number>;
  /** Names that stand for no rows. */
  readonly issues: readonly CaptureIssue[];
  readonly usesSequence: (sequence: NamedTable) => boolean;
}

export function limitTo(
  names: readonly NamedTable[],
  relations: readonly Relation[],
  facts: LimitFacts,
): Limit {
  const tree = new Descent(relations);
  const issues: CaptureIssue[] = [];
  const selected = new Set<number>();
  const named: Limits["named"][number][] = [];
  for (const name of names) {
    const relation = relations.find((one) => isNamed(one, name));
    const issue = relation === undefined ? missing(name, facts) : notCaptured(relation);
    if (issue !== undefined) issues.push(issue);
    const below = relation === undefined ? [] : tree.below(relation).filter(hasRows);
    for (const one of below) selected.add(one.oid);
    named.push({ ...bareName(name), tables: below.map(bareName) });
  }
  const foreignKeys = facts.foreignKeys
    .filter(({ from, to }) => tree.some(from, selected) && !tree.every(to, selected))
    .map(({ schema, table, name }) => ({ schema, table, name }));
  const users = new Set([...selected].flatMap((oid) => [oid, ...tree.above(oid)]));
  return {
    limits: { named, foreignKeys },
    selected,
    issues,
    usesSequence: (sequence) =>
      (facts.sequences.get(tableNameText(sequence)) ?? []).some((oid) => users.has(oid)),
  };
}

function isNamed(relation: NamedTable, { schema, name }: NamedTable): boolean {
  return relation.schema === schema && relation.name === name;
}

/** The manifest takes nothing else of a relation. */
function bareName({ schema, name }: NamedTable): NamedTable {
  return { schema, name };
}

function hasRows(relation: Relation): boolean {
  return relation.kind === "table" && notCaptured(relation) === undefined;
}

function missing(name: NamedTable, facts: LimitFacts): CaptureIssue {
  const shown = displayName(name);
  const kind = facts.otherKinds.get(tableNameText(name));
  return kind === undefined
    ? captureIssue("table_missing", shown, `table ${shown}, which the plan names, does not exist`)
    : captureIssue(
        "table_not_captured",
        shown,
        `${shown} is a ${kind}, which holds no rows to back up`,
      );
}

function notCaptured(relation: Relation): CaptureIssue | undefined {
  const name = displayName(relation);
  if (relation.kind === "foreign") {
    const message = `${name} is a foreign table: its rows are elsewhere`;
    return captureIssue("table_not_captured", name, message);
  }
  if (relation.extension === undefined || relation.extensionCondition !== undefined)
    return undefined;
  const message = `${name} is part of the extension ${relation.extension}, which creates it`;
  return captureIssue("table_not_captured", name, message);
}

/** Partitions and children, and theirs. */
export class Descent {
  readonly #byOid: ReadonlyMap<number, Relation>;
  readonly #children = new Map<number, Relation[]>();

  constructor(relations: readonly Relation[]) {
    this.#byOid = new Map(relations.map((one) => [one.oid, one]));
    for (const relation of relations) {
      for (const parent of relation.parents) {
        const children = this.#children.get(parent) ?? [];
        children.push(relation);
        this.#children.set(parent, children);
      }
    }
  }

  /** Itself first. */
  below(start: Relation): readonly Relation[] {
    const found = new Set([start]);
    for (const one of found)
      for (const child of this.#children.get(one.oid) ?? []) found.add(child);
    return [...found];
  }

  above(oid: number): readonly number[] {
    const found = new Set([oid]);
    for (const one of found) for (const up of this.#byOid.get(one)?.parents ?? []) found.add(up);
    return [...found];
  }

  some(oid: number, selected: ReadonlySet<number>): boolean {
    return this.#tables(oid).some((one) => selected.has(one.oid));
  }

  /** A partitioned table without partitions has all of its rows. */
  every(oid: number, selected: ReadonlySet<number>): boolean {
    return this.#byOid.has(oid) && this.#tables(oid).every((one) => selected.has(one.oid));
  }

  #tables(oid: number): readonly Relation[] {
    const relation = this.#byOid.get(oid);
    return relation === undefined
      ? []
      : this.below(relation).filter((one) => one.kind !== "partitioned");
  }
}

/** Said in the manifest and in RECOVERY.md, so that nobody takes the point for the whole database. */
export function leftOutByLimit(
  { selected }: Limit,
  relations: readonly Relation[],
  undescribed: readonly Relation[],
): DatabaseManifest["leftOut"] {
  const others = relations.filter((one) => one.kind === "table" && !selected.has(one.oid)).length;
  return [
    {
      object: `the rows of ${others} other tables`,
      reason: "the plan captures the tables that it names alone; a restore builds the others empty",
    },
    { object: "large objects", reason: "the plan captures tables alone" },
    {
      object: "contents of materialised views",
      reason: "they are computed from tables whose rows may not be in this point",
    },
    ...undescribed
      .filter((one) => !selected.has(one.oid))
      .map((one) => ({
        object: displayName(one),
        reason: "not even its definition: the backup role could not lock it",
      })),
  ];
}

const FOREIGN_KEYS = `
  SELECT n.nspname::text AS schema, c.relname::text AS table, k.conname::text AS name,
         k.conrelid::int8::float8 AS from, k.confrelid::int8::float8 AS to
    FROM pg_constraint k
    JOIN pg_class c ON c.oid = k.conrelid
    JOIN pg_namespace n ON n.oid = c.relnamespace
   WHERE k.contype = 'f' AND k.conparentid = 0
   ORDER BY 1, 2, 3`;

const OTHER_KINDS = `
  SELECT n.nspname::text AS schema, c.relname::text AS name,
         CASE c.relkind WHEN 'v' THEN 'view' WHEN 'm' THEN 'materialised view'
                        WHEN 'S' THEN 'sequence' ELSE 'relation of kind ' || c.relkind::text END AS kind
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
   WHERE c.relkind NOT IN ('r', 'p', 'f', 'i', 'I', 't')`;

/** Owned by a column, as serial and identity make them, or named in its default. */
const SEQUENCE_USERS = `
  SELECT n.nspname::text AS schema, s.relname::text AS name, u.user_oid::int8::float8 AS "user"
    FROM (SELECT d.objid AS oid, d.refobjid AS user_oid FROM pg_depend d
           WHERE d.classid = 'pg_class'::regclass AND d.refclassid = 'pg_class'::regclass
             AND d.deptype IN ('a', 'i') AND d.refobjsubid > 0
          UNION
          SELECT d.refobjid, a.adrelid FROM pg_attrdef a
            JOIN pg_depend d ON d.classid = 'pg_attrdef'::regclass AND d.objid = a.oid
                            AND d.refclassid = 'pg_class'::regclass) u
    JOIN pg_class s ON s.oid = u.oid AND s.relkind = 'S'
    JOIN pg_namespace n ON n.oid = s.relnamespace`;

export async function readLimitFacts(session: Connection): Promise<LimitFacts> {
  const kinds = await session.query<{ schema: string; name: string; kind: string }>(OTHER_KINDS);
  const users = await session.query<{ schema: string; name: string; user: number }>(SEQUENCE_USERS);
  const sequences = Map.groupBy(users, tableNameText);
  return {
    foreignKeys: await session.query<{ [Key in keyof ForeignKey]: ForeignKey[Key] }>(FOREIGN_KEYS),
    otherKinds: new Map(kinds.map((row) => [tableNameText(row), row.kind])),
    sequences: new Map([...sequences].map(([name, rows]) => [name, rows.map(({ user }) => user)])),
  };
}
