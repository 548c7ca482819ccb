import { postgresError } from "./errors.ts";

declare const brand: unique symbol;

/** A WAL position: a byte offset in the log, never a number or a string (it outgrows a JSON number). */
export type Lsn = bigint & { readonly [brand]: "Lsn" };

const LSN = /^([0-9A-F]{1,8})\/([0-9A-F]{1,8})$/i;

// oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the only place that gives the brand
const asLsn = (value: bigint): Lsn => value as Lsn;

/** Reads `X/Y`, both hexadecimal, as PostgreSQL prints pg_lsn. */
export function parseLsn(text: string): Lsn {
  const match = LSN.exec(text);
  const [, high, low] = match ?? [];
  if (high === undefined || low === undefined) {
    throw postgresError("invalid_lsn", {
      message: `text ${JSON.stringify(text)} is no WAL position`,
    });
  }
  return asLsn((BigInt(`0x${high}`) << 32n) | BigInt(`0x${low}`));
}

export function formatLsn(lsn: Lsn): string {
  const hex = (value: bigint): string => value.toString(16).toUpperCase();
  return `${hex(lsn >> 32n)}/${hex(lsn & 0xffff_ffffn)}`;
}
