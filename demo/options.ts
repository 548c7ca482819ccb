import { parseArgs } from "node:util";
import { demoError } from "./errors.ts";

export interface DemoOptions {
  readonly help: boolean;
  /** Folder that the repository and its password are left in. */
  readonly keep?: string;
  /** Share of the marketplace's rows. */
  readonly scale: number;
}

export const HELP = `A database backed up, destroyed and recovered before your eyes, in about a minute.

  npm run demo                       the whole story
  npm run demo -- --keep DIR         also leave the repository in DIR/repository, its password in DIR/password
  npm run demo -- --small            with a fiftieth of the rows, in a few seconds

It starts PostgreSQL servers of its own on 127.0.0.1 and removes them at the end; it touches no other database.
`;

const SMALL = 0.02;

export function parseOptions(args: readonly string[]): DemoOptions {
  const values = readArguments(args);
  return {
    help: values.help === true,
    scale: values.small === true ? SMALL : 1,
    ...(values.keep === undefined ? {} : { keep: values.keep }),
  };
}

function readArguments(args: readonly string[]): {
  readonly help?: boolean | undefined;
  readonly keep?: string | undefined;
  readonly small?: boolean | undefined;
} {
  try {
    const { values } = parseArgs({
      args: [...args],
      options: {
        help: { type: "boolean", short: "h" },
        keep: { type: "string" },
        small: { type: "boolean" },
        // For the set-up, which runs before and has read it.
        yes: { type: "boolean", short: "y" },
      },
    });
    if (values.keep === "") throw new Error("--keep without a folder");
    return values;
  } catch (cause) {
    const message = cause instanceof Error ? (cause.message.split(/[.\n]/, 1)[0] ?? "") : "";
    throw demoError("usage", { message: `arguments of the demo: ${message}`, cause });
  }
}
