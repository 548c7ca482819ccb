import type { NamedTable, TableManifest } from "../../manifest/index.ts";
import { quoteQualified } from "../../postgres/index.ts";
import type { Connection } from "../../postgres/index.ts";
import { CHECKS, COLUMNS, FOREIGN_KEYS, SEQUENCES, TABLE, TRIGGERS, UNIQUES } from "./catalog.ts";

/** A table of the target as its catalog says that it is. Names are as they are, operators and expressions ready for SQL. */
export interface TargetTable extends NamedTable {
  readonly oid: string;
  readonly owned: boolean;
  /** Row security would hide rows from this role. */
  readonly rowsHidden: boolean;
  readonly rights: { readonly [Right in "select" | "insert" | "update" | "delete"]: boolean };
  /** Publications whose subscribers are told of every change. */
  readonly publications: readonly string[];
  /** Deferrable exclusion constraints, which a session without triggers does not check. */
  readonly unchecked: readonly string[];
  readonly columns: readonly TargetColumn[];
  readonly uniques: readonly UniqueIndex[];
  readonly checks: readonly {
    readonly name: string;
    readonly expression: string;
    readonly columns: readonly string[];
  }[];
  readonly triggers: readonly FiringTrigger[];
  readonly sequences: readonly OwnedSequence[];
  /** From here. */
  readonly outgoing: readonly ForeignKey[];
  /** To here, or to the partitioned table that this is a part of. */
  readonly incoming: readonly ForeignKey[];
}

export interface TargetColumn {
  readonly name: string;
  readonly type: string;
  readonly notNull: boolean;
  readonly filled: boolean;
  readonly generated: boolean;
  readonly identityAlways: boolean;
}

export interface UniqueIndex {
  readonly name: string;
  readonly primary: boolean;
  /** Of whole rows, of columns that hold no NULL. */
  readonly isKey: boolean;
  /** False: checked at the end of a statement or of the transaction, by a trigger. */
  readonly immediate: boolean;
  readonly predicate: string | null;
  readonly parts: readonly {
    readonly expression: string;
    readonly column: string | null;
    readonly operator: string;
  }[];
  /** All that its expressions read. */
  readonly columns: readonly string[];
}

export interface FiringTrigger {
  readonly name: string;
  readonly kind: "trigger" | "rule";
  /** `O`rigin, `D`isabled, `R`eplica, `A`lways. */
  readonly enabled: "O" | "D" | "R" | "A";
}

export interface OwnedSequence extends NamedTable {
  readonly column: string;
  readonly ascending: boolean;
  /** The role may read and set it. */
  readonly usable: boolean;
}

export interface ForeignKey {
  readonly id: string;
  readonly name: string;
  readonly validated: boolean;
  readonly matchFull: boolean;
  readonly child: NamedTable & { readonly partitioned: boolean };
  readonly parent: NamedTable & { readonly partitioned: boolean };
  readonly columns: readonly string[];
  readonly parentColumns: readonly string[];
  /** `parent operator child`, one a column. */
  readonly operators: readonly string[];
}

interface TableRow extends Record<string, unknown> {
  readonly oid: string;
  readonly owned: boolean;
  readonly rowsHidden: boolean;
  readonly rights: TargetTable["rights"];
  readonly publications: readonly string[];
  readonly unchecked: readonly string[];
}

/** `undefined`: the target has no such table. */
export async function readTargetTable(
  connection: Connection,
  { schema, name }: NamedTable,
): Promise<TargetTable | undefined> {
  const [table] = await connection.query<TableRow>(TABLE, [quoteQualified(schema, name)]);
  if (table === undefined) return undefined;
  const list = async <Item>(sql: string): Promise<readonly Item[]> => {
    const rows = await connection.query<{ item: Item }>(sql, [table.oid]);
    return rows.map((row) => row.item);
  };
  return {
    schema,
    name,
    ...table,
    columns: await list<TargetColumn>(COLUMNS),
    uniques: await list<UniqueIndex>(UNIQUES),
    checks: await list<TargetTable["checks"][number]>(CHECKS),
    triggers: await list<FiringTrigger>(TRIGGERS),
    sequences: await list<OwnedSequence>(SEQUENCES),
    outgoing: await list<ForeignKey>(FOREIGN_KEYS.from),
    incoming: await list<ForeignKey>(FOREIGN_KEYS.to),
  };
}

/**
 * By which rows are told from one another: the primary key, else a unique index that says as much; of columns that the
 * snapshot has.
 */
export function keyOf(
  { uniques }: TargetTable,
  { columns }: Pick<TableManifest, "columns">,
): UniqueIndex | undefined {
  const known = new Set(columns.map(({ name }) => name));
  const keys = uniques.filter(
    ({ isKey, parts }) => isKey && parts.every(({ column }) => known.has(column ?? "")),
  );
  return keys.find(({ primary }) => primary) ?? keys[0];
}
