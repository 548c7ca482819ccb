/**
 * The gates that need no server: what `npm run check` runs before each commit and `npm test` before the tests.
 * @typedef {{ name: string, tool: string, args: readonly string[] }} Gate
 * @type {readonly Gate[]}
 */
export const GATES = [
  { name: "types", tool: "tsc", args: ["-p", "."] },
  { name: "lint", tool: "oxlint", args: ["--type-aware", "--deny-warnings"] },
  { name: "format", tool: "oxfmt", args: ["--check"] },
  { name: "dead code", tool: "knip", args: ["--no-progress"] },
];
