/**
 * An attestation authority on loopback over HTTPS: discovery, key set, tokens with the claims that a test wants, and
 * the environment behind them, which opens what was released to it. By way of `node:crypto` alone, so that it agrees
 * with the server only where both follow the standards.
 */
import {
  createDecipheriv,
  createPrivateKey,
  generateKeyPairSync,
  type KeyObject,
  privateDecrypt,
  sign,
  verify,
  X509Certificate,
} from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { createAuthority, issueLeaf } from '../../src/crypto/x509/authority.ts';
import { trust } from './trusted.ts';

type Claims = Readonly<Record<string, unknown>>;

export interface AttestationAuthority {
  /** Without a trailing slash; the tokens' `iss` has one, as Azure's test authority writes it. */
  readonly url: string;
  /** Of the authority that its TLS certificate is from, for `NODE_EXTRA_CA_CERTS`. */
  readonly caPem: string;
  /** Paths of the requests that came. */
  readonly asked: string[];
  /** Replaces the answer to every request. */
  answer: ((request: IncomingMessage, response: ServerResponse) => void) | undefined;
  /** The published keys; a test may change them. */
  readonly keys: Claims[];
  /** The environment's key, in every token unless the claims say otherwise. */
  readonly environment: Environment;
  /** A token that is good for an hour from `now` (milliseconds), with the claims; undefined takes one out. */
  mint(now: number, claims?: Claims, header?: Claims): string;
  /** A policy of this authority: the conditions in `allOf`, in base64url. */
  policy(...conditions: readonly Claims[]): string;
  close(): Promise<void>;
}

export interface Environment {
  readonly jwk: Claims & { readonly kid: string };
  /** Opens what was wrapped under the environment's key: PKCS#8, or the octets of an `oct` key. */
  open(wrapped: Uint8Array, enc: string): Buffer;
}

export const signingKeyId = 'attestation-signing-key';

const oaepHashes: Readonly<Record<string, string>> = {
  CKM_RSA_AES_KEY_WRAP: 'sha1',
  RSA_AES_KEY_WRAP_256: 'sha256',
  RSA_AES_KEY_WRAP_384: 'sha384',
};

/** Starts one; until it is closed this process trusts its certificate. */
export async function startAttestationAuthority(): Promise<AttestationAuthority> {
  const signing = generateKeyPairSync('rsa', { modulusLength: 2048 });
  const environment = createEnvironment();
  const { caPem, ...tls } = await makeCertificate();
  const asked: string[] = [];
  const keys: Claims[] = [{ ...signing.publicKey.export({ format: 'jwk' }), kid: signingKeyId, use: 'sig' }];
  const server = createServer(tls, (request, response) => {
    asked.push(request.url ?? '');
    if (authority.answer !== undefined) return authority.answer(request, response);
    const body = {
      '/.well-known/openid-configuration': { jwks_uri: `${authority.url}/keys` },
      '/keys': { keys },
    }[request.url ?? ''];
    response.writeHead(body === undefined ? 404 : 200, { 'content-type': 'application/json' });
    response.end(JSON.stringify(body ?? {}));
  });
  await new Promise<void>((ready) => server.listen(0, '127.0.0.1', ready));
  const url = `https://localhost:${(server.address() as AddressInfo).port}`;
  const distrust = trust(caPem);
  const authority: AttestationAuthority = {
    url,
    caPem,
    asked,
    answer: undefined,
    keys,
    environment,
    mint(now, claims = {}, header = {}) {
      const second = Math.floor(now / 1000);
      const usual = {
        iss: `${url}/`,
        iat: second,
        exp: second + 3600,
        'x-ms-runtime': { keys: [environment.jwk] },
      };
      const protectedHeader = { alg: 'RS256', typ: 'JWT', jku: `${url}/keys`, kid: signingKeyId, ...header };
      return signToken(signing.privateKey, { header: protectedHeader, claims: { ...usual, ...claims } });
    },
    policy: (...conditions) =>
      base64url({ version: '1.0.0', anyOf: [{ authority: url, allOf: conditions }] }),
    close: () =>
      new Promise((closed) => {
        distrust();
        server.close(() => closed());
        server.closeAllConnections();
      }),
  };
  return authority;
}

/** A compact JWS by RSA with SHA-256, whatever the header says. */
export function signToken(key: KeyObject, { header, claims }: { header: Claims; claims: Claims }): string {
  const input = `${base64url(header)}.${base64url(claims)}`;
  return `${input}.${sign('sha256', Buffer.from(input), key).toString('base64url')}`;
}

