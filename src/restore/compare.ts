import { restoreError } from "./errors.ts";

/** What came out of the snapshot against what its manifest says. */
export function equalText(path: string, what: string, expected: string, found: string): void {
  if (expected === found) return;
  throw restoreError("file_differs", {
    message: `${path} with other ${what} than its manifest says`,
    subject: { path, expected, found },
  });
}
