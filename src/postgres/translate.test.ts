import { DatabaseError } from "pg";
import { describe, expect, test } from "vitest";
import { postgresError } from "./errors.ts";
import { checkSettings, supportedVersion, wantedSettings } from "./session-settings.ts";
import { cleanText, translateError } from "./translate.ts";

function serverError(code: string, extra: Partial<DatabaseError> = {}): DatabaseError {
  return Object.assign(new DatabaseError("the server's words", 10, "error"), { code, ...extra });
}

function codeOf(thrown: unknown): string {
  return translateError(thrown, {}).code;
}

describe("errors of the server", () => {
  test.for([
    ["28P01", "postgres.authentication_failed"],
    ["28000", "postgres.authentication_failed"],
    ["3D000", "postgres.database_not_found"],
    ["08006", "postgres.unreachable"],
    ["57P03", "postgres.unreachable"],
    ["57P01", "postgres.connection_lost"],
    ["57P02", "postgres.connection_lost"],
    ["25P03", "postgres.connection_lost"],
    ["53300", "postgres.too_many_connections"],
    ["53100", "postgres.disk_full"],
    ["53200", "postgres.out_of_memory"],
    ["42501", "postgres.permission_denied"],
    ["57014", "postgres.timeout"],
    ["55P03", "postgres.lock_timeout"],
    ["40P01", "postgres.deadlock"],
    ["42P01", "postgres.relation_not_found"],
    ["3F000", "postgres.relation_not_found"],
    ["XX001", "postgres.server_damaged"],
    ["XX002", "postgres.server_damaged"],
    ["22012", "postgres.statement_failed"],
  ] as const)("SQLSTATE %s is %s", ([state, code]) => {
    const { kind } =
      Object.entries(postgresError.codes).find(([name]) => `postgres.${name}` === code)?.[1] ?? {};
    expect(translateError(serverError(state), {})).toMatchObject({ code, kind });
  });

  test("the routine tells row-level security from a missing grant, in every language", () => {
    expect(codeOf(serverError("42501", { routine: "check_enable_rls" }))).toBe(
      "postgres.row_security",
    );
  });

  test.for([
    "MaxClientsInSessionMode: max clients reached - in Session mode max clients are limited to pool_size",
    "no more connections allowed (max_client_conn)",
    "query_wait_timeout",
    "(EMAXCONNSESSION) max clients reached in session mode - max clients are limited to pool_size: 15",
  ])("a pooler that is full: %s", (text) => {
    const full = Object.assign(new DatabaseError(text, 10, "error"), { code: "XX000" });
    expect(codeOf(full)).toBe("postgres.too_many_connections");
  });

  test("the routine tells a standby's conflict from a serialization failure", () => {
    const conflict = { routine: "ProcessInterrupts" };
    expect(codeOf(serverError("40001", conflict))).toBe("postgres.recovery_conflict");
    const newer = { routine: "ProcessRecoveryConflictInterrupt" };
    expect(codeOf(serverError("40001", newer))).toBe("postgres.recovery_conflict");
    expect(codeOf(serverError("40001", { routine: "heap_update" }))).toBe(
      "postgres.statement_failed",
    );
  });

  test("values too large, by any of their texts", () => {
    const alloc = Object.assign(
      new DatabaseError("invalid memory alloc request size 1174405121", 10, "error"),
      { code: "XX000" },
    );
    expect(codeOf(alloc)).toBe("postgres.value_too_large");
    expect(codeOf(serverError("54000", { routine: "enlargeStringInfo" }))).toBe(
      "postgres.value_too_large",
    );
  });

  test("the way there", () => {
    const socket = (code: string): Error => Object.assign(new Error(code), { code });
    expect(codeOf(socket("ECONNREFUSED"))).toBe("postgres.unreachable");
    expect(codeOf(socket("ENOTFOUND"))).toBe("postgres.unreachable");
    expect(codeOf(new Error("timeout expired"))).toBe("postgres.unreachable");
    expect(codeOf(socket("ECONNRESET"))).toBe("postgres.connection_lost");
    expect(codeOf(new Error("Connection terminated unexpectedly"))).toBe(
      "postgres.connection_lost",
    );
    expect(codeOf(socket("DEPTH_ZERO_SELF_SIGNED_CERT"))).toBe("postgres.tls_failed");
    expect(codeOf(socket("ERR_TLS_CERT_ALTNAME_INVALID"))).toBe("postgres.tls_failed");
  });

  test("hostile text is one bounded line", () => {
    const text = cleanText(`\u001b[2Ja\nb\r\u0000${"x".repeat(10_000)}`);
    expect(text.startsWith("[2Ja b x")).toBe(true);
    expect(text.length).toBeLessThan(600);
    expect(/\p{Cc}/u.test(text)).toBe(false);
  });
});

describe("settings read back", () => {
  const limits = { readOnly: true, statementTimeoutMs: 1, lockTimeoutMs: 2 };
  const wanted = wantedSettings(limits);
  const found = [...wanted].map(([name, setting]) => ({ name, setting }));

  test("all as wanted", () => {
    expect(() => checkSettings(wanted, found)).not.toThrow();
    // The newest settings are missing in an older server.
    const older = found.filter(
      ({ name }) => name !== "transaction_timeout" && name !== "idle_session_timeout",
    );
    expect(() => checkSettings(wanted, older)).not.toThrow();
  });

  test("each one that another value has is refused", () => {
    for (const { name } of found) {
      const changed = found.map((one) => (one.name === name ? { name, setting: "odd" } : one));
      expect(() => checkSettings(wanted, changed)).toThrow(
        expect.objectContaining({ code: "postgres.settings_refused", subject: { setting: name } }),
      );
    }
  });

  test("a server that shows too few is refused", () => {
    expect(() => checkSettings(wanted, found.slice(3))).toThrow(
      expect.objectContaining({ code: "postgres.settings_refused" }),
    );
  });

  test("the version: told, and 13 or newer", () => {
    const told = (setting: string): number =>
      supportedVersion([{ name: "server_version_num", setting }]);
    expect(told("150018")).toBe(150_018);
    expect(() => told("120022")).toThrow(
      expect.objectContaining({ code: "postgres.server_too_old" }),
    );
    expect(() => told("fifteen")).toThrow(
      expect.objectContaining({ code: "postgres.settings_refused" }),
    );
    expect(() => supportedVersion([])).toThrow(
      expect.objectContaining({ code: "postgres.settings_refused" }),
    );
  });
});
