import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { renderCliPage } from "./docs/cli-page.ts";
import { loadCodeTables, renderErrorsPage } from "./docs/errors-page.ts";

// npm run docs: rewrites the documents that are generated from the code.
const ROOT = join(import.meta.dirname, "..");
writeFileSync(join(ROOT, "docs", "errors.md"), renderErrorsPage(await loadCodeTables(ROOT)));
writeFileSync(join(ROOT, "docs", "cli.md"), await renderCliPage(ROOT));
