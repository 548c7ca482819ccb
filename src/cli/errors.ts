import { errorTable } from "../kernel/index.ts";

export const cliError = errorTable("cli", {
  usage: {
    kind: "usage",
    meaning: "The command line holds an unknown verb or option, or leaves something out.",
  },
  password_in_argument: {
    kind: "usage",
    meaning:
      "A connection string on the command line holds a password, which every process of the machine can read there.",
  },
  not_confirmed: {
    kind: "usage",
    meaning: "A destructive plan was shown and not confirmed.",
    hint: "Run again and type the name as shown, or pass --yes.",
  },
  output_failed: {
    kind: "exhausted",
    meaning:
      "Standard output could not be written, for another reason than a reader that went away.",
  },
  output_closed: {
    kind: "cancelled",
    meaning:
      "The reader of standard output went away before everything was written; nothing is printed about it.",
  },
});

/** Exit code of a program whose reader went away: 128 + SIGPIPE, as for any other program in a pipeline. */
export const EXIT_OUTPUT_CLOSED = 141;
