/** The text of a paper copy: everything that a person at three in the morning needs, with stock tools alone. Pure. */

export interface Sheet {
  readonly repository: string;
  readonly location: string;
  readonly key: string;
  readonly madeAt: Date;
  readonly madeBy: string;
  readonly lines: readonly string[];
}

export function sheetText(sheet: Sheet): string {
  return `SPAREKEEP PAPER COPY OF A REPOSITORY PASSWORD

repository   ${sheet.repository}
location     ${sheet.location}
key          ${sheet.key}
made         ${sheet.madeAt.toISOString()} by ${sheet.madeBy}

These lines hold the password of the backups, locked with a passphrase that is
not on this sheet. Keep the two apart. Without the passphrase the lines are
worth nothing; with it whoever has them reads every backup.

${sheet.lines.join("\n")}

Try it once a year:

     sparekeep key prove --escrow sheet.txt

To use it type the numbered lines into a file sheet.txt, exactly one line each,
and the line "end". Capitals do not matter. There is no zero, one or eight.
The last four characters of a line are its check.

With Sparekeep:

     sparekeep key unwrap --escrow sheet.txt --out password

Without it, with a shell, coreutils, age and restic:

     grep '^ *[0-9]' sheet.txt | sed 's/^ *[0-9]* *//; s/ *[A-Za-z2-7]\\{4\\} *$//' |
       tr -d ' \\n' | tr a-z A-Z | base32 -d > sheet.age
     (umask 077; age -d -o password sheet.age)
     restic -r LOCATION --password-file password snapshots
`;
}

/** The same to be printed from a browser; nothing is loaded from anywhere. */
export function sheetHtml(sheet: Sheet): string {
  const text = sheetText(sheet)
    .replaceAll("&", "&amp;")
    .replaceAll("<", "&lt;")
    .replaceAll(">", "&gt;");
  return `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>Paper copy of repository ${sheet.repository.slice(0, 8)}</title>
<style>@page { margin: 18mm } pre { font: 10.5pt/1.45 monospace; white-space: pre-wrap }</style>
<pre>${text}</pre>
</html>
`;
}
