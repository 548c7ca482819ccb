import { assert as check, property, string } from "fast-check";
import { describe, expect, test } from "vitest";
import { AppError, Secret } from "../kernel/index.ts";
import { formatTarget, keywordsOf, parseTarget, withDatabase, withUser } from "./target.ts";

function parse(text: string): ReturnType<typeof parseTarget> {
  return parseTarget(new Secret(text));
}

function failure(text: string): AppError {
  try {
    parse(text);
  } catch (error) {
    if (error instanceof AppError) return error;
    throw error;
  }
  throw new Error(`${text} was accepted`);
}

describe("connection strings", () => {
  test("a URI, percent escapes taken off", () => {
    const target = parse("postgresql://jo%40hn:p%C3%A4ss%3A%2F@127.0.0.1:5433/my%20db");
    expect(target).toMatchObject({
      host: "127.0.0.1",
      port: 5433,
      user: "jo@hn",
      database: "my db",
      sslMode: "disable",
      local: true,
    });
    expect(target.password?.reveal()).toBe("päss:/");
  });

  test("keyword pairs, quotes and escapes taken off", () => {
    const target = parse(
      String.raw`host=/run/postgresql user = 'o\'neil' password='a b\\c' dbname=x`,
    );
    expect(target).toMatchObject({ host: "/run/postgresql", user: "o'neil", database: "x" });
    expect(target.password?.reveal()).toBe(String.raw`a b\c`);
  });

  test("a socket folder and an IPv6 address in a URI", () => {
    expect(parse("postgresql://me@%2Frun%2Fpg/x")).toMatchObject({ host: "/run/pg", local: true });
    expect(parse("postgresql://me@[::1]:5432/x")).toMatchObject({ host: "::1", local: true });
    expect(parse("postgresql://me@/x?host=/run/pg")).toMatchObject({ host: "/run/pg" });
  });

  test("the database is the user's where none is named, as everywhere", () => {
    expect(parse("postgresql://me@localhost").database).toBe("me");
  });

  test.for([
    ["postgresql://u:hunter2@:5432/x", "names no host"],
    ["postgresql://localhost/x", "names no user"],
    ["postgresql://u:hunter2@a,b/x", "several hosts"],
    ["postgresql://u:hunter2@a:99999/x", "port"],
    ["postgresql://u:hunter2@a/x?options=-cfoo", "unknown parameter options"],
    ["postgresql://u:hunter2@a/x?sslmode=maybe", "unknown sslmode"],
    ["postgresql://u:hunter2%zz@a/x", "percent escape"],
    ["postgresql://u:x?hunter2=y@a/x", "an unknown parameter"],
    ["postgresql://u:x@a/x?sslmode=hunter2", "an unknown sslmode"],
    ["postgresql://u:hunter2@a/x?sslmode", "without a value"],
    ["mysql://u:hunter2@a/x", "neither a URI nor"],
    ["host='a user=hunter2", "neither a URI nor"],
  ])("%s: %s, and no secret in the message", ([text, part]) => {
    const error = failure(text ?? "");
    expect(error).toMatchObject({ code: "postgres.invalid_url", kind: "config" });
    expect(error.message).toContain(part);
    expect(`${error.message} ${error.hint} ${error.stack}`).not.toContain("hunter2");
  });

  test.for(["disable", "allow", "prefer", "require", "verify-ca"])(
    "sslmode=%s leaves this machine never",
    (mode) => {
      expect(failure(`postgresql://u@db.example.com/x?sslmode=${mode}`)).toMatchObject({
        code: "postgres.weak_tls",
        kind: "config",
      });
      expect(parse(`postgresql://u@localhost/x?sslmode=${mode}`).local).toBe(true);
    },
  );

  test("verify-full is what a remote server gets where the string says nothing", () => {
    expect(parse("postgresql://u@db.example.com/x")).toMatchObject({
      sslMode: "verify-full",
      local: false,
    });
    // A name that only looks local.
    expect(parse("postgresql://u@127.0.0.1.example.com/x").local).toBe(false);
  });

  test("what is formatted is read back, whatever the names hold", () => {
    const name = string({ unit: "binary", minLength: 1 }).filter((text) => text.trim() === text);
    check(
      property(name, name, name, (user, password, database) => {
        const url = withUser(new Secret("postgresql://me@127.0.0.1/x"), user, new Secret(password));
        const target = parseTarget(withDatabase(url, database));
        expect(target).toMatchObject({ user, database });
        expect(target.password?.reveal()).toBe(password);
      }),
    );
  });

  test("the keywords for programs hold no password", () => {
    const target = parse("postgresql://u:hunter2@localhost/x");
    expect(JSON.stringify(keywordsOf(target))).not.toContain("hunter2");
    expect(String(formatTarget(target))).toBe("[redacted]");
  });

  test("garbage is refused, never a crash", () => {
    expect(failure("garbage").code).toBe("postgres.invalid_url");
    check(
      property(string({ unit: "binary" }), (text) => {
        try {
          parse(text);
        } catch (error) {
          if (!(error instanceof AppError)) throw error;
        }
      }),
    );
  });
});
