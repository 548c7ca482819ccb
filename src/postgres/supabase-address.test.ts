import { describe, expect, test } from "vitest";
import { Secret } from "../kernel/index.ts";
import { supabaseAddress, supabaseHint } from "./supabase-address.ts";
import { parseTarget } from "./target.ts";

describe("an address of Supabase's", () => {
  test.for([
    ["db.zcxsbfzezfjnkxwnnklf.supabase.co", 5432, "direct"],
    ["DB.zcxsbfzezfjnkxwnnklf.supabase.co.", 5432, "direct"],
    ["db.zcxsbfzezfjnkxwnnklf.supabase.co", 6543, "transaction pooler"],
    ["aws-0-eu-central-1.pooler.supabase.com", 5432, "session pooler"],
    ["aws-0-eu-central-1.pooler.supabase.com", 6543, "transaction pooler"],
    ["db.example.com", 6543, undefined],
    ["db.zcxsbfzezfjnkxwnnklf.supabase.co.example.com", 6543, undefined],
    ["pooler.supabase.com.example.com", 6543, undefined],
    ["127.0.0.1", 6543, undefined],
  ] as const)("%s:%i is %s", ([host, port, expected]) => {
    expect(supabaseAddress(host, port)).toBe(expected);
  });

  test.for([
    "postgresql://postgres.ref:hunter2@aws-0-eu-central-1.pooler.supabase.com:6543/postgres",
    "postgresql://postgres:hunter2@db.ref.supabase.co:6543/postgres",
    "host=db.ref.supabase.co port=6543 user=postgres password=hunter2 dbname=postgres",
  ])("of the transaction pooler is refused before anything is sent: %s", (url) => {
    const parse = (): unknown => parseTarget(new Secret(url));
    expect(parse).toThrow(
      expect.objectContaining({
        code: "postgres.transaction_pooler",
        kind: "config",
        message: expect.not.stringContaining("hunter2") as unknown,
      }),
    );
  });

  test.for(["aws-0-eu-central-1.pooler.supabase.com:5432", "db.ref.supabase.co"])(
    "that keeps its session is taken, with TLS that proves the server: %s",
    (address) => {
      const target = parseTarget(new Secret(`postgresql://postgres.ref:x@${address}/postgres`));
      expect(target).toMatchObject({ sslMode: "verify-full", local: false });
    },
  );

  test("says what helps there", () => {
    const direct = { host: "db.ref.supabase.co", port: 5432 };
    const pooler = { host: "aws-0-eu-central-1.pooler.supabase.com", port: 5432 };
    expect(supabaseHint("postgres.unreachable", direct)).toContain("IPv6");
    expect(supabaseHint("postgres.unreachable", pooler)).toBeUndefined();
    expect(supabaseHint("postgres.tls_failed", pooler)).toContain("sslrootcert");
    expect(supabaseHint("postgres.tls_failed", { host: "a.example", port: 5432 })).toBeUndefined();
  });
});
