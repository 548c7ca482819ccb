import { installHooks } from "./setup/hooks.js";
import { main } from "./setup/report.js";

// npm's `prepare`: the hooks of a checkout.
await main(async () => {
  await installHooks();
  return 0;
});
