import { createHash, randomBytes } from "node:crypto";
import { describe, expect, test } from "vitest";
import type { Bytes } from "../../kernel/index.ts";
import { masterKeyOf } from "../crypto/master-key.ts";
import { sealBytes } from "../crypto/sealed.ts";
import { blobIdOf, sealBlob } from "../seal.ts";
import { SEAL_WORKER, ThreadStock, VERIFY_WORKER } from "../thread-stock.ts";
import { createPackVerifier } from "./verify-pool.ts";
import type { VerifierOptions } from "./verify-pool.ts";

const { keys } = masterKeyOf(Buffer.alloc(64, 7));
const plains = ["one ".repeat(500), "two", "three ".repeat(9_000)].map((text) => Buffer.from(text));

/** A pack of these blobs with a header of nothing, and what an index says of it. */
function packed(): { pack: Bytes; name: string; table: { ids: Bytes; places: Uint32Array } } {
  const sealed = plains.map((plain) => sealBlob(plain, "data", keys, 3, randomBytes(16)));
  let offset = 0;
  const places = sealed.flatMap(({ bytes, compressed, plainBytes }) => {
    offset += bytes.byteLength;
    return [offset - bytes.byteLength, bytes.byteLength, compressed ? plainBytes : 0];
  });
  const header = sealBytes(new Uint8Array(0), keys, randomBytes(16));
  const length = Buffer.alloc(4);
  length.writeUInt32LE(header.byteLength);
  const pack = Buffer.concat([...sealed.map(({ bytes }) => bytes), header, length]);
  const ids = Buffer.concat(plains.map(blobIdOf));
  const name = createHash("sha256").update(pack).digest("hex");
  return { pack, name, table: { ids, places: Uint32Array.from(places) } };
}

function verifier(changes: Partial<VerifierOptions>) {
  return createPackVerifier({ keys, totalBytes: 1, ...changes });
}

describe.for([
  ["on the caller's thread", { inlineBytes: 10 }],
  ["in threads", { inlineBytes: 0 }],
  ["in threads started before", { inlineBytes: 0, ahead: true }],
  ["beside threads started before", { inlineBytes: 10, ahead: true }],
  ["in threads of its own, where others were started", { inlineBytes: 0, ahead: "others" }],
] as const)("a pack verified %s", ([, given]) => {
  const options = (): Partial<VerifierOptions> => ({
    inlineBytes: given.inlineBytes,
    ...("ahead" in given
      ? { threads: new ThreadStock(given.ahead === "others" ? SEAL_WORKER : VERIFY_WORKER, 2) }
      : {}),
  });

  test("is told whole, and each damage of it", async () => {
    await using pool = verifier(options());
    const { pack, name, table } = packed();
    const whole = await pool.verify(Buffer.from(pack), name, table);
    expect(whole).toMatchObject({ nameFits: true, damaged: Uint8Array.of(0, 0, 0) });
    expect(whole.header).toHaveLength(0);
    const flipped = Buffer.from(pack);
    flipped[5] = (flipped[5] ?? 0) ^ 1;
    expect(await pool.verify(flipped, name, table)).toMatchObject({
      nameFits: false,
      damaged: Uint8Array.of(1, 0, 0),
    });
    const cut = await pool.verify(Buffer.from(pack.subarray(0, 40)), name, table);
    expect(cut).toMatchObject({ nameFits: false, damaged: Uint8Array.of(1, 1, 1) });
    expect(cut.header).toBeUndefined();
  });

  test("whose index claims another length is damaged there", async () => {
    await using pool = verifier(options());
    const { pack, name, table } = packed();
    for (const claimed of [1, 0xffff_ffff]) {
      const places = Uint32Array.from(table.places);
      places[2] = claimed;
      const { damaged } = await pool.verify(Buffer.from(pack), name, { ...table, places });
      expect([...damaged]).toEqual([1, 0, 0]);
    }
  });

  test("takes nothing else with it that lies in the same buffer", async () => {
    await using pool = verifier(options());
    const { pack, name, table } = packed();
    const shared = Buffer.concat([Buffer.from("before"), pack]);
    const { nameFits } = await pool.verify(shared.subarray(6), name, table);
    expect([nameFits, shared.toString("utf8", 0, 6)]).toEqual([true, "before"]);
  });
});

test.for([
  ["dies", "process.exit(3);"],
  ["throws", "throw new Error('planted');"],
  ["answers nonsense", "parentPort.postMessage('what?');"],
])("a thread that %s fails what it held, and is not waited for", async ([, body]) => {
  const source = `import { parentPort } from "node:worker_threads"; parentPort.on("message", () => { ${body} });`;
  const entry = new URL(`data:text/javascript,${encodeURIComponent(source)}`);
  await using pool = verifier({ inlineBytes: 0, entry });
  const { pack, name, table } = packed();
  await expect(pool.verify(pack, name, table)).rejects.toThrow(
    expect.objectContaining({ code: "repository.sealer_failed" }),
  );
});
