import { formatBytes, formatCount } from "../kernel/index.ts";
import type { EgressPrice, Figure, SourceEstimate } from "../operation/index.ts";
import { cliError } from "./errors.ts";
import { printable } from "./printable.ts";

export interface PriceFlags {
  readonly pricePerGb?: string;
  readonly includedGb?: string;
  readonly runsPerMonth?: string;
}

/** All three or none: no price, quota or schedule is assumed. */
export function priceOf({
  pricePerGb,
  includedGb,
  runsPerMonth,
}: PriceFlags): EgressPrice | undefined {
  const texts = [pricePerGb, includedGb, runsPerMonth];
  if (texts.every((text) => text === undefined)) return undefined;
  const [perGb, included, runs] = texts.map((text) =>
    text !== undefined && /^\d+(?:\.\d+)?$/.test(text) ? Number(text) : undefined,
  );
  if (perGb === undefined || included === undefined || runs === undefined) {
    throw cliError("usage", {
      message: "price of egress that is not whole",
      hint: "Give --price-per-gb, --included-gb and --runs-per-month, each as a number.",
    });
  }
  return { perGb, includedGb: included, runsPerMonth: runs };
}

export function describeSource(estimated: SourceEstimate): string[] {
  const { source, tables, rows, read, sent, stored, egress, unknown } = estimated;
  const without =
    rows.tablesWithout === 0 ? "" : `, and ${formatCount(rows.tablesWithout)} tables have none`;
  return [
    `${source}: ${formatCount(tables)} tables`,
    `  rows: about ${formatCount(rows.count)} (${rows.from}${without})`,
    figureLine("read by the server", read),
    figureLine("sent over the network", sent),
    figureLine("stored by a first backup", stored),
    ...(egress === undefined
      ? ["  egress: no price was given: the bytes sent are what is paid for"]
      : [
          `  egress: ${egress.gbPerRun.toFixed(3)} GB a run; ${egress.runsPerMonth} runs a month cost ${egress.perMonth.toFixed(2)} at ${egress.perGb} a GB beyond ${egress.includedGb} GB included`,
        ]),
    ...unknown.map(({ table, reason }) => `  unknown: ${table}: ${reason}`),
  ].map(printable);
}

function figureLine(what: string, { bytes, from }: Figure): string {
  return `  ${what}: ${bytes === undefined ? "unknown" : `about ${formatBytes(bytes)}`} (${from})`;
}
