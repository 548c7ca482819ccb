/** The thread that verifies packs: started by verify-pool.ts alone. */
import { parentPort } from "node:worker_threads";
import { bug, youngCollector } from "../../kernel/index.ts";
import type { SealKeys } from "../crypto/master-key.ts";
import { createZstdSession } from "../zstd-session.ts";
import { verifyPack } from "./verify-pack.ts";
import { isVerifyRequest, isVerifyStart } from "./verify-worker-messages.ts";
import type { VerifyReply } from "./verify-worker-messages.ts";

function main(): void {
  const port = parentPort;
  if (port === null) throw bug("verifying thread that no pool has started");
  const codec = createZstdSession(1);
  const collectYoung = youngCollector();
  let keys: SealKeys | undefined;
  // One listener: a second one, added by the first, would be given the first message too where somebody else listens.
  port.on("message", (request: unknown) => {
    if (keys === undefined) {
      if (!isVerifyStart(request)) throw bug("verifying thread that was not given its keys");
      keys = request;
      return;
    }
    if (!isVerifyRequest(request)) throw bug("message that a verifying thread does not know");
    const { number, name, pack, sizeBytes, lent, table } = request;
    const bytes = new Uint8Array(pack, 0, sizeBytes);
    const verdict = verifyPack(bytes, name, table, { keys, codec, pause: collectYoung });
    if (lent && pack instanceof ArrayBuffer) {
      port.postMessage({ number, verdict, pack } satisfies VerifyReply, [pack]);
      return;
    }
    // Given back at once: the pack lies outside the heap that V8 watches, which would keep some more of them.
    if (pack instanceof ArrayBuffer) pack.transfer(0);
    port.postMessage({ number, verdict } satisfies VerifyReply);
  });
}

main();
