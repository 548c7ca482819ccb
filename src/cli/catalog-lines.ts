import type { RestoredDatabase } from "../operation/index.ts";

type Catalog = RestoredDatabase["catalog"];

const NAMED_MAX = 20;
const WHOSE = [
  ["withheld", "left out on purpose"],
  ["platform", "the target's own"],
  ["equivalent", "equivalent"],
] as const;

/** What the comparison of definitions came to; those of ours are issues, and stand above. */
export function catalogLines({ compared, reason, counts, differences }: Catalog): string[] {
  if (!compared) return [`  definitions not compared: ${reason ?? "unknown"}`];
  const others = WHOSE.filter(([which]) => counts[which] > 0);
  const numbers = others.map(([which, words]) => `${counts[which]} ${words}`);
  const ours = counts.ours === 0 ? "as they were" : `${counts.ours} other than they were`;
  const listed = differences.filter((one) => one.class !== "ours");
  const total = counts.withheld + counts.platform + counts.equivalent;
  const named = listed.slice(0, NAMED_MAX);
  return [
    `  definitions compared: ${[ours, ...numbers].join("; ")}`,
    ...named.map((one) => `    ${wordsOf(one.class)}: ${one.object} ${one.message}`),
    ...(total > named.length ? [`    and ${total - named.length} more`] : []),
  ];
}

function wordsOf(which: Catalog["differences"][number]["class"]): string {
  return WHOSE.find(([one]) => one === which)?.[1] ?? which;
}
