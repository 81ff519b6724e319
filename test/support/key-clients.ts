/** The official clients for keys, brought to the test's server, and keys that are made outside of it. */
import { generateKeyPairSync, type KeyObject } from 'node:crypto';
import {
  CryptographyClient,
  type CryptographyClientOptions,
  type JsonWebKey,
  KeyClient,
  type KeyClientOptions,
  type KeyVaultKey,
} from '@azure/keyvault-keys';
import { expect } from 'vitest';
import { azureAccess, type Identity, type TestServer } from './server.ts';

interface Who {
  readonly vault?: string;
  readonly identity?: Identity;
}

export function keyClient(server: TestServer, options: KeyClientOptions & Who = {}): KeyClient {
  const { vault = 'dev', identity, ...rest } = options;
  const { way, credential } = azureAccess(server, identity);
  return new KeyClient(`https://${vault}.vault.azure.net`, credential, { ...way, ...rest });
}

export interface ListeningClient {
  readonly client: CryptographyClient;
  /** What the client asked the server for since the last call: the operations, and `get` for the key itself. */
  readonly asked: () => string[];
}

/** A client for one key, by its identifier or as `KeyClient` gave it, which tells what it leaves to the server. */
export function cryptographyClient(
  server: TestServer,
  key: string | KeyVaultKey,
  { identity, ...options }: CryptographyClientOptions & Who = {},
): ListeningClient {
  const { way, credential } = azureAccess(server, identity);
  let operations: string[] = [];
  const listener = {
    name: 'listener',
    sendRequest: (
      request: { url: string; method: string },
      next: (request: never) => Promise<never>,
    ): Promise<never> => {
      const last = new URL(request.url).pathname.split('/').at(-1) ?? '';
      operations.push(request.method === 'GET' ? 'get' : last.toLowerCase());
      return next(request as never);
    },
  };
  const additionalPolicies = [{ policy: listener, position: 'perCall' as const }];
  return {
    client: new CryptographyClient(key, credential, { ...way, ...options, additionalPolicies }),
    asked() {
      const since = operations;
      operations = [];
      return since;
    },
  };
}

export type Jwk = Readonly<Record<string, string>>;

/** A key made by OpenSSL, with all members of its JWK. */
export function outsideKey(of: { bits: number } | { curve: string }): { key: KeyObject; jwk: Jwk } {
  const { privateKey } =
    'bits' in of
      ? generateKeyPairSync('rsa', { modulusLength: of.bits })
      : generateKeyPairSync('ec', { namedCurve: of.curve });
  return { key: privateKey, jwk: privateKey.export({ format: 'jwk' }) as Jwk };
}

const textMembers = ['kty', 'crv', 'kid'];

/** The members as the official client takes them: bytes in place of base64url. */
export function sdkJwk(jwk: Jwk): JsonWebKey {
  return Object.fromEntries(
    Object.entries(jwk).map(([name, value]) => [
      name,
      textMembers.includes(name) ? value : Buffer.from(value, 'base64url'),
    ]),
  );
}

/** What the official client throws for an answer of this kind. */
export function refusal(statusCode: number, code: string, message: string | RegExp): object {
  return expect.objectContaining({
    name: 'RestError',
    statusCode,
    code,
    message: typeof message === 'string' ? message : expect.stringMatching(message),
  });
}