/** What a client reads from a release reply: verified with its chain up to `caPem`, for a vault's host. */
export function readReleaseReply(
  reply: string,
  { caPem, host }: { caPem: string; host: string },
): { header: Claims; payload: ReleasePayload; keyHsm: KeyHsm } {
  const [encodedHeader = '', encodedPayload = '', signature = ''] = reply.split('.');
  const header = fromBase64url(encodedHeader) as Claims & { readonly x5c: readonly string[] };
  const chain = header.x5c.map((text) => new X509Certificate(Buffer.from(text, 'base64')));
  const [leaf, root] = chain;
  const trusted = new X509Certificate(caPem);
  if (
    leaf === undefined ||
    root === undefined ||
    !root.raw.equals(trusted.raw) ||
    !leaf.verify(trusted.publicKey)
  ) {
    throw new Error('the chain of the reply does not end at the trusted authority');
  }
  if (leaf.checkHost(host) === undefined)
    throw new Error('the certificate is not for the host that was asked');
  const input = Buffer.from(`${encodedHeader}.${encodedPayload}`);
  if (!verify('sha256', input, leaf.publicKey, Buffer.from(signature, 'base64url'))) {
    throw new Error('the signature of the reply is wrong');
  }
  const payload = fromBase64url(encodedPayload) as ReleasePayload;
  return { header, payload, keyHsm: fromBase64url(payload.response.key.key.key_hsm) as KeyHsm };
}

export interface ReleasePayload {
  readonly request: Claims;
  readonly response: {
    readonly key: {
      readonly key: Claims & { readonly key_hsm: string };
      readonly attributes: Claims;
      readonly release_policy: Claims;
    };
  };
}

export interface KeyHsm {
  readonly schema_version: string;
  readonly header: { readonly kid: string; readonly alg: string; readonly enc: string };
  readonly ciphertext: string;
}

function createEnvironment(): Environment {
  const pair = generateKeyPairSync('rsa', { modulusLength: 2048 });
  return {
    jwk: { ...pair.publicKey.export({ format: 'jwk' }), kid: 'environment-key', key_ops: ['encrypt'] },
    open(wrapped, enc) {
      const oaepHash = oaepHashes[enc];
      if (oaepHash === undefined) throw new Error(`${enc} is no wrapping algorithm`);
      const kek = privateDecrypt({ key: pair.privateKey, oaepHash }, wrapped.subarray(0, 256));
      // RFC 5649 §3: the alternative initial value.
      const unwrap = createDecipheriv('id-aes256-wrap-pad', kek, Buffer.from('a65959a6', 'hex'));
      return Buffer.concat([unwrap.update(wrapped.subarray(256)), unwrap.final()]);
    },
  };
}

/** Valid by the machine's clock, by which TLS judges it. */
async function makeCertificate(): Promise<{ cert: string; key: string; caPem: string }> {
  const now = Math.floor(performance.timeOrigin);
  const ca = await createAuthority({
    commonName: 'Attestation test authority',
    permittedDnsNames: ['localhost'],
    permittedIpRanges: ['127.0.0.0/8'],
    now,
    validityDays: 2,
  });
  const names = { dnsNames: ['localhost'], ipAddresses: ['127.0.0.1'] };
  const leaf = await issueLeaf(ca, { ...names, now, validityDays: 1 });
  return { cert: leaf.chainPem, key: leaf.privateKeyPem.exposeText(), caPem: ca.certificatePem };
}

/** A published key as Azure Attestation publishes its own: in a certificate, without `n` and `e`. */
export async function certificateJwk(kid: string): Promise<{ jwk: Claims; privateKey: KeyObject }> {
  const now = Math.floor(performance.timeOrigin);
  const ca = await createAuthority({
    commonName: 'Attestation signing',
    permittedDnsNames: ['localhost'],
    permittedIpRanges: [],
    now,
    validityDays: 2,
  });
  const leaf = await issueLeaf(ca, {
    dnsNames: ['localhost'],
    ipAddresses: [],
    now,
    validityDays: 1,
    keyType: 'RSA-2048',
  });
  const certificate = new X509Certificate(leaf.chainPem);
  return {
    jwk: { kid, kty: 'RSA', x5c: [certificate.raw.toString('base64')] },
    privateKey: createPrivateKey(leaf.privateKeyPem.exposeText()),
  };
}

function base64url(value: unknown): string {
  return Buffer.from(JSON.stringify(value), 'utf8').toString('base64url');
}

function fromBase64url(text: string): unknown {
  return JSON.parse(Buffer.from(text, 'base64url').toString('utf8'));
}
