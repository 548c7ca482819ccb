import { readFile } from "node:fs/promises";
import type { Secret } from "../kernel/index.ts";
import type { StoreSettings, TlsSettings } from "../objectstore/index.ts";
import type { Credentials, Destination, SecretReference, TlsPolicy } from "../policy/index.ts";
import { resolveSecret } from "../secrets/index.ts";
import type { OperationContext } from "./context.ts";
import { operationError } from "./errors.ts";

/** What the policy says of a store, secrets resolved; keys that are not given stay away, so that drivers' defaults hold. */
export async function storeSettings(
  context: OperationContext,
  destination: Destination,
): Promise<StoreSettings> {
  const { region, endpoint, encryption, tls, limits } = destination;
  const secrets = await resolved(context, destination.credentials ?? {});
  const storageClass = destination.storage_class;
  return {
    s3: compact({
      region,
      endpoint,
      pathStyle: destination.path_style,
      storageClass,
      encryption:
        encryption === undefined
          ? undefined
          : encryption === "aes256"
            ? { kind: "aes256" as const }
            : { kind: "kms" as const, ...compact({ keyId: encryption.kms }) },
      credentials:
        secrets.access_key === undefined || secrets.secret_key === undefined
          ? undefined
          : {
              id: secrets.access_key,
              secret: secrets.secret_key,
              ...compact({ sessionToken: secrets.session_token }),
            },
    }),
    google: compact({ serviceAccount: secrets.service_account, storageClass, endpoint }),
    rest: compact({ username: destination.credentials?.username, password: secrets.password }),
    ...(tls === undefined ? {} : { tls: await tlsSettings(tls) }),
    ...(limits === undefined
      ? {}
      : {
          limits: compact({
            uploadBytesPerSecond: limits.upload,
            downloadBytesPerSecond: limits.download,
            requestsPerSecond: limits.requests_per_second,
            concurrency: limits.concurrency,
          }),
        }),
  };
}

type SecretKey = Exclude<keyof Credentials, "username">;

async function resolved(
  context: OperationContext,
  credentials: Credentials,
): Promise<Partial<Record<SecretKey, Secret>>> {
  const { username: _username, ...references } = credentials;
  const found: Partial<Record<string, Secret>> = {};
  for (const [key, reference] of Object.entries<SecretReference | undefined>(references)) {
    if (reference !== undefined) found[key] = await resolveSecret(reference, context.env);
  }
  return found;
}

async function tlsSettings({ min, ca }: TlsPolicy): Promise<TlsSettings> {
  return compact({
    minVersion: min,
    certificateAuthorities: ca === undefined ? undefined : await readCertificates(ca),
  });
}

async function readCertificates(file: string): Promise<string> {
  let text: string;
  try {
    text = await readFile(file, "utf8");
  } catch (thrown) {
    throw operationError("ca_unreadable", {
      message: `file of certificate authorities ${file} that cannot be read`,
      subject: { file },
      cause: thrown,
    });
  }
  if (text.includes("-----BEGIN CERTIFICATE-----")) return text;
  throw operationError("ca_unreadable", {
    message: `file of certificate authorities ${file} without a certificate`,
    subject: { file },
  });
}

type Given<T> = { [K in keyof T]?: Exclude<T[K], undefined> };

/** The same object without the keys that have no value. */
function compact<T extends object>(object: T): Given<T> {
  const given: Given<T> = {};
  const entries: readonly (readonly [string, unknown])[] = Object.entries(object);
  for (const [key, value] of entries) {
    if (value !== undefined) Object.assign(given, { [key]: value });
  }
  return given;
}
