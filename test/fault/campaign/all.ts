import { backupScenario } from "./scenarios.ts";
import type { Scenario } from "./scenarios.ts";

export const SCENARIOS: readonly Scenario[] = [backupScenario];
