import {
  createRestStore,
  describeObjectStore,
  withRepositoryKeys,
} from "../../src/objectstore/testing/index.ts";
import { REST_SERVERS, startRest } from "../support/rest-servers.ts";
import type { RestServer } from "../support/rest-servers.ts";
import { afterAll, beforeAll } from "vitest";

/** The whole contract over each server, plain on loopback and over TLS with a password. */
for (const kind of REST_SERVERS) {
  for (const secure of [false, true]) {
    let server: RestServer;
    let repositories = 0;
    beforeAll(async () => {
      server = await startRest(kind, { tls: secure, auth: secure, verifyUploads: false });
    });
    afterAll(() => server[Symbol.asyncDispose]());
    describeObjectStore(`${kind}${secure ? " over TLS" : ""}`, async () => {
      repositories += 1;
      const { settings } = server;
      const location = `rest:${server.url}r${repositories}/`;
      const store = createRestStore(location, { settings });
      return {
        store: withRepositoryKeys(store),
        [Symbol.asyncDispose]: async () => undefined,
      };
    });
  }
}
