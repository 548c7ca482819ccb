import { expect, test } from "vitest";
import type { Connection } from "../../postgres/index.ts";
import { demandUnrewritten } from "./count-rows.ts";

/** Answers every query with these rows. */
function answering(rows: readonly unknown[]): Connection {
  const session: Pick<Connection, "query"> = { query: () => Promise.resolve([...rows] as never[]) };
  return session as Connection;
}

test("a table that was rewritten between the snapshot and pg_dump's locks ends the dump, by name", async () => {
  await expect(demandUnrewritten(answering([]), [])).resolves.toBeUndefined();
  const found = answering([{ schema: "public", name: "orders" }]);
  await expect(demandUnrewritten(found, [])).rejects.toMatchObject({
    code: "source.rewritten",
    message: expect.stringContaining("public.orders") as unknown,
  });
});
