/*
 * effects
 *   reads         one dump and its manifest; the key holder's keyring, which gpg's agent unlocks
 *   writes        two audit records, before and after; a throwaway PostgreSQL in a private folder below TMPDIR, and the dump's ciphertext beside it
 *   locks         none
 *   leaves behind nothing: cluster, plaintext and ciphertext are gone, also after a failure; gpg's agent keeps running as after any use of gpg
 *   exit codes    0; 3 rows came back, some definitions did not; 1 no such dump or key; 20 the file is not what its manifest says; 21 tables or rows differ; 130
 */
import { drillError, restoreDump, serverUser } from "../../drill/index.ts";
import type { RestoredDump } from "../../drill/index.ts";
import type { DumpManifest } from "../../manifest/index.ts";
import type { Policy } from "../../policy/index.ts";
import { findClientTools } from "../../postgres/index.ts";
import type { ClientTools } from "../../postgres/index.ts";
import { decrypt, findProgram } from "../../program/index.ts";
import { resolveSecret } from "../../secrets/index.ts";
import { recordAccess } from "../audit-log.ts";
import type { OnProgress, OperationContext } from "../context.ts";
import { operationError } from "../errors.ts";
import { GPG_HINT } from "./encryption.ts";
import { findDump } from "./find-dump.ts";
import type { FoundDump } from "./find-dump.ts";

export interface DrillDumpOptions {
  readonly policy: Policy;
  /** A plan, whose newest dump is taken; a local file; or the name of a dump at the destination. */
  readonly what: string;
  readonly destination?: string;
  /** By default GNUPGHOME, else ~/.gnupg. */
  readonly gnupgHome?: string;
  /** Of a file that only its owner can read; else gpg's agent asks. */
  readonly passphraseFile?: string;
  readonly ownUid: number | undefined;
  readonly onProgress?: OnProgress;
}

export interface DrillResult extends RestoredDump {
  readonly outcome: "restored" | "restored-partly" | "failed";
  readonly file: string;
  readonly location: string;
  readonly gnupgHome: string;
  readonly durationMs: number;
  readonly manifest: DumpManifest;
}

export async function drillDump(
  context: OperationContext,
  options: DrillDumpOptions,
): Promise<DrillResult> {
  const { policy, onProgress } = options;
  const { signal, clock } = context;
  const startedMs = clock.monotonicMs();
  const record = (subject: Readonly<Record<string, string>>): Promise<void> =>
    recordAccess(context, policy, "drill", { by: "key holder", what: options.what, ...subject });
  await record({ step: "begin" });
  const gpg = await findProgram("gpg", context.toolDirectories, GPG_HINT);
  const passphrase =
    options.passphraseFile === undefined
      ? undefined
      : await resolveSecret({ file: options.passphraseFile }, context.env);
  const gnupgHome = options.gnupgHome ?? homeOf(context);
  onProgress?.({ step: "fetch", doneBytes: 0, totalBytes: 0 });
  await using dump = await findDump(context, options);
  const { manifest } = dump;
  demandSame(dump);
  const tools = await serverTools(context, manifest);
  const env = personsEnvironment(context);
  const decrypted = decrypt(dump.open(), { gpg, home: gnupgHome, env, passphrase, signal });
  const restored = await restoreDump({
    manifest,
    plaintext: decrypted,
    tools,
    user: await serverUser(options.ownUid),
    clock,
    random: context.random,
    signal,
    onStep: (step, doneBytes) =>
      onProgress?.({
        step,
        doneBytes,
        totalBytes: step === "restore" ? manifest.plaintext.sizeBytes : 0,
      }),
  });
  const outcome = outcomeOf(restored);
  await record({ step: "end", file: manifest.file, outcome });
  const durationMs = clock.monotonicMs() - startedMs;
  const { file } = manifest;
  return { outcome, file, location: dump.location, gnupgHome, durationMs, manifest, ...restored };
}

function outcomeOf({ tables, refused }: RestoredDump): DrillResult["outcome"] {
  if (tables.some(({ rows, expectedRows }) => rows !== expectedRows)) return "failed";
  return refused.length === 0 ? "restored" : "restored-partly";
}

/** Before gpg is asked for anything: what lies there is what was written. */
function demandSame({ manifest, sizeBytes, sha256 }: FoundDump): void {
  const { ciphertext, file } = manifest;
  if (sizeBytes === ciphertext.sizeBytes && sha256 === ciphertext.sha256) return;
  const how =
    sizeBytes === ciphertext.sizeBytes
      ? "whose bytes are not those of its manifest"
      : `of ${sizeBytes} bytes where its manifest says ${ciphertext.sizeBytes}`;
  throw operationError("dump_differs", {
    message: `dump ${file} ${how}`,
    subject: { file, expected: ciphertext.sha256, found: sha256 },
  });
}

async function serverTools(
  context: OperationContext,
  { server }: DumpManifest,
): Promise<ClientTools> {
  const { signal, toolDirectories } = context;
  const major = Math.floor(server.versionNum / 10_000);
  const tools = await findClientTools(toolDirectories, server.versionNum, { signal });
  const whole = tools.initdb !== undefined && tools.postgres !== undefined;
  if (whole && tools.major === major) return tools;
  throw drillError("server_missing", {
    message: `no PostgreSQL ${major} server programs, which the dump of ${server.database} needs`,
    hint: `Run: apt-get install postgresql-${major}`,
    subject: { major },
  });
}

function homeOf({ env }: OperationContext): string {
  const named = env("GNUPGHOME") ?? "";
  if (named !== "") return named;
  return `${env("HOME") ?? ""}/.gnupg`;
}

/** What pinentry needs to ask whoever sits there; nothing else of ours is handed on. */
function personsEnvironment({ env }: OperationContext): Readonly<Record<string, string>> {
  const names = [
    "HOME",
    "GPG_TTY",
    "TERM",
    "DISPLAY",
    "WAYLAND_DISPLAY",
    "XAUTHORITY",
    "XDG_RUNTIME_DIR",
    "DBUS_SESSION_BUS_ADDRESS",
  ];
  const found = names.flatMap((name): [string, string][] => {
    const value = env(name);
    return value === undefined ? [] : [[name, value]];
  });
  return Object.fromEntries(found);
}
