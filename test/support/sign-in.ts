/** Users, certificates and requests of sign-in, on a test's server. */
import 'reflect-metadata';
import { createHash, webcrypto } from 'node:crypto';
import { X509CertificateGenerator } from '@peculiar/x509';
import { type RawResponse, send, type TestServer } from './server.ts';

export const azureLogin = 'login.microsoftonline.com';
export const vaultResource = 'https://vault.azure.net';
export const azureCli = '04b07795-8ddb-461a-bbee-02f9e1bf7b46';
export const azurePowerShell = '1950a258-227b-4e31-a9cf-717495945fc2';

export interface TestUser {
  readonly userName: string;
  readonly password: string;
  readonly objectId: string;
}

/** A new user with a password, and the roles given at the vault `dev`. */
export async function makeUser(
  server: TestServer,
  name: string,
  roles: readonly string[] = [],
): Promise<TestUser> {
  const userName = `${name}@strongroom.local`;
  const password = `correct horse of ${Buffer.from(name).toString('hex')}`;
  const { objectId } = await server.control<{ objectId: string }>('identity create-user', {
    userName,
    password,
  });
  for (const role of roles)
    await server.control('identity grant', { identity: objectId, role, vault: 'dev' });
  return { userName, password, objectId };
}

/** POSTs a form to a login endpoint; members without a value are left out. */
export function postForm(
  server: TestServer,
  path: string,
  form: Readonly<Record<string, string | undefined>>,
  more: { host?: string; headers?: Record<string, string>; localAddress?: string } = {},
): Promise<RawResponse> {
  const given = Object.entries(form).filter((pair): pair is [string, string] => pair[1] !== undefined);
  return send(server, {
    host: more.host ?? azureLogin,
    method: 'POST',
    path,
    headers: { 'Content-Type': 'application/x-www-form-urlencoded', ...more.headers },
    body: new URLSearchParams(given).toString(),
    ...(more.localAddress === undefined ? {} : { localAddress: more.localAddress }),
  });
}

/** A key and a certificate for it, signed by itself. */
export interface TestCertificate {
  readonly keys: webcrypto.CryptoKeyPair;
  readonly pem: string;
  readonly der: Buffer;
  readonly keyPem: string;
  readonly sha1: Buffer;
  readonly sha256: Buffer;
}

/** Makes a certificate; `now` is the test's clock. */
export async function makeCertificate(
  now: number,
  kind: 'rsa' | 'ec' = 'rsa',
  days = 30,
): Promise<TestCertificate> {
  const algorithm =
    kind === 'rsa'
      ? {
          name: 'RSASSA-PKCS1-v1_5',
          hash: 'SHA-256',
          modulusLength: 2048,
          publicExponent: new Uint8Array([1, 0, 1]),
        }
      : { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' };
  const keys = (await webcrypto.subtle.generateKey(algorithm, true, [
    'sign',
    'verify',
  ])) as webcrypto.CryptoKeyPair;
  const made = await X509CertificateGenerator.createSelfSigned(
    {
      name: 'CN=test client',
      notBefore: new Date(now - 60_000),
      notAfter: new Date(now + days * 24 * 60 * 60_000),
      signingAlgorithm: algorithm,
      keys,
    },
    webcrypto as unknown as Crypto,
  );
  const der = Buffer.from(made.rawData);
  const pkcs8 = Buffer.from(await webcrypto.subtle.exportKey('pkcs8', keys.privateKey)).toString('base64');
  return {
    keys,
    der,
    pem: made.toString('pem'),
    keyPem: `-----BEGIN PRIVATE KEY-----\n${pkcs8.replace(/.{64}/g, '$&\n')}\n-----END PRIVATE KEY-----\n`,
    sha1: createHash('sha1').update(der).digest(),
    sha256: createHash('sha256').update(der).digest(),
  };
}

/** Signs a JWT as it is given, whatever it says. */
export async function signJwt(
  header: Record<string, unknown>,
  claims: Record<string, unknown>,
  key: webcrypto.CryptoKey,
): Promise<string> {
  const encode = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url');
  const input = `${encode(header)}.${encode(claims)}`;
  const algorithms: Record<
    string,
    webcrypto.AlgorithmIdentifier | webcrypto.RsaPssParams | webcrypto.EcdsaParams
  > = {
    RS256: 'RSASSA-PKCS1-v1_5',
    PS256: { name: 'RSA-PSS', saltLength: 32 },
    ES256: { name: 'ECDSA', hash: 'SHA-256' },
  };
  const alg = String(header.alg);
  const signer = alg === 'PS256' ? await asPss(key) : key;
  const signature = await webcrypto.subtle.sign(algorithms[alg] ?? '', signer, Buffer.from(input));
  return `${input}.${Buffer.from(signature).toString('base64url')}`;
}

/** Web Crypto ties a key to one padding. */
async function asPss(key: webcrypto.CryptoKey): Promise<webcrypto.CryptoKey> {
  const pkcs8 = await webcrypto.subtle.exportKey('pkcs8', key);
  return webcrypto.subtle.importKey('pkcs8', pkcs8, { name: 'RSA-PSS', hash: 'SHA-256' }, false, ['sign']);
}

/** MSAL's own requests, sent to the test's server whatever host they name. */
export function serverNetwork(server: TestServer) {
  const request = async (
    method: string,
    url: string,
    options?: { headers?: Record<string, string>; body?: string },
  ) => {
    const { host, pathname, search } = new URL(url);
    const reply = await send(server, {
      host,
      method,
      path: `${pathname}${search}`,
      headers: options?.headers ?? {},
      ...(options?.body === undefined ? {} : { body: options.body }),
    });
    return { headers: { ...reply.headers }, body: reply.json, status: reply.status };
  };
  return {
    sendGetRequestAsync: (url: string, options?: object) => request('GET', url, options),
    sendPostRequestAsync: (url: string, options?: object) => request('POST', url, options),
  };
}
