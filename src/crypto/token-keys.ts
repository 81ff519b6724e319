/**
 * RSA key pairs that sign tokens: made off the event loop, carried as PKCS#8 in secret bytes and as a public JWK
 * whose `kid` is its own thumbprint.
 */
import { generateKeyPair, hash, webcrypto } from 'node:crypto';
import { promisify } from 'node:util';
import { SecretBytes } from '../core/secret-bytes.ts';

/** Public half as published in a JWKS (RFC 7517, RFC 7518 §6.3.1). */
export interface PublicTokenKey {
  readonly kty: 'RSA';
  readonly use: 'sig';
  readonly alg: 'RS256';
  /** RFC 7638 thumbprint: SHA-256, base64url. */
  readonly kid: string;
  readonly n: string;
  readonly e: string;
}

/** A new pair; `privateKey` is PKCS#8 in DER. */
export interface TokenKeyPair {
  readonly publicJwk: PublicTokenKey;
  readonly privateKey: SecretBytes;
}

type KeyHandle = webcrypto.CryptoKey;

/** RSASSA-PKCS1-v1_5 with SHA-256 (RFC 7518 §3.3): the cheapest to verify, and what Entra ID signs with. */
const algorithm = { name: 'RSASSA-PKCS1-v1_5', hash: 'SHA-256' };
/** NIST SP 800-57 part 1: enough to 2030; a key here lives for a month. */
const modulusLength = 2048;

const generate = promisify(generateKeyPair);

/** Makes an RSA-2048 pair, about 80 ms of one pool thread. */
export async function generateTokenKey(): Promise<TokenKeyPair> {
  const { publicKey, privateKey } = await generate('rsa', { modulusLength });
  const { n, e } = publicKey.export({ format: 'jwk' });
  if (n === undefined || e === undefined) throw new Error('a generated RSA key exports without n or e');
  return {
    publicJwk: { kty: 'RSA', use: 'sig', alg: 'RS256', kid: thumbprint(n, e), n, e },
    privateKey: new SecretBytes(privateKey.export({ format: 'der', type: 'pkcs8' })),
  };
}

/** A handle that signs RS256 off the event loop and cannot be exported; rejects bytes that are no RSA PKCS#8. */
export function importPrivateTokenKey(pkcs8: SecretBytes): Promise<KeyHandle> {
  return webcrypto.subtle.importKey('pkcs8', Buffer.from(pkcs8.exposeBytes()), algorithm, false, ['sign']);
}

/** A handle that verifies RS256; rejects a JWK that is malformed. */
export function importPublicTokenKey({ kty, n, e }: PublicTokenKey): Promise<KeyHandle> {
  return webcrypto.subtle.importKey('jwk', { kty, n, e }, algorithm, true, ['verify']);
}

/** RFC 7638 §3: the required members only, in lexicographic order, without white space. */
function thumbprint(n: string, e: string): string {
  return hash('sha256', JSON.stringify({ e, kty: 'RSA', n }), 'base64url');
}
