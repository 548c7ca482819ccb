import { delimiter, join } from "node:path";
import process from "node:process";
import { ensureAge } from "./age.js";
import { ensureCron } from "./cron.js";
import { ensureNode, withNode } from "./node.js";
import { ensureObjectServers } from "./object-servers.js";
import { ensurePackages } from "./packages.js";
import { ROOT, toolsOf } from "./place.js";
import { ensurePgBouncer } from "./pgbouncer.js";
import { ensurePostgres, findPostgres } from "./postgres.js";
import { ensurePostgresClients } from "./postgres-clients.js";
import { ALL_SERVERS, EVERY_RUN, ensurePostgresServers } from "./postgres-servers.js";
import { ensureRclone } from "./rclone.js";
import { ensureRestServer } from "./rest-server.js";
import { ensureRestic } from "./restic.js";
import { assumesYes } from "./system-packages.js";

/**
 * @typedef {{ nodePath: string, nodeVersion: string, env: NodeJS.ProcessEnv }} Ready
 */

/**
 * Node 24 and the packages of the lockfile: all that the checks need.
 * @param {AbortSignal} signal
 * @returns {Promise<Ready>}
 */
export async function readyForNode(signal) {
  const node = await ensureNode(ROOT, process.env, signal);
  const env = withNode(process.env, node.path);
  await ensurePackages(ROOT, env, signal);
  return { nodePath: node.path, nodeVersion: node.version, env };
}

/**
 * Besides, PostgreSQL's programs: all that the demo needs.
 * @param {readonly string[]} args
 * @param {AbortSignal} signal
 * @returns {Promise<Ready>}
 */
export async function readyForPostgres(args, signal) {
  // First, because it is the only step that may have to ask or to refuse.
  const postgres = await ensurePostgres(process.env, { assumeYes: assumesYes(args, process.env) });
  const ready = await readyForNode(signal);
  return { ...ready, env: { ...ready.env, SPAREKEEP_PG_BIN: postgres.bin } };
}

/**
 * Besides, servers and clients of every major version that is supported: all that the test of versions needs.
 * @param {readonly string[]} args
 * @param {AbortSignal} signal
 * @returns {Promise<Ready>}
 */
export async function readyForVersions(args, signal) {
  const ready = await readyForPostgres(args, signal);
  await ensurePostgresServers(ROOT, ALL_SERVERS, ready.env, signal);
  await ensurePostgresClients(ROOT, ready.env, signal);
  return ready;
}

/**
 * Besides, pg_cron, the object stores, the servers of restic's REST protocol, PgBouncer, and the restic versions
 * and the age that the tests run: all that the tests need.
 * @param {readonly string[]} args
 * @param {AbortSignal} signal
 * @returns {Promise<Ready>}
 */
export async function readyForTests(args, signal) {
  // Before anything is fetched, because it may have to ask.
  await ensureObjectServers(process.env, { assumeYes: assumesYes(args, process.env) });
  const ready = await readyForPostgres(args, signal);
  const postgres = findPostgres(ready.env);
  if (postgres !== undefined)
    await ensureCron(postgres, ready.env, { assumeYes: assumesYes(args, process.env) });
  const versions = await ensureRestic(ROOT, ready.env, signal);
  await ensureRestServer(ROOT, ready.env, signal);
  await ensureRclone(ROOT, ready.env, signal);
  await ensureAge(ROOT, ready.env, signal);
  await ensurePostgresServers(ROOT, EVERY_RUN, ready.env, signal);
  await ensurePgBouncer(ROOT, ready.env, signal);
  const old = versions.find((version) => version.startsWith("0.14."));
  const oldBin = join(toolsOf(ROOT), "restic", old ?? "", "usr", "bin");
  return {
    ...ready,
    env: { ...ready.env, PATH: `${ready.env["PATH"] ?? ""}${delimiter}${oldBin}` },
  };
}
