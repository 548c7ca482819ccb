import { Secret } from "../../src/kernel/index.ts";
import type { TableManifest } from "../../src/manifest/index.ts";
import { planPartialRestore } from "../../src/restore/index.ts";
import type {
  ChosenTable,
  PartialOptions,
  PartialPlan,
  PartialResult,
} from "../../src/restore/index.ts";
import { testPrograms } from "./cluster.ts";
import type { Made } from "./restore.ts";

/** A table of the snapshot by `schema.name`. */
export function tableOf(made: Made, name: string): TableManifest {
  const table = made.manifest.database.tables.find((one) => `${one.schema}.${one.name}` === name);
  if (table === undefined) throw new Error(`no table ${name} in the snapshot`);
  return table;
}

/** What is chosen: a table's name for all of it, or with keys or a condition. */
export type Wanted =
  | string
  | {
      readonly table: string;
      readonly keys?: readonly (readonly string[])[];
      readonly condition?: string;
    };

export function chosenOf(made: Made, wanted: readonly Wanted[]): readonly ChosenTable[] {
  return wanted.map((one) => {
    if (typeof one === "string") return { table: tableOf(made, one) };
    const { table: name, ...rows } = one;
    const table = tableOf(made, name);
    return { table, rows: { table: { schema: table.schema, name: table.name }, ...rows } };
  });
}

export function partialOptions(
  made: Made,
  url: string,
  wanted: readonly Wanted[],
  more: Partial<PartialOptions> = {},
): PartialOptions {
  const programs = testPrograms();
  return {
    reader: made.files.reader(),
    snapshot: made.files.snapshot,
    manifest: made.manifest,
    targetUrl: new Secret(url),
    tools: () =>
      Promise.resolve({
        pgDump: programs.pg_dump,
        pgRestore: programs.pg_restore,
        psql: programs.psql,
        major: 15,
      }),
    chosen: chosenOf(made, wanted),
    withChildren: false,
    form: { kind: "merge", deleteExtra: false },
    trustSource: false,
    ...more,
  };
}

/** Planned and executed at once; what happens between the two is `between`'s. */
export async function restoreRows(
  made: Made,
  url: string,
  wanted: readonly Wanted[],
  more: Partial<PartialOptions> = {},
  between: (plan: PartialPlan) => Promise<void> = () => Promise.resolve(),
): Promise<{ readonly plan: PartialPlan; readonly result: PartialResult }> {
  await using plan = await planPartialRestore(partialOptions(made, url, wanted, more));
  await between(plan);
  return { plan, result: await plan.execute() };
}
